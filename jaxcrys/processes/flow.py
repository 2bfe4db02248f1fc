"""Flow matching along straight paths, on the line and on the torus (Lipman et al. 2023).

A point goes from a random start x_0 to the data x_1 at constant velocity,

    x_t = x_0 + t w,   w = x_1 - x_0,   0 <= t <= 1,

on the torus (R/Z)^n along the way w to the nearest image of x_1 (Chen and Lipman 2024). Time runs
from 0, the start, to 1, the data. How starts and data are paired is up to the recipe.

The network learns the mean velocity at x_t, or the mean of what is left of the way, (1 - t) w,
which is a guess of the end of the path; both say the same, but weigh times differently. The sampler
integrates the velocity in Euler's or in midpoint steps, and may redraw a part of the start that is
left in x_t at each step.

Functions are for events of any shape; ``t`` broadcasts against them.
"""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import ArrayLike, Bool, Float, Key
from jaxcrys.geometry.periodic import wrap

LATEST = 0.95
"""The way that is left is divided by at least 1 - LATEST where a velocity is made of it: before
the last moment, what the network says of it is mostly error."""


@dataclasses.dataclass(frozen=True)
class Flow:
    """Settings of a flow.

    Attributes:
        target: what the network learns: the ``velocity``, or the ``endpoint`` by the way to it.
        time: how times are drawn in training: ``uniform``, or ``logit_normal``, which prefers the
            middle (Esser et al. 2024).
        integrator: ``euler``, one network call a step, or ``midpoint``, two, of second order.
        steps: steps of the sampler.
        haste: go 1 + haste · t times as fast. Velocities are means over many ends, too slow near
            the data; a little haste sharpens what comes out ('anti-annealing').
        churn: how much of the start is redrawn along the way; 0 is the deterministic flow.
    """

    target: Literal["velocity", "endpoint"] = "velocity"
    time: Literal["uniform", "logit_normal"] = "uniform"
    integrator: Literal["euler", "midpoint"] = "euler"
    steps: int = 20
    haste: float = 2.0
    churn: float = 0.0


def validate(flow: Flow) -> None:
    """Check the settings.

    Raises:
        InputError: naming the setting that cannot be used.

    Example:
        >>> validate(Flow())
    """
    if flow.steps < 1:
        raise InputError("flow.steps", f"must be at least 1, got {flow.steps}")
    for name in ("haste", "churn"):
        if not getattr(flow, name) >= 0:
            raise InputError(f"flow.{name}", f"must not be negative, got {getattr(flow, name)}")


def draw_time(flow: Flow, key: Key[jax.Array, ""]) -> Float[jax.Array, ""]:
    """A time of training.

    Example:
        >>> 0 <= float(draw_time(Flow(time="logit_normal"), jax.random.key(0))) <= 1
        True
    """
    if flow.time == "logit_normal":
        return jax.nn.sigmoid(jax.random.normal(key))
    return jax.random.uniform(key)


def way(
    start: Float[ArrayLike, "*event"],
    end: Float[ArrayLike, "*event"],
    mask: Bool[ArrayLike, "*event"],
    *,
    periodic: bool,
) -> Float[ArrayLike, "*event"]:
    """The velocity w of the path, 0 where ``mask`` is False.

    Example:
        >>> mask = jnp.array([True, False])
        >>> w = way(jnp.array([0.1, 0.2]), jnp.array([0.9, 0.7]), mask, periodic=True)
        >>> [round(float(v), 3) for v in w]
        [-0.2, 0.0]
    """
    delta = jnp.asarray(end) - start
    return jnp.where(mask, delta - jnp.round(delta) if periodic else delta, 0)


def point(
    start: Float[ArrayLike, "*event"],
    velocity: Float[ArrayLike, "*event"],
    t: Float[ArrayLike, "*#event"] | float,
    *,
    periodic: bool,
) -> Float[ArrayLike, "*event"]:
    """The point x_t of a path.

    Example:
        >>> round(float(point(jnp.array(0.1), jnp.array(-0.2), jnp.array(1.0), periodic=True)), 3)
        0.9
    """
    moved = jnp.asarray(start) + t * velocity
    return wrap(moved) if periodic else moved


def target(
    flow: Flow, velocity: Float[ArrayLike, "*event"], t: Float[ArrayLike, "*#event"] | float
) -> Float[ArrayLike, "*event"]:
    """What the network is to say at time t of a path with that velocity.

    Example:
        >>> float(target(Flow(target="endpoint"), jnp.array(2.0), 0.75))
        0.5
    """
    return velocity if flow.target == "velocity" else (1 - t) * velocity


def velocity_of(
    flow: Flow, said: Float[ArrayLike, "*event"], t: Float[ArrayLike, "*#event"] | float
) -> Float[ArrayLike, "*event"]:
    """The velocity, from what the network said: the inverse of :func:`target`.

    Example:
        >>> float(velocity_of(Flow(target="endpoint"), jnp.array(0.5), 0.75))
        2.0
    """
    if flow.target == "velocity":
        return said
    return said / (1 - jnp.minimum(t, LATEST))


def step(
    x: Float[ArrayLike, "*event"],
    velocity: Float[ArrayLike, "*event"],
    t: Float[ArrayLike, ""] | float,
    length: Float[ArrayLike, ""] | float,
    mask: Bool[ArrayLike, "*event"],
    *,
    periodic: bool,
    haste: float = 0.0,
) -> Float[ArrayLike, "*event"]:
    """One step of some length from time t; what is masked stays as it is.

    Args:
        x: the point at time t.
        velocity: where it goes: Euler's with that at (x, t), the midpoint step with that at
            half the way.
        t: time.
        length: of the step in time.
        mask: which entries move.
        periodic: whether x lies on the torus.
        haste: go 1 + haste · t times as fast.

    Example:
        >>> moved = step(jnp.array(0.9), jnp.array(0.5), 0.0, 0.5, jnp.array(True), periodic=True)
        >>> round(float(moved), 3)
        0.15
    """
    moved = jnp.asarray(x) + length * (1 + haste * t) * velocity
    return jnp.where(mask, wrap(moved) if periodic else moved, x)


def redraw(
    flow: Flow,
    key: Key[jax.Array, ""],
    x: Float[ArrayLike, "*event"],
    start: Float[ArrayLike, "*event"],
    t: Float[ArrayLike, ""] | float,
    length: Float[ArrayLike, ""] | float,
    mask: Bool[ArrayLike, "*event"],
    *,
    periodic: bool,
) -> Float[ArrayLike, "*event"]:
    """Redraw a part of the start that is left in x_t, which holds 1 - t of it.

    On the torus the start is shifted by a normal number, to which the uniform distribution is
    blind; on the line it becomes √(1 - η²) x_0 + η ξ with normal ξ, which leaves the standard
    normal distribution as it is. η² = 1 - exp(-2 churn · length), so that the sum over a path
    hardly depends on the number of steps.

    Args:
        flow: settings.
        key: of ξ.
        x: the point at time t.
        start: where its path comes from, x_t - t w; needed on the line only.
        t: time.
        length: of the step that was made in time.
        mask: which entries move.
        periodic: whether x lies on the torus.

    Example:
        >>> x = jnp.zeros(3)
        >>> key, mask = jax.random.key(0), jnp.ones(3, bool)
        >>> same = redraw(Flow(churn=0.0), key, x, x, 0.5, 0.1, mask, periodic=True)
        >>> same.tolist()
        [0.0, 0.0, 0.0]
    """
    squared = -jnp.expm1(-2 * flow.churn * jnp.asarray(length))
    noise = jnp.sqrt(squared) * jax.random.normal(key, jnp.shape(x))
    change = noise if periodic else noise + (jnp.sqrt(1 - squared) - 1) * start
    moved = x + (1 - t) * change
    return jnp.where(mask, wrap(moved) if periodic else moved, x)
