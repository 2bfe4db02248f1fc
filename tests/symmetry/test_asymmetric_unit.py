"""Self-maps and asymmetric units against spglib's operations, exact integers and scipy's hulls."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial import ConvexHull, HalfspaceIntersection

from jaxcrys.core.errors import InputError
from jaxcrys.geometry.periodic import wrap
from jaxcrys.symmetry.asymmetric_unit import (
    MAX_MAPS,
    REFERENCE,
    asymmetric_unit,
    canonical_free,
    canonical_representative,
    count_self_maps,
    in_asymmetric_unit,
    self_maps,
)
from jaxcrys.symmetry.metric import family_metric, squared_distance, tangent_gram
from jaxcrys.symmetry.orbits import expand_orbits, representative
from jaxcrys.symmetry.tables import load_tables
from jaxcrys.symmetry.wyckoff import (
    degrees_of_freedom,
    free_mask,
    general_position,
    position_id,
    positions_of,
)
from tests.groups import each_group

POSITIONS = np.arange(1, 1732)
GROUPS = np.arange(1, 231)
MODULUS = 240168
"""Of the exact points in conftest: coordinates in units of 1/240168."""


def images_of(wyckoff: int, free: np.ndarray) -> np.ndarray:
    linear, translation, mask = self_maps(np.asarray(wyckoff))
    return (linear[mask] * free[..., None, None, :]).sum(-1) + translation[mask]


def apart(left, right):
    return np.abs(left - right - np.rint(left - right)).max(-1)


@each_group
def test_self_maps_are_all_atoms_on_the_family_of_points(
    group, exact_images, exact_rows, random_integers
):
    """All images of an exact integer point under spglib's operations; those that some u' gives."""
    tables = load_tables()
    for wyckoff in positions_of(group):
        free = random_integers(wyckoff) * free_mask(np.asarray(wyckoff))
        first = tables.position_first_row[wyckoff]
        linear, shift = (
            table[first].astype(int) for table in (tables.row_linear, tables.row_translation)
        )
        (point,) = exact_rows(linear[None], shift[None], free)
        atoms = np.unique(exact_images(group, point), axis=0)
        # Whether an atom lies on the family is asked of the point that the left inverse proposes.
        inverse = tables.position_left_inverse[wyckoff].astype(int)
        proposed = (atoms - shift * (MODULUS // 24)) @ inverse.T % MODULUS
        again = (proposed @ linear.T + shift * (MODULUS // 24)) % MODULUS
        expected = {tuple(u) for u in proposed[(again == atoms).all(-1)]}
        maps, moves, mask = self_maps(np.asarray(wyckoff))
        moves = np.rint(moves[mask] * MODULUS).astype(int)
        found = (maps[mask] @ free + moves) % MODULUS
        assert len(found) == len(expected) == count_self_maps(np.asarray(wyckoff))
        assert {tuple(u) for u in found} == expected
        np.testing.assert_array_equal(found[0], free)


def test_general_positions_have_all_operations():
    general = general_position(GROUPS)
    np.testing.assert_array_equal(
        count_self_maps(general), load_tables().position_multiplicity[general]
    )
    assert count_self_maps(np.arange(1732)).max() == MAX_MAPS
    assert count_self_maps(np.array(0)) == 0


def test_self_maps_are_isometries_that_form_a_group():
    gram = tangent_gram(POSITIONS)
    for wyckoff in POSITIONS:
        linear, translation, mask = self_maps(np.asarray(wyckoff))
        linear, translation = linear[mask], np.rint(translation[mask] * 24).astype(int)
        alive = free_mask(np.asarray(wyckoff))
        live = np.where(alive[:, None] & alive, gram[wyckoff - 1], 0)
        turned = linear.swapaxes(-1, -2) @ live @ linear
        np.testing.assert_array_equal(turned, np.broadcast_to(live, turned.shape))
        keys = {(*m.ravel(), *t) for m, t in zip(linear, translation % 24, strict=True)}
        assert len(keys) == len(linear)
        some = np.random.default_rng(wyckoff).integers(len(linear), size=(2, 20))
        product = linear[some[0]] @ linear[some[1]]
        moved = (linear[some[0]] @ translation[some[1]][..., None])[..., 0] + translation[some[0]]
        assert {(*m.ravel(), *t) for m, t in zip(product, moved % 24, strict=True)} <= keys


def test_no_image_of_the_reference_is_near_it():
    gram = tangent_gram(POSITIONS)
    nearest = np.inf
    for wyckoff in POSITIONS:
        reference = REFERENCE * free_mask(np.asarray(wyckoff))
        moved = images_of(wyckoff, reference)[1:] - reference
        if len(moved):
            nearest = min(nearest, squared_distance(moved, gram[wyckoff - 1]).min())
    assert np.sqrt(nearest) == pytest.approx(0.0574, abs=1e-4)


@pytest.mark.parametrize("block", range(6))
def test_all_images_of_a_point_have_the_same_canonical_one(block):
    rng = np.random.default_rng(block)
    for wyckoff in POSITIONS[block::6]:
        free = rng.random(3)
        images = images_of(wyckoff, free)
        sites = np.full(len(images), wyckoff)
        found = canonical_free(sites, images, capacity=len(images))
        assert apart(found, found[0]).max() < 1e-9
        assert ((found >= 0) & (found < 1)).all()
        assert not found[:, degrees_of_freedom(np.asarray(wyckoff)) :].any()
        # One of the images, it maps to itself, and is the only one in the asymmetric unit.
        assert (apart(images, found[0]) < 1e-9).sum() == 1
        np.testing.assert_array_equal(canonical_free(sites, found, capacity=len(images)), found)
        inside = in_asymmetric_unit(sites, images, capacity=len(images))
        np.testing.assert_array_equal(inside, apart(images, found[0]) < 1e-9)


def test_the_canonical_orbit_is_the_same_set_of_atoms(same_points):
    free = np.random.default_rng(7).random((len(POSITIONS), 3))
    for wyckoff, u in zip(POSITIONS, free, strict=True):
        sites = np.array([wyckoff])
        chosen = canonical_free(sites, u[None])
        before, after = (expand_orbits(sites, f, capacity=192) for f in (u[None], chosen))
        assert same_points(before.frac[before.mask], after.frac[after.mask], 1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_atom_of_an_orbit_leads_to_its_canonical_representative(dtype):
    """With noise on the atoms, compiled once for all positions."""
    rng = np.random.default_rng(8)
    noise = 1e-6 if dtype is np.float32 else 1e-12
    with jax.enable_x64(dtype is np.float64):
        find = jax.jit(lambda sites, atoms: canonical_representative(sites, atoms))
        for wyckoff in rng.choice(POSITIONS, 60):
            free = rng.random((1, 3))
            orbit = expand_orbits(np.array([wyckoff]), free, capacity=192)
            atoms = orbit.frac + rng.uniform(-noise, noise, orbit.frac.shape)
            found = find(jnp.full(192, wyckoff), jnp.asarray(atoms, dtype))
            assert found.dtype == dtype
            expected = canonical_free(np.array([wyckoff]), free)
            assert apart(np.asarray(found)[orbit.mask], expected).max() < 20 * noise
        assert find._cache_size() == 1


def test_numpy_finds_the_canonical_representative_of_one_atom_of_every_position():
    free = np.random.default_rng(9).random((len(POSITIONS), 3))
    tables = load_tables()
    last = tables.position_first_row[POSITIONS] + tables.position_multiplicity[POSITIONS] - 1
    atoms = np.einsum("rij,rj->ri", tables.row_linear[last], free)
    atoms = wrap(atoms + tables.row_translation[last] / 24)
    for part in np.array_split(np.arange(len(POSITIONS)), 20):
        found = canonical_representative(POSITIONS[part], atoms[part])
        expected = canonical_free(POSITIONS[part], free[part])
        assert apart(found, expected).max() < 1e-9


def test_jit_of_a_batch_is_the_host_version():
    sites = np.concatenate([[0], POSITIONS])
    free = np.random.default_rng(10).random((len(sites), 3))
    canonical = jax.jit(lambda w, u: (canonical_free(w, u), in_asymmetric_unit(w, u)))
    for part in np.array_split(np.arange(len(sites)), 4):
        found, inside = canonical(jnp.asarray(sites[part]), jnp.asarray(free[part], jnp.float32))
        expected = np.concatenate([canonical_free(sites[part][i::5], free[part][i::5])
                                   for i in range(5)])  # fmt: skip
        order = np.argsort(np.concatenate([np.arange(len(part))[i::5] for i in range(5)]))
        assert apart(np.asarray(found), expected[order]).max() < 1e-5
        np.testing.assert_array_equal(np.asarray(inside)[sites[part] == 0], False)
    np.testing.assert_array_equal(canonical_free(np.array([0]), np.array([[0.3, 0.4, np.nan]])), 0)


LABELS = [(1, "a"), (14, "e"), (166, "h"), (166, "i"), (194, "k"), (205, "d"), (221, "k"),
          (225, "e"), (227, "i"), (230, "h")]  # fmt: skip


@pytest.mark.parametrize("label", LABELS)
def test_one_point_in_so_many_is_its_own_canonical_one(label):
    """The asymmetric unit is 1 / (number of self-maps) of the torus, by random points."""
    wyckoff = np.asarray(position_id(*label))
    count = int(count_self_maps(wyckoff))
    samples = 4000 if count > 24 else 20000
    free = np.random.default_rng(11).random((samples, 3))
    inside = jax.jit(in_asymmetric_unit, static_argnames="capacity")(
        jnp.full(samples, wyckoff), jnp.asarray(free, jnp.float32), capacity=count
    )
    share = float(np.mean(inside))
    error = np.sqrt((1 - 1 / count) / count / samples)
    assert abs(share - 1 / count) <= 4.5 * error


@pytest.mark.parametrize("first", range(1, 231, 23))
def test_half_spaces_bound_one_asymmetric_unit(first):
    """Volume by scipy; inside by the half-spaces as by the nearest image of the reference."""
    rng = np.random.default_rng(first)
    for group in range(first, min(first + 23, 231)):
        general = general_position(np.asarray(group))
        normals, offsets = asymmetric_unit(group)
        polyhedron = HalfspaceIntersection(np.c_[normals, -offsets], REFERENCE)
        count = count_self_maps(general)
        hull = ConvexHull(polyhedron.intersections)
        assert hull.volume * count == pytest.approx(1, rel=1e-9)
        assert 4 <= len(offsets) <= 22
        # Each half-space is needed: the set grows without it, or has no bound.
        assert set(np.concatenate(polyhedron.dual_facets)) == set(range(len(offsets)))
        # Points between the corners are canonical, points outside near a face are not.
        corners = polyhedron.intersections
        weights = rng.dirichlet(np.full(len(corners), 0.5), 30)
        inside = weights @ corners
        sites = np.full(30, general)
        assert in_asymmetric_unit(sites, inside, capacity=count).all()
        assert apart(canonical_free(sites, inside, capacity=count), inside).max() < 1e-9
        beyond = REFERENCE + (inside - REFERENCE) * rng.uniform(1, 3, (30, 1))
        outside = (beyond @ normals.T > offsets + 1e-6).any(-1)
        nearest = squared_distance(beyond - REFERENCE, family_metric(np.asarray(group)))
        straight = beyond - REFERENCE
        straight = np.einsum("bi,ij,bj->b", straight, family_metric(np.asarray(group)), straight)
        whole = np.isclose(nearest, straight)
        found = in_asymmetric_unit(sites, beyond, capacity=count)
        np.testing.assert_array_equal(found[outside & whole], False)
        np.testing.assert_array_equal(found[~outside], True)


def test_rational_points_are_never_on_the_boundary():
    """Their images are one point or differ in distance, so that rounding cannot choose."""
    grid = np.stack(np.meshgrid(*[np.arange(0, 1, 1 / 8)] * 3), -1).reshape(-1, 3)
    rng = np.random.default_rng(12)
    for group in (62, 166, 194, 221, 227, 230):
        wyckoff = general_position(np.asarray(group))
        for free in rng.permutation(grid)[:40]:
            images = wrap(images_of(wyckoff, free))
            found = canonical_free(np.full(len(images), wyckoff), images, capacity=len(images))
            assert apart(found, found[0]).max() < 1e-9


def test_representative_of_the_canonical_point_is_an_atom_of_the_orbit():
    wyckoff = np.array([position_id(194, "k")])
    free = np.array([[0.83, 0.4, 0.0]])
    atoms = expand_orbits(wyckoff, free, capacity=12).frac
    assert apart(atoms, representative(wyckoff, canonical_free(wyckoff, free))).min() < 1e-9


def test_no_such_group():
    with pytest.raises(InputError, match="space group"):
        asymmetric_unit(231)
