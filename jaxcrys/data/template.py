"""Templates: what is left of a crystal without its elements, coordinates and lattice.

A template is a prototype: a space group, the Wyckoff positions occupied, and which of them share an
element. Its name is :func:`jaxcrys.crystal.protostructure.prototype_label`, so all descriptions of
the group give the same template. Its anonymous elements are called A, B, ...; A is the rarest.

Host side.
"""

import dataclasses
import functools
import re
import string
from collections.abc import Sequence

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import Int
from jaxcrys.crystal.protostructure import prototype_label, relabellings
from jaxcrys.crystal.types import Crystal
from jaxcrys.symmetry.tables import load_tables
from jaxcrys.symmetry.wyckoff import position_label, positions_of

Sites = tuple[tuple[int, ...], ...]
"""For each element the ids of its Wyckoff positions, in ascending order."""

_CACHED = 1 << 16


@dataclasses.dataclass(frozen=True, eq=False)
class Template:
    """One template and the crystals that have it.

    Attributes:
        label: its name, such as ``ABC3_cP5_221_a_b_c``.
        group: space group; of an enantiomorphic pair the lower number, if mirror images are one.
        formula: anonymised formula, such as ``ABC3``.
        sites: positions of A, B, ... in the canonical description.
        members: rows of the crystals in the dataset, in order.
        elements: atomic numbers of A, B, ... in each of them.
    """

    label: str
    group: int
    formula: str
    sites: Sites
    members: Int[np.ndarray, "m"]
    elements: Int[np.ndarray, "m e"]

    @property
    def count(self) -> int:
        """Number of crystals."""
        return len(self.members)

    def describe_sites(self) -> str:
        """Its positions in words, such as ``A@4a B@4b``."""
        return " ".join(
            f"{letter}@{position_label(wyckoff)}"
            for letter, ids in zip(string.ascii_uppercase, self.sites, strict=False)
            for wyckoff in ids
        )


def make_template(
    label: str, members: Sequence[int] | np.ndarray, elements: Sequence[Sequence[int]] | np.ndarray
) -> Template:
    """The template of a label, with its members.

    Raises:
        InputError: if it is not the label of a template.

    Example:
        >>> template = make_template("AB2_tP6_136_a_f", [7], [[22, 8]])
        >>> template.group, template.formula, template.describe_sites()
        (136, 'AB2', 'A@2a B@4f')
    """
    group, sites = _read(label)
    return Template(
        label=label,
        group=group,
        formula=label.split("_")[0],
        sites=sites,
        members=np.asarray(members, np.int32),
        elements=np.asarray(elements, np.int32).reshape(len(members), len(sites)),
    )


def _read(label: str) -> tuple[int, Sites]:
    try:
        _, _, number, *parts = label.split("_")
        group = int(number)
        ids = _ids(group)
        counted = [re.findall(r"(\d*)([a-zA-Z])", part) for part in parts]
        return group, tuple(
            tuple(sorted(i for n, letter in part for i in [ids[letter]] * int(n or 1)))
            for part in counted
        )
    except (ValueError, KeyError) as error:
        raise InputError(
            "template", f"cannot read {label!r}", "write it as AB2_tP6_136_a_f"
        ) from error


@functools.cache
def _ids(group: int) -> dict[str, int]:
    return {str(load_tables().position_letter[i]): i for i in positions_of(group)}


def template_of(crystal: Crystal, *, mirror: bool = True) -> tuple[str, tuple[int, ...]]:
    """Label of a crystal's template, and the elements that are A, B, ... in it.

    Where other descriptions of the crystal exchange the elements of a template, as in rock salt,
    one of the possible orders is given; :func:`placement` tells whether two orders are the same.

    Args:
        crystal: a single crystal.
        mirror: count mirror images as one template.

    Example:
        >>> from jaxcrys.crystal import build_crystal
        >>> sites = [(22, "b"), (20, "a"), (8, "c")]
        >>> template_of(build_crystal(221, sites, (4.0, 4.0, 4.0, 90, 90, 90)))
        ('ABC3_cP5_221_a_b_c', (20, 22, 8))
    """
    positions: dict[int, list[int]] = {}
    pairs = zip(
        np.asarray(crystal.wyckoff).tolist(), np.asarray(crystal.species).tolist(), strict=True
    )
    for wyckoff, species in pairs:
        if wyckoff:
            positions.setdefault(species, []).append(wyckoff)
    # Sorted by position first, so that crystals of one kind share an entry of the cache.
    occupied = sorted((tuple(sorted(ids)), element) for element, ids in positions.items())
    label, order = _name(int(crystal.group), tuple(ids for ids, _ in occupied), mirror)
    return label, tuple(occupied[i][1] for i in order)


@functools.lru_cache(_CACHED)
def _name(group: int, sites: Sites, mirror: bool) -> tuple[str, tuple[int, ...]]:
    """Label of a template in any description, and which entry of ``sites`` is A, which B, ..."""
    ids = np.array([i for element in sites for i in element])
    owner = np.repeat(np.arange(1, len(sites) + 1), list(map(len, sites)))
    anonymous = Crystal(np.array(group), ids, owner, np.zeros((len(ids), 3)), np.zeros(6))
    label = prototype_label(anonymous, mirror=mirror)
    wanted = _read(label)[1]
    moved = next(d for d in _descriptions(group, sites, mirror) if sorted(d) == sorted(wanted))
    left = list(enumerate(moved))
    order = []
    for element in wanted:
        found = next(entry for entry in left if entry[1] == element)
        left.remove(found)
        order.append(found[0])
    return label, tuple(order)


@functools.lru_cache(_CACHED)
def _descriptions(group: int, sites: Sites, mirror: bool) -> list[Sites]:
    """The positions of each element in all descriptions of the group, each list once."""
    maps = relabellings(group, mirror=mirror)
    first, target = positions_of(group)[0], positions_of(maps.group)[0]
    moved = [np.sort(maps.positions[:, np.array(ids) - first] + target) for ids in sites]
    return sorted(set(zip(*([tuple(row) for row in ids.tolist()] for ids in moved), strict=True)))


def placement(
    template: Template, elements: Sequence[int], *, mirror: bool = True
) -> tuple[tuple[int, int], ...]:
    """What tells apart the protostructures that one template makes with different elements.

    Two orders of elements have the same placement if they make the same protostructure: if a
    description of the group exchanges them, or if they exchange elements of equal positions.

    Args:
        template: the template.
        elements: atomic numbers on A, B, ...
        mirror: whether mirror images count as one.

    Returns:
        Pairs of a kind of position and the element on it.

    Example:
        >>> rocksalt = make_template("AB_cF8_225_a_b", [], [])
        >>> placement(rocksalt, (11, 17)) == placement(rocksalt, (17, 11))
        True
        >>> perovskite = make_template("ABC3_cP5_221_a_b_c", [], [])
        >>> placement(perovskite, (20, 22, 8)) == placement(perovskite, (22, 20, 8))
        False
    """
    kinds = _symmetries(template.group, template.sites, mirror)
    return min(tuple(sorted(zip(kind, elements, strict=True))) for kind in kinds)


@functools.lru_cache(_CACHED)
def _symmetries(group: int, sites: Sites, mirror: bool) -> list[tuple[int, ...]]:
    """Which kind of positions each element has, in all descriptions that keep the template."""
    number = {ids: kind for kind, ids in enumerate(sorted(set(sites)))}
    return [
        tuple(number[ids] for ids in moved)
        for moved in _descriptions(group, sites, mirror)
        if sorted(moved) == sorted(sites)
    ]
