"""Flow matching of lattice and free coordinates: few steps, exact symmetry.

Group and Wyckoff positions are given. Free coordinates start uniform on their tori and go straight
to the nearest of the equivalent descriptions of the data (``recipes.coupling``); lattice
coefficients start from a normal distribution of the crystal family, with the volume that the
elements suggest (``recipes.lattice_prior``), and go straight as well (Lipman et al. 2023; Chen and
Lipman 2024 for flows on manifolds). The network sees sites through their symmetry images; the orbit
network's vectors lie in the Wyckoff tangent spaces and its tensor has the symmetry of the family,
so nothing is projected. With ``species="generated"`` elements are drawn too, from a mask that is
lifted site by site; any part of them may be given. Properties of the crystals may be told, and
asked for (``recipes.properties``).
"""

import dataclasses

import jax
import jax.numpy as jnp

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import pytree
from jaxcrys.core.rng import streams
from jaxcrys.core.typing import ArrayLike, Bool, Float, Key
from jaxcrys.crystal.buckets import Cost
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.crystal.types import Crystal
from jaxcrys.nn.backbone import (
    backbone_cost,
    init_backbone,
    validate_backbone,
)
from jaxcrys.nn.cspnet import CSPNetConfig
from jaxcrys.nn.orbit_net import OrbitNetConfig
from jaxcrys.processes import flow, unmasking
from jaxcrys.processes.flow import Flow
from jaxcrys.recipes import lattice_prior
from jaxcrys.recipes.base import Metrics, Params, Recipe
from jaxcrys.recipes.coupling import couple
from jaxcrys.recipes.factors import (
    Masks,
    cartesian_changes,
    masks_of,
    mean_over_atoms,
    weighted_loss,
)
from jaxcrys.recipes.flow_model import Answer, Config, State, crystal_of, predict
from jaxcrys.recipes.lattice_prior import to_standard
from jaxcrys.recipes.properties import (
    Target,
    any_known,
    condition,
    for_each_reading,
    guided,
    told_in_training,
    told_values,
    validate_properties,
)
from jaxcrys.recipes.substitution import substitute

MISFIT_TIMES = (0.7, 0.8, 0.9)
"""When :func:`misfit` looks: late enough to tell the crystal, early enough to be unsure."""


@pytree
class Example:
    """A training example: a point of a path, and what the network is to say there.

    Attributes:
        crystals: the data, with the elements that are known at the start.
        state: the point.
        lattice: target of the lattice; likewise ``free``.
        hidden: sites whose element is still unknown.
    """

    crystals: Crystal
    state: State
    lattice: Float[ArrayLike, "b 6"]
    free: Float[ArrayLike, "b s 3"]
    hidden: Bool[ArrayLike, "b s"]


def validate(config: Config) -> None:
    """Check the settings.

    Raises:
        InputError: naming the setting that cannot be used.
    """
    validate_backbone(config.network)
    flow.validate(config.flow)
    lattice_prior.validate(config.prior)
    for name in ("lattice_weight", "free_weight", "species_weight", "lattice_spread"):
        if not getattr(config, name) >= 0:
            raise InputError(name, f"must not be negative, got {getattr(config, name)}")
    if not 0 <= config.substitutions <= 1:
        raise InputError("substitutions", f"must be 0 to 1, got {config.substitutions}")
    validate_properties(config)


def fit(config: Config, crystals: Crystal) -> Config:
    """Take atomic volumes, and the spread of the lattices of each family, from the data."""
    known = config.species == "given"
    prior = lattice_prior.fit_lattice_prior(crystals, species_known=known)
    return dataclasses.replace(config, prior=prior)


def init(key: Key[jax.Array, ""], config: Config) -> Params:
    """Parameters of the network."""
    return init_backbone(key, config.network)


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
    """Squared error of the network at a random time for each crystal."""
    batch = crystals.group.shape[0]
    own = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(batch))
    keys = _keys(own)
    told = told_in_training(own, properties, config)
    time = jax.vmap(flow.draw_time, (None, 0))(config.flow, keys["time"])
    if training and config.substitutions:
        # with other elements the properties would be wrong
        share = jnp.where(any_known(told), 0, config.substitutions)
        crystals = jax.vmap(substitute, (0, 0, None, 0))(
            keys["substitution"], crystals, config.prior, share
        )
    example = _example(keys, crystals, time, config)
    dropout = jax.random.fold_in(key, batch) if training else None
    said = predict(
        params, example.crystals, example.state, time,
        config=config, shape=shape, told=told_values(Target(told), config), dropout=dropout,
    )  # fmt: skip
    free, lattice = _errors(example, said, config)
    masks = masks_of(crystals)
    metrics = {
        "lattice": (lattice.sum(), masks.lattice.sum().astype(jnp.float32)),
        "free": (free.sum(), masks.free.sum().astype(jnp.float32)),
    }
    if config.species == "generated":
        logs = jax.nn.log_softmax(said.species)
        right = jnp.take_along_axis(logs, crystals.species[..., None], -1)[..., 0]
        count = example.hidden.sum().astype(jnp.float32)
        metrics["species"] = -jnp.where(example.hidden, right, 0).sum(), count
    weights = {name: getattr(config, f"{name}_weight") for name in metrics}
    return weighted_loss(metrics, weights), metrics


def misfit(
    params: Params,
    keys: Key[jax.Array, "b"],
    crystals: Crystal,
    *,
    config: Config,
    shape: CellShape,
) -> Float[jax.Array, "b"]:
    """How badly the network recovers each crystal from its own disturbed states.

    The squared error of the free coordinates, a mean over atoms, at a few late times. Crystals as
    the network expects them have a small one: it stands in for an energy where there is none.
    """
    total = jnp.zeros(crystals.group.shape)
    for number, when in enumerate(MISFIT_TIMES):
        drawn = _keys(jax.vmap(jax.random.fold_in, (0, None))(keys, number))
        time = jnp.full(crystals.group.shape, when)
        example = _example(drawn, crystals, time, dataclasses.replace(config, species="given"))
        said = predict(params, crystals, example.state, time, config=config, shape=shape)
        free, _ = _errors(example, said, config)
        total = total + mean_over_atoms(free, crystals)
    return total / len(MISFIT_TIMES)


def sample(
    params: Params,
    keys: Key[jax.Array, "b"],
    templates: Crystal,
    *,
    config: Config,
    shape: CellShape,
    target: Target | None = None,
) -> Crystal:
    """Follow the flow from a random start, with the properties of the target if there is one.

    Elements that the templates give are kept; sites with species 0 are filled, which a recipe
    trained with given species cannot do. A lattice that is given is kept too, one whose free
    coefficients are all 0 is drawn. ``free`` of the templates is ignored.
    """
    masks = masks_of(templates)
    kept = (masks.lattice & (templates.lattice != 0)).any(-1, keepdims=True)
    first = _prior(_keys(keys), templates, masks)
    first = dataclasses.replace(first, lattice=config.lattice_spread * first.lattice)
    goal = flow.way(
        first.lattice, to_standard(templates, config.prior), masks.lattice, periodic=False
    )
    step = 1 / config.flow.steps
    told = told_values(target, config)
    guidance = None if target is None else target.guidance

    def ask(state: State, time: jax.Array) -> Answer:
        """Velocities at a state; logits as they are."""
        times = jnp.full(templates.group.shape, time)
        read = for_each_reading((templates, state, times), guidance)
        said = predict(params, *read, config=config, shape=shape, told=told)
        said = guided(said, guidance)
        return dataclasses.replace(
            said,
            lattice=flow.velocity_of(config.flow, said.lattice, time),
            free=flow.velocity_of(config.flow, said.free, time),
        )

    def one_step(state: State, index: jax.Array) -> tuple[State, None]:
        now = index * step
        velocity = ask(state, now)
        if config.flow.integrator == "midpoint":
            half = _move(state, velocity, now, step / 2, masks, haste=0.0)
            velocity = ask(half, now + step / 2)
        moved = _move(state, velocity, now, step, masks, haste=config.flow.haste)
        step_keys = _keys(jax.vmap(jax.random.fold_in, (0, None))(keys, index))
        if config.flow.churn:
            moved = _redraw(step_keys, moved, velocity, now + step, step, masks, config.flow)
        on_way = flow.point(first.lattice, goal, now + step, periodic=False)
        moved = dataclasses.replace(moved, lattice=jnp.where(kept, on_way, moved.lattice))
        last = index == config.flow.steps - 1
        species = jax.vmap(unmasking.reveal, (0, 0, 0, None, None))(
            step_keys["species"], state.species, velocity.species, step / (1 - now), last
        )
        return dataclasses.replace(moved, species=jnp.where(masks.species, species, 0)), None

    state, _ = jax.lax.scan(one_step, first, jnp.arange(config.flow.steps))
    crystals = crystal_of(templates, state, config)
    return dataclasses.replace(
        crystals, lattice=jnp.where(kept, templates.lattice, crystals.lattice)
    )


def _keys(keys: Key[jax.Array, "b"]) -> dict[str, jax.Array]:
    """For each sample one key for each use of randomness."""
    names = ("time", "lattice", "free", "species", "known", "substitution")
    return jax.vmap(lambda key: streams(key, *names))(keys)


def _example(
    keys: dict[str, jax.Array], crystals: Crystal, time: Float[jax.Array, "b"], config: Config
) -> Example:
    """A point of a path to each crystal."""
    masks = masks_of(crystals)
    start_species, species = crystals.species, crystals.species
    if config.species == "generated":
        given = jax.vmap(unmasking.given)(keys["known"], crystals.species)
        lifted = jax.vmap(lambda k, t: jax.random.uniform(k, masks.species.shape[1:]) < t)(
            keys["species"], time
        )
        start_species = jnp.where(given, crystals.species, 0)
        species = jnp.where(given | lifted, crystals.species, 0)
    known = dataclasses.replace(crystals, species=start_species)
    first = _prior(keys, known, masks)
    start, end = couple(crystals, first.free)
    free = flow.way(start, end, masks.free, periodic=True)
    goal = to_standard(known, config.prior)
    lattice = flow.way(first.lattice, goal, masks.lattice, periodic=False)
    state = State(
        lattice=flow.point(first.lattice, lattice, time[:, None], periodic=False),
        free=flow.point(start, free, time[:, None, None], periodic=True),
        species=species,
    )
    return Example(
        crystals=known,
        state=state,
        lattice=flow.target(config.flow, lattice, time[:, None]),
        free=flow.target(config.flow, free, time[:, None, None]),
        hidden=masks.species & (species == 0),
    )


def _errors(
    example: Example, said: Answer, config: Config
) -> tuple[Float[ArrayLike, "b s"], Float[ArrayLike, "b"]]:
    """Squared errors of each site's coordinates, in atomic lengths, and of each lattice."""
    masks = masks_of(example.crystals)
    lattice = jnp.where(masks.lattice, said.lattice - example.lattice, 0)
    crystal = crystal_of(example.crystals, example.state, config)
    vectors = cartesian_changes(crystal, said.free - example.free)
    free = jnp.where(masks.free.any(-1), (vectors**2).sum(-1), 0)
    return free, (lattice**2).sum(-1)


def _prior(keys: dict[str, jax.Array], crystals: Crystal, masks: Masks) -> State:
    """Uniform coordinates, normal lattice coefficients, the elements that are given."""
    free = jax.vmap(lambda key: jax.random.uniform(key, masks.free.shape[1:]))(keys["free"])
    lattice = jax.vmap(lambda key: jax.random.normal(key, (6,)))(keys["lattice"])
    return State(
        lattice=jnp.where(masks.lattice, lattice, 0),
        free=jnp.where(masks.free, free, 0),
        species=crystals.species,
    )


def _move(
    state: State,
    velocity: Answer,
    now: jax.Array,
    step: float,
    masks: Masks,
    *,
    haste: float,
) -> State:
    """One step; the coordinates make haste, the lattice does not."""
    return dataclasses.replace(
        state,
        lattice=flow.step(
            state.lattice, velocity.lattice, now, step, masks.lattice, periodic=False
        ),
        free=flow.step(
            state.free, velocity.free, now, step, masks.free, periodic=True, haste=haste
        ),
    )


def _redraw(
    keys: dict[str, jax.Array],
    state: State,
    velocity: Answer,
    now: jax.Array,
    step: float,
    masks: Masks,
    settings: Flow,
) -> State:
    """Redraw a part of the start."""
    start = state.lattice - now * velocity.lattice

    def one(key, x, start, mask, periodic):
        return flow.redraw(settings, key, x, start, now, step, mask, periodic=periodic)

    lattice = jax.vmap(one, (0, 0, 0, 0, None))(
        keys["lattice"], state.lattice, start, masks.lattice, False
    )
    free = jax.vmap(one, (0, 0, 0, 0, None))(keys["free"], state.free, state.free, masks.free, True)
    return dataclasses.replace(state, lattice=lattice, free=free)


def _generates_species(config: Config) -> bool:
    return config.species == "generated"


def _cost(config: Config) -> Cost:
    return backbone_cost(config.network)


PRESETS = {
    "tiny": Config(network=OrbitNetConfig(layers=2, channels=32, heads=4, neighbours=24)),
    "small": Config(network=OrbitNetConfig(layers=4, channels=64, dropout=0.1)),
    "base": Config(network=OrbitNetConfig(layers=6, channels=128, dropout=0.1)),
    "full_cell": Config(network=CSPNetConfig(layers=4, channels=96, frequencies=24)),
}

RECIPE = Recipe(
    makes="crystals",
    config=Config,
    presets=PRESETS,
    validate=validate,
    fit=fit,
    init=init,
    loss=loss,
    cost=_cost,
    condition=condition,
    geometry_properties=lambda config: config.properties,
    sample=sample,
    misfit=misfit,
    obeys=frozenset(("lattice", "properties")),
    generates_species=_generates_species,
)
