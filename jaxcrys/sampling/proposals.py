"""Templates for a formula from two sources: drawn from a model, and known ones with new elements.

A model of templates draws some of exactly the formula (``recipes.exact_formula``); the training set
gives those of crystals of the same kind of formula, with the most similar elements first
(``data.retrieval``). Both are made unique by the canonical hash and scored together:

    score = w log p(template | formula) - a √d,  or - b where it was not retrieved,

d the mean distance of the elements from those that they replace. The weights make the true template
of validation crystals most likely (``experiments/proposal_weights.py``).
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from jaxcrys.core.elements import anonymous_formula, parse_formula
from jaxcrys.core.errors import InputError
from jaxcrys.core.progress import Progress
from jaxcrys.core.pytree import take
from jaxcrys.core.rng import sample_keys
from jaxcrys.core.typing import Float, Int, Key
from jaxcrys.crystal.buckets import fit_sites
from jaxcrys.crystal.hidden_symmetry import hides_symmetry
from jaxcrys.crystal.protostructure import protostructure_hash
from jaxcrys.crystal.types import Crystal
from jaxcrys.data.retrieval import Candidate, Retriever, retrieve
from jaxcrys.recipes.base import Composition
from jaxcrys.recipes.model import Model
from jaxcrys.recipes.template_likelihood import USUAL_SETS

STREAM = 0x5F0B
"""Tells the random numbers of proposals from others of the same seed."""

TOGETHER = 512
"""Templates that are drawn, or looked at, between two reports."""


@dataclasses.dataclass(frozen=True)
class Sources:
    """How many templates to look at for each formula.

    Attributes:
        drawn: templates that the model draws; equal ones count once.
        retrieved: templates taken from the training set.
        max_atoms: most atoms in the primitive cell, by which the number of formula units is
            limited; one unit is always allowed.
        groups: space groups to choose from; all by default.
    """

    drawn: int = 64
    retrieved: int = 20
    max_atoms: int = 20
    groups: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Weights:
    """Weights of the score; of 400 crystals of mix_20's validation set."""

    log_prob: float = 0.32
    distance: float = 5.3
    unknown: float = 5.7


class Proposals(NamedTuple):
    """Templates for several formulas, all those of one formula together.

    Attributes:
        templates: with the geometry of the crystal they were retrieved from, or blank.
        request: number of the formula.
        label: canonical hash.
        log_prob: of the template given the formula, under the model.
        distance: mean distance of the elements from those replaced; infinite if only drawn.
        row: crystal of the training set from which it was retrieved, or -1.
        times: how often it was drawn.
        score: the larger, the likelier.
    """

    templates: Crystal
    request: Int[np.ndarray, "m"]
    label: tuple[str, ...]
    log_prob: Float[np.ndarray, "m"]
    distance: Float[np.ndarray, "m"]
    row: Int[np.ndarray, "m"]
    times: Int[np.ndarray, "m"]
    score: Float[np.ndarray, "m"]


def propose(
    model: Model,
    retriever: Retriever | None,
    formulas: Sequence[str],
    *,
    sources: Sources,
    seed: int,
    most_sets: int = USUAL_SETS,
    progress: Progress | None = None,
) -> Proposals:
    """Templates for each formula; those of a formula depend on (seed, its number) alone.

    Args:
        model: of a recipe that composes templates; of any recipe, if none are to be drawn.
        retriever: the training set, or None to use the model alone.
        formulas: what is asked for.
        sources: how many templates of each kind.
        seed: of the draws.
        most_sets: sets of sites read for the likelihood (``recipes.template_likelihood``).
        progress: told how far it is.

    Raises:
        InputError: if a formula cannot be read, or no group can hold it.
    """
    progress = progress or Progress()
    found: list[dict[str, _Found]] = [{} for _ in formulas]
    if sources.drawn:
        _add_drawn(found, model, formulas, sources, seed, progress)
    if retriever is not None:
        _add_retrieved(found, retriever, formulas, sources, model.config.sites)
    if not any(found):
        raise InputError(
            "formula", f"no template was found for {formulas[0]}", "let the model draw some"
        )
    return _scored(model, found, most_sets, progress)


def best_proposals(found: Proposals, *, keep: int) -> Int[np.ndarray, "m"]:
    """Rows of the ``keep`` best proposals of each formula, those of a formula by falling score."""
    order = np.lexsort((-found.score, found.request))
    place = np.arange(len(order)) - np.searchsorted(found.request[order], found.request[order])
    return order[place < keep]


def score_of(
    log_prob: Float[np.ndarray, "m"], distance: Float[np.ndarray, "m"], weights: Weights = Weights()
) -> Float[np.ndarray, "m"]:
    """The score of the module's docstring; the distance is infinite where nothing was retrieved.

    Example:
        >>> score_of(np.array([-10.0, -10.0]), np.array([0.04, np.inf])).round(2).tolist()
        [-4.26, -8.9]
    """
    known = np.isfinite(distance)
    near = np.sqrt(np.where(known, distance, 0))
    return weights.log_prob * log_prob - np.where(known, weights.distance * near, weights.unknown)


class _Found(NamedTuple):
    """A template and where it was found, as in ``Proposals``."""

    crystal: Crystal
    distance: float = np.inf
    row: int = -1
    times: int = 0


def _add_drawn(
    found: list[dict[str, _Found]],
    model: Model,
    formulas: Sequence[str],
    sources: Sources,
    seed: int,
    progress: Progress,
) -> None:
    compose = model.config.functions.compose
    if compose is None:
        raise InputError(
            str(model.run), f"is a run of {model.config.recipe}, which does not compose formulas",
            "give --templates-from a run of wyformer, or --drawn 0",
        )  # fmt: skip
    compositions = [composition_of(formula, sources) for formula in formulas]
    step = max(1, TOGETHER // sources.drawn)
    with progress.bar("drawing templates of formulas", total=len(formulas)) as bar:
        for first in range(0, len(formulas), step):
            some = compositions[first : first + step]
            owner = np.repeat(np.arange(len(some)), sources.drawn)
            number = np.tile(np.arange(sources.drawn), len(some))
            drawn = compose(
                model.params, _keys(seed, first + owner, number), some, owner,
                config=model.config.settings, sites=model.config.sites,
            )  # fmt: skip
            for place in np.flatnonzero(~hides_symmetry(drawn)):
                request, crystal = first + owner[place], take(drawn, place)
                label = protostructure_hash(crystal)
                known = found[request].get(label, _Found(crystal))
                found[request][label] = known._replace(times=known.times + 1)
            bar.advance(len(some))


def _add_retrieved(
    found: list[dict[str, _Found]],
    retriever: Retriever,
    formulas: Sequence[str],
    sources: Sources,
    sites: int,
) -> None:
    for request, formula in enumerate(formulas):
        for candidate in known_templates(retriever, formula, sources, sites=sites):
            label = protostructure_hash(candidate.crystal)
            known = found[request].get(label, _Found(candidate.crystal))
            found[request][label] = known._replace(
                crystal=candidate.crystal, distance=candidate.distance, row=candidate.row
            )


def composition_of(formula: str, sources: Sources) -> Composition:
    """What is asked of the templates of a formula.

    Example:
        >>> composition_of("BaTiO3", Sources(max_atoms=12)).units
        (1, 2)
    """
    counts = parse_formula(formula)
    divisor = int(np.gcd.reduce(list(counts.values())))
    reduced = {number: count // divisor for number, count in counts.items()}
    most = max(1, sources.max_atoms // sum(reduced.values()))
    return Composition(reduced, tuple(range(1, most + 1)), sources.groups)


def known_templates(
    retriever: Retriever, formula: str, sources: Sources, *, sites: int
) -> list[Candidate]:
    """Candidates of the training set within what is asked for; none if it has nothing like it."""
    if not sources.retrieved:
        return []
    if (
        anonymous_formula(sorted(parse_formula(formula).values()))
        not in retriever.library.by_formula
    ):
        return []
    return [
        candidate
        for candidate in retrieve(retriever, formula, sources.retrieved)
        if (not sources.groups or int(candidate.crystal.group) in sources.groups)
        and (candidate.crystal.wyckoff > 0).sum() <= sites
    ]


def _scored(
    model: Model, found: list[dict[str, _Found]], most_sets: int, progress: Progress
) -> Proposals:
    rows = [
        (request, label, known) for request, own in enumerate(found) for label, known in own.items()
    ]
    crystals = [fit_sites(known.crystal, model.config.sites) for _, _, known in rows]
    templates = jax.tree.map(lambda *leaves: np.stack(leaves), *crystals)
    distance = np.array([known.distance for _, _, known in rows])
    log_prob = _log_prob(model, templates, most_sets, progress)
    return Proposals(
        templates=templates,
        request=np.array([request for request, _, _ in rows]),
        label=tuple(label for _, label, _ in rows),
        log_prob=log_prob,
        distance=distance,
        row=np.array([known.row for _, _, known in rows]),
        times=np.array([known.times for _, _, known in rows]),
        score=score_of(log_prob, distance),
    )


def _log_prob(
    model: Model, templates: Crystal, most_sets: int, progress: Progress
) -> Float[np.ndarray, "m"]:
    """Of each template given its formula; 0 under a model that does not tell."""
    log_prob = np.zeros(len(templates.group))
    likelihood = model.config.functions.likelihood
    if likelihood is None:
        return log_prob
    with progress.bar("likelihood of templates", total=len(log_prob)) as bar:
        for first in range(0, len(log_prob), TOGETHER):
            some = slice(first, first + TOGETHER)
            log_prob[some] = likelihood(
                model.params, take(templates, some), config=model.config.settings,
                formula_known=True, equivalents=True, most_sets=most_sets,
            ).log_prob  # fmt: skip
            bar.advance(len(log_prob[some]))
    return log_prob


def _keys(
    seed: int, owner: Int[np.ndarray, "b"], number: Int[np.ndarray, "b"]
) -> Key[jax.Array, "b"]:
    fold = jax.vmap(jax.random.fold_in)
    return fold(jax.vmap(jax.random.fold_in, (0, None))(sample_keys(seed, owner), STREAM), number)
