"""What comes next in a template, as ``wyformer`` says it: group, position, element.

Scores of the network with the temperatures of the settings, for draws under any mask, and the
log-probabilities of whole sequences. Where the formula or a property is known the network is told,
and says how much more or less likely each group is than its share of the training set.

Under guidance (``recipes.properties``) the network reads every template twice: what it has read and
what it knows then have twice as many rows.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jaxcrys.core.typing import ArrayLike, Bool, Float, Int, Key
from jaxcrys.crystal.formula import Formula
from jaxcrys.nn.set_transformer import (
    Memory,
    SetTransformerConfig,
    add_group,
    add_site,
    element_logits,
    group_logits,
    position_logits,
    read_sites,
    sequence_logits,
    start,
)
from jaxcrys.processes.categorical import normalise
from jaxcrys.processes.site_sequence import legal_choices, log_prob
from jaxcrys.recipes import group_prior
from jaxcrys.recipes.base import Params
from jaxcrys.recipes.properties import (
    Property,
    Target,
    any_known,
    for_each_reading,
    guided,
    told_values,
)
from jaxcrys.symmetry.wyckoff import local_index

FORMULA_SLOTS = 8
"""Elements of a formula that the network reads at most."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of the recipe.

    Attributes:
        network: size of the transformer.
        group_log_weights: log-probability of each group 1 to 230, from the training set.
        group_temperature: of the draw of the group; likewise of positions and elements.
        told_temperature: of what the network says of the group where it was told of the formula or
            of properties.
        augment: whether training shows equivalent descriptions.
        formula_share: share of the training crystals of which the formula is told.
        substitutions: share of them that get similar elements in place of their own
            (``recipes.substitution``); never those of which a property is told.
        properties: that can be told, taken from the training set.
        properties_share: share of the training crystals of which any property is told.
        each_property_share: share of the known properties of these that is told.
    """

    network: SetTransformerConfig = SetTransformerConfig()
    group_log_weights: tuple[float, ...] = group_prior.UNIFORM
    group_temperature: float = 1.0
    told_temperature: float = 1.0
    position_temperature: float = 1.0
    element_temperature: float = 1.0
    augment: bool = True
    formula_share: float = 0.5
    substitutions: float = 0.0
    properties: tuple[Property, ...] = ()
    properties_share: float = 0.8
    each_property_share: float = 0.5


def sequence_log_prob(
    params: Params,
    formula: Formula,
    group: Int[ArrayLike, "b"],
    wyckoff: Int[ArrayLike, "b s"],
    species: Int[ArrayLike, "b s"],
    *,
    config: Config,
    properties: Float[ArrayLike, "b p"] | None = None,
    dropout: Key[jax.Array, ""] | None = None,
) -> tuple[Float[ArrayLike, "b"], Float[ArrayLike, "b"], Float[ArrayLike, "b"]]:
    """Log-probabilities of the group, of all positions and of all elements, in the order given.

    Where the formula is known only its elements are possible; that the amounts come out right is
    not assumed.
    """
    values = None if properties is None else told_values(Target(properties), config)
    groups, *scores = sequence_logits(
        config.network, params, formula, group, wyckoff, species,
        properties=values, dropout=dropout,
    )  # fmt: skip
    allowed = elements_of(formula, scores[-1].shape[-1]) | ~is_known(formula)[:, None]
    logs = _group_log_probs(_of_groups(groups, formula, values, config), config)
    found = jnp.take_along_axis(logs, jnp.asarray(group)[:, None], -1)[:, 0]
    return found, *log_prob(*scores, group, wyckoff, species, allowed=allowed)


def group_log_prob(
    params: Params, formula: Formula, group: Int[ArrayLike, "b"], *, config: Config
) -> Float[ArrayLike, "b"]:
    """Log-probability of the group."""
    _, hidden = start(config.network, params, formula, sites=0)
    scores = _of_groups(group_logits(config.network, params, hidden), formula, None, config)
    return jnp.take_along_axis(_group_log_probs(scores, config), group[:, None], -1)[:, 0]


def next_log_prob(
    params: Params,
    formula: Formula,
    group: Int[ArrayLike, "b"],
    wyckoff: Int[ArrayLike, "b s"],
    species: Int[ArrayLike, "b s"],
    offered: tuple[Int[ArrayLike, "b m"], Int[ArrayLike, "b m"]],
    *,
    config: Config,
) -> tuple[Float[ArrayLike, "b m"], Float[ArrayLike, "b"]]:
    """Log-probability of each of several sites to come after a set of sites, and of stopping.

    Args:
        params: of the network.
        formula: of the crystals, or unknown.
        group: space groups.
        wyckoff: positions of the set, with at least one empty slot.
        species: their elements.
        offered: positions and elements of the sites that may come; 0 where there are fewer.
        config: settings.
    """
    hidden = read_sites(config.network, params, formula, group, wyckoff, species)
    scores = position_logits(config.network, params, hidden, group)
    logs = normalise(jnp.where(legal_choices(group, wyckoff, species), scores, -jnp.inf))
    where = jnp.maximum(local_index(offered[0]), 0)
    of_positions = jnp.take_along_axis(logs, where, -1)
    repeated = jnp.broadcast_to(hidden[:, None], (*offered[0].shape, hidden.shape[-1]))
    scores = element_logits(config.network, params, repeated, offered[0])
    possible = elements_of(formula, scores.shape[-1]) | ~is_known(formula)[:, None]
    possible = possible & (jnp.arange(scores.shape[-1]) > 0)
    logs_of_elements = normalise(jnp.where(possible[:, None], scores, -jnp.inf))
    of_elements = jnp.take_along_axis(logs_of_elements, offered[1][..., None], -1)[..., 0]
    return of_positions + of_elements, logs[:, -1]


def is_known(formula: Formula) -> Bool[ArrayLike, "b"]:
    """Whether the formula is given."""
    return (jnp.asarray(formula.elements) > 0).any(-1)


def elements_of(formula: Formula, size: int) -> Bool[ArrayLike, "b z"]:
    """Which elements, by atomic number, the formula has."""
    numbers = jnp.arange(size)
    return (jnp.asarray(formula.elements)[..., None, :] == numbers[:, None]).any(-1) & (numbers > 0)


def unknown_formula(count: int) -> Formula:
    """Of samples of which no formula is given."""
    nothing = jnp.zeros((count, FORMULA_SLOTS), jnp.int32)
    return Formula(nothing, nothing)


def begin(
    params: Params,
    keys: Key[jax.Array, "b"],
    formula: Formula,
    *,
    config: Config,
    sites: int,
    target: Target | None = None,
) -> tuple[Memory, Float[jax.Array, "b g"]]:
    """Read formula and target. Of the groups that are legal, that of the largest score is drawn.

    Guidance is of what the network says of the group; its share of the training set counts once.
    """
    guidance = None if target is None else target.guidance
    formula, values = for_each_reading(formula, guidance), told_values(target, config)
    memory, hidden = start(config.network, params, formula, sites=sites, properties=values)
    scores = _of_groups(group_logits(config.network, params, hidden), formula, values, config)
    logs = _group_log_probs(guided(scores, guidance), config)
    return memory, _noisy(keys, 0, logs, config.group_temperature)


def read_group(
    params: Params,
    memory: Memory,
    group: Int[ArrayLike, "b"],
    *,
    config: Config,
    sites: int,
    guidance: Float[ArrayLike, "b"] | None = None,
) -> tuple[Memory, Float[jax.Array, "r c"]]:
    """What the network knows with the group."""
    group = for_each_reading(jnp.asarray(group), guidance)
    return add_group(config.network, params, memory, group, sites=sites)


def read_site(
    params: Params,
    memory: Memory,
    wyckoff: Int[ArrayLike, "b"],
    species: Int[ArrayLike, "b"],
    index: Int[ArrayLike, ""],
    *,
    config: Config,
    sites: int,
    guidance: Float[ArrayLike, "b"] | None = None,
) -> tuple[Memory, Float[jax.Array, "r c"]]:
    """What the network knows with site ``index``."""
    wyckoff, species = (
        for_each_reading(jnp.asarray(part), guidance) for part in (wyckoff, species)
    )
    return add_site(config.network, params, memory, wyckoff, species, index, sites=sites)


def offer_positions(
    params: Params,
    keys: Key[jax.Array, "b"],
    hidden: Float[ArrayLike, "r c"],
    group: Int[ArrayLike, "b"],
    index: Int[ArrayLike, ""],
    *,
    config: Config,
    guidance: Float[ArrayLike, "b"] | None = None,
) -> Float[jax.Array, "b 28"]:
    """Scores for site ``index``; of the choices that are legal, the largest is drawn."""
    group = for_each_reading(jnp.asarray(group), guidance)
    scores = guided(position_logits(config.network, params, hidden, group), guidance)
    return _noisy(keys, 1 + 2 * index, scores, config.position_temperature)


def offer_elements(
    params: Params,
    keys: Key[jax.Array, "b"],
    hidden: Float[ArrayLike, "r c"],
    position: Int[ArrayLike, "b"],
    index: Int[ArrayLike, ""],
    *,
    config: Config,
    guidance: Float[ArrayLike, "b"] | None = None,
) -> Float[jax.Array, "b z"]:
    """Scores of the element of site ``index``; of those that are legal, the largest is drawn."""
    position = for_each_reading(jnp.asarray(position), guidance)
    scores = guided(element_logits(config.network, params, hidden, position), guidance)
    return _noisy(keys, 2 + 2 * index, scores, config.element_temperature)


def _noisy(
    keys: Key[jax.Array, "b"],
    number: Int[ArrayLike, ""] | int,
    scores: jax.Array,
    temperature: float,
) -> jax.Array:
    """Scores whose maximum over any subset is a draw from it (Gumbel)."""
    own = jax.vmap(jax.random.fold_in, (0, None))(keys, number)
    noise = jax.vmap(lambda key: jax.random.gumbel(key, scores.shape[1:]))(own)
    return scores / temperature + noise


def _of_groups(
    scores: Float[jax.Array, "r g"],
    formula: Formula,
    values: Float[ArrayLike, "r p"] | None,
    config: Config,
) -> Float[jax.Array, "r g"]:
    """What the network says of the groups; nothing where it is told of nothing."""
    told = is_known(formula)
    if values is not None:
        told |= any_known(values)
    return jnp.where(told[:, None], scores / config.told_temperature, 0)


def _group_log_probs(scores: Float[jax.Array, "b g"], config: Config) -> Float[jax.Array, "b g"]:
    """The shares of the training set, changed by scores. Entry 0, no group, is impossible."""
    return normalise(jnp.asarray((-jnp.inf, *config.group_log_weights)) + scores)
