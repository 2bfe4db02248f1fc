"""FIRE, the fast inertial relaxation engine (Bitzek et al. 2006; parameters as in ASE).

Velocities follow the force F; while the power P = F·v is positive they are turned towards it, and
time steps grow; when it becomes negative the crystal stops and starts again with shorter steps:

    v ← (1 - α) v + α |v| F / |F|,    v ← v + F Δt,    step = v Δt.
"""

import jax
import jax.numpy as jnp

from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import Float, Int
from jaxcrys.crystal.packed import Packed
from jaxcrys.relaxation.coordinates import Motion, Scale, dot, longest_move, times
from jaxcrys.relaxation.minimiser import Memory, Minimiser

LONGEST_STEP = 0.2
"""Å."""

FIRST_TIME, LONGEST_TIME = 0.1, 1.0
PATIENCE, GROWTH, SHRINKAGE = 5, 1.1, 0.5
FIRST_MIXING, MIXING_DECAY = 0.1, 0.99


@pytree
class _Pace:
    """Of each crystal: time step, mixing α, steps downhill in a row, velocity of the cell."""

    time: Float[jax.Array, "g"]
    mixing: Float[jax.Array, "g"]
    downhill: Int[jax.Array, "g"]
    velocity: Float[jax.Array, "g 6"]


def _init(sites: int, crystals: int) -> Memory:
    pace = _Pace(
        time=jnp.full(crystals, FIRST_TIME),
        mixing=jnp.full(crystals, FIRST_MIXING),
        downhill=jnp.zeros(crystals, jnp.int32),
        velocity=jnp.zeros((crystals, 6)),
    )
    return Memory(sites=jnp.zeros((sites, 3)), crystals=pace)


def _step(
    memory: Memory, packed: Packed, scale: Scale, slope: Motion, energy: Float[jax.Array, "g"]
) -> tuple[Memory, Motion]:
    del energy
    pace = memory.crystals
    force = jax.tree.map(jnp.negative, slope)
    velocity = Motion(sites=memory.sites, crystals=pace.velocity)
    good = dot(packed, force, velocity) > 0
    speed = jnp.sqrt(dot(packed, velocity, velocity) / (dot(packed, force, force) + 1e-30))
    turned = jax.tree.map(
        jnp.add,
        times(packed, jnp.where(good, 1 - pace.mixing, 0), velocity),
        times(packed, jnp.where(good, pace.mixing * speed, 0), force),
    )
    long = good & (pace.downhill > PATIENCE)
    time = jnp.where(long, jnp.minimum(pace.time * GROWTH, LONGEST_TIME), pace.time)
    time = jnp.where(good, time, pace.time * SHRINKAGE)
    mixing = jnp.where(long, pace.mixing * MIXING_DECAY, pace.mixing)
    mixing = jnp.where(good, mixing, FIRST_MIXING)
    velocity = jax.tree.map(jnp.add, turned, times(packed, time, force))
    step = times(packed, time, velocity)
    short = jnp.minimum(1, LONGEST_STEP / (longest_move(packed, scale, step) + 1e-30))
    pace = _Pace(
        time=time,
        mixing=mixing,
        downhill=jnp.where(good, pace.downhill + 1, 0),
        velocity=velocity.crystals,
    )
    return Memory(sites=velocity.sites, crystals=pace), times(packed, short, step)


fire = Minimiser(_init, _step)
"""Slow and sure."""
