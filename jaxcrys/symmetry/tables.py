"""The exact tables of all 230 space groups, 1,731 Wyckoff positions and 14,433 coordinate rows.

A *position* has a global id from 1 to 1731, group by group, letter a first; id 0 is the empty slot.
A *row* is one coordinate triplet of a position, affine in the free coordinates u of its orbit:

    x = linear @ u + translation / 24        (mod 1)

The first row of a position is its representative: the columns of its linear part are the tangent
basis. Rows of a general position are the group's operations. Rows come in blocks: first the orbit
modulo centring, then a copy for each centring translation.
"""

import functools
from importlib import resources
from typing import Any, NamedTuple

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import namespace

NUM_GROUPS = 230
NUM_POSITIONS = 1731
TRANSLATION_UNIT = 24
"""Translations are stored as integers in units of 1/24."""


class Tables(NamedTuple):
    """All tables, as read-only NumPy arrays; the first axis is a global id or a group number.

    Attributes:
        position_group: group number of each position, [1732].
        position_letter: Wyckoff letter, [1732].
        position_multiplicity: atoms in the conventional cell, [1732].
        position_dof: number of free coordinates, [1732].
        position_first_row: index of its first row, [1732].
        position_site_symmetry: oriented site-symmetry symbol, [1732].
        position_left_inverse: integer matrix that recovers the free coordinates from a point on
            the representative, [1732, 3, 3].
        row_linear: linear part of each row, [14433, 3, 3].
        row_translation: translation in 1/24, [14433, 3].
        row_operation: index of the group operation that maps the representative to this row.
        group_symbol: Hermann-Mauguin symbol with spaces, [231]; entry 0 is empty.
        group_hall_number: number of the setting in spglib's list of 530, [231].
        group_family: index into ``geometry.lattice.FAMILIES``, [231].
        group_centring: number of lattice points in the conventional cell, [231].
    """

    position_group: np.ndarray
    position_letter: np.ndarray
    position_multiplicity: np.ndarray
    position_dof: np.ndarray
    position_first_row: np.ndarray
    position_site_symmetry: np.ndarray
    position_left_inverse: np.ndarray
    row_linear: np.ndarray
    row_translation: np.ndarray
    row_operation: np.ndarray
    group_symbol: np.ndarray
    group_hall_number: np.ndarray
    group_family: np.ndarray
    group_centring: np.ndarray


@functools.cache
def load_tables() -> Tables:
    """Read the tables once, on first use.

    Example:
        >>> load_tables().row_linear.shape
        (14433, 3, 3)
    """
    return Tables(**read_table("wyckoff.npz"))


def read_table(name: str) -> dict[str, np.ndarray]:
    """Read-only arrays of a file of the package data."""
    path = resources.files("jaxcrys.symmetry") / "data" / name
    with path.open("rb") as handle, np.load(handle, allow_pickle=False) as stored:
        arrays = {field: _widen(stored[field]) for field in stored}
    for array in arrays.values():
        array.setflags(write=False)
    return arrays


def _widen(array: np.ndarray) -> np.ndarray:
    """Integers as int32, so that no sum overflows; text as str."""
    if array.dtype.kind == "S":
        return array.astype(str)
    return array if array.dtype in (np.int8, np.bool_) else array.astype(np.int32)


def check_group(group: int, where: str = "space group") -> int:
    """Return ``group`` as an int if it is a space group number.

    Raises:
        InputError: if it is not an integer from 1 to 230.
    """
    if not isinstance(group, (int, np.integer)) or not 1 <= group <= NUM_GROUPS:
        raise InputError(where, f"must be a space group number from 1 to 230, got {group!r}")
    return int(group)


def lookup(table: np.ndarray, index: Any) -> Any:
    """``table[index]``, in jit where ``index`` is a JAX array."""
    return namespace(index).asarray(table)[index]
