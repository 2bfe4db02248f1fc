"""Templates that hide a larger group, against moyopy on crystals of other coordinates."""

import dataclasses

import moyopy
import numpy as np
import pytest

from jaxcrys.core.pytree import take
from jaxcrys.crystal import build_crystal, stack_crystals
from jaxcrys.crystal.convert import to_structure
from jaxcrys.crystal.hidden_symmetry import hides_symmetry
from jaxcrys.symmetry import free_mask, lattice_mask
from tests.crystals import random_crystals


def group_by_moyopy(crystal):
    structure = to_structure(crystal)
    cell = moyopy.Cell(
        structure.lattice.matrix.tolist(), structure.frac_coords.tolist(),
        list(structure.atomic_numbers),
    )  # fmt: skip
    return moyopy.MoyoDataset(cell, symprec=1e-4).number


def test_groups_are_those_of_crystals_with_any_coordinates():
    """Few sites of two elements, so that many hide something."""
    crystals = random_crystals(400, sites=2, seed=3)
    crystals = dataclasses.replace(crystals, species=np.where(crystals.wyckoff > 0, 8, 0))
    hidden = hides_symmetry(crystals)
    assert 0.1 < hidden.mean() < 0.9
    random = np.random.default_rng(1)
    checked = 0
    for index in range(400):
        crystal = take(crystals, index)
        free = np.where(free_mask(crystal.wyckoff), random.random(crystal.free.shape), 0)
        noise = random.normal(0, 0.05, 6) * lattice_mask(crystal.group)
        other = dataclasses.replace(crystal, free=free, lattice=crystal.lattice + noise)
        try:
            found = group_by_moyopy(other)
        except Exception:  # atoms coincide
            continue
        checked += 1
        assert (found != crystal.group) == hidden[index], (crystal, found)
    assert checked > 350


def test_elements_decide_and_their_names_do_not():
    cell = (6, 6, 6, 90, 90, 90)
    sites = [[("a", x), ("b", y), ("c", z)] for x, y, z in [(3, 3, 3), (3, 3, 16), (3, 16, 3)]]
    made = [build_crystal(225, [(z, w) for w, z in each], cell) for each in sites]
    assert hides_symmetry(stack_crystals(made)).tolist() == [True, True, False]


@pytest.mark.parametrize("species", [(0, 0, 0), (3, 3, 0)])
def test_open_elements_hide_nothing(species):
    made = build_crystal(225, [(3, "a"), (3, "b"), (3, "c")], (6, 6, 6, 90, 90, 90))
    batch = stack_crystals([dataclasses.replace(made, species=np.array(species))])
    assert not hides_symmetry(batch).any()
