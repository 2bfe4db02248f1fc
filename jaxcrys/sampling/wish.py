"""What a user asks for, turned into a template for each sample.

A template is a crystal whose group and positions are given, and whose elements are given where
they are not 0; its coordinates and lattice are to be drawn.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from jaxcrys.core.elements import atomic_number, parse_formula
from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import take
from jaxcrys.core.rng import sample_keys, stream
from jaxcrys.core.typing import ArrayLike, Int
from jaxcrys.crystal.types import Crystal
from jaxcrys.processes import empirical
from jaxcrys.symmetry.groups import check_group, lattice_fixed, symbol
from jaxcrys.symmetry.wyckoff import degrees_of_freedom, multiplicity, position_id, position_label


@dataclasses.dataclass(frozen=True)
class Wish:
    """What is fixed for every sample; None leaves it to the model.

    Attributes:
        groups: space groups to choose from.
        template: positions, optionally with elements, such as ``4a 4b`` or ``Na@4a Cl@4b``.
        formula: exact composition; needs a template.
        templates_from: a dataset (or its arrays); sample i takes group, positions and elements
            from its crystal i, from the start again after the last one. Or a run of a recipe that
            makes templates, from which they are drawn.
        chemical_system: elements that may occur, such as ``Li-P-S``; of templates that are drawn
            from a run, as the next two.
        elements_required: elements that must occur.
        max_atoms: most atoms in the primitive cell.
    """

    groups: tuple[int, ...] = ()
    template: str | None = None
    formula: str | None = None
    templates_from: Path | None = None
    chemical_system: str | None = None
    elements_required: str | None = None
    max_atoms: int | None = None


def plan(
    wish: Wish,
    indices: Int[np.ndarray, "b"],
    *,
    seed: int,
    training: Crystal,
    references: Crystal | None,
    sites: int,
) -> Crystal:
    """The template of each sample: a function of the wish and of (seed, index) alone.

    Args:
        wish: what is asked for.
        indices: which samples.
        seed: of all draws.
        training: the training set, whose templates are drawn where nothing is asked for.
        references: the crystals of ``wish.templates_from``.
        sites: site slots.

    Raises:
        InputError: if the wish contradicts itself or cannot be met.
    """
    check_wish(wish)
    for option, value in (
        ("--chemical-system", wish.chemical_system),
        ("--elements-required", wish.elements_required),
        ("--max-atoms", wish.max_atoms),
    ):
        if value is not None:
            raise InputError(
                option, "needs a model of templates", "give --templates-from a run of wyformer"
            )
    if wish.templates_from is not None and wish.groups:
        raise InputError("--templates-from", "is a dataset, which already says the groups")
    if references is not None:
        chosen = take(references, indices % len(references.group))
        return _blank(chosen.group, chosen.wyckoff, chosen.species, sites)
    keys = jax.vmap(stream, (0, None))(sample_keys(seed, indices), "template")
    if wish.template is not None:
        return _from_template(wish, np.asarray(jax.random.key_data(keys)), sites)
    templates = empirical.fit(np.asarray(training.group), np.asarray(training.wyckoff))
    allowed = None
    if wish.groups:
        allowed = empirical.in_groups(templates, wish.groups)
        if not allowed.any():
            names = ", ".join(f"{symbol(g)} ({g})" for g in wish.groups)
            raise InputError(
                "--space-group", f"the training set has no crystal in {names}", "give a --template"
            )
    draw = jax.jit(jax.vmap(lambda key: empirical.sample(templates, key, allowed)))
    chosen = np.asarray(draw(keys))
    wyckoff = np.asarray(templates.wyckoff)[chosen]
    return _blank(np.asarray(templates.group)[chosen], wyckoff, np.zeros_like(wyckoff), sites)


def check_wish(wish: Wish) -> None:
    """Reject wishes that contradict themselves.

    Raises:
        InputError: naming the option.

    Example:
        >>> check_wish(Wish(groups=(225,), template="4a 4b", formula="NaCl"))
    """
    for group in wish.groups:
        check_group(group, "--space-group")
    if wish.template is not None and len(wish.groups) != 1:
        raise InputError(
            "--template", "needs exactly one --space-group", "such as --space-group 225"
        )
    if wish.formula is not None and wish.template is None:
        raise InputError(
            "--formula", "needs a --template", "such as --space-group 225 --template '4a 4b'"
        )
    if wish.templates_from is not None and wish.template:
        raise InputError("--templates-from", "already says groups, positions and elements")
    if wish.max_atoms is not None and wish.max_atoms < 1:
        raise InputError("--max-atoms", f"must be at least 1, got {wish.max_atoms}")


def parse_template(group: int, text: str) -> list[tuple[int, int]]:
    """Positions and atomic numbers (0 where not given) of a template.

    Raises:
        InputError: if a position does not exist, or one without freedom is used twice.

    Example:
        >>> [(position_label(w), z) for w, z in parse_template(225, "Na@4a 4b")]
        [('4a', 11), ('4b', 0)]
    """
    sites = []
    for token in text.replace(",", " ").split():
        element, _, label = token.rpartition("@")
        sites.append((position_id(group, label), atomic_number(element) if element else 0))
    if not sites:
        raise InputError("--template", "names no position")
    used = [w for w, _ in sites]
    for w in used:
        if used.count(w) > 1 and degrees_of_freedom(np.asarray(w)) == 0:
            raise InputError(
                "--template",
                f"uses {position_label(w)} twice, a position without free coordinates",
                "two atoms would coincide",
            )
    return sites


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
        >>> sites = parse_template(221, "1a 1b 3c")
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


def _from_template(wish: Wish, key_data: np.ndarray, sites: int) -> Crystal:
    assert wish.template is not None
    group = wish.groups[0]
    parsed = sorted(parse_template(group, wish.template))
    species = [tuple(z for _, z in parsed)]
    if wish.formula is not None:
        species = assignments(parsed, parse_formula(wish.formula))
        if not species:
            atoms = [int(multiplicity(np.asarray(w))) for w, _ in parsed]
            raise InputError(
                "--formula",
                f"{wish.formula} does not fit {wish.template!r}, whose positions hold "
                f"{' + '.join(map(str, atoms))} atoms",
            )
    if len(parsed) > sites:
        sites = len(parsed)
    # The first word of the key is as random as a draw from it, and every way is equally likely.
    way = key_data.reshape(len(key_data), -1)[:, -1] % len(species)
    wyckoff = np.tile([w for w, _ in parsed], (len(way), 1))
    return _blank(np.full(len(way), group), wyckoff, np.asarray(species)[way], sites)


def _blank(group: ArrayLike, wyckoff: ArrayLike, species: ArrayLike, sites: int) -> Crystal:
    """Templates as crystals without geometry, in at least ``sites`` slots."""
    extra = max(sites - wyckoff.shape[-1], 0)
    wyckoff, species = (
        np.pad(np.asarray(a, np.int32), [(0, 0), (0, extra)]) for a in (wyckoff, species)
    )
    group = np.asarray(group, np.int32)
    return Crystal(
        group=group,
        wyckoff=wyckoff,
        species=species,
        free=np.zeros((*wyckoff.shape, 3), np.float32),
        lattice=lattice_fixed(group).astype(np.float32),
    )
