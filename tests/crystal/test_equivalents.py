"""Every description shows the same atoms: a direct isometry check, and pymatgen's matcher."""

import jax
import jax.numpy as jnp
import moyopy
import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import take
from jaxcrys.crystal import expand, num_atoms, validate
from jaxcrys.crystal.convert import to_structure
from jaxcrys.crystal.equivalents import equivalents, random_equivalent, redescribe
from jaxcrys.symmetry.normalisers import (
    description_row,
    load_normalisers,
    num_descriptions,
    polar_axes,
)
from tests.crystals import exact_crystal, random_crystal, random_crystals
from tests.devices import on_device
from tests.groups import each_group


def cell_of(crystal):
    cell = expand(crystal, capacity=int(num_atoms(crystal)))
    return cell.frac, cell.species, cell.lattice


def isometry(before, after, row) -> np.ndarray:
    """The Cartesian map between two cells, if atoms go onto atoms of the same element."""
    table = load_normalisers()
    linear = table.description_linear[row].astype(float)
    frac, species, lattice = before
    moved = frac @ linear.T + table.description_shift[row] / 24
    apart = moved[:, None] - after[0]
    near = np.abs(apart - np.rint(apart)).max(-1) < 1e-6
    near &= species[:, None] == after[1]
    assert (near.sum(0) == 1).all()
    assert (near.sum(1) == 1).all()
    return np.linalg.inv(lattice) @ linear.T @ after[2]


@each_group
def test_every_description_is_an_isometry(group):
    """Proper unless it is said to be the mirror image; sites are few, so that atoms lie apart."""
    crystal = random_crystal(np.random.default_rng(group), group=group, sites=3)
    every = equivalents(crystal, mirror=True)
    validate(every)
    rows = description_row(np.asarray(group), np.arange(len(every.group)))
    before = cell_of(crystal)
    for i in range(0, len(rows), max(1, len(rows) // 48)):
        turned = isometry(before, cell_of(take(every, i)), rows[i])
        np.testing.assert_allclose(turned @ turned.T, np.eye(3), atol=1e-6)
        hand = load_normalisers().description_handedness[rows[i]]
        chiral = np.linalg.det(turned) * hand
        proper = num_descriptions(np.asarray(group)) < num_descriptions(
            np.asarray(group), mirror=True
        )
        assert chiral > 0 or not proper


@pytest.mark.parametrize("group", [2, 5, 14, 15, 19, 62, 71, 92, 146, 154, 166, 198, 216, 225])
def test_pymatgen_matches_every_description(group):
    crystal = random_crystal(np.random.default_rng(group), group=group, sites=2, most_atoms=8)
    matcher = StructureMatcher(primitive_cell=False, ltol=0.01, stol=0.01, angle_tol=0.5)
    structure = to_structure(crystal)
    every = equivalents(crystal)
    for i in range(0, len(every.group), max(1, len(every.group) // 6)):
        assert matcher.fit(structure, to_structure(take(every, i)))


@each_group
def test_as_many_wyckoff_sequences_as_moyopy_finds(group):
    """For the crystal's own metric, which nothing but its family constrains."""
    crystal = exact_crystal(np.random.default_rng(group), group=group)
    frac, species, lattice = cell_of(crystal)
    found = moyopy.MoyoDataset(
        moyopy.Cell(lattice.tolist(), frac.tolist(), species.tolist()),
        symprec=1e-4,
        setting=moyopy.Setting.standard(),
    )
    assert found.number == group
    expected = found.normalizer_wyckoff_positions(preserve_chirality=True)
    ours = equivalents(crystal, axes=False)
    assert len(set(map(tuple, ours.wyckoff.tolist()))) == len(expected.coset_representatives)


def test_jit_and_batches_agree_with_numpy():
    crystals = random_crystals(64, sites=4)
    random = np.random.default_rng(0)
    index = random.integers(0, num_descriptions(crystals.group, mirror=True))
    shift = random.random((64, 3))
    expected = redescribe(crystals, index, shift=shift)
    single = on_device(crystals)
    found = jax.jit(redescribe)(single, index, shift=jnp.asarray(shift, jnp.float32))
    np.testing.assert_array_equal(found.wyckoff, expected.wyckoff)
    np.testing.assert_array_equal(found.group, expected.group)
    apart = np.abs(np.asarray(found.free) - expected.free)
    assert np.minimum(apart, 1 - apart).max() < 1e-5
    np.testing.assert_allclose(found.lattice, expected.lattice, atol=2e-5)
    validate(expected)


def test_random_descriptions_are_uniform():
    """Chi-square over the 48 descriptions of Pmmm; one compilation for all groups."""
    crystal = random_crystal(np.random.default_rng(5), group=47, sites=3)
    draws = 9600
    batch = jax.tree.map(lambda leaf: np.stack([leaf] * draws), crystal)
    drawn = jax.jit(random_equivalent)(jax.random.key(0), batch)
    every = equivalents(crystal)
    free = np.asarray(drawn.free)[:, None] - every.free
    same = np.abs(free - np.rint(free)).max((-1, -2)) < 1e-4
    same &= (np.asarray(drawn.wyckoff)[:, None] == every.wyckoff).all(-1)
    same &= np.abs(np.asarray(drawn.lattice)[:, None] - every.lattice).max(-1) < 1e-4
    assert (same.sum(1) == 1).all()
    counts = same.sum(0)
    chi_square = ((counts - draws / 48) ** 2 / (draws / 48)).sum()
    assert chi_square < 47 + 5 * np.sqrt(2 * 47)


def test_random_origins_fill_the_polar_axis():
    crystal = random_crystal(np.random.default_rng(6), group=160, sites=1)
    batch = jax.tree.map(lambda leaf: np.stack([leaf] * 4000), crystal)
    drawn = np.asarray(jax.jit(random_equivalent)(jax.random.key(1), batch).free)
    assert polar_axes(np.array(160)).tolist() == [False, False, True]
    live = int((crystal.free[0] != 0).sum()) - 1
    counts, _ = np.histogram(drawn[:, 0, live], 10, (0, 1))
    assert np.abs(counts - 400).max() < 5 * np.sqrt(400)


def test_mirror_images_of_enantiomorphic_groups_change_the_group():
    crystal = random_crystal(np.random.default_rng(7), group=152)
    groups = equivalents(crystal, mirror=True).group
    assert set(groups.tolist()) == {152, 154}
    assert set(equivalents(crystal).group.tolist()) == {152}


def test_a_batch_is_refused():
    with pytest.raises(InputError, match="single crystal"):
        equivalents(random_crystals(2))
