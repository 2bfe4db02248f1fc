"""The menu of orbit sizes that a group offers to a composition, and the fewest sites for it.

A composition needs n_e atoms of each element e in the cell. Positions with free coordinates are
coins that may be used again and again; a position without free coordinates is used once, by one
element. All multiplicities of a group are divisible by its number of lattice points, so that atoms
are counted per lattice point. Positions of the same kind and multiplicity are interchangeable as
far as reachability goes, so it depends on a short *menu* of sizes only. The fewest sites that make
n_1, ..., n_k atoms with the stock s of single-use positions (how many are left of each size m) are

    f(n_1..n_k; s) = min over u <= s of  |u| + coins(n_k - u . m) + f(n_1..n_(k-1); s - u)

where coins(n) is the fewest reusable orbits that make n atoms. No group has more than 27 stocks.
"""

import functools
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from jaxcrys.symmetry.tables import load_tables
from jaxcrys.symmetry.wyckoff import multiplicity_modulo_centring, positions_of

NEVER = 2**28
"""Number of sites that stands for a composition that cannot be made."""


@dataclass(frozen=True, eq=False)
class Menu:
    """The sizes of orbits on offer; equal menus are the same object, so that they hash fast.

    A stock is stored as one integer, the sum of the numbers left times their strides.

    Attributes:
        reusable: sizes of the positions with free coordinates, each once.
        single: sizes of the positions without free coordinates, each once.
        strides: what one position of each single-use size adds to the index of a stock.
        full: index of the full stock.
        digits: numbers of each single-use size in each stock, [stocks, sizes].
        rest: index of stock s less stock u, [s, u]; ``full + 1`` where s has too little.
    """

    reusable: tuple[int, ...]
    single: tuple[int, ...]
    strides: tuple[int, ...]
    full: int
    digits: np.ndarray
    rest: np.ndarray


@functools.cache
def _menu(reusable: tuple[int, ...], single: tuple[tuple[int, int], ...]) -> Menu:
    """The menu of some reusable sizes, and of single-use sizes with their numbers."""
    shape = tuple(number + 1 for _, number in single)
    digits = np.array(list(np.ndindex(shape)), int).reshape(math.prod(shape), len(shape))
    strides = np.array([math.prod(shape[i + 1 :]) for i in range(len(shape))], int)
    less = digits[:, None] - digits[None]
    rest = np.where((less >= 0).all(-1), (less * strides).sum(-1), len(digits))
    return Menu(
        reusable=reusable,
        single=tuple(size for size, _ in single),
        strides=tuple(strides.tolist()),
        full=len(digits) - 1,
        digits=digits,
        rest=rest,
    )


@functools.cache
def orbit_sizes(group: int) -> tuple[tuple[int, bool], ...]:
    """Atoms per lattice point of each position, and whether it can be used once only.

    Example:
        >>> orbit_sizes(225)[:5]
        ((1, True), (1, True), (2, True), (6, True), (6, False))
    """
    ids = np.array(positions_of(group))
    sizes = multiplicity_modulo_centring(ids).tolist()
    single = (load_tables().position_dof[ids] == 0).tolist()
    return tuple(zip(sizes, single, strict=True))


@functools.cache
def menu_of(group: int, first: int = 0) -> Menu:
    """The menu of a group's positions from a local index on.

    Example:
        >>> menu_of(225).reusable, menu_of(225).single
        ((6, 8, 12, 24, 48), (1, 2, 6))
    """
    sizes = orbit_sizes(group)[first:]
    single = Counter(size for size, once in sizes if once)
    reusable = {size for size, once in sizes if not once}
    return _menu(tuple(sorted(reusable)), tuple(sorted(single.items())))


def fewest_sites(menu: Menu, counts: Iterable[int], stock: int) -> int:
    """Fewest sites that make so many atoms of each element from a stock; ``NEVER`` if none do.

    Example:
        >>> fewest_sites(menu_of(225), [1, 1], menu_of(225).full)
        2
        >>> fewest_sites(menu_of(225), [1, 3], menu_of(225).full)
        3
        >>> fewest_sites(menu_of(225), [1, 1, 1], menu_of(225).full) == NEVER
        True
    """
    return _by_stock(menu, tuple(sorted(n for n in counts if n)))[stock]


@functools.lru_cache(maxsize=2**16)
def _by_stock(menu: Menu, counts: tuple[int, ...]) -> tuple[int, ...]:
    """Fewest sites from each stock; the recursion of the module's docstring."""
    if not counts:
        return (0,) * len(menu.digits)
    others = np.array([*_by_stock(menu, counts[:-1]), NEVER])
    total = (_alone(menu, counts[-1]) + others[menu.rest]).min(1)
    return tuple(np.minimum(total, NEVER).tolist())


@functools.lru_cache(maxsize=2**12)
def _alone(menu: Menu, count: int) -> np.ndarray:
    """Fewest sites of one element that use exactly the stock u, for each u."""
    left = count - (menu.digits * np.array(menu.single, int)).sum(-1)
    coins = _fewest_coins(menu.reusable, 1 << max(count, 63).bit_length())
    return np.where(left < 0, NEVER, coins[np.maximum(left, 0)] + menu.digits.sum(-1))


@functools.lru_cache(maxsize=256)
def _fewest_coins(sizes: tuple[int, ...], length: int) -> np.ndarray:
    """Fewest coins that make each sum below a length."""
    fewest = [0] + [NEVER] * (length - 1)
    for total in range(1, length):
        before = [fewest[total - size] for size in sizes if size <= total]
        fewest[total] = min(min(before, default=NEVER) + 1, NEVER)
    return np.array(fewest)


def without(counts: tuple[int, ...], element: int, atoms: int) -> tuple[int, ...]:
    """The counts less so many atoms of one element.

    Example:
        >>> without((4, 6), 1, 2)
        (4, 4)
    """
    return (*counts[:element], counts[element] - atoms, *counts[element + 1 :])
