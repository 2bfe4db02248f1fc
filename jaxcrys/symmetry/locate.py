"""Which Wyckoff position an affine family of points lies on, and where on it (host side)."""

import functools
from typing import NamedTuple

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import Float, Int
from jaxcrys.symmetry.tables import TRANSLATION_UNIT, load_tables
from jaxcrys.symmetry.wyckoff import general_position, positions_of

TOLERANCE = 1e-6
"""Of fractional coordinates; all true ones are multiples of 1/24 divided by a small index."""


class Located(NamedTuple):
    """Where families of points x = A u + t lie in a group.

    Attributes:
        wyckoff: global id of the position.
        linear: matrix M of u' = M u + m, the free coordinates on that position.
        translation: m, fractional.
    """

    wyckoff: Int[np.ndarray, "*b"]
    linear: Float[np.ndarray, "*b 3 3"]
    translation: Float[np.ndarray, "*b 3"]


@functools.cache
def row_left_inverse() -> Int[np.ndarray, "r 3 3"]:
    """Integer left inverse of the linear part of each row: L A = identity on the free coordinates.

    A row is an operation W applied to its position's representative, so its left inverse is that
    of the representative times W⁻¹, an integer matrix too.
    """
    tables = load_tables()
    position = np.repeat(np.arange(len(tables.position_group)), tables.position_multiplicity)
    first = tables.position_first_row[general_position(tables.position_group[position])]
    rotation = tables.row_linear[first + tables.row_operation]
    inverse = np.rint(np.linalg.inv(rotation.astype(float))).astype(int)
    result = tables.position_left_inverse[position] @ inverse
    result.setflags(write=False)
    return result


def locate(
    group: int, linear: Float[np.ndarray, "*b 3 3"], translation: Float[np.ndarray, "*b 3"]
) -> Located:
    """Find the most special position of a group on which families x = A u + t lie for every u.

    A family lies on a row x = A_r u' + t_r if u' = L_r (x - t_r), with the row's integer left
    inverse L_r, leads back to it: A_r L_r A = A, and A_r L_r (t - t_r) = t - t_r modulo 1.

    Args:
        group: space group number.
        linear: A of each family; columns of coordinates that are not free are 0.
        translation: t of each family, fractional.

    Raises:
        InputError: if A or t are not finite.

    Example:
        >>> found = locate(221, np.zeros((3, 3)), np.array([0.5, 0.5, 0.0]))  # an edge centre
        >>> load_tables().position_letter[found.wyckoff]
        np.str_('c')
    """
    linear, translation = np.asarray(linear, float), np.asarray(translation, float)
    if not (np.isfinite(linear).all() and np.isfinite(translation).all()):
        raise InputError("affine family", "must be finite")
    tables = load_tables()
    ids = np.asarray(positions_of(group))
    first = tables.position_first_row[ids[0]]
    rows = slice(first, tables.position_first_row[ids[-1]] + tables.position_multiplicity[ids[-1]])
    row_linear = tables.row_linear[rows].astype(float)
    row_translation = tables.row_translation[rows] / TRANSLATION_UNIT
    inverse = row_left_inverse()[rows].astype(float)

    shifted = translation[..., None, :] - row_translation
    own_linear = inverse @ linear[..., None, :, :]
    own_translation = (inverse * shifted[..., None, :]).sum(-1)
    apart_linear = row_linear @ own_linear - linear[..., None, :, :]
    apart = (row_linear * own_translation[..., None, :]).sum(-1) - shifted
    apart -= np.rint(apart)
    on_row = (np.abs(apart_linear).max((-1, -2)) < TOLERANCE) & (np.abs(apart).max(-1) < TOLERANCE)
    # Rows are ordered by position; among those that fit, the smallest orbit is the most special.
    size = np.repeat(tables.position_multiplicity[ids], tables.position_multiplicity[ids])
    row = np.where(on_row, size, np.inf).argmin(-1)
    of_row = np.repeat(ids, tables.position_multiplicity[ids])
    return Located(
        of_row[row],
        np.take_along_axis(own_linear, row[..., None, None, None], -3)[..., 0, :, :],
        np.take_along_axis(own_translation, row[..., None, None], -2)[..., 0, :],
    )
