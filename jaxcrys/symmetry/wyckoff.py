"""Wyckoff positions: what the tables say about a position id, on the host and in jit."""

import re

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import ArrayLike, Bool, Int, namespace
from jaxcrys.symmetry.tables import NUM_GROUPS, check_group, load_tables, lookup


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
    groups = np.arange(NUM_GROUPS + 1)
    last = np.searchsorted(load_tables().position_group, groups, side="right") - 1
    return lookup(last.astype(np.int32), group)


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
