"""Operations and positions as the coordinate triplets of the International Tables."""

from fractions import Fraction

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import Int
from jaxcrys.symmetry.groups import operations
from jaxcrys.symmetry.tables import NUM_POSITIONS, TRANSLATION_UNIT, load_tables

_AXES = "xyz"


def operation_texts(group: int) -> list[str]:
    """The operations of a group in the conventional cell, such as ``-x+y,y,z+1/2``.

    Example:
        >>> operation_texts(4)
        ['x,y,z', '-x,y+1/2,-z']
    """
    return _texts(*operations(group), _AXES)


def coordinate_texts(wyckoff: int) -> list[str]:
    """The coordinate triplets of a position, its representative first.

    Free coordinates have the names of the axes on which the representative shows them.

    Raises:
        InputError: if there is no such position.

    Example:
        >>> from jaxcrys.symmetry import position_id
        >>> coordinate_texts(position_id(166, "h"))[:2]
        ['x,-x,z', 'x,2x,z']
    """
    if not 1 <= wyckoff <= NUM_POSITIONS:
        raise InputError("Wyckoff position", f"must be 1 to {NUM_POSITIONS}, got {wyckoff}")
    tables = load_tables()
    first, count = tables.position_first_row[wyckoff], tables.position_multiplicity[wyckoff]
    names = [_AXES[np.abs(row).argmax()] for row in tables.position_left_inverse[wyckoff]]
    rows = slice(first, first + count)
    return _texts(tables.row_linear[rows], tables.row_translation[rows], "".join(names))


def _texts(
    linear: Int[np.ndarray, "r 3 3"], shift: Int[np.ndarray, "r 3"], names: str
) -> list[str]:
    return [
        ",".join(_coordinate(row, part, names) for row, part in zip(matrix, parts, strict=True))
        for matrix, parts in zip(linear.tolist(), shift.tolist(), strict=True)
    ]


def _coordinate(factors: list[int], shift: int, names: str) -> str:
    terms = "".join(
        f"{'-' if factor < 0 else '+'}{'' if abs(factor) == 1 else abs(factor)}{name}"
        for factor, name in zip(factors, names, strict=True)
        if factor
    )
    fraction = Fraction(shift, TRANSLATION_UNIT)
    if not terms:
        return str(fraction)
    return terms.removeprefix("+") + (f"+{fraction}" if fraction else "")
