"""Oriented site-symmetry symbols, by which positions of different groups can be compared.

The symbol of a position names its site-symmetry group along the symmetry directions of the crystal
system, with a dot for a direction without any: ``m.mm``, ``.3m``, ``..2`` (International Tables A,
section 2.1.3.12). Letters have no meaning outside their group, symbols have. Several positions of
a group may share a symbol; together with the *enumeration*, which counts these in the order of
their letters from 0, it names a position (WyFormer, Kazeev et al. 2025).
"""

import functools

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import ArrayLike, Int, namespace
from jaxcrys.symmetry.tables import NUM_GROUPS, load_tables, lookup

SITE_SYMMETRIES = (
    "-1", "-3.", "-3..", "-3.m", "-3m", "-3m.", "-4..", "-42.m", "-42m", "-43m", "-4m.2", "-4m2",
    "-6..", "-62m", "-6m2", ".-3.", ".-3m", "..2", "..2/m", "..m", ".2", ".2.", ".2/m", ".2/m.",
    ".3.", ".32", ".3m", ".m", ".m.", "1", "2", "2..", "2.22", "2.mm", "2/m", "2/m..", "222",
    "222.", "222..", "23.", "2mm", "2mm.", "3.", "3..", "3.2", "3.m", "32", "32.", "3m", "3m.",
    "4..", "4/m..", "4/mm.m", "4/mmm", "42.2", "422", "432", "4m.m", "4mm", "6..", "6/m..",
    "6/mmm", "622", "6mm", "m", "m-3.", "m-3m", "m..", "m.2m", "m.m2", "m.mm", "m2m", "m2m.",
    "mm2", "mm2..", "mmm", "mmm.", "mmm..",
)  # fmt: skip
"""The 78 symbols of all positions, in the order of their characters; ids count them from 1."""

MAX_SHARING = 8
"""Positions that share a symbol in one group, at most: such as those with symmetry -1 in P-1."""


@functools.cache
def _symbol_ids() -> np.ndarray:
    """Id of the symbol of each position, [1732]."""
    ids = {symbol: index for index, symbol in enumerate(("", *SITE_SYMMETRIES))}
    symbols = load_tables().position_site_symmetry.tolist()
    return _read_only([0, *(ids[symbol] for symbol in symbols[1:])])


@functools.cache
def _enumerations() -> np.ndarray:
    """Index of each position among those of its group with the same symbol, [1732]."""
    seen: dict[tuple[int, int], int] = {}
    result = []
    for key in zip(load_tables().position_group.tolist(), _symbol_ids().tolist(), strict=True):
        result.append(seen.get(key, 0))
        seen[key] = result[-1] + 1
    return _read_only(result)


@functools.cache
def _positions() -> np.ndarray:
    """Position by group, symbol and enumeration, 0 where there is none, [231, 79, 8]."""
    result = np.zeros((NUM_GROUPS + 1, len(SITE_SYMMETRIES) + 1, MAX_SHARING), np.int32)
    group = load_tables().position_group
    result[group, _symbol_ids(), _enumerations()] = np.arange(len(group))
    return _read_only(result)


def _read_only(values: list[int] | np.ndarray) -> np.ndarray:
    array = np.array(values, np.int32)
    array.setflags(write=False)
    return array


def site_symmetry_id(wyckoff: Int[ArrayLike, "*b"]) -> Int[ArrayLike, "*b"]:
    """Id of the oriented symbol, 1 to 78; 0 for the empty slot.

    Example:
        >>> from jaxcrys.symmetry.wyckoff import position_id
        >>> site_symmetry_id(np.array([0, position_id(225, "a"), position_id(221, "b")]))
        array([ 0, 67, 67], dtype=int32)
    """
    return lookup(_symbol_ids(), wyckoff)


def site_symmetry_index(wyckoff: Int[ArrayLike, "*b"]) -> Int[ArrayLike, "*b"]:
    """Index among the positions of the group with the same symbol, by letter; 0 for the empty slot.

    Example:
        >>> from jaxcrys.symmetry.wyckoff import position_id
        >>> site_symmetry_index(np.array([position_id(225, "a"), position_id(225, "b")]))
        array([0, 1], dtype=int32)
    """
    return lookup(_enumerations(), wyckoff)


def position_from_site_symmetry(
    group: Int[ArrayLike, "*b"], symbol: Int[ArrayLike, "*b"], index: Int[ArrayLike, "*b"]
) -> Int[ArrayLike, "*b"]:
    """The position with that symbol and enumeration; 0 where the group has none.

    Inverse of :func:`site_symmetry_id` and :func:`site_symmetry_index`.

    Args:
        group: space group number; 0 for an empty slot.
        symbol: id of an oriented symbol; 0 for an empty slot.
        index: enumeration, any integer.

    Example:
        >>> from jaxcrys.symmetry.wyckoff import position_label
        >>> found = position_from_site_symmetry(np.array(225), np.array(67), np.array([0, 1, 2]))
        >>> [position_label(i) for i in found[:2]], int(found[2])
        (['4a', '4b'], 0)
    """
    xp = namespace(group, symbol, index)
    exists = (index >= 0) & (index < MAX_SHARING)
    found = xp.asarray(_positions())[group, symbol, xp.where(exists, index, 0)]
    return xp.where(exists, found, 0)


def site_symmetry_symbol(symbol: int) -> str:
    """The oriented symbol with that id, on the host.

    Raises:
        InputError: if there is no such id.

    Example:
        >>> site_symmetry_symbol(67)
        'm-3m'
    """
    if not 1 <= symbol <= len(SITE_SYMMETRIES):
        problem = f"must be an id from 1 to {len(SITE_SYMMETRIES)}, got {symbol!r}"
        raise InputError("site symmetry", problem)
    return SITE_SYMMETRIES[symbol - 1]
