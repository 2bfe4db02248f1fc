"""All templates of a formula one by one, in lexicographic order.

Sites are chosen in ascending order of (position, element), so each multiset comes up once. After
each site the formula must be within reach of the positions that may follow.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from jaxcrys.core.typing import Int
from jaxcrys.symmetry.oracles.composition import Site
from jaxcrys.symmetry.oracles.counting import permutation_group
from jaxcrys.symmetry.oracles.menu import fewest_sites, menu_of, orbit_sizes, without
from jaxcrys.symmetry.oracles.reachability import site_limit, targets


def templates(
    counts: Mapping[int, int],
    group: int,
    z: int | Iterable[int],
    *,
    primitive: bool = False,
    max_sites: int | None = None,
    permutations: Int[np.ndarray, "g p"] | None = None,
) -> Iterator[tuple[Site, ...]]:
    """Templates of a formula as sorted tuples of sites (local index, atomic number).

    Lazy: take the first few with ``itertools.islice``. With ``permutations`` only the first of
    each class of equivalent templates comes. Arguments as of ``counting.count_templates``.

    Raises:
        InputError: if an argument makes no sense.

    Example:
        >>> list(templates({11: 1, 17: 1}, 225, 4))
        [((0, 11), (1, 17)), ((0, 17), (1, 11))]
    """
    wanted = targets(counts, group, z, primitive=primitive)
    equivalent = permutation_group(group, permutations)
    elements = [int(number) for number in sorted(counts)]
    found = _ascending(group, elements, list(wanted.values()), site_limit(max_sites))
    return (sites for sites in found if _is_first(sites, equivalent))


def _is_first(sites: tuple[Site, ...], equivalent: tuple[tuple[int, ...], ...]) -> bool:
    """Whether no permutation makes the sorted sites smaller."""
    return all(tuple(sorted((p[i], number) for i, number in sites)) >= sites for p in equivalent)


class _Node(NamedTuple):
    """Sites so far, atoms per lattice point to be placed for each Z, and the first site to try."""

    sites: tuple[Site, ...]
    remaining: list[tuple[int, ...]]
    position: int
    element: int


def _ascending(
    group: int, elements: list[int], remaining: list[tuple[int, ...]], limit: int
) -> Iterator[tuple[Site, ...]]:
    """All templates within a limit of sites, depth first."""
    within = [n for n in remaining if _reachable(group, n, 0, 0, limit)]
    stack = [_Node((), within, 0, 0)]
    while stack:
        node = stack.pop()
        if any(not any(counts) for counts in node.remaining):
            yield node.sites
        stack.extend(reversed(list(_children(node, group, elements, limit))))


def _children(node: _Node, group: int, elements: list[int], limit: int) -> Iterator[_Node]:
    """The node with one more site, not before its last one."""
    left = limit - len(node.sites) - 1
    for position, (size, single) in enumerate(orbit_sizes(group)):
        if position < node.position:
            continue
        first = node.element if position == node.position else 0
        for element in range(first, len(elements)):
            after = (position + 1, 0) if single else (position, element)
            lists = (without(counts, element, size) for counts in node.remaining)
            within = [counts for counts in lists if _reachable(group, counts, *after, left)]
            if within:
                yield _Node((*node.sites, (position, elements[element])), within, *after)


def _reachable(
    group: int, counts: tuple[int, ...], position: int, element: int, limit: int
) -> bool:
    """Whether sites from this one on can make the counts; elements before it come at later ones.

    Necessary, and nearly sufficient (the elements before are tested without the others): what it
    lets through in error ends before the next position.
    """
    if min(counts) < 0:
        return False
    here, later = menu_of(group, position), menu_of(group, position + 1)
    before = counts[:element]
    if any(before) and fewest_sites(later, before, later.full) > limit:
        return False
    return fewest_sites(here, counts, here.full) <= limit
