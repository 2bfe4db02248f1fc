"""Templates with elements, site by site: a set-autoregressive transformer (after WyFormer).

The space group is drawn from its share of the training set, a little smoothed; where the formula
or a property is known, the network says how much more or less likely each group is. Sites follow
one by one, each a Wyckoff position and then its element, until the model stops; what symmetry
forbids has probability zero, so every template drawn is one (Kazeev et al. 2025, WyFormer, with the
choices of a letter and of an element as the cascade). Training reads the sites in random order and
in a random one of the equivalent descriptions, and is told the formula of a part of the crystals,
and some of their properties; what is asked of samples is stressed by classifier-free guidance
(``recipes.properties``). Sites that are given come first and stay.

What comes out has no geometry: coordinates and lattice are blank, for a recipe of crystals to fill.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import pytree
from jaxcrys.core.rng import streams
from jaxcrys.core.typing import ArrayLike, Float, Int, Key
from jaxcrys.crystal.buckets import Cost
from jaxcrys.crystal.equivalents import random_equivalent
from jaxcrys.crystal.formula import formula_of
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.crystal.types import Crystal
from jaxcrys.nn import set_transformer
from jaxcrys.nn.set_transformer import Memory, SetTransformerConfig, init_set_transformer
from jaxcrys.processes.site_sequence import Limits, legal_choices, legal_species, random_order
from jaxcrys.recipes import group_prior
from jaxcrys.recipes.base import Metrics, Params, Recipe
from jaxcrys.recipes.exact_formula import complete_formula
from jaxcrys.recipes.factors import in_slots, sum_and_count, weighted_loss
from jaxcrys.recipes.group_prior import fit_groups
from jaxcrys.recipes.properties import (
    Target,
    any_known,
    condition,
    told_in_training,
    validate_properties,
)
from jaxcrys.recipes.site_model import (
    FORMULA_SLOTS,
    Config,
    begin,
    is_known,
    offer_elements,
    offer_positions,
    read_group,
    read_site,
    sequence_log_prob,
    unknown_formula,
)
from jaxcrys.recipes.substitution import substitute_species
from jaxcrys.recipes.template_likelihood import template_log_prob
from jaxcrys.symmetry.groups import lattice_fixed
from jaxcrys.symmetry.wyckoff import local_index, position_at


@pytree
class State:
    """A template in the making.

    Attributes:
        wyckoff: positions so far, in the order in which they came; those that were given are there
            from the start.
        species: their elements, 0 where they are still to be drawn.
        memory: of the network.
        hidden: what the network knows.
        open: whether it may go on.
    """

    wyckoff: Int[ArrayLike, "b s"]
    species: Int[ArrayLike, "b s"]
    memory: Memory
    hidden: Float[ArrayLike, "r c"]
    open: ArrayLike


def validate(config: Config) -> None:
    """Check the settings.

    Raises:
        InputError: naming the setting that cannot be used.
    """
    set_transformer.validate(config.network)
    group_prior.validate(config.group_log_weights)
    for kind in ("group", "told", "position", "element"):
        name = f"{kind}_temperature"
        if not getattr(config, name) > 0:
            raise InputError(name, f"must be positive, got {getattr(config, name)}")
    for name in ("formula_share", "substitutions"):
        if not 0 <= getattr(config, name) <= 1:
            raise InputError(name, f"must be 0 to 1, got {getattr(config, name)}")
    validate_properties(config)


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
    properties: Float[ArrayLike, "b p"] | None = None,
    training: bool = False,
) -> tuple[Float[jax.Array, ""], Metrics]:
    """Minus the log-probability of each template in one random order."""
    del shape
    batch = crystals.group.shape[0]
    own = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(batch))
    names = "order", "description", "formula", "substitution"
    told = told_in_training(own, properties, config)
    own = jax.vmap(lambda key: streams(key, *names))(own)
    if training and config.augment:
        crystals = jax.vmap(random_equivalent)(own["description"], crystals)
    if training and config.substitutions:
        # with other elements the properties would be wrong
        share = jnp.where(any_known(told), 0, config.substitutions)
        species = jax.vmap(substitute_species)(
            own["substitution"], jnp.asarray(crystals.species), share
        )
        crystals = dataclasses.replace(crystals, species=species)
    formula = formula_of(crystals, slots=FORMULA_SLOTS)
    shown = jax.vmap(jax.random.uniform)(own["formula"]) < config.formula_share
    formula = jax.tree.map(lambda part: jnp.where(shown[:, None], part, 0), formula)
    wyckoff, species = jax.vmap(random_order)(own["order"], crystals.wyckoff, crystals.species)
    groups, positions, elements = sequence_log_prob(
        params, formula, crystals.group, wyckoff, species, config=config, properties=told,
        dropout=jax.random.fold_in(key, batch) if training else None,
    )  # fmt: skip
    real = (jnp.asarray(crystals.wyckoff) > 0).any(-1)
    known = real & (is_known(formula) | any_known(told))
    metrics = {
        "groups": sum_and_count(-groups, known),
        "positions": sum_and_count(-positions, real),
        "elements": sum_and_count(-elements, real),
    }
    return weighted_loss(metrics, dict.fromkeys(metrics, 1.0)), metrics


def complete(
    params: Params,
    keys: Key[jax.Array, "b"],
    templates: Crystal,
    limits: Limits,
    *,
    config: Config,
    sites: int,
    target: Target | None = None,
) -> Crystal:
    """Draw what the templates leave open.

    Args:
        params: of the network.
        keys: one for each sample.
        templates: group 0 is to be drawn; sites that are given stay, with their element where it
            is not 0, and more may follow.
        limits: groups, elements and amounts. Which limits can be met is checked beforehand, with
            ``symmetry.oracles``.
        config: settings.
        sites: most sites.
        target: properties that are asked for.

    Returns:
        Crystals without geometry. Where nothing legal is left, the template ends as it is.
    """
    formula = unknown_formula(len(templates.group))
    guidance = None if target is None else target.guidance
    memory, scores = begin(params, keys, formula, config=config, sites=sites, target=target)
    drawn = jnp.argmax(scores + limits.groups, -1)
    group = jnp.where(templates.group > 0, templates.group, drawn)
    templates = in_slots(templates, sites)
    given = (templates.wyckoff, templates.species)
    memory, hidden = read_group(
        params, memory, group, config=config, sites=sites, guidance=guidance
    )
    state = State(*given, memory, hidden, jnp.ones(len(group), bool))

    def one_site(state: State, index: jax.Array) -> tuple[State, None]:
        fixed, element = (jnp.take(values, index, axis=-1) for values in given)
        legal = legal_choices(group, state.wyckoff, state.species, limits)
        scores = offer_positions(
            params, keys, state.hidden, group, index, config=config, guidance=guidance
        )
        choice = jnp.argmax(jnp.where(legal, scores, -jnp.inf), -1)
        choice = jnp.where(fixed > 0, local_index(fixed), choice)
        goes_on = state.open & ((fixed > 0) | legal.any(-1))
        position = jnp.where(goes_on, position_at(group, choice), 0)
        wyckoff = jnp.asarray(state.wyckoff).at[:, index].set(position)
        legal = legal_species(group, wyckoff, state.species, limits)
        scores = offer_elements(
            params, keys, state.hidden, position, index, config=config, guidance=guidance
        )
        drawn = jnp.argmax(jnp.where(legal, scores, -jnp.inf), -1)
        drawn = jnp.where(element > 0, element, drawn)
        species = jnp.asarray(state.species).at[:, index].set(jnp.where(position > 0, drawn, 0))
        memory, hidden = read_site(
            params, state.memory, position, species[:, index], index,
            config=config, sites=sites, guidance=guidance,
        )  # fmt: skip
        return State(wyckoff, species, memory, hidden, goes_on & (position > 0)), None

    state, _ = jax.lax.scan(one_site, state, jnp.arange(sites))
    return Crystal(
        group=group.astype(jnp.int32),
        wyckoff=state.wyckoff,
        species=state.species,
        free=jnp.zeros((len(group), sites, 3)),
        lattice=lattice_fixed(group).astype(jnp.float32),
    )


def _cost(config: Config) -> Cost:
    del config
    return lambda sites, atoms, images: sites


PRESETS = {
    "tiny": Config(network=SetTransformerConfig(layers=2, channels=48, heads=4)),
    "small": Config(network=SetTransformerConfig(dropout=0.25), substitutions=0.5),
    "base": Config(
        network=SetTransformerConfig(layers=4, channels=192, heads=8, dropout=0.25),
        substitutions=0.5,
    ),
}

OBEYS = frozenset(("groups", "allowed", "required", "amounts", "sites", "formula", "properties"))
"""What can be fixed."""

RECIPE = Recipe(
    makes="templates",
    config=Config,
    presets=PRESETS,
    validate=validate,
    fit=fit,
    init=init,
    loss=loss,
    cost=_cost,
    condition=condition,
    template_properties=lambda config: config.properties,
    complete=complete,
    compose=complete_formula,
    likelihood=template_log_prob,
    obeys=OBEYS,
)
