"""What is shown of a crystal, against pymatgen and spglib, which read its CIF or its atoms."""

import re

import numpy as np
import pytest
import spglib
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifParser

from jaxcrys.crystal import build_crystal
from jaxcrys.symmetry import crystal_family, lattice_mask
from jaxcrys.view.crystal_card import FREE, LATTICE_CONSTRAINTS, Task, lost, show_crystal
from tests.crystals import random_parameters
from tests.view.sets import prototypes

PROTOTYPES = prototypes()


def shown(name):
    return show_crystal(Task(PROTOTYPES[name], name))


def structure_of(card):
    """The atoms of a card as pymatgen has them."""
    species, frac = [], []
    for site in card["sites"]:
        atoms = np.reshape(site["atoms"], (-1, 3))
        species += [site["element"]] * len(atoms)
        frac += atoms.tolist()
    return Structure(Lattice.from_parameters(*card["parameters"]), species, frac)


@pytest.mark.parametrize("name", PROTOTYPES)
def test_atoms_and_lattice_are_those_of_the_cif(name):
    card = shown(name).card
    (read,) = CifParser.from_str(card["cif"], frac_tolerance=0).parse_structures(primitive=False)
    structure = structure_of(card)
    assert np.allclose(structure.lattice.parameters, read.lattice.parameters, atol=1e-4)
    assert card["volume"] == pytest.approx(read.volume, abs=1e-2)
    lattice = Lattice(card["lattice"])
    assert np.allclose(lattice.parameters, read.lattice.parameters, atol=1e-4)
    assert np.allclose(np.triu(card["lattice"], 1), 0)  # a along x, b in the xy plane
    assert structure.composition == read.composition
    distances = read.lattice.get_all_distances(structure.frac_coords, read.frac_coords)
    same = np.equal.outer([s.Z for s in structure.species], [s.Z for s in read.species])
    assert ((distances < 1e-3) & same).sum(0).tolist() == [1] * len(read)


@pytest.mark.parametrize("name", PROTOTYPES)
def test_symmetry_is_what_spglib_finds(name):
    """Group, operations of the CIF, and the site symmetry of each position."""
    crystal, card = PROTOTYPES[name], shown(name).card
    structure = structure_of(card)
    numbers = [species.Z for species in structure.species]
    cell = (structure.lattice.matrix, structure.frac_coords, numbers)
    found = spglib.get_symmetry_dataset(cell, symprec=1e-3)
    assert found.number == int(crystal.group)
    operations = re.findall(r"^\d+ '.*'$", card["cif"], re.MULTILINE)
    assert len(operations) == len(found.rotations)
    first = 0
    for site in card["sites"]:
        count = int(site["label"][:-1])
        assert len(site["atoms"]) == 3 * count
        assert set(found.site_symmetry_symbols[first : first + count]) == {site["symmetry"]}
        assert site["point"] == site["atoms"][:3]
        first += count


def test_coordinates_that_are_free_are_told_by_their_names():
    rutile = shown("rutile").card["sites"]
    assert [site["texts"] for site in rutile] == [["0", "0", "0"], ["x", "x", "0"]]
    assert rutile[1]["point"] == [0.305, 0.305, 0.0]
    assert shown("triclinic").card["sites"][1]["texts"] == ["x", "y", "z"]


@pytest.mark.parametrize("group", [2, 14, 62, 136, 167, 186, 225])
def test_constraints_of_the_lattice(group):
    """As many free numbers as there are coefficients, and what is not free follows from them."""
    random = np.random.default_rng(group)
    crystal = build_crystal(group, [(11, "a", (0.1,) * (group == 186))],
                            random_parameters(group, random))  # fmt: skip
    card = show_crystal(Task(crystal, "x")).card
    rules = LATTICE_CONSTRAINTS[crystal_family(group)]
    assert card["constraints"] == rules
    assert rules.count(FREE) == lattice_mask(np.array(group)).sum()
    values = dict(zip("abcαβγ", card["parameters"], strict=True))
    for (name, value), rule in zip(values.items(), rules, strict=True):
        if rule != FREE:
            assert value == (values["a"] if rule == "= a" else float(rule[:-1])), name


def test_numbers_are_those_of_pymatgen():
    found = shown("perovskite")
    structure = structure_of(found.card)
    assert found.columns["density"] == pytest.approx(structure.density, rel=1e-4)
    assert found.columns["atoms"] == len(structure)
    nearest = structure.distance_matrix[~np.eye(len(structure), dtype=bool)].min()
    assert found.columns["shortest_distance"] == pytest.approx(nearest, abs=2e-4)


def test_a_crystal_without_a_cell_says_why():
    crystal = prototypes()["rutile"]
    crystal.lattice[:] = np.nan
    found = show_crystal(Task(crystal, "x"))
    assert found.card is None
    assert "lattice" in found.reason
    assert found.columns == {"group": 136}
    assert lost(Task(crystal, "x")).columns == {"group": 136}
