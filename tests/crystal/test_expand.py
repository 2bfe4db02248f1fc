"""The expander against pymatgen, pyxtal and spglib on all 1,731 positions, and its gradients."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import spglib
from pymatgen.core import Element, Lattice, Structure
from pymatgen.symmetry.groups import SpaceGroup, sg_symbol_from_int_number
from pyxtal.symmetry import Group

from jaxcrys.core.pytree import take
from jaxcrys.crystal import Crystal, expand, num_atoms, stack_crystals
from jaxcrys.geometry import parameters_from_matrix
from jaxcrys.symmetry import (
    degrees_of_freedom,
    general_position,
    load_tables,
    multiplicity,
    position_id,
    positions_of,
)
from jaxcrys.symmetry.groups import constrain_lattice
from tests.devices import on_device
from tests.groups import GROUPS

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")

ORIGIN_CHOICE_1 = (
    *(48, 50, 59, 68, 70, 85, 86, 88, 125, 126, 129, 130),
    *(133, 134, 137, 138, 141, 142, 201, 203, 222, 224, 227, 228),
)
"""The 24 groups with two origins. pymatgen's ``from_int_number`` gives choice 1, jaxcrys choice 2,
so that the same numbers name different points: pymatgen's result is another crystal."""


def one_site_per_position() -> Crystal:
    """A batch of 1,731 crystals, each with one orbit at random free coordinates."""
    rng = np.random.default_rng(0)
    ids = np.arange(1, 1732)
    group = load_tables().position_group[ids]
    dead = np.arange(3) >= degrees_of_freedom(ids)[:, None]
    k = rng.normal(0, 0.1, (1731, 6)) + np.array([0, 0, 0, 0, 0, 4])
    return Crystal(
        group=group,
        wyckoff=ids[:, None],
        species=np.ones_like(ids)[:, None],
        free=np.where(dead, 0, rng.random((1731, 3)))[:, None],
        lattice=constrain_lattice(k, group),
    )


@functools.cache
def host_cells():
    return expand(one_site_per_position(), capacity=192)


@functools.cache
def device_cells():
    crystal = on_device(one_site_per_position())
    cell = jax.jit(functools.partial(expand, capacity=192))(crystal)
    return jax.tree.map(np.asarray, cell)


CELLS = [
    pytest.param(host_cells, 1e-9, id="numpy-float64"),
    pytest.param(device_cells, 1e-6, id="jax-float32"),
]


def same_points(left, right, tolerance):
    """Whether two lists of points are the same set modulo 1, none twice."""
    if left.shape != right.shape:
        return False
    apart = left[:, None].astype(float) - right[None]
    near = np.abs(apart - np.rint(apart)).max(-1) < tolerance
    return bool((near.sum(0) == 1).all() and (near.sum(1) == 1).all())


def atoms(cells, wyckoff):
    return cells.frac[wyckoff - 1][cells.mask[wyckoff - 1]]


@functools.cache
def settings() -> dict[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = {group: {} for group in GROUPS}
    for hall in range(1, 531):
        kind = spglib.get_spacegroup_type(hall)
        assert kind is not None
        found[kind.number].setdefault(kind.choice, hall)
    return found


@functools.cache
def spglib_operations(group: int, choice: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Rotations and translations, by default in the setting that ITA prints first."""
    (standard,) = {"2", "H", "b", "b1"} & set(settings()[group]) or {""}
    found = spglib.get_symmetry_from_database(settings()[group][choice or standard])
    assert found is not None
    return found["rotations"], found["translations"]


def integer_set(operations) -> set[tuple[int, ...]]:
    """Operations as integers, translations in 1/24 modulo 1."""
    return {
        (*np.rint(r).astype(int).flat, *(np.rint(24 * t).astype(int) % 24)) for r, t in operations
    }


def unique_modulo_1(points, tolerance=1e-6):
    kept: list[np.ndarray] = []
    for point in points % 1:
        apart = np.array(kept).reshape(-1, 3) - point
        if not (np.abs(apart - np.rint(apart)).max(-1) < tolerance).any():
            kept.append(point)
    return np.array(kept)


@pytest.mark.parametrize(("cells", "tolerance"), CELLS)
def test_atoms_are_in_the_cell_and_as_many_as_the_multiplicity(cells, tolerance):
    del tolerance
    cell = cells()
    assert ((cell.frac >= 0) & (cell.frac < 1)).all()
    np.testing.assert_array_equal(cell.mask.sum(-1), multiplicity(np.arange(1, 1732)))
    np.testing.assert_array_equal(num_atoms(one_site_per_position()), cell.mask.sum(-1))
    assert not cell.overflow.any()
    assert not cell.frac[~cell.mask].any()
    assert not cell.species[~cell.mask].any()


@pytest.mark.parametrize(("cells", "tolerance"), CELLS)
def test_atoms_are_the_images_by_spglib(cells, tolerance):
    """Every image of every atom is an atom, and the images of the first are all atoms."""
    for group in GROUPS:
        rotations, translations = spglib_operations(group)
        for wyckoff in positions_of(group):
            ours = atoms(cells(), wyckoff)
            images = rotations @ host_cells().frac[wyckoff - 1, 0] + translations
            assert same_points(ours, unique_modulo_1(images), tolerance)


@pytest.mark.parametrize(("cells", "tolerance"), CELLS)
def test_atoms_are_those_of_pyxtal(cells, tolerance):
    free = one_site_per_position().free[:, 0]
    for group in GROUPS:
        for wyckoff, position in zip(
            positions_of(group), Group(group).Wyckoff_positions[::-1], strict=True
        ):
            alive = np.abs(position.ops[0].rotation_matrix).sum(0) > 0
            point = np.zeros(3)
            point[alive] = free[wyckoff - 1, : alive.sum()]
            theirs = np.array([op.operate(point) for op in position.ops])
            assert same_points(atoms(cells(), wyckoff), theirs, tolerance)


@functools.cache
def pymatgen_atoms(group: int) -> list[np.ndarray]:
    """``Structure.from_spacegroup`` on all positions of a group, an element on each."""
    ids = positions_of(group)
    first = ids[0] - 1
    parameters = parameters_from_matrix(host_cells().lattice[first])
    structure = Structure.from_spacegroup(
        group,
        Lattice.from_parameters(*parameters),
        [Element.from_Z(z) for z in range(1, len(ids) + 1)],
        host_cells().frac[first : first + len(ids), 0],
    )
    numbers = np.array(structure.atomic_numbers)
    return [structure.frac_coords[numbers == z] for z in range(1, len(ids) + 1)]


@pytest.mark.parametrize(("cells", "tolerance"), CELLS)
def test_atoms_are_those_of_pymatgen(cells, tolerance):
    for group in set(GROUPS) - set(ORIGIN_CHOICE_1):
        for wyckoff, theirs in zip(positions_of(group), pymatgen_atoms(group), strict=True):
            assert same_points(atoms(cells(), wyckoff), theirs, tolerance)


def test_pymatgen_has_origin_choice_1_in_24_groups():
    """So the comparison above leaves out what must differ, and nothing else."""
    differ = []
    for group in GROUPS:
        operations = SpaceGroup(sg_symbol_from_int_number(group)).symmetry_ops
        theirs = integer_set((op.rotation_matrix, op.translation_vector) for op in operations)
        if theirs != integer_set(zip(*spglib_operations(group), strict=True)):
            differ.append(group)
            assert theirs == integer_set(zip(*spglib_operations(group, "1"), strict=True))
    assert tuple(differ) == ORIGIN_CHOICE_1


def test_host_and_device_agree_in_every_field():
    host, device = host_cells(), device_cells()
    for field in dataclasses.fields(host):
        ours, theirs = getattr(host, field.name), getattr(device, field.name)
        assert ours.shape == theirs.shape
        if field.name == "frac":
            ours, theirs = ours - np.rint(ours - theirs), theirs
        if ours.dtype.kind == "f":
            np.testing.assert_allclose(theirs, ours, atol=1e-6, rtol=1e-5)
        else:
            np.testing.assert_array_equal(theirs, ours)


def random_crystals(seed: int, groups, *, sites: int = 4) -> Crystal:
    """Crystals on random positions of given groups, some slots empty."""
    rng = np.random.default_rng(seed)
    wyckoff = np.array([rng.choice([*positions_of(g), 0], sites) for g in groups])
    k = rng.normal(0, 0.2, (len(groups), 6)) + np.array([0, 0, 0, 0, 0, 3])
    return Crystal(
        group=np.array(groups),
        wyckoff=wyckoff,
        species=np.where(wyckoff > 0, rng.integers(1, 100, wyckoff.shape), 0),
        free=rng.random((len(groups), sites, 3)),
        lattice=constrain_lattice(k, np.array(groups)),
    )


def test_batches_of_any_groups_share_one_program():
    traces = []

    @jax.jit
    def batched(crystals):
        traces.append(None)
        return jax.vmap(functools.partial(expand, capacity=768))(crystals)

    for seed, groups in enumerate([[*GROUPS], [*GROUPS][::-1], [225] * 230]):
        crystals = random_crystals(seed, groups)
        cells = jax.block_until_ready(batched(on_device(crystals)))
        np.testing.assert_array_equal(cells.mask.sum(-1), num_atoms(crystals))
        np.testing.assert_array_equal(cells.overflow, 0)
    assert len(traces) == 1


def test_leading_dimensions_are_those_of_single_crystals():
    crystals = random_crystals(3, [1, 62, 166, 194, 225, 227])
    grid = jax.tree.map(lambda a: a.reshape(2, 3, *a.shape[1:]), crystals)
    host = functools.partial(expand, capacity=500)
    device = jax.jit(host)
    for function, convert, tolerance in ((host, lambda c: c, 0), (device, on_device, 1e-6)):
        together = function(convert(grid))
        for i in range(6):
            alone = function(convert(take(crystals, i)))
            for field in dataclasses.fields(alone):
                np.testing.assert_allclose(
                    getattr(together, field.name)[i // 3, i % 3],
                    getattr(alone, field.name),
                    atol=tolerance,
                )


@pytest.mark.parametrize("convert", [lambda c: c, on_device], ids=["numpy", "jax"])
def test_atoms_beyond_the_capacity_are_counted(convert):
    crystals = convert(random_crystals(4, [*GROUPS]))
    compiled = jax.jit(expand, static_argnames="capacity")
    expand_any = expand if isinstance(crystals.free, np.ndarray) else compiled
    whole = expand_any(crystals, capacity=768)
    for capacity in (0, 1, 50):
        cut = expand_any(crystals, capacity=capacity)
        lost = np.maximum(np.asarray(num_atoms(crystals)) - capacity, 0)
        np.testing.assert_array_equal(cut.overflow, lost)
        np.testing.assert_array_equal(cut.frac, whole.frac[:, :capacity])
        np.testing.assert_array_equal(cut.species, whole.species[:, :capacity])
    assert lost.any()


def test_stacking_keeps_the_sites_behind_empty_slots():
    crystals = random_crystals(7, [225, 14, 62, 194])
    singles = [take(crystals, i) for i in range(4)]
    assert any((np.diff(single.wyckoff > 0) == 1).any() for single in singles)
    stacked = expand(stack_crystals(singles), capacity=768)
    expected = expand(crystals, capacity=768)
    for name in ("frac", "species", "mask", "operation", "lattice", "overflow"):
        np.testing.assert_array_equal(getattr(stacked, name), getattr(expected, name))


@pytest.mark.parametrize("field", ["wyckoff", "free", "lattice", "species"])
def test_host_arrays_may_be_mixed_with_device_arrays(field):
    """A fixed template on the host and coordinates on the device, or the other way around."""
    crystal = random_crystals(5, [225, 14])
    mixed = dataclasses.replace(crystal, **{field: getattr(on_device(crystal), field)})
    ours, theirs = expand(crystal, capacity=768), expand(mixed, capacity=768)
    apart = np.asarray(theirs.frac) - ours.frac
    np.testing.assert_allclose(apart - np.rint(apart), 0, atol=1e-6)
    np.testing.assert_array_equal(theirs.species, ours.species)


def energy(free, lattice, crystal, capacity):
    """A smooth periodic function of all atoms that has no symmetry of its own."""
    cell = expand(dataclasses.replace(crystal, free=free, lattice=lattice), capacity=capacity)
    waves = jnp.sin(2 * jnp.pi * cell.frac) + 0.3 * jnp.cos(4 * jnp.pi * cell.frac[:, ::-1])
    cartesian = waves @ cell.lattice / 10
    weight = cell.mask * (1 + cell.site) * jnp.cos(1.0 + cell.operation)
    direction = jnp.array([0.3, -0.7, 1.1])
    return (weight * jnp.tanh(cartesian @ direction)).sum() + jnp.sin(cell.lattice).sum()


GRADIENT_CASES = [(1, "a"), (14, "e"), (62, "c"), (136, "f"), (166, "h"), (194, "k"), (227, "g")]


@jax.jit
def gradients(crystal):
    function = functools.partial(energy, crystal=crystal, capacity=300)
    return jax.grad(function, argnums=(0, 1))(crystal.free, crystal.lattice)


@jax.jit
def finite_differences(crystal, step):
    """Central differences in the nine free coordinates and the six lattice coefficients."""

    def at(x):
        return energy(x[:9].reshape(3, 3), x[9:], crystal, 300)

    x = jnp.concatenate([crystal.free.ravel(), crystal.lattice])
    moves = step * jnp.eye(15)
    slope = (jax.vmap(at)(x + moves) - jax.vmap(at)(x - moves)) / (2 * step)
    return slope[:9].reshape(3, 3), slope[9:]


@pytest.mark.parametrize(("group", "letter"), GRADIENT_CASES)
@pytest.mark.parametrize("anisotropy", [0.0, 0.2])
def test_gradients_are_the_finite_differences(group, letter, anisotropy):
    """Also where all three eigenvalues of the lattice coincide (anisotropy 0, cubic)."""
    rng = np.random.default_rng(group)
    general = int(general_position(np.array(group)))
    wyckoff = np.array([position_id(group, letter), 0, general])
    k = rng.normal(0, anisotropy, 6) + np.array([0, 0, 0, 0, 0, 3])
    k = constrain_lattice(k, np.array(group))
    with jax.enable_x64(True):
        crystal = Crystal(
            group=jnp.array(group),
            wyckoff=jnp.array(wyckoff),
            species=jnp.array([3, 0, 5]),
            free=jnp.array(rng.random((3, 3))),
            lattice=jnp.array(k),
        )
        found_all, expected_all = gradients(crystal), finite_differences(crystal, 1e-6)
    for found, expected in zip(found_all, expected_all, strict=True):
        assert found.dtype == np.float64
        assert np.abs(expected).max() > 1e-2
        np.testing.assert_allclose(found, expected, atol=1e-6)
    dead = np.arange(3) >= degrees_of_freedom(wyckoff)[:, None]
    assert not np.asarray(found_all[0])[dead].any()


def test_gradients_in_float32_are_finite_for_all_groups():
    crystals = on_device(random_crystals(6, [*GROUPS]))
    isotropic = jnp.zeros_like(crystals.lattice).at[:, 5].set(3.0)

    def total(free, k):
        return jax.vmap(functools.partial(energy, capacity=768))(free, k, crystals).sum()

    slope = jax.jit(jax.grad(total, argnums=(0, 1)))
    for lattice in (crystals.lattice, isotropic):
        for gradient in slope(crystals.free, lattice):
            assert np.isfinite(gradient).all()
