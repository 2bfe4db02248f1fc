"""What a user asks for: which parts of a crystal are fixed, as plain text and numbers.

A wish is read and checked here, without a model; ``sampling.plan`` turns it into templates.
"""

import dataclasses
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxcrys.core.elements import atomic_number, parse_formula
from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import Bool
from jaxcrys.processes.site_sequence import ELEMENTS
from jaxcrys.symmetry.groups import check_group
from jaxcrys.symmetry.wyckoff import degrees_of_freedom, multiplicity, position_id, position_label

MORE = "..."
"""Ends a template to which further sites may be added."""

MOST_ATOMS = 400
"""Most atoms in a primitive cell where the number of sites is limited and that of atoms is not."""


@dataclasses.dataclass(frozen=True)
class Wish:
    """What is fixed for every sample; None leaves it to the model.

    Attributes:
        groups: space groups, such as ``14,62``, or with weights, such as ``14=2,62=1``.
        template: a group and its sites with or without elements, such as ``58: 2a Mn, 4g Li``;
            with ``...`` as the last entry further sites may follow.
        formula: exact composition, with any number of formula units that fits.
        chemical_system: elements that may occur, such as ``Li-P-S``.
        elements_required: elements that must occur, such as ``Li``.
        atoms: number of atoms in the primitive cell, such as ``12`` or ``4-20``.
        max_atoms: most atoms in the primitive cell.
        sites: number of sites, such as ``3`` or ``2-5``.
        lattice: a, b, c in Å and α, β, γ in degrees of the conventional cell, such as
            ``4.2,4.2,4.2,90,90,90``.
        templates_from: a dataset (or its arrays); sample i takes group, positions and elements
            from its crystal i, from the start again after the last one. Or a run of a recipe that
            makes templates, from which they are drawn.
        properties: values or ranges, such as ``band_gap=1:2, formation_energy_per_atom=-1.5``.
        guidance: weight by which they are stressed (``recipes.properties``).
    """

    groups: str | None = None
    template: str | None = None
    formula: str | None = None
    chemical_system: str | None = None
    elements_required: str | None = None
    atoms: str | None = None
    max_atoms: int | None = None
    sites: str | None = None
    lattice: str | None = None
    templates_from: Path | None = None
    properties: str | None = None
    guidance: float | None = None


class TemplateText(NamedTuple):
    """A template as it was written.

    Attributes:
        group: space group number.
        sites: position ids and atomic numbers, 0 where the element is open.
        more: whether further sites may follow.
    """

    group: int
    sites: tuple[tuple[int, int], ...]
    more: bool


def check_wish(wish: Wish) -> None:
    """Reject wishes that cannot be read or contradict themselves.

    Raises:
        InputError: naming the option.

    Example:
        >>> check_wish(Wish(template="225: 4a, 4b", formula="NaCl"))
    """
    if wish.groups is not None:
        parse_groups(wish.groups)
    template = None if wish.template is None else parse_template(wish.template)
    if template and wish.groups and template.group not in parse_groups(wish.groups):
        raise InputError("--template", f"is of group {template.group}, --groups says {wish.groups}")
    if wish.formula is not None:
        parse_formula(wish.formula)
    if wish.templates_from is not None and wish.template:
        raise InputError("--templates-from", "already says groups and positions")
    if wish.max_atoms is not None and wish.atoms is not None:
        raise InputError("--max-atoms", "is in --atoms already", "give one of them")
    if wish.properties is not None:
        parse_properties(wish.properties)
    if wish.guidance is not None:
        if wish.properties is None:
            raise InputError("--guidance", "needs --properties")
        if not 0 <= wish.guidance < math.inf:
            raise InputError("--guidance", f"must not be negative, got {wish.guidance}")
    atoms_of(wish)
    sites_of(wish)
    lattice_of(wish)
    elements_of(wish)


def parse_groups(text: str) -> dict[int, float]:
    """Space groups and their weights.

    Raises:
        InputError: if there is no such group, or the text is something else.

    Example:
        >>> parse_groups("14,62"), parse_groups("225=3,221=1")
        ({14: 1.0, 62: 1.0}, {225: 3.0, 221: 1.0})
    """
    weights: dict[int, float] = {}
    for entry in text.replace(" ", "").split(","):
        found = re.fullmatch(r"(\d+)(?:=([\d.]+))?", entry)
        if not found:
            raise InputError(
                "--groups", f"cannot read {entry!r}", "write 14,62, or with weights 14=2,62=1"
            )
        group, weight = int(found[1]), float(found[2] or 1)
        check_group(group, "--groups")
        if not weight > 0 or group in weights:
            raise InputError("--groups", f"{entry!r} is twice there or has no positive weight")
        weights[group] = weight
    return weights


def parse_properties(text: str) -> dict[str, tuple[float, float]]:
    """Least and largest value of each property.

    Raises:
        InputError: if the text is something else.

    Example:
        >>> parse_properties("band_gap=1.5, formation_energy_per_atom=-3:-2")
        {'band_gap': (1.5, 1.5), 'formation_energy_per_atom': (-3.0, -2.0)}
    """
    found: dict[str, tuple[float, float]] = {}
    for entry in text.split(","):
        name, _, values = (part.strip() for part in entry.partition("="))
        try:
            numbers = [float(value) for value in values.split(":")]
        except ValueError:
            numbers = []
        low, high = (numbers[0], numbers[-1]) if len(numbers) in (1, 2) else (math.nan, math.nan)
        if not name or name in found or not -math.inf < low <= high < math.inf:
            raise InputError(
                "--properties", f"cannot read {entry.strip()!r}",
                "write each property once: band_gap=1:2, formation_energy_per_atom=-1.5",
            )  # fmt: skip
        found[name] = low, high
    return found


def parse_template(text: str) -> TemplateText:
    """A group and its sites.

    Raises:
        InputError: if a position does not exist, or one without freedom is used twice.

    Example:
        >>> found = parse_template("58: 2a Mn, 4g Li, ...")
        >>> found.group, [(position_label(w), z) for w, z in found.sites], found.more
        (58, [('2a', 25), ('4g', 3)], True)
    """
    number, colon, rest = text.partition(":")
    if not colon or not number.strip().isdecimal():
        raise InputError(
            "--template", f"{text!r} does not begin with its group", "write 58: 2a Mn, 4g Li"
        )
    group = int(number)
    check_group(group, "--template")
    entries = [entry.split() for entry in rest.split(",") if entry.strip()]
    more = bool(entries) and entries[-1] == [MORE]
    sites = []
    for words in entries[: len(entries) - more]:
        if len(words) > 2:
            raise InputError(
                "--template", f"cannot read {' '.join(words)!r}", "separate the sites by commas"
            )
        element = atomic_number(words[1]) if len(words) == 2 else 0
        sites.append((position_id(group, words[0]), element))
    if not sites:
        raise InputError("--template", "names no position", "write 58: 2a Mn, 4g Li")
    used = [w for w, _ in sites]
    for w in used:
        if used.count(w) > 1 and degrees_of_freedom(np.asarray(w)) == 0:
            raise InputError(
                "--template",
                f"uses {position_label(w)} twice, a position without free coordinates",
                "two atoms would coincide",
            )
    return TemplateText(group, tuple(sites), more)


def elements_of(wish: Wish) -> tuple[Bool[np.ndarray, "119"], Bool[np.ndarray, "119"]]:
    """Which elements may occur, and which must, by atomic number.

    Example:
        >>> allowed, required = elements_of(Wish(chemical_system="Li-O", elements_required="O"))
        >>> np.flatnonzero(allowed).tolist(), np.flatnonzero(required).tolist()
        ([3, 8], [8])
    """
    allowed, required = np.arange(ELEMENTS) > 0, np.zeros(ELEMENTS, bool)
    if wish.chemical_system is not None:
        allowed = _mask(wish.chemical_system, "--chemical-system")
    if wish.elements_required is not None:
        required = _mask(wish.elements_required, "--elements-required")
    if (required & ~allowed).any():
        raise InputError(
            "--elements-required",
            f"{wish.elements_required} is not within the chemical system {wish.chemical_system}",
        )
    return allowed, required


def _mask(elements: str, where: str) -> Bool[np.ndarray, "119"]:
    mask = np.zeros(ELEMENTS, bool)
    for symbol in elements.split("-"):
        try:
            mask[atomic_number(symbol)] = True
        except InputError as error:
            raise InputError(where, str(error), "write it as Li-P-S") from error
    return mask


def atoms_of(wish: Wish) -> tuple[int, int] | None:
    """Fewest and most atoms in the primitive cell; None where nothing is said.

    Example:
        >>> atoms_of(Wish(atoms="4-20")), atoms_of(Wish(max_atoms=12)), atoms_of(Wish())
        ((4, 20), (1, 12), None)
    """
    if wish.max_atoms is not None:
        if wish.max_atoms < 1:
            raise InputError("--max-atoms", f"must be at least 1, got {wish.max_atoms}")
        return 1, wish.max_atoms
    return _range(wish.atoms, "--atoms")


def sites_of(wish: Wish) -> tuple[int, int] | None:
    """Fewest and most sites; None where nothing is said."""
    return _range(wish.sites, "--sites")


def _range(text: str | None, where: str) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", str(text).replace(" ", ""))
    if not found or not 1 <= int(found[1]) <= int(found[2] or found[1]):
        raise InputError(where, f"cannot read {text!r}", "write 12, or a range such as 4-20")
    return int(found[1]), int(found[2] or found[1])


def lattice_of(wish: Wish) -> tuple[float, ...] | None:
    """Lattice parameters; None where nothing is said.

    Example:
        >>> lattice_of(Wish(lattice="4, 4, 6, 90, 90, 120"))
        (4.0, 4.0, 6.0, 90.0, 90.0, 120.0)
    """
    if wish.lattice is None:
        return None
    try:
        values = tuple(float(value) for value in wish.lattice.split(","))
    except ValueError:
        values = ()
    if len(values) != 6 or not min(values) > 0 or not max(values[3:]) < 180:
        raise InputError(
            "--lattice", f"cannot read {wish.lattice!r}",
            "write a,b,c in Å and angles in degrees: 4.2,4.2,4.2,90,90,90",
        )  # fmt: skip
    return values


def assignments(sites: Sequence[tuple[int, int]], formula: dict[int, int]) -> list[tuple[int, ...]]:
    """All ways to put elements on sites so that the crystal has exactly this composition.

    Args:
        sites: position ids and atomic numbers, 0 where the element is open.
        formula: counts of a formula unit.

    Returns:
        The atomic numbers of the sites, for each way; sites on the same position are not told
        apart. Empty if there is none.

    Example:
        >>> from jaxcrys.core.elements import SYMBOLS
        >>> sites = parse_template("221: 1a, 1b, 3c").sites
        >>> [[SYMBOLS[z] for z in way] for way in assignments(sites, parse_formula("BaTiO3"))]
        [['Ti', 'Ba', 'O'], ['Ba', 'Ti', 'O']]
    """
    counts = [int(multiplicity(np.asarray(w))) for w, _ in sites]
    units, remainder = divmod(sum(counts), sum(formula.values()))
    if remainder:
        return []
    left = {number: count * units for number, count in sorted(formula.items())}
    ways: list[tuple[int, ...]] = []

    def assign(index: int, chosen: tuple[int, ...]) -> None:
        if index == len(sites):
            ways.append(chosen)
            return
        given = sites[index][1]
        same = index and sites[index - 1] == sites[index] and not given
        for number in [given] if given else left:
            ordered = not same or number >= chosen[-1]
            if ordered and left.get(number, 0) >= counts[index]:
                left[number] -= counts[index]
                assign(index + 1, (*chosen, number))
                left[number] += counts[index]

    assign(0, ())
    return ways
