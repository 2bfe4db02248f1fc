"""Templates with elements, site by site: a set-autoregressive transformer (after WyFormer).

The space group is drawn from its share of the training set, a little smoothed; where the formula
is known, the network says how much more or less likely each group is. Sites follow one by one, each
a Wyckoff position and then its element, until the model stops; what symmetry forbids has
probability zero, so every template drawn is one (Kazeev et al. 2025, WyFormer, with the choices of
a letter and of an element as the cascade). Training reads the sites in random order and in a random
one of the equivalent descriptions, and is told the formula of a part of the crystals. Sites that
are given come first and stay.

What comes out has no geometry: coordinates and lattice are blank, for a recipe of crystals to fill.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import pytree
from jaxcrys.core.rng import streams
from jaxcrys.core.typing import ArrayLike, Bool, Float, Int, Key
from jaxcrys.crystal.buckets import Cost
from jaxcrys.crystal.equivalents import random_equivalent
from jaxcrys.crystal.formula import Formula, formula_of
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.crystal.types import Crystal
from jaxcrys.nn import set_transformer
from jaxcrys.nn.set_transformer import (
    Memory,
    SetTransformerConfig,
    add_group,
    add_site,
    element_logits,
    group_logits,
    init_set_transformer,
    position_logits,
    sequence_logits,
    start,
)
from jaxcrys.processes.categorical import normalise
from jaxcrys.processes.site_sequence import (
    Limits,
    legal_choices,
    legal_species,
    log_prob,
    random_order,
)
from jaxcrys.recipes.base import Metrics, Params, Recipe
from jaxcrys.recipes.factors import weighted_loss
from jaxcrys.symmetry.groups import lattice_fixed
from jaxcrys.symmetry.tables import NUM_GROUPS
from jaxcrys.symmetry.wyckoff import local_index, position_at

SMOOTHING = 0.1
"""Crystals that each group is given beside those it has, so that none is impossible."""

FORMULA_SLOTS = 8
"""Elements of a formula that the network reads at most."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of the recipe.

    Attributes:
        network: size of the transformer.
        group_log_weights: log-probability of each group 1 to 230, from the training set.
        group_temperature: of the draw of the group; likewise the other two.
        augment: whether training shows equivalent descriptions.
        formula_share: share of the training crystals of which the formula is told.
    """

    network: SetTransformerConfig = SetTransformerConfig()
    group_log_weights: tuple[float, ...] = (-float(np.log(NUM_GROUPS)),) * NUM_GROUPS
    group_temperature: float = 1.0
    position_temperature: float = 1.0
    element_temperature: float = 1.0
    augment: bool = True
    formula_share: float = 0.5


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
    if len(config.group_log_weights) != NUM_GROUPS:
        raise InputError("group_log_weights", f"must have {NUM_GROUPS} numbers")
    for name in ("group_temperature", "position_temperature", "element_temperature"):
        if not getattr(config, name) > 0:
            raise InputError(name, f"must be positive, got {getattr(config, name)}")
    if not 0 <= config.formula_share <= 1:
        raise InputError("formula_share", f"must be 0 to 1, got {config.formula_share}")


def fit(config: Config, crystals: Crystal) -> Config:
    """Take the shares of the groups from the data."""
    counts = np.bincount(crystals.group, minlength=NUM_GROUPS + 1)[1:] + SMOOTHING
    logs = np.log(counts / counts.sum())
    return dataclasses.replace(config, group_log_weights=tuple(np.round(logs, 5).tolist()))


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
    own = jax.vmap(lambda key: streams(key, "order", "description", "formula"))(own)
    if training and config.augment:
        crystals = jax.vmap(random_equivalent)(own["description"], crystals)
    formula = formula_of(crystals, slots=FORMULA_SLOTS)
    told = jax.vmap(jax.random.uniform)(own["formula"]) < config.formula_share
    formula = jax.tree.map(lambda part: jnp.where(told[:, None], part, 0), formula)
    wyckoff, species = jax.vmap(random_order)(own["order"], crystals.wyckoff, crystals.species)
    groups, positions, elements = sequence_log_prob(
        params, formula, crystals.group, wyckoff, species, config=config,
        dropout=jax.random.fold_in(key, batch) if training else None,
    )  # fmt: skip
    real = (crystals.wyckoff > 0).any(-1)
    known = real & is_known(formula)
    parts = {
        "groups": (groups, known),
        "positions": (positions, real),
        "elements": (elements, real),
    }
    metrics = {
        name: (-jnp.where(counts, values, 0).sum(), counts.sum().astype(jnp.float32))
        for name, (values, counts) in parts.items()
    }
    return weighted_loss(metrics, dict.fromkeys(metrics, 1.0)), metrics


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
    formula = unknown_formula(len(templates.group))
    memory, scores = begin(params, keys, formula, config=config, sites=sites)
    drawn = jnp.argmax(jnp.where(limits.groups, scores, -jnp.inf), -1)
    group = jnp.where(templates.group > 0, templates.group, drawn)
    given = (templates.wyckoff[:, :sites], templates.species[:, :sites])
    memory, hidden = add_group(config.network, params, memory, group, sites=sites)
    empty = jnp.zeros((len(group), sites), jnp.int32)
    state = State(empty, empty, memory, hidden, jnp.ones(len(group), bool))

    def one_site(state: State, index: jax.Array) -> tuple[State, None]:
        fixed, element = (jnp.take(values, index, axis=-1) for values in given)
        legal = legal_choices(group, state.wyckoff, state.species, limits)
        scores = offer_positions(params, keys, state.hidden, group, index, config=config)
        choice = jnp.argmax(jnp.where(legal, scores, -jnp.inf), -1)
        choice = jnp.where(fixed > 0, local_index(fixed), choice)
        goes_on = state.open & ((fixed > 0) | legal.any(-1))
        position = jnp.where(goes_on, position_at(group, choice), 0)
        wyckoff = jnp.asarray(state.wyckoff).at[:, index].set(position)
        legal = legal_species(group, wyckoff, state.species, limits)
        scores = offer_elements(params, keys, state.hidden, position, index, config=config)
        drawn = jnp.argmax(jnp.where(legal, scores, -jnp.inf), -1)
        drawn = jnp.where(element > 0, element, drawn)
        species = jnp.asarray(state.species).at[:, index].set(jnp.where(position > 0, drawn, 0))
        memory, hidden = add_site(
            config.network, params, state.memory, position, species[:, index], index, sites=sites
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
    told = jnp.where(is_known(formula)[:, None], scores, 0)
    return normalise(prior + told)


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
