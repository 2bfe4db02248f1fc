"""Turn the content of a raw record into a cell; runs in worker processes."""

import io
import warnings
from collections.abc import Callable
from typing import Any

from jaxcrys.crystal.cif_reader import read_cif
from jaxcrys.crystal.convert import raw_from_atoms, raw_from_structure
from jaxcrys.crystal.raw import RawCell
from jaxcrys.crystal.rejection import Rejection


def parse(kind: str, content: Any) -> RawCell:
    """The cell that a record describes.

    Args:
        kind: a key of :data:`PARSERS`.
        content: what the reader found.

    Raises:
        Rejection: if there is no crystal in it.

    Example:
        >>> import numpy as np
        >>> atoms = (np.eye(3) * 4, [[0, 0, 0]], [84], [True, True, True])
        >>> parse("arrays", atoms).numbers.tolist()
        [84]
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

    with warnings.catch_warnings():
        # Without element symbols pymatgen makes them up and warns.
        warnings.simplefilter("error", BadPoscarWarning)
        return raw_from_structure(Poscar.from_str(text).structure)


def _parse_extxyz(text: str) -> RawCell:
    import ase.io

    [atoms] = ase.io.read(io.StringIO(text), index=":", format="extxyz")
    return raw_from_atoms(atoms)


def _parse_arrays(content: tuple) -> RawCell:
    from ase import Atoms

    cell, positions, numbers, pbc = content
    return raw_from_atoms(Atoms(numbers, positions=positions, cell=cell, pbc=pbc))


def _parse_structure(content: dict) -> RawCell:
    from pymatgen.core import Structure

    return raw_from_structure(Structure.from_dict(content))


PARSERS: dict[str, Callable[[Any], RawCell]] = {
    "cif": read_cif,
    "poscar": _parse_poscar,
    "extxyz": _parse_extxyz,
    "arrays": _parse_arrays,
    "structure": _parse_structure,
}
"""How to parse each kind of record."""
