"""Space groups as bits: which kinds of operation lie along which axis, screws and glides apart.

This is the description of a group in SymmCD (Levy et al., ICLR 2025): for each of the 15 axes of
``symmetry_bits`` which of 26 kinds of operation there are, and the lattice type. It is different
for all 230 groups.
"""

import functools

import numpy as np

from jaxcrys.core.typing import ArrayLike, Bool, Int, namespace
from jaxcrys.geometry.periodic import NEIGHBOUR_CELLS
from jaxcrys.symmetry.groups import operations, symbol
from jaxcrys.symmetry.symmetry_bits import (
    ROTATION_ORDER,
    SYMMETRY_AXES,
    lies_on_axis,
    operation_name,
)
from jaxcrys.symmetry.tables import NUM_GROUPS, TRANSLATION_UNIT, load_tables, lookup

GROUP_ELEMENTS = (
    "1", "-1", "2", "2_1", "m", "a", "b", "c", "n", "d", "3", "3_1", "3_2", "4", "-4", "4_1", "4_2",
    "4_3", "-3", "6", "6_1", "6_2", "6_3", "6_4", "6_5", "-6",
)  # fmt: skip
"""The 26 kinds of operation of a space group; ``n`` is any other glide by half a translation."""

LATTICE_TYPES = ("P", "I", "F", "A", "B", "C", "R")
"""Centring of the conventional cell; no group in its standard setting has a B lattice."""


def _screw(rotation: np.ndarray, translation: np.ndarray) -> str:
    """Rotation or screw of a proper operation."""
    order = ROTATION_ORDER[int(np.trace(rotation))]
    if order == 1:
        return "1"
    axis = np.array(SYMMETRY_AXES)[lies_on_axis(rotation)][0]
    # Three images of a point above the plane through the origin turn with the rotation. Along
    # other axes than a, b and c the number is 0 whatever the sense: h·w is an integer there.
    points = [np.linalg.matrix_power(rotation, i) @ (1, 1, 1) for i in range(3)]
    sense = 1 if order == 2 else round(np.sign(np.linalg.det(points)))
    number = sense * order * int(axis @ translation) // TRANSLATION_UNIT % order
    return f"{order}_{number}" if number else f"{order}"


def _glide(rotation: np.ndarray, translation: np.ndarray) -> str:
    """Mirror or glide of a reflection: the first name that one of its lattice translates has."""
    shifts = translation + TRANSLATION_UNIT * NEIGHBOUR_CELLS
    twice = np.abs(shifts + shifts @ rotation.T)  # twice the glide vector
    names = {"m": (0, 0, 0), "a": (1, 0, 0), "b": (0, 1, 0), "c": (0, 0, 1)}
    for name, vector in names.items():
        if (twice == TRANSLATION_UNIT * np.array(vector)).all(-1).any():
            return name
    return "n" if (twice % TRANSLATION_UNIT == 0).all(-1).any() else "d"


@functools.cache
def _group_bits() -> np.ndarray:
    result = np.zeros((NUM_GROUPS + 1, len(SYMMETRY_AXES), len(GROUP_ELEMENTS)), bool)
    for group in range(1, NUM_GROUPS + 1):
        rotations, translations = (array.astype(int) for array in operations(group))
        block = len(rotations) // load_tables().group_centring[group]
        axes = lies_on_axis(rotations[:block])
        for rotation, translation, axis in zip(rotations, translations, axes, strict=False):
            name = operation_name(rotation)
            if name == "m":
                name = _glide(rotation, translation)
            elif not name.startswith("-"):
                name = _screw(rotation, translation)
            result[group, axis, GROUP_ELEMENTS.index(name)] = True
    result.setflags(write=False)
    return result


def group_bits(group: Int[ArrayLike, "*b"]) -> Bool[ArrayLike, "*b 15 26"]:
    """Which kinds of operation the group has on each axis; all False for group 0.

    The operations are those that the International Tables list, one of each set that differ by a
    centring translation. Of the elements that such an operation has together with translations by
    edges of the cell, the first in GROUP_ELEMENTS counts: a mirror rather than the glide beside it.
    (If centring translations counted as well, I222 would not differ from I2_12_12_1, nor I23 from
    I2_13.)

    Example:
        >>> bits = group_bits(np.array(14))  # P 1 21/c 1
        >>> [GROUP_ELEMENTS[i] for i in np.flatnonzero(bits[1])]
        ['1', '-1', '2_1', 'c']
    """
    return lookup(_group_bits(), group)


@functools.cache
def _lattice_types() -> np.ndarray:
    found = [LATTICE_TYPES.index(symbol(group)[0]) for group in range(1, NUM_GROUPS + 1)]
    result = np.array([0, *found], np.int32)
    result.setflags(write=False)
    return result


def lattice_type(group: Int[ArrayLike, "*b"]) -> Int[ArrayLike, "*b"]:
    """Index into LATTICE_TYPES; 0 for group 0.

    Example:
        >>> [LATTICE_TYPES[i] for i in lattice_type(np.array([1, 38, 166, 225]))]
        ['P', 'A', 'R', 'F']
    """
    return lookup(_lattice_types(), group)


def group_from_bits(
    bits: Bool[ArrayLike, "*b 15 26"], lattice: Int[ArrayLike, "*b"]
) -> Int[ArrayLike, "*b"]:
    """The one group with these bits and this lattice type; 0 where there is none.

    Example:
        >>> int(group_from_bits(group_bits(np.array(227)), lattice_type(np.array(227))))
        227
    """
    xp = namespace(bits, lattice)
    same = (xp.asarray(_group_bits()) == bits[..., None, :, :]).all((-1, -2))
    same = same & (xp.asarray(_lattice_types()) == lattice[..., None])
    # Group 0 has no bits, and is found by these alone.
    return xp.argmax(same, -1).astype(np.int32)
