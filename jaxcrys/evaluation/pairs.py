"""Which samples are the same crystal as another: of the set, or of the training set.

Only crystals of the same reduced formula can be the same, so only they are compared; by hash of
the protostructure (group, positions, elements) for all, by pymatgen's StructureMatcher pair by
pair, with three sets of rules:

* ``match``: its defaults (ltol 0.2, stol 0.3, 5 degrees), those of FlowMM, ADiT and others;
* ``strict``: those of LeMat-GenBench (ltol 0.1);
* ``disordered``: elements of a crystal that could replace each other by the rules of Hume-Rothery
  (radii within 0.3 Å, electronegativities within 1.0) count as one, so that order and disorder on
  the same sites are the same: the idea of MatterGen's DisorderedStructureMatcher.
"""

import functools
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxcrys.core.elements import SYMBOLS
from jaxcrys.crystal.raw import RawCell
from jaxcrys.evaluation.matching import MatchSettings, same_cells

RULES = ("match", "strict", "disordered")

MATCH = MatchSettings(stol=0.3, ltol=0.2, angle_tol=5.0)
STRICT = MatchSettings(stol=0.3, ltol=0.1, angle_tol=5.0)

SIMILAR_RADII = 0.3
"""Å."""

SIMILAR_ELECTRONEGATIVITY = 1.0


class Pair(NamedTuple):
    """Two cells as plain lists: lattice, coordinates, atomic numbers."""

    first: list[Any]
    second: list[Any]


def same_formula(rows: Sequence[dict[str, Any]]) -> list[tuple[int, int]]:
    """Pairs of rows of the same formula, the earlier first.

    Example:
        >>> same_formula([{"formula": "NaCl"}, {"formula": "Si"}, {"formula": "NaCl"}])
        [(0, 2)]
    """
    groups = _by_formula(rows)
    return [
        (first, second)
        for members in groups.values()
        for place, second in enumerate(members)
        for first in members[:place]
    ]


def in_reference(rows: Sequence[dict[str, Any]], formulas: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs (row, reference) of the same formula."""
    known = _by_formula([{"formula": formula} for formula in formulas])
    return [
        (index, reference)
        for index, row in enumerate(rows)
        for reference in known.get(row.get("formula", ""), [])
    ]


def compare(pair: Pair) -> list[bool]:
    """Whether two cells are the same, by each of ``RULES``.

    Example:
        >>> cell = [(4 * np.eye(3)).tolist(), [[0.0, 0.0, 0.0]], [84]]
        >>> compare(Pair(cell, cell))
        [True, True, True]
    """
    first, second = (_cell(each) for each in pair)
    match = same_cells(first, second, MATCH)
    # The strict rules narrow the default ones, and those for disorder widen them.
    strict = match and same_cells(first, second, STRICT)
    disordered = match or (_mergeable(first) and same_cells(_merged(first), _merged(second), MATCH))
    return [match, strict, disordered]


def given_up(pair: Pair) -> list[bool]:
    """The result of a pair on which the matcher hangs: nothing is known of it."""
    del pair
    return []


def first_of_kind(count: int, same: Sequence[tuple[int, int]]) -> list[int]:
    """For each crystal the first kept one that it is the same as, or itself if it is kept.

    Crystals are taken in their order; one that is the same as a kept one is dropped.

    Args:
        count: of crystals.
        same: pairs, the earlier first.

    Example:
        >>> first_of_kind(4, [(0, 1), (1, 2)])  # 2 is the same as 1 alone, which is dropped
        [0, 0, 2, 3]
    """
    earlier: dict[int, list[int]] = defaultdict(list)
    for first, second in same:
        earlier[second].append(first)
    kept: list[int] = []
    for index in range(count):
        kept.append(next((one for one in sorted(earlier[index]) if kept[one] == one), index))
    return kept


def _by_formula(rows: Sequence[dict[str, Any]]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        if row.get("formula"):
            groups[row["formula"]].append(index)
    return groups


def _cell(plain: list[Any]) -> RawCell:
    lattice, frac, numbers = plain
    return RawCell(np.array(lattice), np.array(frac), np.array(numbers))


def _mergeable(cell: RawCell) -> bool:
    return any(number != kind for number, kind in _kinds(_elements(cell)))


def _merged(cell: RawCell) -> RawCell:
    """Similar elements replaced by one of them."""
    kinds = dict(_kinds(_elements(cell)))
    return cell._replace(numbers=np.array([kinds[int(number)] for number in cell.numbers]))


def _elements(cell: RawCell) -> tuple[int, ...]:
    return tuple(sorted(set(cell.numbers.tolist())))


@functools.lru_cache(maxsize=10_000)
def _kinds(elements: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """For each element the first that it is connected with by similar ones."""
    kinds = {number: number for number in elements}
    for number in elements:
        for other in elements:
            if other < number and _similar(other, number):
                old, new = kinds[number], kinds[other]
                kinds = {k: min(old, new) if v in (old, new) else v for k, v in kinds.items()}
    return tuple(kinds.items())


def _similar(first: int, second: int) -> bool:
    from pymatgen.core import Element

    one, other = Element(SYMBOLS[first]), Element(SYMBOLS[second])
    if one.atomic_radius is None or other.atomic_radius is None:
        return False
    apart = abs(float(one.atomic_radius) - float(other.atomic_radius))
    return apart <= SIMILAR_RADII and abs(one.X - other.X) <= SIMILAR_ELECTRONEGATIVITY
