"""How many atoms, and how many sites: exact masks for either, as tables for use in jit.

For each number of atoms so far and each stock of single-use positions (``menu``) a table holds the
numbers of further sites with which an allowed number of atoms can be reached, one bit for each.
With n atoms per lattice point and stock s it follows from the largest n down:

    F(n, s) = [n is allowed] ∪ (1 + F(n + m, s - u_m)),  over the orbit sizes m on offer,

u_m what a single-use position of size m takes from the stock. So a choice is legal if and only if
some way to go on ends at an allowed number, within the sites that are left.
"""

import functools
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import ArrayLike, Bool, Int, UInt, namespace
from jaxcrys.symmetry.oracles.menu import Menu, menu_of, orbit_sizes
from jaxcrys.symmetry.tables import NUM_GROUPS, NUM_POSITIONS, lookup
from jaxcrys.symmetry.wyckoff import multiplicity_modulo_centring, positions_of

MOST_SITES = 63
"""Further sites that the tables tell; two words of 32 bits."""

_WORDS = 2
_SMALLEST = 32


@pytree
class Amounts:
    """Allowed numbers of atoms in the primitive cell, and of sites.

    Attributes:
        table: numbers of further sites as bits, by row and word; rows are those of a group's menu,
            then by stock, then by atoms.
        first_row: of each group.
        rows: of each stock; more atoms than that are too many.
        fewest_sites: of the whole template; likewise ``most_sites``.
    """

    table: UInt[ArrayLike, "r 2"]
    first_row: Int[ArrayLike, "g"]
    rows: Int[ArrayLike, ""]
    fewest_sites: Int[ArrayLike, ""]
    most_sites: Int[ArrayLike, ""]


def make_amounts(atoms: Iterable[int], *, sites: tuple[int, int] = (1, MOST_SITES)) -> Amounts:
    """The tables for some numbers of atoms; host side.

    Args:
        atoms: allowed numbers of atoms in the primitive cell.
        sites: fewest and most sites.

    Raises:
        InputError: if no number is allowed, or one makes no sense.

    Example:
        >>> amounts = make_amounts([5], sites=(1, 3))
        >>> nothing = np.zeros((2, 3), int)
        >>> can_finish(amounts, np.array([221, 227]), nothing, np.array(1), np.array(3))
        array([ True, False])
    """
    allowed = sorted({int(number) for number in atoms})
    if not allowed or allowed[0] < 1:
        raise InputError("atoms", f"must be positive numbers, got {allowed}")
    if not 1 <= sites[0] <= sites[1]:
        raise InputError("sites", f"must be a range from at least 1, got {sites[0]} to {sites[1]}")
    # A few sizes of tables, so that programs are compiled for a few only.
    wanted = np.zeros(max(_SMALLEST, 1 << allowed[-1].bit_length()), bool)
    wanted[allowed] = True
    stocks = _all_stocks()
    bits = _further(stocks, wanted).T.reshape(-1)
    words = [(bits >> np.uint64(32 * word)).astype(np.uint32) for word in range(_WORDS)]
    return Amounts(
        table=np.stack(words, -1),
        first_row=(stocks.first * len(wanted)).astype(np.int32),
        rows=np.asarray(len(wanted), np.int32),
        fewest_sites=np.asarray(sites[0], np.int32),
        most_sites=np.asarray(min(sites[1], MOST_SITES), np.int32),
    )


class _Stocks(NamedTuple):
    """The stocks of all menus below each other, so that one recursion serves all groups.

    Attributes:
        first: where those of each group begin, by its number.
        count: how many there are.
        ways: to take one orbit: from which stocks, of what size each, and the stocks that are left.
    """

    first: Int[np.ndarray, "g"]
    count: int
    ways: tuple[tuple[Int[np.ndarray, "m"], Int[np.ndarray, "m"], Int[np.ndarray, "m"]], ...]


@functools.cache
def _all_stocks() -> _Stocks:
    menus: dict[Menu, int] = {}
    first, count = np.zeros(NUM_GROUPS + 1, np.int64), 0
    for group in range(1, NUM_GROUPS + 1):
        menu = menu_of(group)
        if menu not in menus:
            menus[menu] = count
            count += menu.full + 1
        first[group] = menus[menu]
    # The n-th kind of orbit of every menu at once, so that a round has each stock at most once.
    rounds: dict[int, list[tuple[np.ndarray, ...]]] = {}
    for menu, start in menus.items():
        for number, (size, stock, left) in enumerate(_takings(menu)):
            own = (start + stock, np.full(len(stock), size), start + left)
            rounds.setdefault(number, []).append(own)
    ways = []
    for each in rounds.values():
        stock, size, left = (np.concatenate(part) for part in zip(*each, strict=True))
        ways.append((stock, size, left))
    return _Stocks(first, count, tuple(ways))


def _takings(menu: Menu) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """For each kind of orbit its size, the stocks that have one, and what they are without it."""
    stocks = np.arange(menu.full + 1)
    for size in menu.reusable:
        yield size, stocks, stocks
    for kind, (size, stride) in enumerate(zip(menu.single, menu.strides, strict=True)):
        enough = stocks[menu.digits[:, kind] > 0]
        yield size, enough, enough - stride


def _further(stocks: _Stocks, wanted: Bool[np.ndarray, "n"]) -> np.ndarray:
    """F(n, s) as bits; what would need more than ``MOST_SITES`` further sites falls off."""
    largest = max(int(size.max()) for _, size, _ in stocks.ways)
    found = np.zeros((len(wanted) + largest, stocks.count), np.uint64)
    flat, one = found.reshape(-1), np.uint64(1)
    ways = [(stock, size * stocks.count + left) for stock, size, left in stocks.ways]
    for atoms in reversed(range(len(wanted))):
        row, start = found[atoms], atoms * stocks.count
        row[:] = wanted[atoms]
        for stock, after in ways:
            row[stock] |= flat[start + after] << one
    return found[: len(wanted)]


def can_finish(
    amounts: Amounts,
    group: Int[ArrayLike, "*b"],
    wyckoff: Int[ArrayLike, "*b s"],
    fewest: Int[ArrayLike, "*b"],
    most: Int[ArrayLike, "*b"],
) -> Bool[ArrayLike, "*b"]:
    """Whether some number of further sites, ``fewest`` to ``most``, ends at an allowed amount.

    Args:
        amounts: what is allowed.
        group: space groups.
        wyckoff: the sites so far.
        fewest: further sites that are needed at least, for elements that are still missing, say.
        most: further sites that there is room for.
    """
    xp = namespace(group, wyckoff, fewest, most, amounts.table)
    wyckoff = xp.asarray(wyckoff)
    atoms = multiplicity_modulo_centring(wyckoff).sum(-1)
    stock = lookup(_full_stocks(), group) - lookup(_strides(), wyckoff).sum(-1)
    count = (wyckoff > 0).sum(-1)
    least = xp.maximum(xp.asarray(fewest), amounts.fewest_sites - count)
    room = xp.minimum(xp.asarray(most), amounts.most_sites - count)
    fits = atoms < amounts.rows
    row = xp.asarray(amounts.first_row)[group] + stock * amounts.rows + xp.where(fits, atoms, 0)
    ways = xp.asarray(amounts.table)[xp.where(fits, row, 0)]
    inside = _up_to(xp, room) & ~_up_to(xp, least - 1)
    return fits & ((ways & inside) > 0).any(-1)


def _up_to(xp: Any, number: Any) -> Any:
    """Words in which the bits 0 to ``number`` are set; none for a negative number."""
    bits = xp.arange(32 * _WORDS).reshape(_WORDS, 32)
    inside = bits <= xp.asarray(number)[..., None, None]
    return xp.where(inside, xp.asarray(_POWERS), xp.zeros_like(xp.asarray(_POWERS))).sum(
        -1, dtype=np.uint32
    )


_POWERS = (1 << np.arange(32, dtype=np.uint64)).astype(np.uint32)


@functools.cache
def _strides() -> Int[np.ndarray, "p"]:
    """What each position, by its id, takes from the index of the stock."""
    strides = np.zeros(NUM_POSITIONS + 1, np.int32)
    for group in range(1, NUM_GROUPS + 1):
        of_size = dict(zip(menu_of(group).single, menu_of(group).strides, strict=True))
        for wyckoff, (size, single) in zip(positions_of(group), orbit_sizes(group), strict=True):
            strides[wyckoff] = of_size[size] if single else 0
    return strides


@functools.cache
def _full_stocks() -> Int[np.ndarray, "g"]:
    """Index of the full stock of each group."""
    return np.array([0, *(menu_of(group).full for group in range(1, NUM_GROUPS + 1))], np.int32)
