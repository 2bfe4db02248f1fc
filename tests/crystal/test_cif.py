"""CIF out and in: against pymatgen, ASE and gemmi, and texts as people write them."""

import io
import warnings

import ase.io
import gemmi
import numpy as np
import pytest
from pymatgen.io.cif import CifParser

from jaxcrys.crystal import Crystal, build_crystal, example_crystal
from jaxcrys.crystal.cif import to_cif
from jaxcrys.crystal.cif_checks import form_a_group
from jaxcrys.crystal.cif_reader import read_cif
from jaxcrys.crystal.convert import cell_and_labels, raw_from_structure, to_structure
from jaxcrys.crystal.raw import RawCell
from jaxcrys.geometry import parameters_from_matrix
from jaxcrys.symmetry import load_tables, positions_of
from tests.crystals import random_parameters

FREE = (0.14, 0.32, 0.07)


def crystal_of(group: int) -> Crystal:
    """One atom on each of the group's three most special positions, and further out on its axes."""
    tables = load_tables()
    rng = np.random.default_rng(group)
    sites = [
        (6 + i, str(tables.position_letter[position]), FREE[: tables.position_dof[position]])
        for i, position in enumerate(list(positions_of(group))[:3])
    ]
    parameters = np.multiply(random_parameters(group, rng), [2, 2, 2, 1, 1, 1])
    return build_crystal(group, sites, parameters)


def pymatgen_cell(text: str) -> RawCell:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        [structure] = CifParser.from_str(text).parse_structures(primitive=False)
    return raw_from_structure(structure)


def ase_cell(text: str) -> RawCell:
    atoms = ase.io.read(io.StringIO(text), format="cif")
    return RawCell(atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)


def gemmi_cell(text: str) -> RawCell:
    structure = gemmi.make_small_structure_from_block(gemmi.cif.read_string(text).sole_block())
    sites = structure.get_all_unit_cell_sites()
    return RawCell(
        np.array(structure.cell.orth.mat.tolist()).T,
        np.array([site.fract.tolist() for site in sites]),
        np.array([site.element.atomic_number for site in sites]),
    )


def assert_same(found: RawCell, expected: RawCell, tolerance: float = 1e-7) -> None:
    np.testing.assert_allclose(
        parameters_from_matrix(found.lattice), parameters_from_matrix(expected.lattice), atol=1e-7
    )
    assert sorted(found.numbers) == sorted(expected.numbers)
    difference = found.frac[:, None] - expected.frac[None]
    difference = np.abs(difference - np.round(difference)).max(-1)
    difference[found.numbers[:, None] != expected.numbers] = 1
    assert difference.min(1).max() < tolerance
    assert len(set(difference.argmin(1))) == len(expected.numbers)


@pytest.mark.parametrize(
    ("reader", "groups"),
    [
        (read_cif, range(1, 231)),
        (ase_cell, range(1, 231)),
        (gemmi_cell, range(1, 231)),
        (pymatgen_cell, [*range(2, 225, 9), 48, 70, 141, 142, 203, 224, 227, 228]),
    ],
)
def test_every_group_is_read_back(reader, groups):
    for group in groups:
        crystal = crystal_of(group)
        assert_same(reader(to_cif(crystal)), cell_and_labels(crystal)[0])


def test_readers_recognise_the_setting():
    for group in range(1, 231):
        block = gemmi.cif.read_string(to_cif(crystal_of(group))).sole_block()
        structure = gemmi.make_small_structure_from_block(block)
        symbol = block.find_value("_space_group_name_H-M_alt").strip("'")
        assert structure.spacegroup.number == group
        assert gemmi.find_spacegroup_by_name(symbol).xhm() == structure.spacegroup.xhm()


def test_one_line_an_orbit_with_its_wyckoff_letter():
    crystal = build_crystal(194, [(12, "c"), (8, "h", (0.2,))], (3, 3, 5, 90, 90, 120), capacity=4)
    lines = to_cif(crystal, name="a b").splitlines()
    assert lines[0] == "data_a_b"
    assert "_chemical_formula_sum 'O6 Mg2'" in lines
    assert "_cell_formula_units_Z 2" in lines
    assert lines[-2:] == [
        "Mg1 Mg 2 c 0.3333333333 0.6666666667 0.2500000000 1",
        "O2 O 6 h 0.2000000000 0.4000000000 0.2500000000 1",
    ]


def test_coordinates_never_reach_one():
    crystal = build_crystal(1, [(6, "a", (1 - 1e-13, 0.5, 0.5))], (3, 4, 5, 80, 90, 100))
    assert " 0.0000000000 0.5" in to_cif(crystal)


@pytest.mark.parametrize(
    "name",
    [
        "mp_20_biternary/test",
        "mpts_52/test",
        "perov_5/test",
        "carbon_24/test",
        "lemat_sample/train",
    ],
)
def test_real_texts_are_read_as_by_pymatgen(shared_rows, name):
    for row in shared_rows(name, 40):
        assert_same(read_cif(row["cif"]), pymatgen_cell(row["cif"]), 1e-9)


HEAD = """
_cell_length_a 4.0(2)
_cell_length_b 4.0
_cell_length_c 6
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 120
"""
TRIGONAL = HEAD + "loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\n'-y, x-y, z'\n-x+y,-x,z\n"
IDENTITY = HEAD + "_symmetry_equiv_pos_as_xyz 'x, y, z'\n"
SITES = "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"
TYPED = SITES.replace("_label", "_label\n_atom_site_type_symbol")
OCCUPIED = TYPED + "_atom_site_occupancy\n"


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        (f"data_a{TRIGONAL}{SITES}C1 0 0 0\n", [6]),
        (f"data_a{TRIGONAL}{SITES}C1 0.2 0.1 0\n", [6, 6, 6]),
        (f"data_a{TRIGONAL}{SITES}C1 0.3333 0.6667 0\n", [6]),
        (f"data_a{TRIGONAL}{TYPED}Fe1 Fe3+ 0 0 0\nO1 O2- 0 0 0.5\n", [8, 26]),
        (f"data_a{TRIGONAL}{TYPED}Fe1 Fe+3 0 0 0\nO1 O-2 0 0 0.5\n", [8, 26]),
        (f"data_a{TRIGONAL}{SITES}Co1 0 0 0\nD2 0 0 .25(1)\n", [1, 27]),
        (f"data_a{IDENTITY}{OCCUPIED}C1 C 0 0 0 1.0\n", [6]),
        (f"data_a{HEAD}_symmetry_Int_Tables_number 1\n{SITES}C1 0 0 0\n", [6]),
        (f"data_a{HEAD}_space_group_name_H-M_alt 'P 3'\n{SITES}C1 0.2 0.1 0\n", [6, 6, 6]),
        (f"data_global\n_audit x\ndata_a{IDENTITY}{SITES}C1 0 0 0\n", [6]),
        (f"data_a{IDENTITY}{OCCUPIED}C1 C 0 0 0 0.5\nC2 C 0 0 0 0.5\n", [6]),
    ],
)
def test_texts_as_people_write_them(text, numbers):
    found = read_cif(text)
    assert_same(found, pymatgen_cell(text))
    assert sorted(found.numbers.tolist()) == numbers


def test_operations_of_every_group_form_one_and_fewer_do_not():
    for group in gemmi.spacegroup_table():
        texts = [operation.triplet() for operation in group.operations()]
        assert form_a_group(tuple(texts)), group.xhm()
        if len(texts) > 2:  # of two operations, the identity alone is a group
            assert not form_a_group(tuple(texts[:-1])), group.xhm()


def test_occupancies_that_are_not_given_are_1():
    """By the dictionary of CIF; pymatgen takes ``.`` for 0, and leaves the site out."""
    text = f"data_a{IDENTITY}{OCCUPIED}C1 C 0 0 0 .\nN1 N 0 0 0.5 ?\nO1 O 0 0 0.25 1\n"
    assert sorted(read_cif(text).numbers.tolist()) == [6, 7, 8]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "no_atoms"),
        ("nonsense", "unreadable"),
        ("data_a\n_cell_length_a 4", "no_atoms"),
        (f"data_a{IDENTITY}{SITES}C1 ? 0 0\n", "unreadable"),
        (f"data_a{IDENTITY}{SITES}C1 0 0\n", "unreadable"),
        (f"data_a{IDENTITY.replace('120', '200')}{SITES}C1 0 0 0\n", "bad_lattice"),
        (f"data_a{IDENTITY.replace('90', '30')}{SITES}C1 0 0 0\n", "bad_lattice"),
        (f"data_a{IDENTITY.replace('4.0', '0.0')}{SITES}C1 0 0 0\n", "bad_lattice"),
        (f"data_a{IDENTITY}{OCCUPIED}C1 C 0 0 0 0.5\n", "disordered"),
        (f"data_a{IDENTITY}{OCCUPIED}Fe Fe 0 0 0 0.5\nNi Ni 0 0 0 0.5\n", "disordered"),
        (f"data_a{IDENTITY}{OCCUPIED}Fe Fe 0 0 0 1.5\n", "unreadable"),
        (f"data_a{IDENTITY}{SITES}X1 0 0 0\n", "unknown_element"),
        # What pymatgen would guess, or leave out.
        (f"data_a{TRIGONAL}{SITES}Wat1 0 0 0\n", "incomplete"),
        (f"data_a{IDENTITY}{TYPED}C1 C 0 0 0\nQ1 -z 0 0 0.5\n", "unknown_element"),
        (f"data_a{IDENTITY}{TYPED}C1 C 0 0 0\nB1 Bq 0 0 0.5\n", "unknown_element"),
        (f"data_a{IDENTITY}{SITES}C1 . 0 0\n", "unreadable"),
        (f"data_a{IDENTITY}{OCCUPIED}C1 C 0 0 0 one\n", "unreadable"),
        (f"data_a{IDENTITY}{OCCUPIED}C1 C 0 0 0 -1\n", "unreadable"),
        (f"data_a{IDENTITY}{OCCUPIED}C1 C 0 0 0 1\nO1 O 0 0 0.5 0\n", "unreadable"),
        # What libraries read each in its own way.
        (
            f"data_a{IDENTITY}_atom_site_label P\n"
            f"{TYPED.replace('label', 'u')}C C 0 0 0\nC C .5 0 0\n",
            "unreadable",
        ),
        (f"data_a{IDENTITY}{SITES}C1 0 0 0\nT1 0 0 0.5\n", "unknown_element"),
        (f"data_a{HEAD}_space_group_name_H-M_alt 'P 31 2 q'\n{SITES}C1 0 0 0\n", "unreadable"),
        (f"data_a{TRIGONAL.replace('x-y, z', 'x-y, z+1/7')}{SITES}C1 0.2 0.1 0\n", "unreadable"),
        (f"data_a{TRIGONAL.replace('-x+y,-x,z', '')}{SITES}C1 0.2 0.1 0\n", "unreadable"),
        (f"data_a{TRIGONAL.replace('x,y,z', '', 1)}{SITES}C1 0.2 0.1 0\n", "unreadable"),
        (f"data_a{TRIGONAL}{TRIGONAL}{SITES}C1 0.2 0.1 0\n", "unreadable"),
        (f"data_a{IDENTITY}_Cell_length_c 7\n{SITES}C1 0 0 0\n", "unreadable"),
        (f"data_a{IDENTITY.replace('x, y, z', 'x, y, zq')}{SITES}C1 0 0 0\n", "unreadable"),
        (f"data_a{IDENTITY.replace('x, y, z', 'x, 2y, z')}{SITES}C1 0 0 0\n", "unreadable"),
        (f"data_a{IDENTITY.replace('x, y, z', 'x+1/0, y, z')}{SITES}C1 0 0 0\n", "unreadable"),
        (f"data_a{IDENTITY.replace('x, y, z', 'x, x, z')}{SITES}C1 0 0 0\n", "unreadable"),
        (f"data_a{HEAD}_space_group_name_H-M_alt 'P 7'\n{SITES}C1 0 0 0\n", "unreadable"),
        (
            f"data_a{HEAD}_space_group_name_H-M_alt 'P 3'\n_space_group_IT_number 5\n"
            f"{SITES}C1 0.2 0.1 0\n",
            "unreadable",
        ),
        (
            f"data_a{TRIGONAL}_space_group_symop_operation_xyz x,y,z\n{SITES}C1 0.2 0.1 0\n",
            "unreadable",
        ),
        (f"data_a b{IDENTITY}{SITES}C1 0 0 0\n", "unreadable"),
        (
            f"data_a{IDENTITY}{SITES}C1 0 0 0\ndata_b{IDENTITY}{SITES}C1 0 0 0\n",
            "several_structures",
        ),
    ],
)
def test_texts_that_hold_no_crystal(text, code):
    with pytest.raises(ValueError) as caught:
        read_cif(text)
    assert caught.value.code == code


def test_exact_thirds_survive():
    crystal = build_crystal(194, [(12, "c")], (3.2, 3.2, 5.2, 90, 90, 120))
    found = read_cif(to_cif(crystal))
    np.testing.assert_allclose(np.sort(found.frac[:, 0]), [1 / 3, 2 / 3], rtol=1e-15)


def test_pymatgen_writes_what_is_read():
    structure = to_structure(example_crystal())
    assert_same(read_cif(structure.to(fmt="cif")), cell_and_labels(example_crystal())[0])
