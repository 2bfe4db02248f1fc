"""Templates with elements, site by site: a set-autoregressive transformer (after WyFormer).

The space group is drawn from its share of the training set, a little smoothed. Sites follow one by
one, each a Wyckoff position and then its element, until the model stops; what symmetry forbids has
probability zero, so every template drawn is one (Kazeev et al. 2025, WyFormer, with the choices of
a letter and of an element as the cascade). Training reads the sites in random order and in a random
one of the equivalent descriptions. Sites that are given come first and stay.

What comes out has no geometry: coordinates and lattice are blank, for a recipe of crystals to fill.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.blocks import in_blocks
from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import pytree
from jaxcrys.core.rng import streams
from jaxcrys.core.typing import ArrayLike, Float, Int, Key
from jaxcrys.crystal.buckets import Cost
from jaxcrys.crystal.equivalents import random_equivalent
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.crystal.types import Crystal
from jaxcrys.nn import set_transformer
from jaxcrys.nn.set_transformer import (
    Memory,
    SetTransformerConfig,
    add_site,
    element_logits,
    init_set_transformer,
    position_logits,
    sequence_logits,
    start,
)
from jaxcrys.processes.categorical import draw, normalise
from jaxcrys.processes.site_sequence import (
    Limits,
    all_orders,
    legal_choices,
    legal_species,
    log_orders,
    log_prob,
    random_order,
)
from jaxcrys.recipes import group_prior
from jaxcrys.recipes.base import Metrics, Params, Recipe
from jaxcrys.recipes.factors import weighted_loss
from jaxcrys.recipes.group_prior import draw_groups, fit_groups
from jaxcrys.symmetry.groups import lattice_fixed
from jaxcrys.symmetry.wyckoff import local_index, position_at

MOST_ORDERS = 5040
"""Of the sites of a template, up to which probabilities are summed exactly: seven sites."""


BLOCK = 128
"""Sequences whose probabilities are computed together."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of the recipe.

    Attributes:
        network: size of the transformer.
        group_log_weights: log-probability of each group 1 to 230, from the training set.
        group_temperature: of the draw of the group; likewise the other two.
        augment: whether training shows equivalent descriptions.
    """

    network: SetTransformerConfig = SetTransformerConfig()
    group_log_weights: tuple[float, ...] = group_prior.UNIFORM
    group_temperature: float = 1.0
    position_temperature: float = 1.0
    element_temperature: float = 1.0
    augment: bool = True


@pytree
class State:
    """A template in the making.

    Attributes:
        wyckoff: positions so far, in the order in which they came.
        species: their elements.
        memory: of the network.
        hidden: what the network knows.
        open: whether it may go on.
    """

    wyckoff: Int[ArrayLike, "b s"]
    species: Int[ArrayLike, "b s"]
    memory: Memory
    hidden: Float[ArrayLike, "b c"]
    open: ArrayLike


def validate(config: Config) -> None:
    """Check the settings.

    Raises:
        InputError: naming the setting that cannot be used.
    """
    set_transformer.validate(config.network)
    group_prior.validate(config.group_log_weights)
    for name in ("group_temperature", "position_temperature", "element_temperature"):
        if not getattr(config, name) > 0:
            raise InputError(name, f"must be positive, got {getattr(config, name)}")


def fit(config: Config, crystals: Crystal) -> Config:
    """Take the shares of the groups from the data."""
    return dataclasses.replace(config, group_log_weights=fit_groups(np.asarray(crystals.group)))


def init(key: Key[jax.Array, ""], config: Config) -> Params:
    """Parameters of the network."""
    return init_set_transformer(key, config.network)


def loss(
    params: Params,
    key: Key[jax.Array, ""],
    crystals: Crystal,
    *,
    config: Config,
    shape: CellShape,
    training: bool = False,
) -> tuple[Float[jax.Array, ""], Metrics]:
    """Minus the log-probability of each template in one random order."""
    del shape
    batch = crystals.group.shape[0]
    own = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(batch))
    own = jax.vmap(lambda key: streams(key, "order", "description"))(own)
    if training and config.augment:
        crystals = jax.vmap(random_equivalent)(own["description"], crystals)
    wyckoff, species = jax.vmap(random_order)(own["order"], crystals.wyckoff, crystals.species)
    dropout = jax.random.fold_in(key, batch) if training else None
    scores = sequence_logits(
        config.network, params, crystals.group, wyckoff, species, dropout=dropout
    )
    positions, elements = log_prob(*scores, crystals.group, wyckoff, species)
    count = (crystals.wyckoff > 0).any(-1)
    total = count.sum().astype(jnp.float32)
    metrics = {
        "positions": (-jnp.where(count, positions, 0).sum(), total),
        "elements": (-jnp.where(count, elements, 0).sum(), total),
    }
    return weighted_loss(metrics, {"positions": 1.0, "elements": 1.0}), metrics


def complete(
    params: Params,
    keys: Key[jax.Array, "b"],
    templates: Crystal,
    limits: Limits,
    *,
    config: Config,
    sites: int,
) -> Crystal:
    """Draw what the templates leave open.

    Args:
        params: of the network.
        keys: one for each sample.
        templates: group 0 is to be drawn; sites that are given stay, with their element where it
            is not 0, and more may follow.
        limits: elements and number of atoms. Which limits can be met is checked beforehand, with
            ``symmetry.oracles``.
        config: settings.
        sites: most sites.

    Returns:
        Crystals without geometry. Where nothing legal is left, the template ends as it is.
    """
    own = jax.vmap(lambda key: streams(key, "group", "choice", "element"))(keys)
    drawn = draw_groups(
        own["group"], config.group_log_weights, limits.groups, temperature=config.group_temperature
    )
    group = jnp.where(templates.group > 0, templates.group, drawn)
    given = (templates.wyckoff[:, :sites], templates.species[:, :sites])
    memory, hidden = start(config.network, params, group, sites=sites)
    empty = jnp.zeros((len(group), sites), jnp.int32)
    state = State(empty, empty, memory, hidden, jnp.ones(len(group), bool))

    def one_site(state: State, index: jax.Array) -> tuple[State, None]:
        fixed, element = (jnp.take(values, index, axis=-1) for values in given)
        legal = legal_choices(group, state.wyckoff, state.species, limits)
        scores = position_logits(config.network, params, state.hidden, group)
        choice = _draw(own["choice"], index, scores / config.position_temperature, legal)
        choice = jnp.where(fixed > 0, local_index(fixed), choice)
        goes_on = state.open & ((fixed > 0) | legal.any(-1))
        position = jnp.where(goes_on, position_at(group, choice), 0)
        wyckoff = jnp.asarray(state.wyckoff).at[:, index].set(position)
        legal = legal_species(group, wyckoff, state.species, limits)
        scores = element_logits(config.network, params, state.hidden, position)
        drawn = _draw(own["element"], index, scores / config.element_temperature, legal)
        drawn = jnp.where(element > 0, element, drawn)
        species = jnp.asarray(state.species).at[:, index].set(jnp.where(position > 0, drawn, 0))
        memory, hidden = add_site(
            config.network, params, state.memory, position, species[:, index], index
        )
        return State(wyckoff, species, memory, hidden, goes_on & (position > 0)), None

    state, _ = jax.lax.scan(one_site, state, jnp.arange(sites))
    return Crystal(
        group=group.astype(jnp.int32),
        wyckoff=state.wyckoff,
        species=state.species,
        free=jnp.zeros((len(group), sites, 3)),
        lattice=lattice_fixed(group).astype(jnp.float32),
    )


def template_log_prob(
    params: Params,
    templates: Crystal,
    *,
    config: Config,
    key: Key[jax.Array, ""] | None = None,
    orders: int = 64,
) -> tuple[Float[np.ndarray, "b"], np.ndarray]:
    """Log-probability of templates as sets, in the description in which they are given.

    log p(G) + log Σ_σ p(σ) over the orders σ of the sites: exactly where there are at most
    :data:`MOST_ORDERS`, else estimated from random orders, which in expectation gives a lower
    bound.

    Args:
        params: of the network.
        templates: a batch, on the host.
        config: settings.
        key: of the random orders.
        orders: how many of them.

    Returns:
        Log-probabilities, and which of them are exact.
    """
    run = _sequence_log_prob(config)
    keys = jax.random.split(jax.random.key(0) if key is None else key, len(templates.group))
    logs, exact = [], []
    for number, group in enumerate(np.asarray(templates.group)):
        wyckoff = np.asarray(templates.wyckoff[number])
        species = np.asarray(templates.species[number])
        count = float(log_orders(jnp.asarray(wyckoff), jnp.asarray(species)))
        exact.append(count <= np.log(MOST_ORDERS) + 1e-3)
        if exact[-1]:
            sequences = all_orders(wyckoff, species)
        else:
            many = (np.broadcast_to(part, (orders, len(wyckoff))) for part in (wyckoff, species))
            sequences = jax.device_get(random_order(keys[number], *map(jnp.asarray, many)))
        groups = np.full(len(sequences[0]), group)
        found = in_blocks(functools.partial(run, params), groups, *sequences, size=BLOCK)
        total = np.logaddexp.reduce(found.astype(np.float64))
        if not exact[-1]:
            total += count - np.log(orders)
        logs.append(total + config.group_log_weights[group - 1])
    return np.array(logs), np.array(exact)


@functools.cache
def _sequence_log_prob(config: Config) -> Any:
    def run(params, group, wyckoff, species):
        scores = sequence_logits(config.network, params, group, wyckoff, species)
        return sum(log_prob(*scores, group, wyckoff, species))

    return jax.jit(run)


def _draw(
    keys: Key[jax.Array, "b"], index: jax.Array, scores: jax.Array, legal: ArrayLike
) -> Int[jax.Array, "b"]:
    own = jax.vmap(jax.random.fold_in, (0, None))(keys, index)
    return jax.vmap(draw)(own, normalise(jnp.where(legal, scores, -jnp.inf)))


def _cost(config: Config) -> Cost:
    del config
    return lambda sites, atoms, images: sites


PRESETS = {
    "tiny": Config(network=SetTransformerConfig(layers=2, channels=48, heads=4)),
    "small": Config(),
    "base": Config(network=SetTransformerConfig(layers=4, channels=192, heads=8)),
}

RECIPE = Recipe(
    makes="templates",
    config=Config,
    presets=PRESETS,
    validate=validate,
    fit=fit,
    init=init,
    loss=loss,
    cost=_cost,
    complete=complete,
    obeys=frozenset(("groups", "allowed", "required", "max_atoms")),
)
