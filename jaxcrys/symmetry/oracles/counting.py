"""How many templates have a formula, exactly, and how many up to equivalence of positions.

Templates are distinct multisets of sites (position, element). Their number is a coefficient of a
generating function, with x_e for an atom of element e and t for a site:

    product over single-use positions of (1 + t sum_e x_e^m)
    times the product over reusable positions and elements of 1 / (1 - t x_e^m)

By Burnside's lemma the number of classes under a permutation group of the positions is the mean
over its elements of the templates that they leave unchanged. Such a template has the same content
on all positions of a cycle, so a cycle of l positions stands for one with l sites and l m atoms.
"""

import functools
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import Int
from jaxcrys.symmetry.oracles.menu import orbit_sizes
from jaxcrys.symmetry.oracles.reachability import site_limit, targets

Cycles = tuple[tuple[int, int, int], ...]
"""Atoms, sites and number of the cycles of a kind, sorted."""


def count_templates(
    counts: Mapping[int, int],
    group: int,
    z: int | Iterable[int],
    *,
    primitive: bool = False,
    max_sites: int | None = None,
    permutations: Int[np.ndarray, "g p"] | None = None,
) -> int:
    """Number of templates that have a formula, over all of the given Z.

    Args:
        counts: atoms of a formula unit by atomic number.
        group: space group number.
        z: formula units per cell, one number or several.
        primitive: whether Z counts the primitive cell, not the conventional one.
        max_sites: most sites that a template may have.
        permutations: all elements of a group of permutations of the local indices; templates that
            one of them maps onto each other count once. Without it all templates count.

    Raises:
        InputError: if an argument makes no sense.

    Example:
        >>> count_templates({11: 1, 17: 1}, 225, 4)
        2
        >>> swap = np.arange(12)[[1, 0, *range(2, 12)]]
        >>> count_templates({11: 1, 17: 1}, 225, 4, permutations=np.array([range(12), swap]))
        1
    """
    wanted = targets(counts, group, z, primitive=primitive)
    limit = None if max_sites is None else site_limit(max_sites)
    group_elements = permutation_group(group, permutations)
    types = Counter(_cycle_type(group, element) for element in group_elements)
    fixed = sum(
        number * _fixed_templates(*cycles, tuple(sorted(target)), limit)
        for cycles, number in types.items()
        for target in wanted.values()
    )
    return fixed // len(group_elements)


def permutation_group(
    group: int, permutations: Int[np.ndarray, "g p"] | None
) -> tuple[tuple[int, ...], ...]:
    """The distinct permutations, as tuples; the identity alone where none are given.

    Raises:
        InputError: if they are no group, or map a position to one of another kind.
    """
    sizes = orbit_sizes(group)
    if permutations is None:
        return (tuple(range(len(sizes))),)
    table = np.asarray(permutations)
    if table.ndim != 2 or table.dtype.kind not in "iu" or table.shape[1] != len(sizes):
        raise _bad(f"must be an integer array [g, {len(sizes)}] for group {group}")
    elements = tuple(tuple(row) for row in np.unique(table, axis=0).tolist())
    for element in elements:
        if sorted(element) != list(range(len(sizes))):
            raise _bad(f"must hold permutations of 0 to {len(sizes) - 1}, got {element}")
        if any(sizes[i] != sizes[j] for i, j in enumerate(element)):
            raise _bad(f"must keep multiplicity and degrees of freedom, got {element}")
    if not elements or not _is_closed(elements):
        raise _bad("must be all elements of a group")
    return elements


def _bad(problem: str) -> InputError:
    return InputError("permutations", problem, "pass each element of the group, identity included")


@functools.lru_cache(maxsize=512)
def _is_closed(elements: tuple[tuple[int, ...], ...]) -> bool:
    """Whether all products are there; in a finite set of permutations that makes a group."""
    table, known = np.array(elements), set(elements)
    return all(known.issuperset(map(tuple, table[:, row].tolist())) for row in elements)


def _cycle_type(group: int, element: tuple[int, ...]) -> tuple[Cycles, Cycles]:
    """The cycles of single-use positions, and those of reusable ones."""
    found: tuple[Counter, Counter] = Counter(), Counter()
    seen: set[int] = set()
    for position, (size, single) in enumerate(orbit_sizes(group)):
        length = 0
        while position not in seen:
            seen.add(position)
            position, length = element[position], length + 1
        if length:
            found[0 if single else 1][length * size, length] += 1
    once, again = (tuple((*kind, n) for kind, n in sorted(kinds.items())) for kinds in found)
    return once, again


@functools.lru_cache(maxsize=2**12)
def _fixed_templates(
    single: Cycles, reusable: Cycles, target: tuple[int, ...], limit: int | None
) -> int:
    """Coefficient of the target in the generating function, summed over the powers of t."""
    # Without a limit t is 1: sites weigh nothing, and polynomials in t are one number long.
    limit = None if limit is None else min(limit, sum(target))
    length = 1 if limit is None else limit + 1
    weights = [0 if limit is None else sites for _, sites, _ in single]
    again = tuple((atoms, 0 if limit is None else n, k) for atoms, n, k in reusable)
    ways = _reusable_ways(again, 1 << max(*target, 31).bit_length(), length)
    by_stock = {tuple(number for _, _, number in single): _one(length)}
    for count in target:
        after: dict[tuple[int, ...], np.ndarray] = {}
        for stock, so_far in by_stock.items():
            for used in itertools.product(*(range(number + 1) for number in stock)):
                left = count - sum(u * atoms for u, (atoms, _, _) in zip(used, single, strict=True))
                if left < 0:
                    continue
                chosen = math.prod(map(math.comb, stock, used)) * _shift(
                    ways[left], sum(u * w for u, w in zip(used, weights, strict=True))
                )
                rest = tuple(s - u for s, u in zip(stock, used, strict=True))
                after[rest] = after.get(rest, 0) + _product(so_far, chosen)
        by_stock = after
    return int(sum(polynomial.sum() for polynomial in by_stock.values()))


@functools.lru_cache(maxsize=32)
def _reusable_ways(cycles: Cycles, size: int, length: int) -> np.ndarray:
    """Coefficients of x^n t^s in the product of 1 / (1 - t^sites x^atoms), [n, s]."""
    ways = np.zeros((size, length), object)
    ways[0, 0] = 1
    for atoms, sites, number in cycles:
        for _ in range(number):
            for n in range(atoms, size):
                ways[n] += _shift(ways[n - atoms], sites)
    return ways


def _one(length: int) -> np.ndarray:
    return np.array([1] + [0] * (length - 1), object)


def _shift(polynomial: np.ndarray, power: int) -> np.ndarray:
    """The polynomial times t^power, cut to its length."""
    moved = np.zeros(len(polynomial), object)
    moved[power:] = polynomial[: max(len(polynomial) - power, 0)]
    return moved


def _product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Product of two polynomials, cut to their length."""
    total = np.zeros(len(left), object)
    for power in np.flatnonzero(left):
        total += left[power] * _shift(right, power)
    return total
