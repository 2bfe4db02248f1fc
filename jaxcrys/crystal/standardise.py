"""Find the space group of a cell and its conventional cell in the standard setting.

Two engines: spglib, the reference of the field, and moyopy, about ten times faster. Both are asked
for the setting of the tables: unique axis b, hexagonal axes, origin choice 2. From 0.01 Å on spglib
is given the angle tolerance of pymatgen's ``SpacegroupAnalyzer`` (5 degrees), with which the
published labels of the Materials Project were made; below, where it would take cells for tetragonal
whose atoms must move by 0.1 Å and more, its own, which follows from the distance.
"""

import contextlib
import functools
import logging
import os
from collections.abc import Callable, Generator
from importlib import metadata
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import Float, Int
from jaxcrys.crystal.raw import RawCell
from jaxcrys.crystal.rejection import Rejection
from jaxcrys.symmetry.tables import load_tables

SYMPREC = 0.1
ANGLE_TOLERANCE = 5.0
"""Degrees, from :data:`COARSE` on."""

COARSE = 0.01
"""Å."""


class StandardCell(NamedTuple):
    """A conventional cell in the standard setting: group number, lattice, coordinates, numbers."""

    group: int
    lattice: Float[np.ndarray, "3 3"]
    frac: Float[np.ndarray, "n 3"]
    numbers: Int[np.ndarray, "n"]


def standardise(cell: RawCell, *, symprec: float = SYMPREC, engine: str = "spglib") -> StandardCell:
    """The idealised conventional cell of a checked cell (see ``raw.check_cell``).

    Args:
        cell: lattice, fractional coordinates and atomic numbers.
        symprec: how far an atom may lie from its ideal place, Å.
        engine: ``"spglib"`` or ``"moyopy"``.

    Raises:
        Rejection: ``no_symmetry``, with the engine's reason.

    Example:
        >>> cell = RawCell(4 * np.eye(3), np.zeros((1, 3)), np.array([84]))
        >>> standardise(cell).group
        221
    """
    if engine not in ENGINES:
        raise InputError("engine", f"must be one of {', '.join(ENGINES)}, got {engine!r}")
    try:
        return ENGINES[engine](cell, symprec)
    except Exception as error:
        raise Rejection("no_symmetry", f"{engine} found no symmetry ({error})") from error


def find_group(cell: RawCell, *, symprec: float = SYMPREC) -> int:
    """The space group number that spglib finds.

    Raises:
        Rejection: ``no_symmetry``.
    """
    try:
        return int(_spglib_dataset(cell, symprec).number)
    except Exception as error:
        raise Rejection("no_symmetry", f"spglib found no symmetry ({error})") from error


def equivalent_atoms(cell: RawCell, *, symprec: float) -> Int[np.ndarray, "n"]:
    """For each atom the first that symmetry maps onto it; itself where no symmetry is found.

    Example:
        >>> cell = RawCell(4 * np.eye(3), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array([3, 3]))
        >>> equivalent_atoms(cell, symprec=1e-4)
        array([0, 0])
    """
    try:
        found = _spglib_dataset(cell, symprec)
    except Exception:
        return np.arange(len(cell.numbers))
    return np.asarray(found.crystallographic_orbits).astype(int)


def engine_version(engine: str) -> str:
    """Name and version of an engine, such as ``spglib 2.8.0``."""
    return f"{engine} {metadata.version(engine)}"


def _with_spglib(cell: RawCell, symprec: float) -> StandardCell:
    found = _spglib_dataset(cell, symprec)
    wanted = int(load_tables().group_hall_number[found.number])
    if found.hall_number != wanted:  # spglib prefers origin choice 1 in 24 groups
        found = _spglib_dataset(cell, symprec, wanted)
    return StandardCell(
        int(found.number), found.std_lattice, found.std_positions, np.asarray(found.std_types)
    )


def _spglib_dataset(cell: RawCell, symprec: float, hall_number: int = 0) -> Any:
    spglib = _load_spglib()
    angle = ANGLE_TOLERANCE if symprec >= COARSE else -1.0
    with _raising(spglib):
        found = spglib.get_symmetry_dataset(
            tuple(cell), symprec=symprec, angle_tolerance=angle, hall_number=hall_number
        )
    if found is None:
        raise ValueError("no reason given")
    return found


@functools.cache
def _load_spglib() -> ModuleType:
    """Import spglib with its messages on the standard error stream off, if the user has no wish."""
    os.environ.setdefault("SPGLIB_WARNING", "OFF")
    import spglib

    return spglib


@contextlib.contextmanager
def _raising(spglib: ModuleType) -> Generator[None, None, None]:
    """Let spglib raise instead of returning None with a warning, as version 3 will by itself."""
    before = getattr(spglib.error, "OLD_ERROR_HANDLING", False)
    spglib.error.OLD_ERROR_HANDLING = False
    try:
        yield
    finally:
        spglib.error.OLD_ERROR_HANDLING = before


def _with_moyopy(cell: RawCell, symprec: float) -> StandardCell:
    moyopy = _load_moyopy()
    found = moyopy.MoyoDataset(
        moyopy.Cell(cell.lattice.tolist(), cell.frac.tolist(), cell.numbers.tolist()),
        symprec=symprec,
        setting=moyopy.Setting.standard(),
    )
    standard = found.std_cell
    return StandardCell(
        found.number,
        np.array(standard.basis),
        np.array(standard.positions),
        np.array(standard.numbers),
    )


@functools.cache
def _load_moyopy() -> ModuleType:
    """Import moyopy with its log on errors only, if the user has set no level."""
    logger = logging.getLogger("moyo")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.ERROR)
    import moyopy

    return moyopy


ENGINES: dict[str, Callable[[RawCell, float], StandardCell]] = {
    "spglib": _with_spglib,
    "moyopy": _with_moyopy,
}
