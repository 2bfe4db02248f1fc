r"""How likely a template is under ``wyformer``, in whatever order its sites come.

What comes next depends on the set S of the sites so far, not on their order. So the probability
q(S) that the sites of S are the first to come is a sum over the last of them, with q(∅) = 1,

    q(S) = Σ_{x ∈ S} q(S \ x) p(x | S \ x),

and a template T with D equivalent descriptions T_d of the same crystals has

    p(T) = p(group) Σ_d q(T_d) p(stop | T_d).

The network reads each subset of T_d once: Π (m_j + 1) of them, m_j the numbers of equal sites,
where the orders would be n! / Π m_j!. Where these are too many, a part of the descriptions, or of
the orders, is drawn at random and their mean stands for all; its logarithm in expectation is a
lower bound.
"""

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxcrys.core.compiling import quick_jit
from jaxcrys.core.pytree import take
from jaxcrys.core.typing import Float, Int
from jaxcrys.crystal.buckets import slot_widths
from jaxcrys.crystal.formula import Formula, formula_of
from jaxcrys.crystal.protostructure import relabellings
from jaxcrys.crystal.types import Crystal
from jaxcrys.parallel.blocks import block_size, in_blocks
from jaxcrys.recipes.base import LogProb, Params
from jaxcrys.recipes.site_model import (
    FORMULA_SLOTS,
    Config,
    group_log_prob,
    next_log_prob,
    unknown_formula,
)
from jaxcrys.symmetry.wyckoff import local_index, positions_of

MOST_SETS = 4096
"""Up to which sums are exact by default: the subsets of twelve sites."""

USUAL_SETS = 256
"""Enough for drawing and ranking: of inorganic crystals of up to 20 atoms 93 % are exact, the
logarithms of all are .16 off in the root mean square, at a third of the time of MOST_SETS."""

BLOCK = 1024
"""Sets that the network reads together."""

TEMPLATES = 256
"""Templates whose sets are held together."""

Sites = tuple[tuple[int, int], ...]
"""Pairs of position and atomic number."""


class _Sum(NamedTuple):
    """The sets of sites of one description over which the recursion runs.

    Attributes:
        sites: the different sites, [m 2].
        counts: of each set, how often it has each of them; the whole template is the last.
    """

    sites: Int[np.ndarray, "m 2"]
    counts: Int[np.ndarray, "r m"]


def template_log_prob(
    params: Params,
    templates: Crystal,
    *,
    config: Config,
    formula_known: bool = False,
    equivalents: bool = False,
    most_sets: int = MOST_SETS,
    seed: int = 0,
) -> LogProb:
    """Log-probabilities of templates as sets of sites.

    Args:
        params: of the network.
        templates: a batch, on the host.
        config: settings of the recipe; temperatures are not applied.
        formula_known: whether the model is told the formula of each.
        equivalents: whether to count all descriptions of the same crystals, or the given one only.
        most_sets: how many sets the network reads at most for one template.
        seed: of what is drawn where there are more; it depends on the seed and the template alone.
    """
    templates = jax.tree.map(np.asarray, templates)
    formulas = _formulas(templates, formula_known)
    of_group, of_next = _programs(config)
    size = block_size(len(templates.group), most=BLOCK)
    found = in_blocks(functools.partial(of_group, params), formulas, templates.group, size=size)
    found = found.astype(np.float64)
    exact = np.zeros(len(found), bool)
    for width, rows in _by_width((templates.wyckoff > 0).sum(-1)):
        chosen = [_sums(take(templates, row), equivalents, most_sets, seed) for row in rows]
        sums = [each for own, _ in chosen for each in own]
        owner = np.repeat(rows, [sum(len(each.counts) for each in own) for own, _ in chosen])
        logs = in_blocks(
            functools.partial(of_next, params), take(formulas, owner), templates.group[owner],
            *_arrays(sums, width), size=block_size(len(owner), most=BLOCK),
        )  # fmt: skip
        totals = iter(_totals(sums, *logs))
        for row, (own, count) in zip(rows, chosen, strict=True):
            values = [next(totals) for _ in own]
            found[row] += np.logaddexp.reduce(values) + math.log(count / len(own))
            exact[row] = count == len(own) and len(own[0].counts) == _subsets(own[0].counts[-1])
    return LogProb(found, exact)


def _formulas(templates: Crystal, known: bool) -> Formula:
    if known:
        return jax.device_get(formula_of(templates, slots=FORMULA_SLOTS))
    return jax.device_get(unknown_formula(len(templates.group)))


def _by_width(occupied: Int[np.ndarray, "b"]) -> Iterator[tuple[int, Int[np.ndarray, "m"]]]:
    """Templates in sets of one number of slots, few at a time, so that memory stays small."""
    widths = slot_widths(occupied)
    for width in np.unique(widths):
        rows = np.flatnonzero(widths == width)
        for start in range(0, len(rows), TEMPLATES):
            yield int(width), rows[start : start + TEMPLATES]


def _sums(template: Crystal, equivalents: bool, most: int, seed: int) -> tuple[list[_Sum], float]:
    """Sums that the network reads for a template, all or as many as allowed; how many there are."""
    occupied = template.wyckoff > 0
    sites = tuple(
        zip(template.wyckoff[occupied].tolist(), template.species[occupied].tolist(), strict=True)
    )
    group = int(template.group)
    described = descriptions(group, sites) if equivalents else [tuple(sorted(sites))]
    random = np.random.default_rng([seed, group, *itertools.chain(*described[0])])
    equal = np.array([len(list(same)) for _, same in itertools.groupby(described[0])])
    subsets = _subsets(equal)
    if subsets <= most:
        number = min(len(described), most // subsets)
        chosen = random.permutation(len(described))[:number]
        return [_all_subsets(described[i]) for i in sorted(chosen)], len(described)
    orders = math.factorial(len(sites)) // math.prod(math.factorial(m) for m in equal.tolist())
    drawn = max(most // (len(sites) + 1), 1)
    chosen = [described[i] for i in random.integers(len(described), size=drawn)]
    return [_one_order(each, random) for each in chosen], orders * len(described)


def _subsets(equal: Int[np.ndarray, "m"]) -> int:
    """Number of subsets of sites of which so many are equal."""
    return math.prod((equal + 1).tolist())


def _different(sites: Sites) -> tuple[Int[np.ndarray, "m 2"], Int[np.ndarray, "m"]]:
    """The different sites, and how often each is there."""
    return np.unique(np.array(sites, np.int32), axis=0, return_counts=True)


def _all_subsets(sites: Sites) -> _Sum:
    different, counts = _different(sites)
    subsets = itertools.product(*(range(count + 1) for count in counts.tolist()))
    return _Sum(different, np.array(list(subsets)))


def _one_order(sites: Sites, random: np.random.Generator) -> _Sum:
    """The sets that one random order goes through: the recursion then is that order alone."""
    different, counts = _different(sites)
    order = random.permutation(np.repeat(np.arange(len(counts)), counts))
    steps = np.eye(len(counts), dtype=int)[order]
    return _Sum(different, np.pad(steps.cumsum(0), ((1, 0), (0, 0))))


def _arrays(sums: Sequence[_Sum], width: int) -> tuple[Any, ...]:
    """What the network reads: positions and elements of each set, and the sites that may follow."""
    number = sum(len(each.counts) for each in sums)
    read, offered = (
        np.zeros((number, width + 1, 2), np.int32),
        np.zeros((number, width, 2), np.int32),
    )
    first = 0
    for sites, counts in sums:
        for row in counts:
            read[first, : row.sum()] = np.repeat(sites, row, axis=0)
            offered[first, : len(sites)] = sites
            first += 1
    return read[..., 0], read[..., 1], (offered[..., 0], offered[..., 1])


def _totals(
    sums: Sequence[_Sum], follows: Float[np.ndarray, "r m"], stops: Float[np.ndarray, "r"]
) -> Iterator[float]:
    """The recursion, for each sum."""
    first = 0
    for _, counts in sums:
        place = {tuple(row): number for number, row in enumerate(counts.tolist())}
        logs = np.full(len(counts), -np.inf)
        logs[0] = 0
        for number, row in enumerate(counts.tolist()):  # every set after all of its subsets
            for site in range(len(row)):
                row[site] += 1
                larger = place.get(tuple(row))
                row[site] -= 1
                if larger is not None:
                    step = logs[number] + float(follows[first + number, site])
                    logs[larger] = np.logaddexp(logs[larger], step)
        yield float(logs[-1] + stops[first + len(counts) - 1])
        first += len(counts)


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


@functools.cache
def _programs(config: Config) -> tuple[Any, Any]:
    of_group = functools.partial(group_log_prob, config=config)
    of_next = functools.partial(next_log_prob, config=config)
    return quick_jit(of_group), quick_jit(of_next)
