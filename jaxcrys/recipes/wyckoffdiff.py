"""Templates with elements, all positions at once: discrete diffusion (after WyckoffDiff).

The space group is drawn from its share of the training set. A template is then the occupation of
the group's Wyckoff positions (``crystal.slots``): of each position without free coordinates the
element, of each other the number of sites of each element. They are noised by D3PM and predicted by
a network that sees all positions (Ekström Kelvinius et al. 2025, WyckoffDiff). With
``transition="zeros"``, the published choice, noise empties positions until nothing is left.
Training shows a random one of the equivalent descriptions.

A draw that is empty, or has more sites than there is room for, is thrown away and drawn again, from
a new key of that sample. After ``attempts`` draws it is mended: of too many sites the last in the
alphabet are left out; an empty template gets one site on the general position, of the allowed
element that is most common on positions without free coordinates.

What comes out has no geometry: coordinates and lattice are blank, for a recipe of crystals to fill.
"""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import pytree
from jaxcrys.core.rng import streams
from jaxcrys.core.typing import ArrayLike, Bool, Float, Int, Key
from jaxcrys.crystal.buckets import Cost
from jaxcrys.crystal.equivalents import random_equivalent
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.crystal.slots import (
    ELEMENTS,
    Slots,
    from_slots,
    num_sites,
    slot_kinds,
    to_slots,
)
from jaxcrys.crystal.types import Crystal
from jaxcrys.nn import slot_network
from jaxcrys.nn.slot_network import SlotNetworkConfig, init_slot_network, slot_logits
from jaxcrys.processes import discrete
from jaxcrys.processes.discrete import Discrete
from jaxcrys.processes.redraw import redraw
from jaxcrys.processes.schedules import strided_times
from jaxcrys.processes.site_sequence import Limits
from jaxcrys.recipes import group_prior
from jaxcrys.recipes.base import Metrics, Params, Recipe
from jaxcrys.recipes.factors import weighted_loss
from jaxcrys.recipes.group_prior import draw_groups, fit_groups
from jaxcrys.recipes.properties import Target
from jaxcrys.symmetry.groups import lattice_fixed
from jaxcrys.symmetry.wyckoff import general_position


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of the recipe.

    Attributes:
        network: size of the network. Its ``max_count`` is lowered to the most equal sites on one
            position in the training set; crystals with more than it do not count in the loss.
        transition: what noise leads to: "zeros", nothing; "marginal", each position drawn from the
            shares in the training set; "uniform".
        steps: number T of time steps.
        schedule: of the noise, as in ``processes.discrete``.
        kl_weight: weight of the variational term beside the cross-entropy.
        sampler_steps: jumps of the sampler from T to 0.
        attempts: most draws of a template.
        group_log_weights: log-probability of each group 1 to 230, from the training set.
        elements: those of the training set; no others are drawn, unless the limits allow no other.
            Empty: all.
        element_marginal: share of each element, 0 for none, on positions without free coordinates.
        count_marginal: share of each number of sites of an element on the other positions.
        augment: whether training shows equivalent descriptions.
    """

    network: SlotNetworkConfig = SlotNetworkConfig()
    transition: Literal["zeros", "marginal", "uniform"] = "zeros"
    steps: int = 1000
    schedule: Literal["cosine", "mutual_information"] = "cosine"
    kl_weight: float = 0.0
    sampler_steps: int = 100
    attempts: int = 10
    group_log_weights: tuple[float, ...] = group_prior.UNIFORM
    elements: tuple[int, ...] = ()
    element_marginal: tuple[float, ...] | None = None
    count_marginal: tuple[float, ...] | None = None
    augment: bool = True


@pytree
class Drawn:
    """Templates, and how they came about.

    Attributes:
        templates: crystals without geometry.
        attempts: draws that were made of each.
        mended: whether none of them was a template, so that the last was made one.
    """

    templates: Crystal
    attempts: Int[ArrayLike, "b"]
    mended: Bool[ArrayLike, "b"]


def processes(config: Config) -> tuple[Discrete, Discrete]:
    """The processes of positions without free coordinates, and of those with.

    Example:
        >>> single, several = processes(Config())
        >>> single.num_classes, several.num_classes
        (119, 9)
    """
    return (
        _process(config, ELEMENTS, config.element_marginal),
        _process(config, config.network.max_count + 1, config.count_marginal),
    )


def _process(config: Config, classes: int, shares: tuple[float, ...] | None) -> Discrete:
    nothing = (1.0,) + (0.0,) * (classes - 1)
    stationary = {"zeros": nothing, "marginal": shares, "uniform": None}[config.transition]
    return Discrete(
        "marginal", classes, config.steps, stationary, config.schedule, config.kl_weight
    )


def validate(config: Config) -> None:
    """Check the settings.

    Raises:
        InputError: naming the setting that cannot be used.
    """
    slot_network.validate(config.network)
    group_prior.validate(config.group_log_weights)
    if config.transition not in ("zeros", "marginal", "uniform"):
        raise InputError(
            "transition", f"must be zeros, marginal or uniform, got {config.transition!r}"
        )
    for process in processes(config):
        discrete.validate(process)
    if not 1 <= config.sampler_steps <= config.steps:
        raise InputError(
            "sampler_steps", f"must be 1 to the {config.steps} steps, got {config.sampler_steps}"
        )
    if config.attempts < 1:
        raise InputError("attempts", f"must be at least 1, got {config.attempts}")


def fit(config: Config, crystals: Crystal) -> Config:
    """Take the shares of groups, elements and numbers of sites from the data."""
    templates = tuple(map(jnp.asarray, (crystals.group, crystals.wyckoff, crystals.species)))
    slots = to_slots(*templates)
    fixed, free = (np.asarray(kind) for kind in slot_kinds(templates[0]))
    elements, counts = np.asarray(slots.element)[fixed], np.asarray(slots.count)[free][:, 1:]
    most = min(config.network.max_count, max(int(counts.max(initial=0)), 1))
    return dataclasses.replace(
        config,
        network=dataclasses.replace(config.network, max_count=most),
        group_log_weights=fit_groups(np.asarray(crystals.group)),
        elements=tuple(np.unique(crystals.species[crystals.wyckoff > 0]).tolist()),
        element_marginal=_shares(elements, ELEMENTS),
        count_marginal=_shares(counts, most + 1),
    )


def _shares(values: np.ndarray, classes: int) -> tuple[float, ...]:
    """Shares of the classes, a crystal's worth smoothed, that add to one as float64."""
    counts = np.bincount(values[values < classes], minlength=classes) + 1 / classes
    return tuple((counts / counts.sum()).tolist())


def init(key: Key[jax.Array, ""], config: Config) -> Params:
    """Parameters of the network."""
    return init_slot_network(key, config.network)


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
    """Cross-entropy of each clean template, given a noisy one, in nats per template.

    Entries that the noisy template gives away, as it does with ``transition="zeros"`` where it is
    not empty, do not count.
    """
    del shape, properties
    batch = crystals.group.shape[0]
    own = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(batch))
    own = jax.vmap(lambda key: streams(key, "time", "elements", "counts", "description"))(own)
    if training and config.augment:
        crystals = jax.vmap(random_equivalent)(own["description"], crystals)
    group = jnp.asarray(crystals.group)
    x0 = to_slots(group, crystals.wyckoff, crystals.species)
    shown = (num_sites(x0) > 0) & (x0.count <= config.network.max_count).all((-1, -2))
    x0 = Slots(x0.element, jnp.minimum(x0.count, config.network.max_count))
    fixed, free = _entries(group)
    t = jax.vmap(lambda key: jax.random.randint(key, (), 1, config.steps + 1))(own["time"])
    single, several = processes(config)
    xt = Slots(
        element=_corrupt(single, own["elements"], x0.element, t, fixed),
        count=_corrupt(several, own["counts"], x0.count, t, free),
    )
    dropout = jax.random.fold_in(key, batch) if training else None
    scores = _legal_scores(params, group, xt, t, _everything(batch), config, dropout)
    total = shown.sum().astype(jnp.float32)
    metrics = {
        "elements": (_losses(single, scores[0], x0.element, xt.element, t, fixed, shown), total),
        "counts": (_losses(several, scores[1], x0.count, xt.count, t, free, shown), total),
    }
    return weighted_loss(metrics, {"elements": 1.0, "counts": 1.0}), metrics


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
    """Draw templates.

    Args:
        params: of the network.
        keys: one for each sample.
        templates: their groups; 0 is to be drawn. Sites cannot be given.
        limits: groups and elements; no others are kept to.
        config: settings.
        sites: most sites.
        target: nothing is learned of properties.

    Returns:
        Crystals without geometry, with 1 to ``sites`` sites.
    """
    del target
    return draw(params, keys, templates.group, limits, config=config, sites=sites).templates


def draw(
    params: Params,
    keys: Key[jax.Array, "b"],
    groups: Int[ArrayLike, "b"],
    limits: Limits,
    *,
    config: Config,
    sites: int,
) -> Drawn:
    """Draw templates as :func:`complete` does, and tell how they came about."""
    own = jax.vmap(lambda key: streams(key, "group", "slots"))(keys)
    drawn = draw_groups(own["group"], config.group_log_weights, limits.groups)
    group = jnp.where(groups > 0, groups, drawn).astype(jnp.int32)
    allowed = jnp.broadcast_to(_known(limits.allowed, config), (len(keys), ELEMENTS))

    def attempt(index: jax.Array, number: jax.Array) -> Slots:
        fresh = jax.vmap(jax.random.fold_in)(own["slots"][index], number)
        return _draw_slots(params, fresh, group[index], allowed[index], config)

    def is_template(slots: Slots) -> jax.Array:
        count = num_sites(slots)
        return (count >= 1) & (count <= sites)

    made = redraw(attempt, is_template, count=len(keys), attempts=config.attempts)
    wyckoff, species = from_slots(group, made.drawn, sites=sites)
    empty = (wyckoff == 0).all(-1)
    common = jnp.asarray(config.element_marginal or (1.0,) * ELEMENTS)
    element = jnp.where(allowed, common, -1).at[:, 0].set(-1).argmax(-1)
    wyckoff = wyckoff.at[:, 0].set(jnp.where(empty, general_position(group), wyckoff[:, 0]))
    species = species.at[:, 0].set(jnp.where(empty, element, species[:, 0]))
    blank = Crystal(
        group=group,
        wyckoff=wyckoff.astype(jnp.int32),
        species=species.astype(jnp.int32),
        free=jnp.zeros((len(group), sites, 3)),
        lattice=lattice_fixed(group).astype(jnp.float32),
    )
    return Drawn(blank, made.number, ~jnp.asarray(made.usable))


def _known(allowed: Bool[ArrayLike, "*b 119"], config: Config) -> Bool[jax.Array, "*b 119"]:
    """Of the elements that are allowed those of the training set, if there are any."""
    seen = np.isin(np.arange(ELEMENTS), config.elements or np.arange(ELEMENTS))
    known = jnp.asarray(allowed) & seen
    return jnp.where(known.any(-1, keepdims=True), known, allowed)


def _draw_slots(
    params: Params, keys: Key[jax.Array, "b"], group: jax.Array, allowed: jax.Array, config: Config
) -> Slots:
    """Run the diffusion back from T to 0."""
    single, several = processes(config)
    fixed, free = _entries(group)
    own = jax.vmap(lambda key: streams(key, "elements", "counts"))(keys)
    start = Slots(
        element=_prior(single, own["elements"], fixed), count=_prior(several, own["counts"], free)
    )

    def jump(xt: Slots, times: jax.Array) -> tuple[Slots, None]:
        t, s = times
        now = jnp.full(len(group), t)
        scores = _legal_scores(params, group, xt, now, allowed, config)
        xs = Slots(
            element=_step(single, own["elements"], xt.element, t, s, scores[0], fixed),
            count=_step(several, own["counts"], xt.count, t, s, scores[1], free),
        )
        return xs, None

    times = jnp.asarray(strided_times(config.steps, config.sampler_steps))
    slots, _ = jax.lax.scan(jump, start, jnp.stack([times[:-1], times[1:]], -1))
    return slots


def _legal_scores(
    params: Params,
    group: jax.Array,
    xt: Slots,
    t: jax.Array,
    allowed: jax.Array,
    config: Config,
    dropout: Key[jax.Array, ""] | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Scores of the network, -inf for elements that are not allowed; none is always allowed."""
    time = t / config.steps
    single, several = slot_logits(config.network, params, group, xt, time, dropout=dropout)
    may_hold = allowed.at[:, 0].set(True)[:, None, :]
    may_count = allowed[:, None, :, None] | (jnp.arange(several.shape[-1]) == 0)
    return jnp.where(may_hold, single, -jnp.inf), jnp.where(may_count, several, -jnp.inf)


def _entries(group: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Which entries of :class:`Slots` there are."""
    fixed, free = slot_kinds(group)
    return fixed, free[..., None] & (jnp.arange(ELEMENTS) > 0)


def _everything(batch: int) -> jax.Array:
    return jnp.broadcast_to(jnp.arange(ELEMENTS) > 0, (batch, ELEMENTS))


def _corrupt(
    process: Discrete, keys: jax.Array, x0: jax.Array, t: jax.Array, mask: jax.Array
) -> jax.Array:
    return jax.vmap(lambda *own: discrete.corrupt(process, *own))(keys, x0, t, mask)


def _losses(
    process: Discrete,
    scores: jax.Array,
    x0: jax.Array,
    xt: jax.Array,
    t: jax.Array,
    mask: jax.Array,
    shown: jax.Array,
) -> Float[jax.Array, ""]:
    """Sum over the crystals that are shown and their entries that the noise has hidden."""
    hidden = np.ones(process.num_classes) if process.marginal is None else process.marginal
    unknown = (jnp.asarray(hidden) > 0)[xt] & mask & shown.reshape(-1, *[1] * (xt.ndim - 1))
    each = jax.vmap(lambda *own: discrete.loss(process, *own)[0])
    return each(scores, x0, xt, t, unknown).sum()


def _prior(process: Discrete, keys: jax.Array, mask: jax.Array) -> jax.Array:
    own = jax.vmap(lambda key: jax.random.fold_in(key, process.steps + 1))(keys)
    nothing = jnp.zeros(mask.shape, jnp.int32)
    return jax.vmap(lambda *own: discrete.prior(process, *own))(own, mask, nothing)


def _step(
    process: Discrete,
    keys: jax.Array,
    xt: jax.Array,
    t: jax.Array,
    s: jax.Array,
    scores: jax.Array,
    mask: jax.Array,
) -> jax.Array:
    def one(key: jax.Array, xt: jax.Array, scores: jax.Array, mask: jax.Array) -> jax.Array:
        return discrete.hop(process, jax.random.fold_in(key, t), xt, t, s, scores, mask)

    return jax.vmap(one)(keys, xt, scores, mask)


def _cost(config: Config) -> Cost:
    """All templates cost the same, whatever their number of sites."""
    del config
    return lambda sites, atoms, images: np.ones_like(sites)


PRESETS = {
    "tiny": Config(
        network=SlotNetworkConfig(layers=2, channels=48, rank=16, max_count=4), sampler_steps=50
    ),
    "small": Config(),
    "published": Config(
        network=SlotNetworkConfig(layers=3, channels=256, heads=8, rank=64, max_count=54),
        sampler_steps=1000,
    ),
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
    obeys=frozenset(("groups", "allowed")),
)
