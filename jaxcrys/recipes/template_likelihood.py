"""How likely a template is under ``wyformer``: sums over the orders in which its sites can come.

A template of n sites can be drawn in N = n! / Π m_j! orders σ, m_j the numbers of equal sites, and
in D equivalent descriptions d of the same crystals:

    log p(template) = log Σ_d Σ_σ p(group) p(d, σ | group).

Where the sum has few terms it is exact; else N D times the mean over some terms drawn at random,
whose logarithm in expectation is a lower bound.
"""

import functools
import itertools
import math
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from jaxcrys.core.blocks import in_blocks
from jaxcrys.core.pytree import take
from jaxcrys.core.typing import Int
from jaxcrys.crystal.formula import Formula, formula_of
from jaxcrys.crystal.protostructure import relabellings
from jaxcrys.crystal.types import Crystal
from jaxcrys.recipes.base import LogProb, Params
from jaxcrys.recipes.site_model import (
    FORMULA_SLOTS,
    Config,
    sequence_log_prob,
    unknown_formula,
)
from jaxcrys.symmetry.wyckoff import local_index, positions_of

MOST_TERMS = 5040
"""Up to which sums are exact by default: the orders of seven sites."""

BLOCK = 256
"""Sequences that the network reads together."""

WIDTHS = (4, 9, 20)
"""Numbers of slots that programs are compiled for; larger templates have their own."""

Sites = tuple[tuple[int, int], ...]
"""Pairs of position and atomic number."""


def template_log_prob(
    params: Params,
    templates: Crystal,
    *,
    config: Config,
    formula_known: bool = False,
    equivalents: bool = False,
    terms: int = MOST_TERMS,
    seed: int = 0,
) -> LogProb:
    """Log-probabilities of templates as sets of sites.

    Args:
        params: of the network.
        templates: a batch, on the host.
        config: settings of the recipe; temperatures are not applied.
        formula_known: whether the model is told the formula of each.
        equivalents: whether to count all descriptions of the same crystals, or the given one only.
        terms: how many terms of the sum to compute at most.
        seed: of the terms that are drawn where there are more.
    """
    templates = jax.tree.map(np.asarray, templates)
    formulas = _formulas(templates, formula_known)
    found = np.zeros(len(templates.group))
    exact = np.zeros(len(found), bool)
    occupied = (templates.wyckoff > 0).sum(-1)
    for width, rows in _by_width(occupied):
        sums = [
            _terms(take(templates, row), equivalents, terms, np.random.default_rng([seed, row]))
            for row in rows
        ]
        owner = np.repeat(np.arange(len(rows)), [len(sequences) for sequences, _ in sums])
        sites = np.concatenate([_padded(sequences, width) for sequences, _ in sums])
        logs = in_blocks(
            functools.partial(_program(config), params),
            take(formulas, rows[owner]), templates.group[rows[owner]], sites[..., 0], sites[..., 1],
            size=BLOCK,
        )  # fmt: skip
        for place, (row, (sequences, count)) in enumerate(zip(rows, sums, strict=True)):
            own = logs[owner == place].astype(np.float64)
            exact[row] = count == len(sequences)
            found[row] = np.logaddexp.reduce(own) + math.log(count / len(sequences))
    return LogProb(found, exact)


def _formulas(templates: Crystal, known: bool) -> Formula:
    if known:
        return jax.device_get(formula_of(templates, slots=FORMULA_SLOTS))
    return jax.device_get(unknown_formula(len(templates.group)))


def _by_width(occupied: Int[np.ndarray, "b"]) -> Iterator[tuple[int, Int[np.ndarray, "m"]]]:
    """Templates in sets of one number of slots, few at a time, so that memory stays small."""
    widths = np.array([next((w for w in WIDTHS if w >= n), n) for n in occupied])
    for width in np.unique(widths):
        rows = np.flatnonzero(widths == width)
        for start in range(0, len(rows), BLOCK):
            yield int(width), rows[start : start + BLOCK]


def _terms(
    template: Crystal, equivalents: bool, most: int, random: np.random.Generator
) -> tuple[list[Sites], int]:
    """Sequences of sites, all or as many as allowed, and how many there are in all."""
    occupied = template.wyckoff > 0
    sites = tuple(
        zip(template.wyckoff[occupied].tolist(), template.species[occupied].tolist(), strict=True)
    )
    described = descriptions(int(template.group), sites) if equivalents else [sites]
    equal = [sites.count(site) for site in set(sites)]
    count = math.factorial(len(sites)) // math.prod(map(math.factorial, equal)) * len(described)
    if count <= most:
        return [order for d in described for order in sorted(set(itertools.permutations(d)))], count
    drawn = []
    for _ in range(most):
        chosen = described[random.integers(len(described))]
        drawn.append(tuple(chosen[i] for i in random.permutation(len(sites))))
    return drawn, count


def descriptions(group: int, sites: Sites) -> list[Sites]:
    """The same sites in every description of the group, each set of sites once.

    Example:
        >>> from jaxcrys.symmetry.wyckoff import position_id
        >>> a, b = position_id(225, "a"), position_id(225, "b")
        >>> found = descriptions(225, ((a, 11), (b, 17)))
        >>> found == [((a, 11), (b, 17)), ((a, 17), (b, 11))]
        True
    """
    first = positions_of(group)[0]
    local = local_index(np.array([wyckoff for wyckoff, _ in sites]))
    moved = relabellings(group, mirror=False).positions[:, local] + first
    species = [number for _, number in sites]
    return sorted({tuple(sorted(zip(row, species, strict=True))) for row in moved.tolist()})


def _padded(sequences: list[Sites], width: int) -> Int[np.ndarray, "m s 2"]:
    array = np.array(sequences, np.int32)
    return np.pad(array, [(0, 0), (0, width - array.shape[1]), (0, 0)])


@functools.cache
def _program(config: Config) -> Any:
    def run(params, formula, group, wyckoff, species):
        return sum(sequence_log_prob(params, formula, group, wyckoff, species, config=config))

    return jax.jit(run)
