"""How ``orbit_flow`` draws crystals: step by step from a random start, at a velocity it is told.

A step asks the network where to go, and goes a part of the way. Between the two, the crystal that
the flow is heading for may be replaced by a better one (``recipes.base.Journey``).
"""

import dataclasses

import jax
import jax.numpy as jnp

from jaxcrys.core.pytree import pytree
from jaxcrys.core.rng import streams
from jaxcrys.core.typing import ArrayLike, Float, Int, Key
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.crystal.types import Crystal
from jaxcrys.processes import flow, unmasking
from jaxcrys.recipes.base import Journey, Params
from jaxcrys.recipes.factors import Masks, masks_of
from jaxcrys.recipes.flow_model import Answer, Config, State, crystal_of, predict
from jaxcrys.recipes.lattice_prior import to_standard
from jaxcrys.recipes.properties import Target, for_each_reading, guided, told_values


@pytree
class Underway:
    """Crystals on their way, and the lattices that they started from in standard units."""

    state: State
    origin: Float[ArrayLike, "b 6"]


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

    def one_step(way: Underway, index: jax.Array) -> tuple[Underway, None]:
        velocity, _ = aim(params, templates, way, index, config=config, shape=shape, target=target)
        return advance(keys, templates, way, index, velocity, config=config), None

    way, _ = jax.lax.scan(one_step, begin(keys, templates, config=config),
                          jnp.arange(config.flow.steps))  # fmt: skip
    return arrive(templates, way, config=config)


def begin(keys: Key[jax.Array, "b"], templates: Crystal, *, config: Config) -> Underway:
    """The start of each crystal."""
    first = start_of(streams_of(keys), templates)
    first = dataclasses.replace(first, lattice=config.lattice_spread * first.lattice)
    return Underway(state=first, origin=first.lattice)


def aim(
    params: Params,
    templates: Crystal,
    way: Underway,
    index: Int[jax.Array, ""],
    *,
    config: Config,
    shape: CellShape,
    target: Target | None = None,
) -> tuple[Answer, Crystal]:
    """Velocities at a step, logits as they are, and the crystals that they lead to."""
    told = told_values(target, config)
    guidance = None if target is None else target.guidance
    now, step = index / config.flow.steps, 1 / config.flow.steps

    def ask(state: State, time: jax.Array) -> Answer:
        times = jnp.full(templates.group.shape, time)
        read = for_each_reading((templates, state, times), guidance)
        said = guided(predict(params, *read, config=config, shape=shape, told=told), guidance)
        return dataclasses.replace(
            said,
            lattice=flow.velocity_of(config.flow, said.lattice, time),
            free=flow.velocity_of(config.flow, said.free, time),
        )

    velocity = ask(way.state, now)
    masks = masks_of(templates)
    if config.flow.integrator == "midpoint":
        half = _move(way.state, velocity, now, step / 2, masks, haste=0.0)
        velocity = ask(half, now + step / 2)
    end = _move(way.state, velocity, now, _left(now), masks, haste=0.0)
    return velocity, arrive(templates, dataclasses.replace(way, state=end), config=config)


def advance(
    keys: Key[jax.Array, "b"],
    templates: Crystal,
    way: Underway,
    index: Int[jax.Array, ""],
    velocity: Answer,
    goal: Crystal | None = None,
    *,
    config: Config,
) -> Underway:
    """Go one step, at the velocity of :func:`aim`, or at that which leads to the ``goal``."""
    now, step = index / config.flow.steps, 1 / config.flow.steps
    state, masks = way.state, masks_of(templates)
    keys = jax.vmap(jax.random.fold_in, (0, None))(keys, index)
    step_keys = streams_of(keys)
    moved = _move(state, velocity, now, step, masks, haste=config.flow.haste)
    if goal is not None:
        moved = _pushed(moved, goal, state, velocity, now, step, masks, config)
    if config.flow.churn:
        moved = _redraw(step_keys, moved, velocity, now + step, step, masks, config.flow)
    known = to_standard(templates, config.prior)
    given = flow.way(way.origin, known, masks.lattice, periodic=False)
    on_way = flow.point(way.origin, given, now + step, periodic=False)
    lattice = jnp.where(_kept(templates), on_way, moved.lattice)
    last = index == config.flow.steps - 1
    species = jax.vmap(unmasking.reveal, (0, 0, 0, None, None))(
        step_keys["species"], state.species, velocity.species, step / (1 - now), last
    )
    species = jnp.where(masks.species, species, 0)
    return dataclasses.replace(
        way, state=dataclasses.replace(moved, lattice=lattice, species=species)
    )


def arrive(templates: Crystal, way: Underway, *, config: Config) -> Crystal:
    """The crystals at their places, with the lattices that are given."""
    crystals = crystal_of(templates, way.state, config)
    lattice = jnp.where(_kept(templates), templates.lattice, crystals.lattice)
    return dataclasses.replace(crystals, lattice=lattice)


def streams_of(keys: Key[jax.Array, "b"]) -> dict[str, jax.Array]:
    """For each sample one key for each use of randomness, in training as well."""
    names = ("time", "lattice", "free", "species", "known", "substitution")
    return jax.vmap(lambda key: streams(key, *names))(keys)


def start_of(keys: dict[str, jax.Array], crystals: Crystal) -> State:
    """Uniform coordinates, normal lattice coefficients, the elements that are given."""
    masks = masks_of(crystals)
    free = jax.vmap(lambda key: jax.random.uniform(key, masks.free.shape[1:]))(keys["free"])
    lattice = jax.vmap(lambda key: jax.random.normal(key, (6,)))(keys["lattice"])
    return State(
        lattice=jnp.where(masks.lattice, lattice, 0),
        free=jnp.where(masks.free, free, 0),
        species=crystals.species,
    )


def _kept(templates: Crystal) -> jax.Array:
    """Whose lattice is given."""
    return (masks_of(templates).lattice & (templates.lattice != 0)).any(-1, keepdims=True)


def _left(now: jax.Array) -> jax.Array:
    """Time by which a velocity leads to the end (``flow.velocity_of``)."""
    return 1 - jnp.minimum(now, flow.LATEST)


def _pushed(
    moved: State,
    goal: Crystal,
    state: State,
    velocity: Answer,
    now: jax.Array,
    step: float,
    masks: Masks,
    config: Config,
) -> State:
    """A step that leads to the goal in place of the end that the velocity leads to.

    The difference makes no haste: that is for velocities that are too slow, as means are.
    """
    end = _move(state, velocity, now, _left(now), masks, haste=0.0)
    lattice = to_standard(goal, config.prior)
    push = dataclasses.replace(
        velocity,
        lattice=flow.way(end.lattice, lattice, masks.lattice, periodic=False) / _left(now),
        free=flow.way(end.free, goal.free, masks.free, periodic=True) / _left(now),
    )
    return _move(moved, push, now, step, masks, haste=0.0)


def _move(
    state: State,
    velocity: Answer,
    now: jax.Array,
    step: jax.Array | float,
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
    settings: flow.Flow,
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


JOURNEY = Journey(
    steps=lambda config: config.flow.steps,
    begin=begin,
    aim=aim,
    advance=advance,
    arrive=arrive,
)
