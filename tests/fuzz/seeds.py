"""Honest files of every kind that a reader understands, from which hostile ones are made."""

import bz2
import functools
import gzip
import io
import json
import tempfile
from pathlib import Path

import ase.io
import numpy as np
from pymatgen.core import Structure
from pymatgen.entries.computed_entries import ComputedStructureEntry
from pymatgen.io.cif import CifWriter
from pymatgen.io.vasp.inputs import Poscar

from jaxcrys.crystal import Crystal, build_crystal, example_crystal, save_crystals, stack_crystals
from jaxcrys.crystal.cif import to_cif
from jaxcrys.crystal.convert import to_atoms, to_structure
from jaxcrys.data.writers import write
from jaxcrys.stability.hull import Scale, make_hull, save_hull
from tests.weights import small_file

CRYSTALS: tuple[Crystal, ...] = (
    example_crystal(),
    build_crystal(221, [(56, "a"), (22, "b"), (8, "c")], (4.0, 4.0, 4.0, 90, 90, 90)),
    build_crystal(
        152, [(14, "a", (0.47,)), (8, "c", (0.41, 0.27, 0.12))], (4.9, 4.9, 5.4, 90, 90, 120)
    ),
    build_crystal(14, [(22, "a"), (8, "e", (0.2, 0.3, 0.4))], (5.0, 5.5, 6.0, 90, 105, 90)),
    build_crystal(2, [(26, "a"), (16, "i", (0.2, 0.3, 0.4))], (5.0, 5.5, 6.0, 82, 95, 103)),
)

ROWS = tuple({"id": f"m-{n}", "e_hull": 0.01 * n, "note": 'a "b", c'} for n in range(len(CRYSTALS)))

BY_SYMBOL = """data_quartz
_symmetry_space_group_name_H-M 'P 31 2 1'
_cell_length_a 4.91(1)
_cell_length_b 4.91(1)
_cell_length_c 5.40
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 120
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Si1 0.4697 0 0.3333
O1 0.4135 0.2669 0.2144(3)
"""

OXIDES = """data_two
_cell_length_a 4.2
_cell_length_b 4.2
_cell_length_c 4.2
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_symmetry_equiv_pos_site_id
_symmetry_equiv_pos_as_xyz
1 'x, y, z'
2 '-x, -y, -z'
loop_
_atom_site_type_symbol
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Mg2+ Mg1 0 0 0 1
O2- O1 0.5 0.5 0.5 1.0
"""


@functools.cache
def texts() -> dict[str, tuple[str, ...]]:
    """Texts of single crystals by the kind of their parser."""
    structures = [to_structure(crystal) for crystal in CRYSTALS]
    cifs = [to_cif(crystal, items=row) for crystal, row in zip(CRYSTALS, ROWS, strict=True)]
    by_pymatgen = [str(CifWriter(structure, symprec=0.01)) for structure in structures]
    return {
        "cif": (*cifs, *by_pymatgen[:3], BY_SYMBOL, OXIDES),
        "poscar": tuple(
            Poscar(structure).get_str(direct=bool(n % 2)) for n, structure in enumerate(structures)
        ),
        "extxyz": tuple(map(_frame, CRYSTALS)),
    }


def _frame(crystal: Crystal) -> str:
    out = io.StringIO()
    atoms = to_atoms(crystal)
    atoms.info = {"gap": 1.5, "note": "some words"}
    ase.io.write(out, atoms, format="extxyz")
    return out.getvalue()


@functools.cache
def files() -> dict[str, tuple[bytes, ...]]:
    """Contents of files by their ending."""
    own = {ending: _written(ending) for ending in (
        ".csv", ".parquet", ".json", ".optimade.json", ".jsonl", ".db", ".zip"
    )}  # fmt: skip
    structures = [to_structure(crystal) for crystal in CRYSTALS]
    entries = [ComputedStructureEntry(s, -3.0 * len(s), entry_id="e").as_dict() for s in structures]
    plain = {f".{kind}": tuple(t.encode() for t in found) for kind, found in texts().items()}
    return plain | {
        ".json": (own[".json"], json.dumps(entries, default=float).encode()),
        ".optimade.json": (own[".optimade.json"],),
        ".jsonl": (own[".jsonl"],),
        ".csv": (own[".csv"],),
        ".csv.gz": (gzip.compress(own[".csv"], mtime=0),),
        ".extxyz.bz2": (bz2.compress(plain[".extxyz"][0] * 3),),
        ".parquet": (own[".parquet"], _table_of_structures(structures)),
        ".db": (own[".db"],),
        ".zip": (own[".zip"],),
    }


def _written(ending: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / f"a{ending}", CRYSTALS, ROWS)
        return (Path(folder) / f"a{ending}").read_bytes()


def _table_of_structures(structures: list[Structure]) -> bytes:
    import pandas as pd

    plain = [json.loads(structure.to_json()) for structure in structures]
    for each in plain:
        del each["properties"]
    out = io.BytesIO()
    pd.DataFrame({"structure": plain, "gap": 1.5}).to_parquet(out)
    return out.getvalue()


@functools.cache
def stored() -> dict[str, tuple[bytes, ...]]:
    """Files of ours, which are read whole or not at all."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        save_crystals(path, stack_crystals(CRYSTALS))
        crystals = path.read_bytes()
        entries = [("NaCl", {11: 0.5, 17: 0.5}, -2.0), ("Na", {11: 1.0}, 0.0)]
        save_hull(path, make_hull(Scale("p", "d", "none"), "s", {11: -1.0, 17: -2.0}, entries))
        hull = path.read_bytes()
    packed = io.BytesIO()
    np.savez_compressed(packed, **np.load(io.BytesIO(crystals), allow_pickle=False))
    found = [ComputedStructureEntry(to_structure(c), -9.0).as_dict() for c in CRYSTALS[:2]]
    return {
        "crystals": (crystals, packed.getvalue()),
        "hull": (hull,),
        "entries": (json.dumps(found, default=float).encode(),),
        "nequix": (small_file(),),
    }
