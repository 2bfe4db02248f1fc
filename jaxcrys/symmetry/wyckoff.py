"""Wyckoff positions: what the tables say about a position id, on the host and in jit."""

import functools
import re

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import ArrayLike, Bool, Int, namespace
from jaxcrys.symmetry.tables import NUM_GROUPS, check_group, load_tables, lookup

MAX_POSITIONS = 27
"""Wyckoff positions of group 47, the most a group has."""


def multiplicity(wyckoff: Int[ArrayLike, "*b"]) -> Int[ArrayLike, "*b"]:
    """Atoms that an orbit puts in the conventional cell; 0 for the empty slot.

    Example:
        >>> multiplicity(np.array([0, 1]))
        array([0, 1], dtype=int32)
    """
    return lookup(load_tables().position_multiplicity, wyckoff)


def multiplicity_modulo_centring(wyckoff: Int[ArrayLike, "*b"]) -> Int[ArrayLike, "*b"]:
    """Atoms that an orbit puts in the primitive cell; 0 for the empty slot.

    Example:
        >>> multiplicity_modulo_centring(np.array([0, position_id(225, "a")]))
        array([0, 1], dtype=int32)
    """
    tables = load_tables()
    centring = np.maximum(tables.group_centring[tables.position_group], 1)
    return lookup(tables.position_multiplicity // centring, wyckoff)


def degrees_of_freedom(wyckoff: Int[ArrayLike, "*b"]) -> Int[ArrayLike, "*b"]:
    """Number of free coordinates of a position, 0 to 3."""
    return lookup(load_tables().position_dof, wyckoff)


def free_mask(wyckoff: Int[ArrayLike, "*b"]) -> Bool[ArrayLike, "*b 3"]:
    """Which of the three free-coordinate slots are alive.

    Example:
        >>> free_mask(np.array(position_id(227, "g")))
        array([ True,  True, False])
    """
    xp = namespace(wyckoff)
    return xp.arange(3) < degrees_of_freedom(wyckoff)[..., None]


def group_of(wyckoff: Int[ArrayLike, "*b"]) -> Int[ArrayLike, "*b"]:
    """The space group that a position belongs to; 0 for the empty slot."""
    return lookup(load_tables().position_group, wyckoff)


def general_position(group: Int[ArrayLike, "*b"]) -> Int[ArrayLike, "*b"]:
    """Id of the group's general position.

    Example:
        >>> general_position(np.array([1, 230]))
        array([   1, 1731], dtype=int32)
    """
    return lookup(_general_positions(), group)


@functools.cache
def _general_positions() -> np.ndarray:
    groups = np.arange(NUM_GROUPS + 1)
    last = np.searchsorted(load_tables().position_group, groups, side="right") - 1
    last = last.astype(np.int32)
    last.setflags(write=False)
    return last


def positions_of(group: int) -> range:
    """Ids of all positions of a group, letter a first.

    Raises:
        InputError: if there is no such group.

    Example:
        >>> len(positions_of(47))
        27
    """
    group = check_group(group)
    last = int(general_position(np.asarray(group)))
    first = 1 if group == 1 else int(general_position(np.asarray(group - 1))) + 1
    return range(first, last + 1)


def local_index(wyckoff: Int[ArrayLike, "*b"]) -> Int[ArrayLike, "*b"]:
    """Index of a position in its group, letter a being 0; -1 for the empty slot.

    Example:
        >>> local_index(np.array([0, position_id(225, "a"), position_id(225, "c")]))
        array([-1,  0,  2], dtype=int32)
    """
    xp = namespace(wyckoff)
    before = general_position(xp.maximum(group_of(wyckoff) - 1, 0))
    return xp.where(wyckoff > 0, wyckoff - before - 1, -1).astype(before.dtype)


def position_at(group: Int[ArrayLike, "*b"], index: Int[ArrayLike, "*b"]) -> Int[ArrayLike, "*b"]:
    """Global id of the position with a local index; 0 where the group has no such position.

    Example:
        >>> position_at(np.array([2, 2, 2]), np.array([0, 8, 9]))
        array([ 2, 10,  0], dtype=int32)
    """
    xp = namespace(group, index)
    before = general_position(xp.asarray(group) - 1)
    found = before + 1 + index
    inside = (xp.asarray(index) >= 0) & (found <= general_position(group))
    return xp.where(inside, found, 0).astype(before.dtype)


def position_slots(group: Int[ArrayLike, "*b"]) -> Int[ArrayLike, "*b 27"]:
    """Global ids of all positions of a group by local index, 0 in the slots beyond.

    Example:
        >>> position_slots(np.array([1, 2]))[:, :3].tolist()
        [[1, 0, 0], [2, 3, 4]]
    """
    xp = namespace(group)
    return position_at(xp.asarray(group)[..., None], xp.arange(MAX_POSITIONS, dtype=np.int32))


def position_label(wyckoff: int) -> str:
    """Multiplicity and letter, such as ``8c``.

    Example:
        >>> position_label(position_id(225, "c"))
        '8c'
    """
    tables = load_tables()
    return f"{tables.position_multiplicity[wyckoff]}{tables.position_letter[wyckoff]}"


def position_id(group: int, label: str) -> int:
    """Global id of a position from its letter, with or without its multiplicity.

    Raises:
        InputError: if there is no such group, or it has no such position.

    Example:
        >>> position_id(225, "a") == position_id(225, "4a")
        True
    """
    found = re.fullmatch(r"(\d*)([a-zA-Z])", label.strip())
    ids = positions_of(group)
    letters = [str(load_tables().position_letter[i]) for i in ids]
    if found and found[2] in letters:
        wyckoff = ids[letters.index(found[2])]
        if found[1] in ("", str(load_tables().position_multiplicity[wyckoff])):
            return wyckoff
    known = ", ".join(position_label(i) for i in ids)
    raise InputError("Wyckoff position", f"group {group} has no {label!r}", f"it has {known}")
