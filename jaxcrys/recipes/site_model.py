"""What comes next in a template, as ``wyformer`` says it: group, position, element.

Scores of the network with the temperatures of the settings, for draws under any mask, and the
log-probabilities of whole sequences. Where the formula is known the network is told, and says how
much more or less likely each group is than its share of the training set.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jaxcrys.core.typing import ArrayLike, Bool, Float, Int, Key
from jaxcrys.crystal.formula import Formula
from jaxcrys.nn.set_transformer import (
    Memory,
    SetTransformerConfig,
    element_logits,
    group_logits,
    position_logits,
    sequence_logits,
    start,
)
from jaxcrys.processes.categorical import normalise
from jaxcrys.processes.site_sequence import log_prob
from jaxcrys.recipes import group_prior
from jaxcrys.recipes.base import Params

FORMULA_SLOTS = 8
"""Elements of a formula that the network reads at most."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of the recipe.

    Attributes:
        network: size of the transformer.
        group_log_weights: log-probability of each group 1 to 230, from the training set.
        group_temperature: of the draw of the group; likewise of positions and elements.
        formula_temperature: of what the network says of the group where the formula is known.
        augment: whether training shows equivalent descriptions.
        formula_share: share of the training crystals of which the formula is told.
        substitutions: share of them that get similar elements in place of their own
            (``recipes.substitution``).
    """

    network: SetTransformerConfig = SetTransformerConfig()
    group_log_weights: tuple[float, ...] = group_prior.UNIFORM
    group_temperature: float = 1.0
    formula_temperature: float = 1.0
    position_temperature: float = 1.0
    element_temperature: float = 1.0
    augment: bool = True
    formula_share: float = 0.5
    substitutions: float = 0.0


def sequence_log_prob(
    params: Params,
    formula: Formula,
    group: Int[ArrayLike, "b"],
    wyckoff: Int[ArrayLike, "b s"],
    species: Int[ArrayLike, "b s"],
    *,
    config: Config,
    dropout: Key[jax.Array, ""] | None = None,
) -> tuple[Float[ArrayLike, "b"], Float[ArrayLike, "b"], Float[ArrayLike, "b"]]:
    """Log-probabilities of the group, of all positions and of all elements, in the order given.

    Where the formula is known only its elements are possible; that the amounts come out right is
    not assumed.
    """
    groups, *scores = sequence_logits(
        config.network, params, formula, group, wyckoff, species, dropout=dropout
    )
    allowed = elements_of(formula, scores[-1].shape[-1]) | ~is_known(formula)[:, None]
    logs = _group_log_probs(groups, formula, config)
    found = jnp.take_along_axis(logs, jnp.asarray(group)[:, None], -1)[:, 0]
    return found, *log_prob(*scores, group, wyckoff, species, allowed=allowed)


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
) -> tuple[Memory, Float[jax.Array, "b g"]]:
    """Read the formula. Of the groups that are legal, that with the largest score is drawn."""
    memory, hidden = start(config.network, params, formula, sites=sites)
    scores = group_logits(config.network, params, hidden)
    logs = _group_log_probs(scores, formula, config)
    return memory, _noisy(keys, 0, logs, config.group_temperature)


def offer_positions(
    params: Params,
    keys: Key[jax.Array, "b"],
    hidden: Float[ArrayLike, "b c"],
    group: Int[ArrayLike, "b"],
    index: Int[ArrayLike, ""],
    *,
    config: Config,
) -> Float[jax.Array, "b 28"]:
    """Scores for site ``index``; of the choices that are legal, the largest is drawn."""
    scores = position_logits(config.network, params, hidden, group)
    return _noisy(keys, 1 + 2 * index, scores, config.position_temperature)


def offer_elements(
    params: Params,
    keys: Key[jax.Array, "b"],
    hidden: Float[ArrayLike, "b c"],
    position: Int[ArrayLike, "b"],
    index: Int[ArrayLike, ""],
    *,
    config: Config,
) -> Float[jax.Array, "b z"]:
    """Scores of the element of site ``index``; of those that are legal, the largest is drawn."""
    scores = element_logits(config.network, params, hidden, position)
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


def _group_log_probs(
    scores: Float[jax.Array, "b g"], formula: Formula, config: Config
) -> Float[jax.Array, "b g"]:
    """The shares of the training set, changed by what the network says where the formula is known.

    Entry 0, no group, is impossible.
    """
    prior = jnp.asarray((-jnp.inf, *config.group_log_weights))
    told = jnp.where(is_known(formula)[:, None], scores / config.formula_temperature, 0)
    return normalise(prior + told)
