"""Candidates for a composition: known crystals with their elements replaced by similar ones.

For a formula, every crystal of the dataset with the same anonymised formula is looked at, and every
way to put the elements of the formula in the places of its own. Those with the most similar
elements come first. A candidate keeps space group, positions, free coordinates and the shape of the
cell of the crystal it was made from, so its symmetry is exact and so is its composition; its volume
is scaled by the ratio of the sums of atomic volumes (``data.atomic_volume``) of the new elements
and of the old.

This is the baseline for structure prediction that uses no model (compare the element substitution
of CSPML: Kusaba, Liu and Yoshida 2022, Comput. Mater. Sci. 211, 111496, who learn the similarity).

Host side.
"""

import dataclasses
import itertools
import math
import re
from typing import Literal, NamedTuple

import jax
import numpy as np

from jaxcrys.core.elements import SYMBOLS, anonymous_formula, parse_formula
from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import take
from jaxcrys.core.typing import Float, Int
from jaxcrys.crystal.types import Crystal
from jaxcrys.data.atomic_volume import count_atoms, fit_atomic_volumes
from jaxcrys.data.element_similarity import arrangements, composition_distances, element_distances
from jaxcrys.data.library import Library, build_library
from jaxcrys.data.template import placement

Order = Literal["distance", "count"]


@dataclasses.dataclass(frozen=True, eq=False)
class Retriever:
    """A dataset made ready for look-ups.

    Attributes:
        crystals: the dataset, on the host.
        library: its templates.
        distances: between elements, by atomic number.
        volumes: atomic volumes in Å^3, by atomic number.
    """

    crystals: Crystal
    library: Library
    distances: Float[np.ndarray, "z z"]
    volumes: Float[np.ndarray, "z"]


class Candidate(NamedTuple):
    """A proposed crystal and where it comes from.

    Attributes:
        crystal: a single crystal, with the slots of the dataset.
        distance: mean distance per atom between the new elements and those they replace.
        row: the crystal of the dataset whose geometry it has.
        template: label of its template.
        count: how many crystals of the dataset have that template.
        replaced: the element of the dataset's crystal for each new one, by atomic number.
    """

    crystal: Crystal
    distance: float
    row: int
    template: str
    count: int
    replaced: dict[int, int]


class _Pool(NamedTuple):
    """All substitutions that make a formula, from the best to the worst."""

    distance: Float[np.ndarray, "p"]
    template: Int[np.ndarray, "p"]
    member: Int[np.ndarray, "p"]
    elements: Int[np.ndarray, "p e"]


def build_retriever(
    crystals: Crystal, *, metric: str = "pettifor", library: Library | None = None
) -> Retriever:
    """Make a dataset ready for :func:`retrieve`.

    Args:
        crystals: a batch.
        metric: distance between elements, see ``data.element_similarity``.
        library: the templates of these crystals, if they are at hand.

    Raises:
        InputError: for an unknown metric, or the library of another dataset.
    """
    crystals = jax.tree.map(np.asarray, crystals)
    library = build_library(crystals) if library is None else library
    if library.size != len(crystals.group):
        raise InputError(
            "library",
            f"is of {library.size} crystals, the dataset has {len(crystals.group)}",
            "build it from the same crystals",
        )
    return Retriever(crystals, library, element_distances(metric), fit_atomic_volumes(crystals))


def retrieve(
    retriever: Retriever, formula: str, k: int = 1, *, order: Order = "distance"
) -> list[Candidate]:
    """The best candidates for a formula, each of another protostructure.

    Of the crystals that would make the same protostructure (the same elements on the same positions
    of a template) the one with the most similar elements is used.

    Args:
        retriever: the dataset.
        formula: of any number of formula units, such as ``BaTiO3``.
        k: most candidates wanted; there may be fewer.
        order: ``"distance"`` ranks by similarity of the elements, then by how common the template
            is; ``"count"`` the other way round.

    Raises:
        InputError: if the formula cannot be read, k is not positive, or no crystal of the dataset
            has this anonymised formula.

    Example:
        >>> from jaxcrys.crystal import example_crystal, stack_crystals
        >>> retriever = build_retriever(stack_crystals([example_crystal()]))
        >>> [found] = retrieve(retriever, "KBr", k=5)
        >>> found.crystal.species.tolist(), found.template, found.replaced
        ([19, 35], 'AB_cF8_225_a_b', {19: 11, 35: 17})
    """
    if k < 1:
        raise InputError("k", f"must be at least 1, got {k}")
    if order not in ("distance", "count"):
        raise InputError("order", f"must be distance or count, got {order!r}")
    counts = parse_formula(formula)
    templates = retriever.library.by_formula.get(anonymous_formula(sorted(counts.values())), ())
    if not templates:
        raise _unknown(retriever.library, formula, counts)
    pool = _rank(retriever, counts, order)
    found: list[Candidate] = []
    seen = set()
    for i in range(len(pool.distance)):
        template, elements = templates[pool.template[i]], pool.elements[i].tolist()
        name = template.label, placement(template, elements, mirror=retriever.library.mirror)
        if name in seen:
            continue
        seen.add(name)
        row = int(template.members[pool.member[i]])
        replaced = dict(zip(elements, template.elements[pool.member[i]].tolist(), strict=True))
        crystal = substitute(retriever, row, {old: new for new, old in replaced.items()})
        found.append(
            Candidate(
                crystal, float(pool.distance[i]), row, template.label, template.count, replaced
            )
        )
        if len(found) == k:
            break
    return found


def _rank(retriever: Retriever, counts: dict[int, int], order: Order) -> _Pool:
    """Every member of every template, in every arrangement of the elements, in order."""
    wanted = sorted((count, number) for number, count in counts.items())
    amounts = [count for count, _ in wanted]
    elements = np.array([number for _, number in wanted])[arrangements(amounts)]
    templates = retriever.library.by_formula[anonymous_formula(sorted(counts.values()))]
    common = np.array([template.count for template in templates])
    index = np.repeat(np.arange(len(templates)), common)
    member = np.concatenate([np.arange(count) for count in common])
    known = np.concatenate([template.elements for template in templates])
    distance = composition_distances(elements[:, None], known, amounts, retriever.distances)
    # Rounding makes equal what differs in the last bit only, so that ties are ties.
    rounded = np.round(distance, 9).ravel()
    arrangement, entry = np.indices(distance.shape).reshape(2, -1)
    rarity = -common[index[entry]]
    keys = (rounded, rarity) if order == "distance" else (rarity, rounded)
    best = np.lexsort((arrangement, entry, *keys[::-1]))
    entry = entry[best]
    return _Pool(rounded[best], index[entry], member[entry], elements[arrangement[best]])


def substitute(retriever: Retriever, row: int, new: dict[int, int]) -> Crystal:
    """A crystal of the dataset with other elements, in the cell that they are expected to fill.

    Args:
        retriever: the dataset.
        row: which crystal.
        new: the new element for each of its elements, by atomic number.

    Example:
        >>> from jaxcrys.crystal import example_crystal, stack_crystals
        >>> retriever = build_retriever(stack_crystals([example_crystal()]))
        >>> substitute(retriever, 0, {11: 19, 17: 17}).species.tolist()
        [19, 17]
    """
    old = take(retriever.crystals, row)
    table = np.zeros(len(SYMBOLS), old.species.dtype)
    table[list(new)] = list(new.values())
    crystal = dataclasses.replace(old, species=table[old.species])
    filled = [float(count_atoms(c) @ retriever.volumes) for c in (crystal, old)]
    lattice = old.lattice.copy()
    lattice[5] += math.log(filled[0] / filled[1]) / math.sqrt(3)  # the volume is exp(√3 k_6)
    return dataclasses.replace(crystal, lattice=lattice)


def _unknown(library: Library, formula: str, counts: dict[int, int]) -> InputError:
    """The complaint about a formula of a kind that no crystal has."""
    kind = anonymous_formula(sorted(counts.values()))
    nearest = min(library.by_formula, key=lambda other: (_unlikeness(kind, other), other))
    return InputError(
        "formula",
        f"{formula} is of the kind {kind}, of which the dataset of {library.size} crystals has "
        "none",
        f"the nearest kind that it has is {nearest}",
    )


def _unlikeness(kind: str, other: str) -> float:
    """Sum of the differences between the shares of the elements, largest with largest."""
    shares = [sorted((int(n or 1) for n in re.findall(r"\D(\d*)", k)), reverse=True)
              for k in (kind, other)]  # fmt: skip
    pairs = itertools.zip_longest(*shares, fillvalue=0)
    return sum(abs(a / sum(shares[0]) - b / sum(shares[1])) for a, b in pairs)
