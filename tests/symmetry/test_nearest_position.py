"""Decoding of soft bits and points, against brute force over rows and lattice translations."""

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st
from pyxtal.symmetry import Group

from jaxcrys.symmetry.nearest_position import (
    MAX_FLATS,
    MAX_FLATS_OF_POSITION,
    nearest_free,
    nearest_position,
)
from jaxcrys.symmetry.orbits import expand_orbits
from jaxcrys.symmetry.symmetry_bits import site_symmetry_bits
from jaxcrys.symmetry.tables import load_tables
from jaxcrys.symmetry.wyckoff import (
    degrees_of_freedom,
    free_mask,
    group_of,
    position_id,
    position_label,
    position_slots,
    positions_of,
)

IDS = np.arange(1, 1732)
CELLS = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3, indexing="ij"), -1).reshape(-1, 3)
NEAR = CELLS[(np.abs(CELLS) <= 1).all(-1)]
settings = hypothesis.settings(deadline=None, derandomize=True, max_examples=40, database=None)
coordinates = st.lists(st.floats(-2, 2), min_size=3, max_size=3).map(np.array)
HEXAGONAL = np.array([[1, -0.5, 0], [-0.5, 1, 0], [0, 0, 1]])


def metric_of(group):
    return HEXAGONAL if 143 <= group <= 194 else np.eye(3)


def rows_of(wyckoff):
    tables = load_tables()
    first = tables.position_first_row[wyckoff]
    rows = slice(first, first + tables.position_multiplicity[wyckoff])
    return tables.row_linear[rows].astype(float), tables.row_translation[rows] / 24


def brute_force_distance(wyckoff, point, metric):
    """Least distance to any row in 343 cells, by an orthonormal basis of each row's directions."""
    root = np.linalg.cholesky(metric).T
    dof = degrees_of_freedom(np.array(wyckoff))
    best = np.inf
    for linear, shift in zip(*rows_of(wyckoff), strict=True):
        basis, _ = np.linalg.qr(root @ linear[:, :dof])
        apart = (point - shift - np.rint(point - shift) - CELLS) @ root.T
        apart -= (apart @ basis) @ basis.T
        best = min(best, np.linalg.norm(apart, axis=-1).min())
    return best


def distance_to_orbit(wyckoff, free, point, metric):
    """From a point to the nearest of the atoms that the free coordinates make."""
    atoms = expand_orbits(np.array([wyckoff]), np.array([free]), capacity=192)
    apart = point - atoms.frac[atoms.mask]
    apart = (apart - np.rint(apart))[:, None] + CELLS
    return np.sqrt(np.einsum("...i,ij,...j->...", apart, metric, apart).min())


def in_chunks(function, *arrays, size=128):
    parts = [function(*(a[i : i + size] for a in arrays)) for i in range(0, len(arrays[0]), size)]
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def points_on_all_positions(seed):
    """For every position free coordinates and the point of a random row, in a random cell."""
    rng = np.random.default_rng(seed)
    tables = load_tables()
    free = rng.random((len(IDS), 3)) * free_mask(IDS)
    row = tables.position_first_row[IDS] + rng.integers(0, tables.position_multiplicity[IDS])
    frac = (tables.row_linear[row] * free[:, None]).sum(-1) + tables.row_translation[row] / 24
    return free, frac + rng.integers(-3, 4, (len(IDS), 3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exact_positions_come_back_from_any_of_their_atoms(dtype):
    """From the bits and one atom of the orbit: the position, and the whole orbit as a set."""
    free, frac = points_on_all_positions(0)
    inputs = group_of(IDS), site_symmetry_bits(IDS).astype(dtype), frac.astype(dtype)
    if dtype == np.float32:
        found, coordinates = map(np.asarray, jax.jit(nearest_position)(*map(jnp.asarray, inputs)))
    else:
        found, coordinates = in_chunks(nearest_position, *inputs)
    np.testing.assert_array_equal(found, IDS)
    assert coordinates.dtype == dtype
    tolerance = 3e-6 if dtype == np.float32 else 1e-12
    ours, theirs = (
        expand_orbits(IDS[:, None], u.astype(float)[:, None], capacity=192)
        for u in (coordinates, free)
    )
    for new, old, mask in zip(ours.frac, theirs.frac, theirs.mask, strict=True):
        apart = new[mask][:, None] - old[mask]
        near = np.abs(apart - np.rint(apart)).max(-1) < tolerance
        assert (near.sum(0) == 1).all()
        assert (near.sum(1) == 1).all()


def test_nearest_free_is_the_nearest_point_of_the_orbit():
    """As near as brute force says, and the atoms are where the free coordinates put them."""
    rng = np.random.default_rng(1)
    frac = rng.uniform(-2, 2, (len(IDS), 3))
    free, distance = in_chunks(nearest_free, IDS, frac, size=256)
    assert ((free >= 0) & (free < 1)).all()
    assert not free[~free_mask(IDS)].any()
    for wyckoff in IDS[::3]:
        metric = metric_of(int(group_of(wyckoff)))
        index = wyckoff - 1
        expected = brute_force_distance(wyckoff, frac[index], metric)
        assert abs(distance[index] - expected) < 1e-9
        reached = distance_to_orbit(wyckoff, free[index], frac[index], metric)
        assert abs(reached - expected) < 1e-9


@settings
@hypothesis.given(
    st.sampled_from([2, 12, 15, 47, 123, 166, 194, 221, 225, 227, 230]), coordinates, st.data()
)
def test_given_metrics_are_used(group, point, data):
    """A lattice of the group in Å; oblique ones are reduced, as 27 cells demand."""
    lengths = np.array(data.draw(st.lists(st.floats(4, 6), min_size=3, max_size=3)))
    tied = lengths if group < 75 else lengths[[0, 0, 2]] if group < 195 else lengths[[0, 0, 0]]
    angles = metric_of(group).copy()
    for i, j in {2: [(0, 1), (0, 2), (1, 2)], 12: [(0, 2)], 15: [(0, 2)]}.get(group, []):
        angles[i, j] = angles[j, i] = data.draw(st.floats(-0.17, 0.17))
    metric = angles * tied[:, None] * tied
    wyckoff = data.draw(st.sampled_from(positions_of(group)))
    free, distance = nearest_free(np.array(wyckoff), point, metric)
    expected = brute_force_distance(wyckoff, point, metric)
    assert abs(float(distance) - expected) < 1e-7
    assert abs(distance_to_orbit(wyckoff, free, point, metric) - expected) < 1e-7


@settings
@hypothesis.given(st.integers(1, 1731), coordinates, st.randoms(use_true_random=False))
def test_equal_bits_are_decided_by_the_distance(wyckoff, point, random):
    group = int(group_of(np.array(wyckoff)))
    bits = site_symmetry_bits(np.array(positions_of(group)))
    weight = random.uniform(0.1, 3)
    found, free = nearest_position(
        np.array(group), weight * bits[wyckoff - positions_of(group)[0]], point
    )
    alike = [i for i, b in zip(positions_of(group), bits, strict=True)
             if (b == site_symmetry_bits(np.array(wyckoff))).all()]  # fmt: skip
    distances = [brute_force_distance(i, point, metric_of(group)) for i in alike]
    assert found in alike
    assert distances[alike.index(found)] < min(distances) + 1e-9
    reached = distance_to_orbit(int(found), free, point, metric_of(group))
    assert abs(reached - min(distances)) < 1e-8


def test_soft_bits_go_to_the_nearest_in_l2():
    rng = np.random.default_rng(2)
    groups = np.tile(np.arange(1, 231), 2)
    frac = rng.random((len(groups), 3))
    soft = rng.normal(size=(len(groups), 15, 13))
    soft[: len(groups) // 2] = 0  # the rest: noise around a position of the group
    near = np.array([rng.choice(positions_of(g)) for g in groups])
    soft = site_symmetry_bits(near) * rng.uniform(0, 1, (len(groups), 1, 1)) + soft
    soft[0] += 5 * rng.normal(size=(15, 13))
    allowed = rng.random((len(groups), 27)) < 0.7
    for mask in (np.ones_like(allowed), allowed):
        found, _ = in_chunks(
            lambda g, b, x, m: nearest_position(g, b, x, allowed=m), groups, soft, frac, mask
        )
        for group, bits, wyckoff, may in zip(groups, soft, found, mask, strict=True):
            ids = [i for i, ok in zip(positions_of(group), may, strict=False) if ok]
            if not ids:
                assert wyckoff == 0
                continue
            apart = ((site_symmetry_bits(np.array(ids)) - bits) ** 2).sum((1, 2))
            assert wyckoff in ids
            assert apart[ids.index(wyckoff)] < apart.min() + 1e-9


def test_what_is_not_allowed_is_not_chosen():
    """Both fixed points of Fm-3m have the same bits: each can be taken once."""
    group, point = np.array(225), np.zeros(3)
    bits = site_symmetry_bits(np.array(position_id(225, "a"))).astype(float)
    allowed = np.ones(27, bool)
    chosen = []
    for _ in range(3):
        found, _ = nearest_position(group, bits, point, allowed=allowed)
        chosen.append(position_label(int(found)))
        if degrees_of_freedom(found) == 0:
            allowed = allowed & (position_slots(group) != found)
    assert chosen[:2] == ["4a", "4b"]
    assert chosen[2] not in ("4a", "4b")
    found, free = nearest_position(group, bits, point, allowed=np.zeros(27, bool))
    assert (int(found), free.tolist()) == (0, [0, 0, 0])


def test_no_position_of_an_empty_slot():
    found, free = nearest_position(np.array(0), np.ones((15, 13)), np.array([0.1, 0.2, 0.3]))
    assert (int(found), free.tolist()) == (0, [0, 0, 0])
    free, distance = nearest_free(np.array(0), np.array([0.1, 0.2, 0.3]))
    assert (free.tolist(), float(distance)) == ([0, 0, 0], 0)


@pytest.mark.parametrize("group", [12, 62, 99, 129, 213])
def test_distance_is_that_to_the_nearest_projection_of_pyxtal(group):
    """Groups with orthogonal axes, and orthogonal directions in each row, as pyxtal needs them.

    Its own search over lattice translates shifts the point anew for each, and misses the nearest.
    """
    point = np.random.default_rng(group).random(3)
    for position in Group(group):
        wyckoff = position_id(group, position.letter)
        _, distance = nearest_free(np.array(wyckoff), point)
        apart = [
            position.project(point + cell, PBC=[0, 0, 0], id=i) - point - cell
            for i in range(len(position))
            for cell in NEAR
        ]
        assert abs(np.linalg.norm(apart, axis=-1).min() - float(distance)) < 1e-8


def test_flats_fit_in_their_slots():
    """As many flats as rows that a random point of another row does not lie on."""
    tables = load_tables()
    rng = np.random.default_rng(3)
    count = np.zeros(len(IDS), int)
    for wyckoff in IDS:
        linear, shift = rows_of(wyckoff)
        basis, _ = np.linalg.qr(linear[:, :, : tables.position_dof[wyckoff]])
        across = np.eye(3) - basis @ basis.swapaxes(1, 2)
        apart = (linear @ rng.random(3) + shift)[:, None] - shift
        apart = (apart - np.rint(apart))[:, :, None] + NEAR
        normal = np.einsum("sij,rscj->rsci", across, apart)
        on = (np.abs(normal).max(-1) < 1e-9).any(-1)
        count[wyckoff - 1] = np.rint((1 / on.sum(1)).sum())
    of_group = np.bincount(group_of(IDS), count)
    assert count.max() == MAX_FLATS_OF_POSITION
    assert of_group.max() == of_group[228] == MAX_FLATS
    assert count.sum() == 5725


def test_host_and_device_agree():
    """One trace for all groups, and the same in pieces by ``jax.lax.map``."""
    _, frac = points_on_all_positions(4)
    chosen = slice(None, None, 7)  # 248 positions
    frac = (frac + np.random.default_rng(5).normal(size=frac.shape) * 0.1)[chosen]
    bits = site_symmetry_bits(IDS[chosen])
    inputs = group_of(IDS[chosen]), bits.astype(np.float32), frac.astype(np.float32)
    on_host = in_chunks(nearest_position, *inputs)
    traces = []

    @jax.jit
    def once(*arrays):
        traces.append(arrays)
        return nearest_position(*arrays)

    at_once = once(*map(jnp.asarray, inputs))
    once(*(jnp.asarray(array[::-1].copy()) for array in inputs))
    assert len(traces) == 1
    in_pieces = jax.jit(
        lambda *arrays: jax.lax.map(lambda x: nearest_position(*x), arrays, batch_size=62)
    )(*map(jnp.asarray, inputs))
    for found, free in (at_once, in_pieces):
        np.testing.assert_array_equal(np.asarray(found), on_host[0])
        apart = np.asarray(free) - on_host[1]
        # Two atoms of an orbit may be as near to the point: the free coordinates then differ.
        same = np.abs(apart - np.rint(apart)).max(-1) < 1e-5
        assert same.mean() > 0.97
