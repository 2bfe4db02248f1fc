"""Site symmetries as bits: which symmetry element lies along which axis.

This is the description of a site in SymmCD (Levy et al., ICLR 2025): one of 13 elements on each of
15 axes, in the order of pyxtal 0.6.7, which its authors used. It is read from the stabiliser of
the representative. An axis is named by the Miller indices of the planes perpendicular to it: in an
orthogonal cell these are the indices of the direction; on hexagonal axes [100] is perpendicular to
(2 -1 0). So an operation of linear part W, with P = W or -W the rotation in it, belongs to the
axis h with h P = h; identity and inversion belong to all axes.
"""

import functools

import numpy as np

from jaxcrys.core.typing import ArrayLike, Bool, Int, namespace
from jaxcrys.symmetry.site_symmetry import site_symmetry_id
from jaxcrys.symmetry.stabiliser import MAX_STABILISER, stabiliser_rotations
from jaxcrys.symmetry.tables import NUM_POSITIONS, lookup
from jaxcrys.symmetry.wyckoff import position_slots

SYMMETRY_AXES = (
    (1, 0, 0), (0, 1, 0), (0, 0, 1),
    (1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1),
    (1, -1, 0), (1, 1, 0), (0, 1, -1), (0, 1, 1), (-1, 0, 1), (1, 0, 1),
    (1, -2, 0), (2, -1, 0),
)  # fmt: skip
"""The 15 axes, as Miller indices of the planes perpendicular to them."""

SITE_ELEMENTS = ("1", "-1", "2", "m", "3", "2/m", "4", "-4", "-3", "6", "-6", "4/m", "6/m")
"""What a site symmetry can have along one axis: the 13 point groups of a single axis."""

ROTATION_ORDER = {-1: 2, 0: 3, 1: 4, 2: 6, 3: 1}
"""Order of a rotation by the trace of its matrix."""

_OPERATIONS = ("1", "-1", "2", "m", "3", "-3", "4", "-4", "6", "-6")
_OPERATIONS_OF_ELEMENT = {
    "1": "1", "-1": "1 -1", "2": "1 2", "m": "1 m", "3": "1 3", "2/m": "1 -1 2 m",
    "4": "1 2 4", "-4": "1 2 -4", "-3": "1 -1 3 -3", "6": "1 2 3 6", "-6": "1 m 3 -6",
    "4/m": "1 -1 2 m 4 -4", "6/m": "1 -1 2 m 3 -3 6 -6",
}  # fmt: skip


def lies_on_axis(rotations: np.ndarray) -> np.ndarray:
    """Which axes each linear part belongs to, [..., 15]."""
    proper = rotations * np.rint(np.linalg.det(rotations)).astype(int)[..., None, None]
    axes = np.array(SYMMETRY_AXES)
    return (np.einsum("ai,...ij->...aj", axes, proper) == axes).all(-1)


def operation_name(rotation: np.ndarray) -> str:
    """Kind of a linear part: one of _OPERATIONS."""
    sign = round(np.linalg.det(rotation))
    order = ROTATION_ORDER[int(sign * np.trace(rotation))]
    if (sign, order) == (-1, 2):
        return "m"
    return f"{sign * order}"


@functools.cache
def site_elements() -> Int[np.ndarray, "positions 15"]:
    """Index of the element of each position on each axis; 0 for the empty slot too. Read-only."""
    elements = [_OPERATIONS_OF_ELEMENT[name].split() for name in SITE_ELEMENTS]
    pattern = np.array([[name in found for name in _OPERATIONS] for found in elements])
    rotations = stabiliser_rotations(np.arange(NUM_POSITIONS + 1), MAX_STABILISER).astype(int)
    distinct, index = np.unique(rotations.reshape(-1, 3, 3), axis=0, return_inverse=True)
    index = index.reshape(rotations.shape[:2])
    # Unused slots hold zeros, which are no operation and lie on no axis.
    kind = np.array([[d.any() and operation_name(d) == n for n in _OPERATIONS] for d in distinct])
    has = kind[:, None, :] & lies_on_axis(distinct)[:, :, None]
    present = np.zeros((NUM_POSITIONS + 1, len(SYMMETRY_AXES), len(_OPERATIONS)), bool)
    for slot in range(MAX_STABILISER):
        present |= has[index[:, slot]]
    matches = (present[:, :, None] == pattern).all(-1)
    result = matches.argmax(-1).astype(np.int32)
    result.setflags(write=False)
    return result


def site_symmetry_bits(wyckoff: Int[ArrayLike, "*b"]) -> Bool[ArrayLike, "*b 15 13"]:
    """The element on each axis through the representative, one-hot; all False in the empty slot.

    Example:
        >>> from jaxcrys.symmetry.wyckoff import position_id
        >>> bits = site_symmetry_bits(np.array(position_id(221, "e")))  # x, 0, 0: 4m.m
        >>> [SITE_ELEMENTS[i] for i in bits.argmax(-1)[:3]]
        ['4', 'm', 'm']
    """
    xp = namespace(wyckoff)
    element = lookup(site_elements(), wyckoff)
    bits = element[..., None] == xp.arange(len(SITE_ELEMENTS))
    return bits & (xp.asarray(wyckoff) > 0)[..., None, None]


def positions_with_bits(
    group: Int[ArrayLike, "*b"], bits: Bool[ArrayLike, "*b 15 13"]
) -> Bool[ArrayLike, "*b 27"]:
    """Which of :func:`position_slots` have exactly these bits.

    Example:
        >>> found = positions_with_bits(np.array(2), site_symmetry_bits(np.array(2)))
        >>> position_slots(np.array(2))[found].tolist()
        [2, 3, 4, 5, 6, 7, 8, 9]
    """
    slots = position_slots(group)
    same = (site_symmetry_bits(slots) == bits[..., None, :, :]).all((-1, -2))
    return same & (slots > 0)


def site_symmetry_from_bits(
    group: Int[ArrayLike, "*b"], bits: Bool[ArrayLike, "*b 15 13"]
) -> Int[ArrayLike, "*b"]:
    """Id of the oriented symbol that these bits have in a group; 0 where no position has them.

    Example:
        >>> from jaxcrys.symmetry.site_symmetry import site_symmetry_symbol
        >>> bits = site_symmetry_bits(np.array(1731))
        >>> site_symmetry_symbol(int(site_symmetry_from_bits(np.array(225), bits)))
        '1'
    """
    ids = site_symmetry_id(position_slots(group))
    return (ids * positions_with_bits(group, bits)).max(-1)
