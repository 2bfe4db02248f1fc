"""The graph of group-subgroup relations between the 230 space groups (host side).

An edge leads from a group to one of its maximal subgroups, those with no other group between: the
translationengleiche ones (t), which keep all translations and lose a part of the point group, and
the klassengleiche ones (k), which keep the point group and lose translations. Infinitely many
k-subgroups are isomorphic to their group; the table holds those of index 2, 3 and 4, and of each
class of conjugate subgroups one (made by ``tools/make_subgroup_tables.py``; the relations are
those of the International Tables, volume A1).
"""

import functools
import heapq
from typing import NamedTuple

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import Float, Int
from jaxcrys.symmetry.groups import operations, symbol
from jaxcrys.symmetry.locate import locate
from jaxcrys.symmetry.tables import TRANSLATION_UNIT, check_group, load_tables, read_table
from jaxcrys.symmetry.wyckoff import positions_of

LINEAR_UNIT = 6
SHIFT_UNIT = 48
"""The table stores P in units of 1/6 and p in units of 1/48."""

EXACT_UNIT = 2**10 * 3**6
"""Common denominator of the fractions of all chains up to the greatest index, and beyond."""

MAX_INDEX = 192


class Subgroup(NamedTuple):
    """A subgroup of a space group, and the way from one standard setting to the other.

    The basis vectors are (a', b', c') = (a, b, c) P, and coordinates x' = P⁻¹ (x - p). det P is
    positive: the hand of a chiral crystal stays what it is.

    Attributes:
        supergroup: space group number of the group.
        group: space group number of the subgroup.
        index: of the subgroup in the group; 1 for the group itself.
        kind: ``"t"`` translationengleiche, ``"k"`` klassengleiche, ``"tk"`` a chain of both.
        linear: P.
        shift: the origin p of the subgroup, in fractional coordinates of the group.
    """

    supergroup: int
    group: int
    index: int
    kind: str
    linear: Float[np.ndarray, "3 3"]
    shift: Float[np.ndarray, "3"]


@functools.cache
def _relations() -> tuple[Subgroup, ...]:
    """Every edge of the graph, by supergroup."""
    table = read_table("subgroups.npz")
    linear, shift = table["linear"] / LINEAR_UNIT, table["shift"] / SHIFT_UNIT
    for array in (linear, shift):
        array.setflags(write=False)
    names = ("supergroup", "subgroup", "index", "klassengleiche")
    rows = zip(*(table[name].tolist() for name in names), linear, shift, strict=True)
    return tuple(Subgroup(g, h, i, "tk"[k], matrix, p) for g, h, i, k, matrix, p in rows)


@functools.cache
def _edges(end: str, group: int) -> tuple[Subgroup, ...]:
    return tuple(relation for relation in _relations() if getattr(relation, end) == group)


def maximal_subgroups(group: int) -> tuple[Subgroup, ...]:
    """The maximal subgroups: all t, and the k up to index 4; one of each conjugacy class.

    Raises:
        InputError: if there is no such group.

    Example:
        >>> [(sub.group, sub.index) for sub in maximal_subgroups(221) if sub.kind == "t"]
        [(215, 2), (207, 2), (200, 2), (123, 3), (166, 4)]
    """
    return _edges("supergroup", check_group(group))


def maximal_supergroups(group: int) -> tuple[Subgroup, ...]:
    """The relations of which ``group`` is the subgroup.

    There are infinitely many ways to add translations to a group; those listed are the ones that
    ``maximal_subgroups`` of some group lists.

    Raises:
        InputError: if there is no such group.

    Example:
        >>> sorted({up.supergroup for up in maximal_supergroups(123) if up.kind == "t"})
        [221]
    """
    return _edges("group", check_group(group))


def identity(group: int) -> Subgroup:
    """The group as a subgroup of itself, of index 1 and of kind ``""``.

    Example:
        >>> identity(62).index
        1
    """
    group = check_group(group)
    return Subgroup(group, group, 1, "", np.eye(3), np.zeros(3))


def compose(upper: Subgroup, lower: Subgroup) -> Subgroup:
    """The subgroup ``lower`` of the subgroup ``upper``: P = P₁ P₂, p = p₁ + P₁ p₂.

    Raises:
        InputError: if the one does not begin where the other ends.

    Example:
        >>> upper, lower = subgroup_path(221, 99)
        >>> both = compose(upper, lower)
        >>> both.supergroup, upper.group, both.group, both.index
        (221, 123, 99, 6)
    """
    if upper.group != lower.supergroup:
        problem = f"a subgroup of {symbol(lower.supergroup)} cannot follow {symbol(upper.group)}"
        raise InputError("relations", problem)
    return Subgroup(
        upper.supergroup,
        lower.group,
        upper.index * lower.index,
        "".join(kind for kind in "tk" if kind in upper.kind + lower.kind),
        upper.linear @ lower.linear,
        upper.shift + upper.linear @ lower.shift,
    )


@functools.cache
def _shortest(group: int) -> dict[int, tuple[int, tuple[Subgroup, ...]]]:
    """Dijkstra: for every group below the least index, and the chain of it with fewest steps."""
    best: dict[int, tuple[int, tuple[Subgroup, ...]]] = {}
    waiting: list[tuple[int, int, int, int, tuple[Subgroup, ...]]] = [(1, 0, 0, group, ())]
    count = 0  # decides between equals, so that chains are never compared
    while waiting:
        index, steps, _, last, chain = heapq.heappop(waiting)
        if last in best:
            continue
        best[last] = index, chain
        for edge in maximal_subgroups(last):
            count += 1
            further = (index * edge.index, steps + 1, count, edge.group, (*chain, edge))
            heapq.heappush(waiting, further)
    return best


def subgroup_path(group: int, subgroup: int, *, max_index: int = MAX_INDEX) -> tuple[Subgroup, ...]:
    """The chain of maximal subgroups of least total index from a group to a type of subgroup.

    Only types are given, and a group may have several subgroups of a type: this is one of them.
    Chain other relations with :func:`compose` to reach the others.

    Args:
        group: space group number to start from.
        subgroup: space group number to reach.
        max_index: greatest index of the subgroup in the group.

    Returns:
        The steps, none if the groups are the same.

    Raises:
        InputError: if there is no such group, or no such chain.

    Example:
        >>> [step.group for step in subgroup_path(136, 14)]  # rutile to P21/c
        [58, 14]
    """
    found = _shortest(check_group(group)).get(check_group(subgroup, "subgroup"))
    if found is None or found[0] > max_index:
        below = ", ".join(symbol(g) for g in sorted({s.group for s in maximal_subgroups(group)}))
        limit = "" if found is None else f" of index up to {max_index}, but of {found[0]}"
        raise InputError(
            "subgroup",
            f"{symbol(group)} has no subgroup of type {symbol(subgroup)}{limit}",
            f"its maximal subgroups are {below}",
        )
    return found[1]


def is_subgroup(subgroup: int, group: int, *, max_index: int = MAX_INDEX) -> bool:
    """Whether a group has subgroups of a type, of at most some index.

    Example:
        >>> is_subgroup(99, 221), is_subgroup(221, 99)
        (True, False)
    """
    found = _shortest(check_group(group)).get(check_group(subgroup, "subgroup"))
    return found is not None and found[0] <= max_index


class Split(NamedTuple):
    """One of the orbits of a subgroup into which the orbits of a position fall.

    Attributes:
        wyckoff: global id of the position of the subgroup.
        linear: M of u' = M u + m, from the free coordinates of the group's position to those of
            the subgroup's.
        translation: m, fractional.
    """

    wyckoff: int
    linear: Float[np.ndarray, "3 3"]
    translation: Float[np.ndarray, "3"]


def splitting(relation: Subgroup, wyckoff: int) -> tuple[Split, ...]:
    """The orbits of the subgroup into which each orbit of a position of the group splits.

    Their multiplicities add up to det P times that of the position.

    Args:
        relation: a maximal subgroup or a composed one.
        wyckoff: global id of a position of ``relation.supergroup``.

    Returns:
        The orbits in the order of their positions.

    Raises:
        InputError: if the position is not one of the group.

    Example:
        >>> from jaxcrys.symmetry.wyckoff import position_id, position_label
        >>> tetragonal = next(sub for sub in maximal_subgroups(221) if sub.group == 123)
        >>> [position_label(s.wyckoff) for s in splitting(tetragonal, position_id(221, "3c"))]
        ['1c', '2e']
    """
    if wyckoff not in positions_of(relation.supergroup):
        problem = f"{wyckoff} is no position of {symbol(relation.supergroup)}"
        raise InputError("Wyckoff position", problem)
    linear, shift = (np.asarray(part, float) for part in (relation.linear, relation.shift))
    return _splitting(relation.group, (linear.tobytes(), shift.tobytes()), int(wyckoff))


@functools.lru_cache(maxsize=20_000)
def _splitting(subgroup: int, transformed: tuple[bytes, bytes], wyckoff: int) -> tuple[Split, ...]:
    linear, shift = (np.frombuffer(part) for part in transformed)
    families = _families(linear.reshape(3, 3), shift, wyckoff)
    rotations, translations = operations(subgroup)
    waiting = {family.tobytes(): family for family in families}
    found = []
    while waiting:
        family = next(iter(waiting.values()))
        images = rotations.astype(int) @ family
        images[..., 3] += translations.astype(int) * (EXACT_UNIT // TRANSLATION_UNIT)
        images[..., 3] %= EXACT_UNIT
        orbit = {image.tobytes() for image in images}
        if not orbit <= waiting.keys():
            raise InputError("relation", f"does not lead to a subgroup of type {symbol(subgroup)}")
        for image in orbit:
            del waiting[image]
        found.append(family / EXACT_UNIT)
    located = locate(subgroup, np.array(found)[..., :3], np.array(found)[..., 3])
    exact = np.rint(located.translation * EXACT_UNIT) % EXACT_UNIT / EXACT_UNIT
    order = np.argsort(located.wyckoff, kind="stable")
    return tuple(Split(int(located.wyckoff[i]), located.linear[i], exact[i]) for i in order)


def _families(
    linear: Float[np.ndarray, "3 3"], shift: Float[np.ndarray, "3"], wyckoff: int
) -> Int[np.ndarray, "f 3 4"]:
    """The points (A|t) of a position in the conventional cell of the subgroup, in exact units.

    They are the rows of the position, each moved by the vectors n of the lattice ℤ³ that differ
    modulo the new cell: component i of n counts up to the denominator of column i of P⁻¹.
    """
    tables = load_tables()
    first = tables.position_first_row[wyckoff]
    rows = slice(first, first + tables.position_multiplicity[wyckoff])
    inverse = np.linalg.inv(linear)
    counts = EXACT_UNIT // np.gcd(np.gcd.reduce(_exact(inverse)), EXACT_UNIT)
    vectors = np.array(list(np.ndindex(*counts)))
    points = tables.row_translation[rows] / TRANSLATION_UNIT - shift
    moved = (points[:, None] + vectors) @ inverse.T
    turned = np.broadcast_to((inverse @ tables.row_linear[rows])[:, None], (*moved.shape, 3))
    families = _exact(np.concatenate([turned, moved[..., None]], -1).reshape(-1, 3, 4))
    families[..., 3] %= EXACT_UNIT
    return np.unique(families, axis=0)


def _exact(values: np.ndarray) -> Int[np.ndarray, "..."]:
    """Fractions as integers in exact units."""
    scaled = np.asarray(values) * EXACT_UNIT
    rounded = np.rint(scaled)
    if np.abs(scaled - rounded).max() > 1e-3:
        raise InputError("relation", f"its fractions have no denominator {EXACT_UNIT}")
    return rounded.astype(int)
