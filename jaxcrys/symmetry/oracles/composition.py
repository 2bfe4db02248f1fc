"""Exact composition, one site after the other: which choices still lead to the formula.

A state is immutable; ``choices`` marks exactly those sites from which the formula can still be
completed, for one of the wanted numbers of formula units Z and within the sites that are left. So
no sequence of choices ends in a dead end, each that stops where it may has the formula, and each
template that has the formula can be reached in any order of its sites.
"""

import functools
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import Bool, Int
from jaxcrys.symmetry.oracles.menu import Menu, fewest_sites, menu_of, orbit_sizes, without
from jaxcrys.symmetry.oracles.reachability import check_reachable, site_limit, targets
from jaxcrys.symmetry.tables import check_group
from jaxcrys.symmetry.wyckoff import (
    MAX_POSITIONS,
    positions_of,
)

Site = tuple[int, int]
"""Local index of a position, and atomic number."""


class CompositionState(NamedTuple):
    """A template in the making.

    Attributes:
        group: space group number.
        elements: atomic numbers of the formula, ascending.
        remaining: atoms per lattice point still to be placed, for each Z still within reach.
        stock: index of the single-use positions left (``menu.Menu``).
        sites_left: sites that may still be added.
        sites: the sites so far.
    """

    group: int
    elements: tuple[int, ...]
    remaining: tuple[tuple[int, ...], ...]
    stock: int
    sites_left: int
    sites: tuple[Site, ...]


class Choices(NamedTuple):
    """What may come next.

    Attributes:
        mask: local index of the position by element of the formula, in the order of ``elements``.
        may_stop: whether the sites so far have the formula.
    """

    mask: Bool[np.ndarray, "27 e"]
    may_stop: bool


def start(
    counts: Mapping[int, int],
    group: int,
    z: int | Iterable[int],
    *,
    primitive: bool = False,
    max_sites: int | None = None,
) -> CompositionState:
    """The empty template; arguments as of ``reachability.reachable_units``.

    Raises:
        InputError: if the group cannot hold the formula, or an argument makes no sense.

    Example:
        >>> state = start({11: 1, 17: 1}, 225, range(1, 5))
        >>> np.argwhere(choices(state).mask).tolist()
        [[0, 0], [0, 1], [1, 0], [1, 1]]
        >>> state = place(place(state, 0, 0), 1, 1)
        >>> choices(state).may_stop, state.sites
        (True, ((0, 11), (1, 17)))
    """
    units = check_reachable(counts, group, z, primitive=primitive, max_sites=max_sites)
    return CompositionState(
        group=int(group),
        elements=tuple(sorted(int(number) for number in counts)),
        remaining=tuple(targets(counts, group, units, primitive=primitive).values()),
        stock=menu_of(group).full,
        sites_left=site_limit(max_sites),
        sites=(),
    )


def choices(state: CompositionState) -> Choices:
    """The sites that may come next, and whether the template may stop here."""
    kinds = _kinds(state.group)
    open_kinds, done = _open_kinds(
        menu_of(state.group), state.remaining, state.stock, state.sites_left
    )
    mask = open_kinds[kinds.of_position]
    taken = [position for position, _ in state.sites if kinds.single[position]]
    if taken:
        mask[taken] = False
    return Choices(mask, done)


def place(state: CompositionState, position: int, element: int) -> CompositionState:
    """Add a site: local index of the position, and column of the mask.

    Raises:
        InputError: if the formula would be out of reach.
    """
    kinds, menu = _kinds(state.group), menu_of(state.group)
    known = 0 <= position < len(kinds.size) and 0 <= element < len(state.elements)
    if known and not (kinds.single[position] and any(p == position for p, _ in state.sites)):
        stock = state.stock - kinds.stride[position]
        left = state.sites_left - 1
        lists = (without(n, element, kinds.size[position]) for n in state.remaining)
        reached = tuple(n for n in lists if _reachable(menu, n, stock, left))
        if reached:
            site = (int(position), state.elements[element])
            return state._replace(
                remaining=reached, stock=stock, sites_left=left, sites=(*state.sites, site)
            )
    raise InputError(
        "site",
        f"position {position} with element {element} leaves the formula out of reach",
        "choose where the mask of choices(state) is true",
    )


def site_arrays(
    group: int, sites: Iterable[Site], capacity: int | None = None
) -> tuple[Int[np.ndarray, " s"], Int[np.ndarray, " s"]]:
    """Sites as global position ids and atomic numbers, padded with empty slots to the capacity.

    Raises:
        InputError: if there are more sites than the capacity, or no such position.

    Example:
        >>> site_arrays(2, [(0, 11), (8, 17)], capacity=3)
        (array([ 2, 10,  0], dtype=int32), array([11, 17,  0], dtype=int32))
    """
    ids, sites = positions_of(check_group(group)), list(sites)
    capacity = len(sites) if capacity is None else capacity
    if len(sites) > capacity:
        raise InputError("capacity", f"{len(sites)} sites do not fit into {capacity} slots")
    if not all(0 <= position < len(ids) for position, _ in sites):
        raise InputError("site", f"group {group} has positions 0 to {len(ids) - 1}, got {sites}")
    wyckoff, species = np.zeros((2, capacity), np.int32)
    for slot, (position, number) in enumerate(sites):
        wyckoff[slot], species[slot] = ids[position], number
    return wyckoff, species


class _Kinds(NamedTuple):
    """The positions of a group: those of one kind are alike as far as reachability goes.

    Row of the table of kinds for each of the 27 slots (the last row stands for none), and for each
    position its orbit's size, whether it is single-use, and what it takes from the stock's index.
    """

    of_position: np.ndarray
    size: tuple[int, ...]
    single: tuple[bool, ...]
    stride: tuple[int, ...]


@functools.cache
def _kinds(group: int) -> _Kinds:
    menu, sizes = menu_of(group), orbit_sizes(group)
    rows = {kind: row for row, kind in enumerate(_kind_sizes(menu))}
    strides = dict(zip(menu.single, menu.strides, strict=True))
    padding = [len(rows)] * (MAX_POSITIONS - len(sizes))
    return _Kinds(
        of_position=np.array([rows[kind] for kind in sizes] + padding),
        size=tuple(size for size, _ in sizes),
        single=tuple(single for _, single in sizes),
        stride=tuple(strides[size] if single else 0 for size, single in sizes),
    )


def _kind_sizes(menu: Menu) -> list[tuple[int, bool]]:
    """Size of each kind of position, and whether it is single-use."""
    return [(size, False) for size in menu.reusable] + [(size, True) for size in menu.single]


@functools.lru_cache(maxsize=2**14)
def _open_kinds(
    menu: Menu, remaining: tuple[tuple[int, ...], ...], stock: int, sites_left: int
) -> tuple[np.ndarray, bool]:
    """Which kinds each element may take, [kinds + 1, elements], and whether a Z is complete."""
    kinds = _kind_sizes(menu)
    mask = np.zeros((len(kinds) + 1, len(remaining[0])), bool)
    strides = (0,) * len(menu.reusable) + menu.strides
    number_left = (1,) * len(menu.reusable) + tuple(menu.digits[stock].tolist())
    for row, (size, _) in enumerate(kinds):
        if number_left[row]:
            rest, left = stock - strides[row], sites_left - 1
            for column in range(mask.shape[1]):
                lists = (without(counts, column, size) for counts in remaining)
                mask[row, column] = any(_reachable(menu, n, rest, left) for n in lists)
    mask.setflags(write=False)
    return mask, any(not any(counts) for counts in remaining)


def _reachable(menu: Menu, counts: tuple[int, ...], stock: int, sites: int) -> bool:
    return min(counts) >= 0 and fewest_sites(menu, counts, stock) <= sites
