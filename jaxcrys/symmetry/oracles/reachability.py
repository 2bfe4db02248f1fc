"""Which formulas the Wyckoff positions of a group can hold, and with how many formula units Z.

All multiplicities of a group are divisible by its number of lattice points, so atoms are counted
per lattice point; ``symmetry.menu`` says which numbers of atoms can be made, with how many sites.
"""

import itertools
from collections.abc import Iterable, Mapping

import numpy as np

from jaxcrys.core.elements import SYMBOLS, reduced_formula
from jaxcrys.core.errors import InputError
from jaxcrys.symmetry.groups import symbol
from jaxcrys.symmetry.oracles.menu import NEVER, fewest_sites, menu_of
from jaxcrys.symmetry.tables import NUM_GROUPS, check_group, load_tables

MAX_ATOMS = 2_000
"""Most atoms per lattice point that a composition may ask for; tables grow with it."""


def site_limit(max_sites: int | None) -> int:
    """The limit as a number, below ``NEVER`` where there is none.

    Raises:
        InputError: if it is not a positive integer.
    """
    if max_sites is None:
        return NEVER - 1
    if not isinstance(max_sites, (int, np.integer)) or max_sites < 1:
        raise InputError("max_sites", f"must be a positive number of sites, got {max_sites!r}")
    return min(int(max_sites), NEVER - 1)


def targets(
    counts: Mapping[int, int], group: int, z: int | Iterable[int], *, primitive: bool = False
) -> dict[int, tuple[int, ...]]:
    """Atoms of each element per lattice point for each Z, in order of atomic number.

    A Z that gives no whole number of atoms per lattice point is left out.

    Raises:
        InputError: if the formula, the group or Z makes no sense.

    Example:
        >>> targets({17: 1, 11: 1}, 225, range(1, 9))
        {4: (1, 1), 8: (2, 2)}
    """
    points = int(load_tables().group_centring[check_group(group)])
    atoms = _check_counts(counts)
    units = _check_units(z)
    if sum(atoms) * units[-1] > MAX_ATOMS * (1 if primitive else points):
        raise InputError(
            "composition", f"Z = {units[-1]} asks for more than {MAX_ATOMS} atoms", "lower Z"
        )
    divisor = 1 if primitive else points
    return {
        unit: tuple(n * unit // divisor for n in atoms)
        for unit in units
        if not any(n * unit % divisor for n in atoms)
    }


def _check_counts(counts: Mapping[int, int]) -> tuple[int, ...]:
    """Counts in order of atomic number."""
    whole = all(isinstance(n, (int, np.integer)) and n > 0 for n in [*counts, *counts.values()])
    if not counts or not whole or max(counts) >= len(SYMBOLS):
        raise InputError(
            "composition",
            f"must map atomic numbers to positive whole numbers, got {dict(counts)!r}",
            "write NaCl as {11: 1, 17: 1}",
        )
    return tuple(int(counts[number]) for number in sorted(counts))


def _check_units(z: int | Iterable[int]) -> tuple[int, ...]:
    units = (z,) if isinstance(z, (int, np.integer)) else tuple(z)
    if not units or not all(isinstance(n, (int, np.integer)) and n > 0 for n in units):
        raise InputError("Z", f"must be positive whole numbers, got {z!r}", "pass range(1, 5)")
    return tuple(sorted({int(n) for n in units}))


def reachable_units(
    counts: Mapping[int, int],
    group: int,
    z: int | Iterable[int],
    *,
    primitive: bool = False,
    max_sites: int | None = None,
) -> tuple[int, ...]:
    """Those numbers of formula units with which a group can hold a formula.

    Args:
        counts: atoms of a formula unit by atomic number.
        group: space group number.
        z: formula units per cell, one number or several to choose from.
        primitive: whether Z counts the primitive cell, not the conventional one.
        max_sites: most sites that the template may have.

    Raises:
        InputError: if an argument makes no sense.

    Example:
        >>> reachable_units({11: 1, 17: 1}, 225, range(1, 20))
        (4, 8)
    """
    limit, menu = site_limit(max_sites), menu_of(check_group(group))
    wanted = targets(counts, group, z, primitive=primitive)
    return tuple(u for u, n in wanted.items() if fewest_sites(menu, n, menu.full) <= limit)


def reachable_groups(
    counts: Mapping[int, int],
    z: int | Iterable[int],
    *,
    primitive: bool = False,
    max_sites: int | None = None,
) -> dict[int, tuple[int, ...]]:
    """All groups that can hold a formula, with those Z that do; as ``reachable_units``.

    Example:
        >>> found = reachable_groups({22: 1, 56: 1, 8: 3}, 1)
        >>> found[221], 225 in found, len(found)
        ((1,), False, 37)
    """
    units = _check_units(z)
    found = {
        group: reachable_units(counts, group, units, primitive=primitive, max_sites=max_sites)
        for group in range(1, NUM_GROUPS + 1)
    }
    return {group: units for group, units in found.items() if units}


def check_reachable(
    counts: Mapping[int, int],
    group: int,
    z: int | Iterable[int],
    *,
    primitive: bool = False,
    max_sites: int | None = None,
) -> tuple[int, ...]:
    """The reachable Z of ``reachable_units``, of which there must be one.

    Raises:
        InputError: if the group cannot hold the formula; says which groups can.

    Example:
        >>> check_reachable({11: 1, 17: 1}, 225, range(1, 5))
        (4,)
    """
    units = _check_units(z)
    found = reachable_units(counts, group, units, primitive=primitive, max_sites=max_sites)
    if found:
        return found
    cell = "primitive" if primitive else "conventional"
    sites = "" if max_sites is None else f" and at most {max_sites} sites"
    more = reachable_units(counts, group, _tried(counts), primitive=primitive, max_sites=max_sites)
    others = reachable_groups(counts, units, primitive=primitive, max_sites=max_sites)
    raise InputError(
        "composition",
        f"space group {group} ({symbol(group)}) cannot hold {reduced_formula(counts)} "
        f"with Z = {ranges(units)} in the {cell} cell{sites}",
        (f"it can with Z = {ranges(more[:4])}" if more else "it cannot with a small Z either")
        + (f"; groups that can, by smallest Z: {_by_smallest(others)}" if others else ""),
    )


def _tried(counts: Mapping[int, int]) -> range:
    """Numbers of formula units to propose: up to the most that a general position may need."""
    return range(1, max(2, min(193, MAX_ATOMS // sum(counts.values()))))


def _by_smallest(groups: Mapping[int, tuple[int, ...]]) -> str:
    """Groups in words, each under its smallest Z."""
    smallest = sorted({units[0] for units in groups.values()})
    return "; ".join(
        f"Z = {unit}: {ranges(g for g, units in groups.items() if units[0] == unit)}"
        for unit in smallest
    )


def ranges(numbers: Iterable[int]) -> str:
    """Ascending numbers, runs written as ranges.

    Example:
        >>> ranges([1, 2, 3, 7, 9, 10])
        '1-3, 7, 9-10'
    """
    runs = itertools.groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])
    ends = [(run[0][1], run[-1][1]) for run in (list(r) for _, r in runs)]
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in ends)
