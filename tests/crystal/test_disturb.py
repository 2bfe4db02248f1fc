"""Random moves within the symmetry: as large as asked for, and in every direction alike."""

import numpy as np
import pytest

from jaxcrys.core.pytree import take
from jaxcrys.crystal import build_crystal, stack_crystals
from jaxcrys.crystal.convert import detect_group, to_atoms
from jaxcrys.crystal.disturb import disturb
from jaxcrys.symmetry.subgroups import is_subgroup
from tests.crystals import random_crystals

SKEW = (4.0, 7.0, 12.0, 70, 82, 105)


def test_moves_in_a_skew_cell_are_isotropic():
    one = build_crystal(1, [(6, "a", (0.2, 0.4, 0.7))], SKEW)
    random, cell = np.random.default_rng(1), to_atoms(one)
    delta = np.array([disturb(one, random, atoms=0.1).free[0] - one.free[0] for _ in range(4000)])
    moves = (delta - np.round(delta)) @ cell.cell.array
    np.testing.assert_allclose(np.cov(moves.T), 0.01 * np.eye(3), atol=0.0008)


def test_moves_along_a_line_are_as_long_in_space():
    """A site on the diagonal x, x, x of a cube of 5 Å moves along it."""
    one = build_crystal(215, [(6, "e", (0.2,))], (5, 5, 5, 90, 90, 90))
    random = np.random.default_rng(1)
    lengths = [(disturb(one, random, atoms=0.1).free[0, 0] - 0.2) * 5 * 3**0.5 for _ in range(4000)]
    assert np.std(lengths) == pytest.approx(0.1, rel=0.05)


def test_groups_stay():
    crystals = random_crystals(20)
    moved = disturb(crystals, np.random.default_rng(0), atoms=0.05, lattice=0.02)
    for index, asked in enumerate(crystals.group):
        found = detect_group(take(moved, index), 1e-3)
        assert found == asked or is_subgroup(int(asked), found)


def test_what_is_fixed_stays():
    salt = build_crystal(225, [(11, "a"), (17, "b")], (5.6, 5.6, 5.6, 90, 90, 90))
    batch = stack_crystals([salt, salt], capacity=4)
    moved = disturb(batch, np.random.default_rng(0), atoms=0.5, lattice=0.0)
    np.testing.assert_array_equal(moved.free, 0)
    np.testing.assert_array_equal(moved.lattice, batch.lattice)
    moved = disturb(batch, np.random.default_rng(0), lattice=0.1)
    same = np.isclose(moved.lattice, batch.lattice)
    assert same[:, :5].all()
    assert not same[:, 5].any()
