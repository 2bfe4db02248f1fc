"""Turn the content of a raw record into a cell; runs in worker processes."""

import io
import itertools
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxcrys.core.elements import SYMBOLS
from jaxcrys.crystal.cif_reader import read_cif
from jaxcrys.crystal.convert import raw_from_atoms, raw_from_structure
from jaxcrys.crystal.raw import RawCell
from jaxcrys.crystal.rejection import Rejection
from jaxcrys.data import ase_database, extxyz, optimade

TOO_LARGE = "too_large"
"""Kind of a record that was not kept; its content is its size in words."""


def parse(kind: str, content: Any) -> RawCell:
    """The cell that a record describes.

    Args:
        kind: a key of :data:`PARSERS`.
        content: what the reader found.

    Raises:
        Rejection: if there is no crystal in it.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> from jaxcrys.crystal.cif import to_cif
        >>> parse("cif", to_cif(example_crystal())).numbers.tolist()
        [11, 11, 11, 11, 17, 17, 17, 17]
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return PARSERS[kind](content)
    except Rejection:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".split("\n")[0]
        raise Rejection("unreadable", f"is not a readable {kind} record ({reason})") from error


def _parse_poscar(text: str) -> RawCell:
    from pymatgen.io.vasp.inputs import BadPoscarWarning, Poscar

    # Velocities and what else follows stand behind an empty line.
    lines = re.split(r"\n\s*\n", text.rstrip())[0].split("\n")
    if _announced(lines) > len(lines):  # pymatgen would make a list of them all
        raise Rejection("unreadable", "announces more atoms than it has lines")
    with warnings.catch_warnings():
        # Without element symbols pymatgen makes them up and warns.
        warnings.filterwarnings("error", "Elements in POSCAR", BadPoscarWarning)
        structure = Poscar.from_str("\n".join(_with_factor(lines))).structure
    cell = raw_from_structure(structure)
    atoms = len(cell.numbers)
    # It leaves out lines that are too many, and names of elements behind the coordinates.
    if not re.match(r"\s*[dck]", lines[-1 - atoms], re.IGNORECASE):
        raise Rejection("unreadable", f"has other lines than those of {atoms} atoms")
    for line, number in zip(lines[-atoms:], cell.numbers, strict=True):
        words = line.split()
        if len(words) == 4 and words[3] in SYMBOLS[1:] and words[3] != SYMBOLS[number]:
            raise Rejection("unreadable", f"names an atom {SYMBOLS[number]} and {words[3]}")
    return cell


def _announced(lines: list[str]) -> int:
    """The sum of the first lines of whole numbers behind the vectors."""
    whole = [_whole_numbers(line) for line in lines[5:]]
    counts = itertools.takewhile(bool, itertools.dropwhile(lambda line: not line, whole))
    return sum(abs(count) for line in counts for count in line)


def _whole_numbers(line: str) -> list[int]:
    try:
        return [int(word) for word in line.partition("#")[0].split()]
    except ValueError:
        return []


def _with_factor(lines: list[str]) -> list[str]:
    """With the factor that a negative second line, the volume, stands for.

    Cartesian coordinates are scaled by it as the vectors are; pymatgen multiplies them by the
    negative volume itself.
    """
    if len(lines) < 5 or not lines[1].lstrip().startswith("-"):
        return lines
    scale = float(lines[1])
    vectors = np.array([line.split()[:3] for line in lines[2:5]], float)
    factor = np.cbrt(-scale / np.abs(np.linalg.det(vectors)))
    return [lines[0], repr(float(factor)), *lines[2:]]


def _parse_extxyz(text: str) -> RawCell:
    import ase.io

    extxyz.check_columns("".join(text.split("\n", 2)[1:2]))
    [atoms] = ase.io.read(io.StringIO(text), index=":", format="extxyz")
    return raw_from_atoms(atoms)


def _parse_structure(content: dict) -> RawCell:
    """Of pymatgen's dictionary only what says which element is where.

    Properties of sites are left out: pymatgen would import whatever modules they name.
    """
    from pymatgen.core import Structure

    plain = {
        "lattice": {key: content["lattice"][key] for key in _LATTICE & set(content["lattice"])},
        "sites": [
            {"species": [_species(each) for each in site["species"]], "abc": site["abc"]}
            for site in content["sites"]
        ],
    }
    return raw_from_structure(Structure.from_dict(plain))


_LATTICE = {"matrix", "a", "b", "c", "alpha", "beta", "gamma"}


def _species(species: dict) -> dict:
    known = {key: species.get(key) for key in ("element", "occu", "oxidation_state")}
    return {key: value for key, value in known.items() if value is not None}


def _refuse(size: str) -> RawCell:
    raise Rejection(TOO_LARGE, f"has {size}, more than any crystal")


PARSERS: dict[str, Callable[[Any], RawCell]] = {
    "cif": read_cif,
    "poscar": _parse_poscar,
    "extxyz": _parse_extxyz,
    "ase_row": ase_database.cell_of,
    "structure": _parse_structure,
    "optimade": optimade.cell_of,
    TOO_LARGE: _refuse,
}
"""How to parse each kind of record."""
