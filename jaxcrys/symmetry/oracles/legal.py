"""Hard masks of a template: which position, and which element, may come next.

A *template* is a multiset of sites (Wyckoff position, element) of one group. A position without
free coordinates holds one site; a position with free coordinates any number of them. Positions are
addressed by their *local index* in the group, letter a being 0.
"""

from types import ModuleType
from typing import Any

import numpy as np

from jaxcrys.core.typing import ArrayLike, Bool, Int, namespace
from jaxcrys.symmetry.tables import load_tables
from jaxcrys.symmetry.wyckoff import (
    MAX_POSITIONS,
    degrees_of_freedom,
    multiplicity,
    multiplicity_modulo_centring,
    position_slots,
)

_NO_LIMIT = 2**30


def most_further_sites(
    group: Int[ArrayLike, "*b"],
    wyckoff: Int[ArrayLike, "*b s"],
    *,
    max_atoms: Int[ArrayLike, "*b"] | int | None = None,
    primitive: bool = False,
) -> Int[ArrayLike, "*b"]:
    """How many more sites can be added at most, within the empty slots and the atoms.

    The smallest orbits are the cheapest: first those positions without free coordinates that are
    smaller than any reusable one, then the smallest reusable one again and again.

    Example:
        >>> sites = np.zeros((2, 9), int)
        >>> most_further_sites(np.array([1, 225]), sites, max_atoms=3, primitive=True)
        array([3, 2], dtype=int32)
    """
    xp = namespace(group, wyckoff, max_atoms)
    count, once, taken, atoms, slots = _situation(xp, group, wyckoff, max_atoms, primitive)
    return xp.minimum(_most_sites(xp, count, once, taken, atoms), slots).astype(np.int32)


def legal_positions(
    group: Int[ArrayLike, "*b"],
    wyckoff: Int[ArrayLike, "*b s"],
    *,
    max_atoms: Int[ArrayLike, "*b"] | int | None = None,
    primitive: bool = False,
    further: Int[ArrayLike, "*b"] | int = 0,
) -> Bool[ArrayLike, "*b 27"]:
    """Which positions may hold the next site, by local index.

    Positions without free coordinates that are taken are out, and so is what does not fit into the
    atoms; nothing is legal where no slot is empty.

    Args:
        group: space group numbers.
        wyckoff: global ids of the sites so far; 0 is an empty slot, wherever it stands.
        max_atoms: most atoms in the cell; None for any number.
        primitive: whether ``max_atoms`` counts the primitive cell, not the conventional one.
        further: number of sites that must still fit in after this one.

    Example:
        >>> from jaxcrys.symmetry.wyckoff import position_id
        >>> sites = np.array([position_id(225, "a"), 0])
        >>> np.flatnonzero(legal_positions(np.array(225), sites, max_atoms=12))
        array([1, 2])
    """
    xp = namespace(group, wyckoff, max_atoms, further)
    count, once, taken, atoms, slots = _situation(xp, group, wyckoff, max_atoms, primitive)
    fits = (count > 0) & ~taken & (count <= atoms[..., None]) & (slots > 0)[..., None]
    if isinstance(further, int) and further == 0:
        return fits
    # One row for each position tried, with that position taken.
    tried = xp.eye(MAX_POSITIONS, dtype=bool) & once[..., None, :]
    after = _most_sites(
        xp,
        count[..., None, :],
        once[..., None, :],
        taken[..., None, :] | tried,
        atoms[..., None] - count,
    )
    room = xp.minimum(after, (slots - 1)[..., None])
    return fits & (room >= xp.asarray(further)[..., None])


def _situation(xp: ModuleType, group: Any, wyckoff: Any, max_atoms: Any, primitive: bool) -> Any:
    """Of the positions: orbit sizes, which hold one site only, which are taken; atoms and slots."""
    ids = position_slots(xp.asarray(group))
    wyckoff = xp.asarray(wyckoff)
    size = multiplicity_modulo_centring if primitive else multiplicity
    count = size(ids)
    once = (ids > 0) & (degrees_of_freedom(ids) == 0)
    taken = once & (wyckoff[..., None, :] == ids[..., :, None]).any(-1)
    limit = xp.asarray(_NO_LIMIT if max_atoms is None else max_atoms)
    atoms = limit - size(wyckoff).sum(-1)
    return count, once, taken, atoms, (wyckoff == 0).sum(-1)


def _most_sites(xp: ModuleType, count: Any, once: Any, taken: Any, atoms: Any) -> Any:
    """Number of orbits that the atoms allow for, smallest first."""
    reusable = xp.where((count > 0) & ~once, count, _NO_LIMIT).min(-1)
    cheap = once & ~taken & (count < reusable[..., None])
    # Not larger than the positions times the atoms of the largest orbit: no sum overflows.
    out = np.int32(load_tables().position_multiplicity.max() * MAX_POSITIONS)
    ascending = xp.sort(xp.where(cheap, count, out), axis=-1)
    spent = xp.cumsum(ascending, -1)
    bought = (ascending < out) & (spent <= atoms[..., None])
    left = atoms - xp.where(bought, ascending, 0).sum(-1)
    return xp.where(left < 0, 0, bought.sum(-1) + left // reusable)


def missing_elements(
    species: Int[ArrayLike, "*b s"], required: Bool[ArrayLike, "*b e"]
) -> Bool[ArrayLike, "*b e"]:
    """Which required elements no site holds yet; masks are indexed by atomic number.

    Example:
        >>> required = np.arange(9) == 8
        >>> missing_elements(np.array([3, 0]), required).any()
        np.True_
    """
    xp = namespace(species, required)
    numbers = xp.arange(required.shape[-1])
    present = (xp.asarray(species)[..., None, :] == numbers[:, None]).any(-1)
    return xp.asarray(required) & ~present


def may_stop(
    species: Int[ArrayLike, "*b s"], required: Bool[ArrayLike, "*b e"]
) -> Bool[ArrayLike, "*b"]:
    """Whether the template may end here: all required elements are there, and at least one site.

    Example:
        >>> required = np.arange(9) == 8
        >>> may_stop(np.array([[3, 0], [3, 8]]), required)
        array([False,  True])
    """
    xp = namespace(species, required)
    return ~missing_elements(species, required).any(-1) & (xp.asarray(species) > 0).any(-1)


def legal_elements(
    species: Int[ArrayLike, "*b s"],
    *,
    allowed: Bool[ArrayLike, "*b e"],
    required: Bool[ArrayLike, "*b e"],
    remaining: Int[ArrayLike, "*b"] | None = None,
) -> Bool[ArrayLike, "*b e"]:
    """Which elements the next site may have, by atomic number (entry 0 is never legal).

    While there is room to spare these are the allowed and the required ones; where as many sites
    remain as required elements are missing, only these; where fewer remain, none.

    Args:
        species: atomic numbers of the sites so far, 0 in empty slots.
        allowed: elements that may occur.
        required: elements that must occur.
        remaining: sites that can still be added; by default all empty slots. Where a limit on
            atoms leaves fewer, this is ``most_further_sites``.

    Example:
        >>> numbers = np.arange(10)
        >>> allowed, required = (numbers == 3) | (numbers == 9), numbers == 8
        >>> np.flatnonzero(legal_elements(np.array([3, 0, 0]), allowed=allowed, required=required))
        array([3, 8, 9])
        >>> np.flatnonzero(legal_elements(np.array([3, 3, 0]), allowed=allowed, required=required))
        array([8])
    """
    xp = namespace(species, allowed, required, remaining)
    species = xp.asarray(species)
    missing = missing_elements(species, required)
    slots = (species == 0).sum(-1)
    room = slots if remaining is None else xp.minimum(slots, remaining)
    spare = (room - missing.sum(-1))[..., None]
    anything = xp.asarray(allowed) | xp.asarray(required)
    legal = xp.where(spare > 0, anything, missing & (spare == 0))
    return legal & (room > 0)[..., None] & (xp.arange(legal.shape[-1]) > 0)
