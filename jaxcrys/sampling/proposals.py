"""Templates for a formula from two sources: drawn from a model, and known ones with new elements.

A model of templates draws some of exactly the formula (``recipes.exact_formula``); the training set
gives those of crystals of the same kind of formula, with the most similar elements first
(``data.retrieval``). Both are made unique by the canonical hash and scored together.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from jaxcrys.core.elements import anonymous_formula, parse_formula
from jaxcrys.core.pytree import take
from jaxcrys.core.rng import sample_keys
from jaxcrys.core.typing import Float, Int, Key
from jaxcrys.crystal.buckets import fit_sites
from jaxcrys.crystal.build import stack_crystals
from jaxcrys.crystal.protostructure import protostructure_hash
from jaxcrys.crystal.types import Crystal
from jaxcrys.data.retrieval import Candidate, Retriever, retrieve
from jaxcrys.recipes.exact_formula import Composition, complete_formula
from jaxcrys.recipes.model import Model
from jaxcrys.recipes.template_likelihood import template_log_prob

STREAM = 0x5F0B
"""Tells the random numbers of proposals from others of the same seed."""


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
    """

    templates: Crystal
    request: Int[np.ndarray, "m"]
    label: tuple[str, ...]
    log_prob: Float[np.ndarray, "m"]
    distance: Float[np.ndarray, "m"]
    row: Int[np.ndarray, "m"]
    times: Int[np.ndarray, "m"]


def propose(
    model: Model,
    retriever: Retriever | None,
    formulas: Sequence[str],
    *,
    sources: Sources,
    seed: int,
    terms: int = 8,
) -> Proposals:
    """Templates for each formula; those of a formula depend on (seed, its number) alone.

    Args:
        model: of a recipe that composes templates.
        retriever: the training set, or None to use the model alone.
        formulas: what is asked for.
        sources: how many templates of each kind.
        seed: of the draws.
        terms: of the sum for the likelihood (``recipes.template_likelihood``).

    Raises:
        InputError: if a formula cannot be read, or no group can hold it.
    """
    sites = model.config.sites
    compositions = [composition_of(formula, sources) for formula in formulas]
    owner = np.repeat(np.arange(len(formulas)), sources.drawn)
    number = np.tile(np.arange(sources.drawn), len(formulas))
    keys = _keys(seed, owner, number)
    settings = model.config.settings
    drawn = complete_formula(model.params, keys, compositions, owner, config=settings, sites=sites)
    found: list[dict[str, _Found]] = [{} for _ in formulas]
    for place, request in enumerate(owner):
        crystal = take(drawn, place)
        label = protostructure_hash(crystal)
        known = found[request].get(label, _Found(crystal))
        found[request][label] = known._replace(times=known.times + 1)
    if retriever is not None:
        for request, formula in enumerate(formulas):
            for candidate in known_templates(retriever, formula, sources, sites=sites):
                label = protostructure_hash(candidate.crystal)
                known = found[request].get(label, _Found(candidate.crystal))
                found[request][label] = known._replace(
                    crystal=fit_sites(candidate.crystal, sites),
                    distance=candidate.distance,
                    row=candidate.row,
                )
    return _scored(model, found, terms)


class _Found(NamedTuple):
    crystal: Crystal
    distance: float = np.inf
    row: int = -1
    times: int = 0


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


def _scored(model: Model, found: list[dict[str, _Found]], terms: int) -> Proposals:
    rows = [
        (request, label, known) for request, own in enumerate(found) for label, known in own.items()
    ]
    templates = stack_crystals([known.crystal for _, _, known in rows], capacity=model.config.sites)
    likelihood = template_log_prob(
        model.params, templates,
        config=model.config.settings, formula_known=True, equivalents=True, terms=terms,
    )  # fmt: skip
    return Proposals(
        templates=templates,
        request=np.array([request for request, _, _ in rows]),
        label=tuple(label for _, label, _ in rows),
        log_prob=likelihood.log_prob,
        distance=np.array([known.distance for _, _, known in rows]),
        row=np.array([known.row for _, _, known in rows]),
        times=np.array([known.times for _, _, known in rows]),
    )


def _keys(
    seed: int, owner: Int[np.ndarray, "b"], number: Int[np.ndarray, "b"]
) -> Key[jax.Array, "b"]:
    fold = jax.vmap(jax.random.fold_in)
    return fold(jax.vmap(jax.random.fold_in, (0, None))(sample_keys(seed, owner), STREAM), number)
