"""Labels of what a crystal is apart from its coordinates: the same for every description of it.

A *protostructure* is a space group, the Wyckoff positions occupied and the element on each; a
*prototype* is the same with anonymous elements. Letters depend on the choice of origin and axes, so
all descriptions of the group (``symmetry.normalisers``) are tried and one is kept, by the rule of
the AFLOW-style labels of pymatgen's prototype module: the smallest sum of the ranks of the letters
(a is 1, b is 2, ...; a letter counts once for each element), then the alphabetically first. (Form
of the labels: Mehl et al. 2017, The AFLOW library of crystallographic prototypes.)

The labels are pymatgen's but for these:

* groups 2, 3 and 10-14: pymatgen tries other origins only, not other bases of the lattice, so that
  two descriptions of one crystal may get different labels there;
* of the 22 groups in enantiomorphic pairs the lower number is named unless ``mirror=False``;
* with ``mirror=False``, groups 22, 93, 98, 208 and 214: pymatgen never tells mirror images apart
  by their positions.

Host side, for single crystals.
"""

import functools
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxcrys.core.elements import SYMBOLS, anonymous_formula
from jaxcrys.core.typing import Int
from jaxcrys.crystal.types import Crystal
from jaxcrys.geometry.lattice import FAMILIES
from jaxcrys.symmetry.groups import crystal_family, spaced_symbol
from jaxcrys.symmetry.normalisers import (
    description_row,
    enantiomorph,
    load_normalisers,
    num_descriptions,
)
from jaxcrys.symmetry.tables import load_tables
from jaxcrys.symmetry.wyckoff import positions_of

Occupation = Mapping[int, Counter[int]]
"""For each element, how many sites it has on each position (index in the group, letter a is 0)."""

_FAMILY_LETTERS = dict(zip(FAMILIES, "amothc", strict=True))
_HASH_BYTES = 16


def protostructure_label(crystal: Crystal, *, mirror: bool = True) -> str:
    """AFLOW-style label with the elements in alphabetical order.

    Args:
        crystal: a single crystal.
        mirror: give a crystal and its mirror image the same label; of an enantiomorphic pair of
            groups the one of lower number is named. Without it the two are told apart wherever
            their groups or positions differ.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> protostructure_label(example_crystal())
        'AB_cF8_225_a_b:Cl-Na'
    """
    occupation, amounts = _occupation(crystal)
    elements = sorted(occupation, key=_symbol)
    group, sites, _ = _canonical_sites(crystal, occupation, _alphabetical, mirror)
    formula = anonymous_formula([amounts[element] for element in elements])
    system = "-".join(map(_symbol, elements))
    return f"{formula}_{_pearson_symbol(crystal)}_{group}_{sites}:{system}"


def prototype_label(crystal: Crystal, *, mirror: bool = True) -> str:
    """AFLOW-style label with anonymous elements, the rarest first: it names the template.

    Example:
        >>> from jaxcrys.crystal import build_crystal
        >>> sites = [(22, "b"), (20, "a"), (8, "c")]
        >>> prototype_label(build_crystal(221, sites, (4.0, 4.0, 4.0, 90, 90, 90)))
        'ABC3_cP5_221_a_b_c'
    """
    occupation, amounts = _occupation(crystal)

    def join(texts: Mapping[int, str]) -> str:
        # With the separator at its end, the order of the parts is the order of the joined text.
        return "".join(text for _, text in sorted((amounts[e], f"{texts[e]}_") for e in texts))

    group, sites, _ = _canonical_sites(crystal, occupation, join, mirror)
    formula = anonymous_formula(sorted(amounts.values()))
    return f"{formula}_{_pearson_symbol(crystal)}_{group}_{sites[:-1]}"


def protostructure_hash(crystal: Crystal, *, mirror: bool = True) -> str:
    """Hash of :func:`protostructure_label`: 32 hexadecimal digits, the same on every machine.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> protostructure_hash(example_crystal())
        '93ba38a3ecd2d1466f37230311458f90'
    """
    label = protostructure_label(crystal, mirror=mirror)
    return hashlib.blake2b(label.encode(), digest_size=_HASH_BYTES).hexdigest()


def canonical_descriptions(crystal: Crystal, *, mirror: bool = True) -> Int[np.ndarray, "d"]:
    """Numbers of the descriptions whose letters are those of :func:`protostructure_label`.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> canonical_descriptions(example_crystal())  # Na on b, Cl on a
        array([1])
    """
    return _canonical_sites(crystal, _occupation(crystal)[0], _alphabetical, mirror)[2]


def _symbol(element: int) -> str:
    return SYMBOLS[element]


def _alphabetical(texts: Mapping[int, str]) -> str:
    return "_".join(texts[element] for element in sorted(texts, key=_symbol))


class Relabellings(NamedTuple):
    """What the descriptions of a group make of its positions.

    Attributes:
        group: the group that names the crystal.
        index: number of each description in that group.
        positions: index (letter a is 0) onto which each position is mapped.
    """

    group: int
    index: Int[np.ndarray, "d"]
    positions: Int[np.ndarray, "d w"]


def relabellings(group: int, *, mirror: bool = True) -> Relabellings:
    """All descriptions in the group that names a crystal.

    That is the group itself, or its enantiomorphic partner if mirror images count as the same and
    the partner has the lower number.

    Example:
        >>> relabellings(154).group, relabellings(154, mirror=False).group
        (152, 154)
    """
    partner = int(enantiomorph(np.asarray(group)))
    return _relabellings(group, min(group, partner) if mirror else group, mirror)


@functools.cache
def _relabellings(group: int, target: int, mirror: bool) -> Relabellings:
    table = load_normalisers()
    index = np.arange(int(num_descriptions(np.asarray(group), mirror=mirror)))
    index = index[table.description_target[description_row(np.asarray(group), index)] == target]
    maps = table.description_first_map[description_row(np.asarray(group), index)]
    moved = table.map_wyckoff[maps[:, None] + np.arange(len(positions_of(group)))]
    return Relabellings(target, index, moved - positions_of(target)[0])


def _occupation(crystal: Crystal) -> tuple[Occupation, dict[int, int]]:
    """Sites of each element on each position, and atoms of each element in the cell."""
    first = positions_of(int(crystal.group))[0]
    multiplicity = load_tables().position_multiplicity
    occupation: dict[int, Counter[int]] = {}
    amounts: Counter[int] = Counter()
    for wyckoff, species in zip(
        np.asarray(crystal.wyckoff).tolist(), np.asarray(crystal.species).tolist(), strict=True
    ):
        if wyckoff:
            occupation.setdefault(species, Counter())[wyckoff - first] += 1
            amounts[species] += int(multiplicity[wyckoff])
    return occupation, dict(amounts)


def _canonical_sites(
    crystal: Crystal,
    occupation: Occupation,
    join: Callable[[Mapping[int, str]], str],
    mirror: bool,
) -> tuple[int, str, Int[np.ndarray, "d"]]:
    """The group, the first of the texts of all descriptions, and the descriptions that have it."""
    group, index, positions = relabellings(int(crystal.group), mirror=mirror)
    letters, ranks = _letters(group)
    pairs = [(element, place) for element, places in occupation.items() for place in places]
    moved = positions[:, [place for _, place in pairs]]
    score = ranks[moved].sum(1)
    best = np.flatnonzero(score == score.min())

    def write(row: Sequence[int]) -> str:
        parts: dict[int, list[tuple[str, int]]] = {element: [] for element in occupation}
        for (element, place), new in zip(pairs, row, strict=True):
            parts[element].append((letters[new], occupation[element][place]))
        return join({element: _site_text(places) for element, places in parts.items()})

    rows = list(map(tuple, moved[best].tolist()))
    texts = {row: write(row) for row in set(rows)}
    first = min(texts.values())
    return group, first, index[best[[texts[row] == first for row in rows]]]


def _site_text(places: list[tuple[str, int]]) -> str:
    """Letters in order, each after its number of sites where that is above one: ``a2bc``."""
    return "".join(f"{count if count > 1 else ''}{letter}" for letter, count in sorted(places))


@functools.cache
def _letters(group: int) -> tuple[list[str], Int[np.ndarray, "w"]]:
    """Wyckoff letters of a group and their ranks; the 27th of Pmmm, A, has rank 0 in the rule."""
    letters = [str(load_tables().position_letter[i]) for i in positions_of(group)]
    return letters, np.array([0 if letter == "A" else ord(letter) - 96 for letter in letters])


def _pearson_symbol(crystal: Crystal) -> str:
    """Crystal family, centring (C for any one face) and atoms in the conventional cell."""
    group = int(crystal.group)
    centring = spaced_symbol(group)[0]
    atoms = load_tables().position_multiplicity[np.asarray(crystal.wyckoff)].sum()
    face = "C" if centring in "AB" else centring
    return f"{_FAMILY_LETTERS[crystal_family(group)]}{face}{atoms}"
