"""Stabilisers: the operations that leave a site where it is, its site-symmetry group.

An operation x -> W x + w of the space group, followed by a lattice translation n, leaves every
point x = A u + t of a position's representative where it is, if

    W A = A   and   W t + w + n = t.

The first says that the free coordinates u do not matter, the second that n is an integer vector.
Such operations form a group: the orbit has as many atoms as the cell has operations divided by its
order.
"""

import functools
from typing import NamedTuple

import numpy as np

from jaxcrys.core.typing import ArrayLike, Bool, Int, namespace
from jaxcrys.symmetry.groups import operations
from jaxcrys.symmetry.tables import NUM_GROUPS, TRANSLATION_UNIT, load_tables, lookup
from jaxcrys.symmetry.wyckoff import general_position, group_of, positions_of

MAX_STABILISER = 48
"""Operations of the site-symmetry group m-3m, the most there are."""


class Stabiliser(NamedTuple):
    """The operations that leave the representative of a position where it is.

    Attributes:
        operation: index into the operations of the group, ascending: the identity is the first.
        translation: the lattice translation n with W x + w + n = x.
        mask: which of the slots are used; the others are 0.
    """

    operation: Int[ArrayLike, "*b o"]
    translation: Int[ArrayLike, "*b o 3"]
    mask: Bool[ArrayLike, "*b o"]


@functools.cache
def _stabilisers() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The fields of Stabiliser for all positions, with MAX_STABILISER slots."""
    tables = load_tables()
    count = len(tables.position_group)
    operation = np.zeros((count, MAX_STABILISER), np.int32)
    translation = np.zeros((count, MAX_STABILISER, 3), np.int32)
    mask = np.zeros((count, MAX_STABILISER), bool)
    for group in range(1, NUM_GROUPS + 1):
        ids = np.array(positions_of(group))
        rotations, shifts = (array.astype(np.int32) for array in operations(group))
        rows = tables.position_first_row[ids]
        linear, point = tables.row_linear[rows], tables.row_translation[rows]
        fixed = (np.einsum("oij,pjk->poik", rotations, linear) == linear[:, None]).all((2, 3))
        moved = np.einsum("oij,pj->poi", rotations, point) + shifts - point[:, None]
        fixed &= (moved % TRANSLATION_UNIT == 0).all(-1)
        position, found = np.nonzero(fixed)
        slot = (np.cumsum(fixed, 1) - 1)[position, found]
        at = ids[position], slot
        operation[at] = found
        translation[at] = -moved[position, found] // TRANSLATION_UNIT
        mask[at] = True
    for array in (operation, translation, mask):
        array.setflags(write=False)
    return operation, translation, mask


def stabiliser(wyckoff: Int[ArrayLike, "*b"], capacity: int = MAX_STABILISER) -> Stabiliser:
    """The operations that leave the representative of a position where it is.

    Args:
        wyckoff: ids of positions; the empty slot has no operation at all.
        capacity: number of slots o; a position of higher order loses its last operations, so give
            the highest :func:`stabiliser_order` there is, if less than 48.

    Example:
        >>> from jaxcrys.symmetry.wyckoff import position_id
        >>> found = stabiliser(np.array(position_id(2, "h")), capacity=3)  # -1 at 1/2, 1/2, 1/2
        >>> found.operation.tolist(), found.mask.tolist()
        ([0, 1, 0], [True, True, False])
        >>> found.translation.tolist()
        [[0, 0, 0], [1, 1, 1], [0, 0, 0]]
    """
    operation, translation, mask = _stabilisers()
    return Stabiliser(
        lookup(operation[:, :capacity], wyckoff),
        lookup(translation[:, :capacity], wyckoff),
        lookup(mask[:, :capacity], wyckoff),
    )


def stabiliser_order(wyckoff: Int[ArrayLike, "*b"]) -> Int[ArrayLike, "*b"]:
    """Number of operations of the site-symmetry group; 0 for the empty slot.

    Example:
        >>> from jaxcrys.symmetry.wyckoff import position_id
        >>> int(stabiliser_order(np.array(position_id(225, "a"))))
        48
    """
    _, _, mask = _stabilisers()
    return lookup(mask.sum(-1, dtype=np.int32), wyckoff)


def stabiliser_rotations(
    wyckoff: Int[ArrayLike, "*b"], capacity: int = MAX_STABILISER
) -> Int[ArrayLike, "*b o 3 3"]:
    """Linear parts W of the operations of :func:`stabiliser`, 0 in unused slots.

    They are integer matrices that act on fractional coordinates.

    Example:
        >>> from jaxcrys.symmetry.wyckoff import position_id
        >>> stabiliser_rotations(np.array(position_id(2, "h")), capacity=2)[1].tolist()
        [[-1, 0, 0], [0, -1, 0], [0, 0, -1]]
    """
    xp = namespace(wyckoff)
    tables = load_tables()
    found = stabiliser(wyckoff, capacity)
    first = lookup(tables.position_first_row, general_position(group_of(wyckoff)))
    rotations = lookup(tables.row_linear, first[..., None] + found.operation)
    return xp.where(found.mask[..., None, None], rotations, 0)
