"""What other libraries read in the same record, and whether it is the same crystal."""

import io
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import ase.io
import gemmi
import numpy as np
from pymatgen.core import Element, Lattice, Structure
from pymatgen.io.cif import CifParser
from pymatgen.io.optimade import OptimadeStructureAdapter

from jaxcrys.crystal import cif_reader
from jaxcrys.crystal.raw import RawCell

METRIC = 1e-3
"""Relative difference of scalar products of lattice vectors."""

PLACE = 2e-3
"""Difference of coordinates in the cell; some libraries set 0.3333 to 1/3."""


def same(one: RawCell, other: RawCell) -> bool:
    """Whether two readings of one text have the same cell with the same atoms in it."""
    if sorted(one.numbers) != sorted(other.numbers):
        return False
    metrics = [np.asarray(cell.lattice) @ np.asarray(cell.lattice).T for cell in (one, other)]
    scale = np.sqrt(np.outer(np.diag(metrics[0]), np.diag(metrics[0])))
    if not (np.abs(metrics[0] - metrics[1]) <= METRIC * scale).all():
        return False
    return all(
        _same_places(one.frac[one.numbers == z], other.frac[other.numbers == z])
        for z in np.unique(one.numbers)
    )


def _same_places(one: np.ndarray, other: np.ndarray) -> bool:
    """Each place of one is one of the other, as often."""
    from scipy.optimize import linear_sum_assignment

    difference = one[:, None] - other[None]
    apart = np.abs(difference - np.round(difference)).max(-1)
    return bool((apart[linear_sum_assignment(apart > PLACE)] <= PLACE).all())


def readings(kind: str, content: Any) -> Iterator[RawCell]:
    """What libraries that are not used for it, or used otherwise, read in a record."""
    for read in ORACLES[kind]:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                cell = read(content)
            except Exception:
                continue
        if np.linalg.det(cell.lattice):  # ASE reads 0 for numbers that it does not understand
            yield cell


def agreed(kind: str, content: Any, cell: RawCell) -> bool | None:
    """Whether one of the other readings is the same; None if there is none."""
    answers = [same(cell, other) for other in readings(kind, content)]
    return any(answers) if answers else None


def _of_structure(structure: Structure) -> RawCell:
    numbers = np.array([site.specie.Z for site in structure], int)
    return RawCell(structure.lattice.matrix, structure.frac_coords, numbers)


def _of_atoms(atoms: Any) -> RawCell:
    return RawCell(atoms.cell.array, atoms.get_scaled_positions(wrap=False), atoms.numbers)


def _cif_by_pymatgen(text: str) -> RawCell:
    """Of texts that it has not read for us already."""
    [block] = cif_reader._structure_blocks(text)
    if cif_reader._read_plain(block) is None:
        raise ValueError("read by pymatgen")
    [structure] = CifParser.from_str(text).parse_structures(primitive=False)
    return _of_structure(structure)


def _cif_by_gemmi(text: str) -> RawCell:
    """Its own structures of small molecules, images of sites by its own search."""
    blocks = [
        block
        for block in gemmi.cif.read_string(text, check_level=0)
        if block.find_values("_atom_site_fract_x")
    ]
    small = gemmi.make_small_structure_from_block(blocks[-1])
    sites = small.get_all_unit_cell_sites()
    if not sites:
        raise ValueError("gemmi finds sites by their labels only")
    matrix = np.array(small.cell.orth.mat.tolist()).T
    numbers = np.array([site.element.atomic_number for site in sites], int)
    if not numbers.all():
        raise ValueError("gemmi takes no symbol from such a label")
    return RawCell(matrix, np.array([site.fract.tolist() for site in sites]), numbers)


def _cif_by_ase(text: str) -> RawCell:
    return _of_atoms(ase.io.read(io.BytesIO(text.encode()), format="cif"))


def _poscar_by_ase(text: str) -> RawCell:
    return _of_atoms(ase.io.read(io.StringIO(text), format="vasp"))


def _extxyz_by_hand(text: str) -> RawCell:
    """The lattice and the columns that ``Properties`` names, and nothing else."""
    count, comment, *lines = text.splitlines()
    lattice = re.search(r"""Lattice=(["'{])(.*?)["'}]""", comment)[2]
    properties = re.search(r"Properties=(\S+)", comment)
    fields = (properties[1] if properties else "species:S:1:pos:R:3").split(":")
    start, columns = 0, {}
    for name, _, width in zip(fields[::3], fields[1::3], fields[2::3], strict=True):
        columns[name] = slice(start, start + int(width))
        start += int(width)
    words = [line.split() for line in lines[: int(count)]]
    if "species" in columns:
        named = (row[columns["species"]][0].capitalize() for row in words)
        numbers = [Element(symbol).Z for symbol in named]
    else:
        numbers = [int(row[columns["Z"]][0]) for row in words]
    matrix = np.array(lattice.replace(",", " ").split(), float).reshape(3, 3)
    places = np.array([row[columns["pos"]] for row in words], float)
    return RawCell(matrix, places @ np.linalg.inv(matrix), np.array(numbers))


def _structure_by_hand(value: dict) -> RawCell:
    """pymatgen's dictionary by its coordinates in the cell."""
    lattice = value["lattice"]
    matrix = lattice["matrix"] if "matrix" in lattice else _parameters(lattice)
    species = [site["species"][0]["element"] for site in value["sites"]]
    places = np.array([site["abc"] for site in value["sites"]], float)
    return RawCell(np.array(matrix, float), places, np.array([Element(s).Z for s in species]))


def _parameters(lattice: dict) -> np.ndarray:
    names = ("a", "b", "c", "alpha", "beta", "gamma")
    return Lattice.from_parameters(*(lattice[name] for name in names)).matrix


def _optimade_by_pymatgen(attributes: dict) -> RawCell:
    entry = {"attributes": {"species": [], **attributes}}
    return _of_structure(OptimadeStructureAdapter.get_structure(entry))


def _row_by_hand(content: tuple) -> RawCell:
    """ASE's arrays, taken apart with ``struct``."""
    import struct

    numbers, positions, cell, _ = content
    atoms = struct.unpack(f"<{len(numbers) // 4}i", numbers)
    places = np.reshape(struct.unpack(f"<{3 * len(atoms)}d", positions), (-1, 3))
    lattice = np.reshape(struct.unpack("<9d", cell), (3, 3))
    return RawCell(lattice, np.linalg.solve(lattice.T, places.T).T, np.array(atoms))


ORACLES: dict[str, tuple[Callable[[Any], RawCell], ...]] = {
    "cif": (_cif_by_pymatgen, _cif_by_gemmi, _cif_by_ase),
    "poscar": (_poscar_by_ase,),
    "extxyz": (_extxyz_by_hand,),
    "structure": (_structure_by_hand,),
    "optimade": (_optimade_by_pymatgen,),
    "ase_row": (_row_by_hand,),
}
"""Other readings of each kind of record."""
