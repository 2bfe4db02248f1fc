"""Rows of tables against pymatgen."""

import numpy as np
import pytest
from pymatgen.core import Composition

from jaxcrys.crystal.convert import to_structure
from jaxcrys.crystal.describe import describe
from jaxcrys.symmetry import crystal_family
from tests.crystals import GROUPS, random_crystal

FREE_LATTICE = {
    "triclinic": 6,
    "monoclinic": 4,
    "orthorhombic": 3,
    "tetragonal": 2,
    "hexagonal": 2,
    "cubic": 1,
}


@pytest.mark.parametrize("group", GROUPS)
def test_against_pymatgen(group):
    crystal = random_crystal(np.random.default_rng(group), group=group)
    structure = to_structure(crystal)
    row = describe(crystal)
    assert Composition(row["formula"]) == structure.composition.reduced_composition
    assert row["atoms"] == len(structure)
    assert row["density"] == pytest.approx(structure.density, rel=1e-3)
    assert row["dof"] == FREE_LATTICE[crystal_family(group)] + np.count_nonzero(crystal.free)
    if len(structure) > 1:
        distances = structure.distance_matrix + np.diag([np.inf] * len(structure))
        shortest = min(distances.min(), *structure.lattice.abc)
        assert row["shortest_distance"] <= shortest + 1e-4
        assert row["shortest_distance"] == pytest.approx(shortest, abs=1e-3)
