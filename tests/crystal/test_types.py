"""The short ways from and to pymatgen and ASE."""

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from jaxcrys.crystal import Crystal
from jaxcrys.crystal.protostructure import protostructure_hash
from jaxcrys.crystal.rejection import Rejection
from tests.crystals import exact_crystal


@pytest.mark.parametrize("group", [2, 14, 62, 166, 221])
def test_there_and_back(group):
    crystal = exact_crystal(np.random.default_rng(group), group=group)
    structure, atoms = crystal.to_pymatgen(), crystal.to_ase()
    assert StructureMatcher().fit(structure, AseAtomsAdaptor.get_structure(atoms))
    for back in (
        Crystal.from_pymatgen(structure, symprec=0.01),
        Crystal.from_ase(atoms, symprec=0.01),
    ):
        assert protostructure_hash(back) == protostructure_hash(crystal)
        assert np.isclose(back.lattice[5], crystal.lattice[5])


def test_settings_and_rejections_are_passed_on():
    cell = Structure(4 * np.eye(3), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.51]])
    assert int(Crystal.from_pymatgen(cell).group) == 221
    assert int(Crystal.from_pymatgen(cell, symprec=0.001).group) == 99
    with pytest.raises(Rejection, match="more than 1"):
        Crystal.from_ase(AseAtomsAdaptor.get_atoms(cell), max_atoms=1)
