"""Sets of crystals to evaluate: sound ones, and whatever generators have been seen to write."""

from jaxcrys.crystal import build_crystal, stack_crystals
from jaxcrys.crystal.convert import to_structure
from jaxcrys.crystal.storage import save_crystals


def salts():
    """Rocksalt and its relatives, some of them twice in other descriptions."""
    cube = lambda a: (a, a, a, 90, 90, 90)  # noqa: E731
    return [
        build_crystal(225, [(11, "a"), (17, "b")], cube(5.64)),
        build_crystal(225, [(19, "b"), (17, "a")], cube(6.29)),
        build_crystal(225, [(11, "b"), (17, "a")], cube(5.7)),  # the first again
        build_crystal(221, [(55, "a"), (17, "b")], cube(4.12)),
        build_crystal(216, [(30, "a"), (16, "c")], cube(5.41)),
        build_crystal(227, [(14, "a")], cube(5.43)),
        build_crystal(
            136, [(22, "a"), (8, "f", (0.305,))], (4.594, 4.594, 2.959, 90, 90, 90)
        ),
        build_crystal(225, [(29, "a")], cube(3.61)),
        build_crystal(225, [(12, "a"), (8, "b")], cube(4.21)),
        build_crystal(194, [(30, "c")], (2.66, 2.66, 4.95, 90, 90, 120)),
    ]  # fmt: skip


def cif(crystal):
    return to_structure(crystal).to(fmt="cif")


def write_dataset(folder, crystals):
    """Crystals as a dataset is written."""
    folder.mkdir()
    save_crystals(folder / "crystals.npz", stack_crystals(crystals))
    return folder


SOUND = cif(salts()[0])

CELL = """data_x
_cell_length_a {a}
_cell_length_b {a}
_cell_length_c {c}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_symmetry_equiv_pos_as_xyz
'x, y, z'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
{atoms}
"""

ODD = {
    "nonsense": ("this is no CIF", "unreadable"),
    "nan": (CELL.format(a="nan", c=4, atoms="Na1 Na 0 0 0"), "not_finite"),
    "nan_atom": (CELL.format(a=4, c=4, atoms="Na1 Na nan 0 0"), "not_finite"),
    "flat": (CELL.format(a=4, c=0, atoms="Na1 Na 0 0 0"), "bad_lattice"),
    "huge": (CELL.format(a=1e5, c=1e5, atoms="Na1 Na 0 0 0"), "bad_lattice"),
    "empty": (CELL.format(a=4, c=4, atoms=""), "no_atoms"),
    "unknown": (CELL.format(a=4, c=4, atoms="Qq1 Qq 0 0 0"), "unknown_element"),
}
"""Name -> text and the reason that it must be given; some reasons have several right codes."""

COINCIDING = CELL.format(a=4, c=4, atoms="Na1 Na 0 0 0\nCl1 Cl 0.001 0 0")
