"""Changes of basis of monoclinic and triclinic groups, of which there are infinitely many.

The table of descriptions (``symmetry.normalisers``) holds one change for each way to treat the
Wyckoff positions. Here any change can be asked for: whether it leaves the group as it is with a
suitable shift of the origin, and where it takes the sites. Host side.
"""

import functools
import itertools

import numpy as np

from jaxcrys.core.typing import ArrayLike, Float, Int
from jaxcrys.symmetry.groups import operations
from jaxcrys.symmetry.locate import Located, locate
from jaxcrys.symmetry.normalisers import load_normalisers
from jaxcrys.symmetry.tables import TRANSLATION_UNIT, load_tables

_QUARTER = TRANSLATION_UNIT // 4


def origin_shifts(group: int, linear: Int[np.ndarray, "3 3"]) -> Float[np.ndarray, "p 3"]:
    """All shifts p with which x' = P x + p maps a monoclinic or triclinic group to itself.

    Modulo lattice translations, and 0 along polar axes; none if P leaves no such shift.

    Args:
        group: space group number, 1 to 15.
        linear: P, integer of determinant ±1; in monoclinic groups it keeps the axis b.

    Example:
        >>> origin_shifts(14, np.array([[1, 0, 0], [0, 1, 0], [1, 0, 1]])).shape  # a' = a - c
        (8, 3)
        >>> origin_shifts(14, np.array([[1, 0, 1], [0, 1, 0], [0, 0, 1]])).shape  # c' = c - a
        (0, 3)
    """
    # Rotations commute with P, so only the translations P w matter, multiples of ½: P modulo 2.
    return _origin_shifts(group, (np.asarray(linear) % 2).astype(np.int8).tobytes())


@functools.cache
def _origin_shifts(group: int, linear: bytes) -> Float[np.ndarray, "p 3"]:
    change = np.frombuffer(linear, np.int8).reshape(3, 3).astype(int)
    rotations, shifts = (part.astype(int) for part in operations(group))
    polar = load_normalisers().group_polar[group]
    trial = _QUARTER * np.array(list(itertools.product(range(4), repeat=3)))
    trial = trial[~trial[:, polar].any(1)]
    fits = np.ones(len(trial), bool)
    for rotation, shift in zip(rotations, shifts, strict=True):
        moved = trial @ (np.eye(3, dtype=int) - rotation).T + change @ shift
        same = (rotations == rotation).all((1, 2))
        apart = (moved[:, None] - shifts[same]) % TRANSLATION_UNIT
        fits &= ~apart.any(-1).all(-1)
    return trial[fits] / TRANSLATION_UNIT


def move_positions(
    group: int,
    wyckoff: Int[ArrayLike, "s"],
    linear: Int[np.ndarray, "3 3"],
    shifts: Float[np.ndarray, "p 3"],
) -> Located:
    """Where x' = P x + p takes each position, for each of several shifts; arrays [p, s, ...]."""
    tables = load_tables()
    first = tables.position_first_row[wyckoff]
    moved = linear @ tables.row_linear[first]
    translation = tables.row_translation[first] @ linear.T / TRANSLATION_UNIT + shifts[:, None]
    return locate(group, np.broadcast_to(moved, (len(shifts), *moved.shape)), translation)
