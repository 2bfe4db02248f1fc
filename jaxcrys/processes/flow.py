"""Flow matching along straight paths, on the line and on the torus (Lipman et al. 2023).

A point goes from a random start x_0 to the data x_1 at constant velocity,

    x_t = x_0 + t w,   w = x_1 - x_0,   0 <= t <= 1,

on the torus (R/Z)^n along the way w to the nearest image of x_1 (Chen and Lipman 2024). The network
learns the mean velocity at x_t; the sampler integrates it with Euler's steps. Time runs from 0, the
start, to 1, the data. How starts and data are paired is up to the recipe.

Functions are for events of any shape; ``t`` broadcasts against them.
"""

import jax.numpy as jnp

from jaxcrys.core.typing import ArrayLike, Bool, Float
from jaxcrys.geometry.periodic import wrap


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
    """Euler's step of some length from time t; what is masked stays as it is.

    Args:
        x: the point at time t.
        velocity: what the network says there.
        t: time.
        length: of the step in time.
        mask: which entries move.
        periodic: whether x lies on the torus.
        haste: go 1 + haste · t times as fast. Velocities are means over many ends, too slow near
            the data; a little haste sharpens what comes out.

    Example:
        >>> moved = step(jnp.array(0.9), jnp.array(0.5), 0.0, 0.5, jnp.array(True), periodic=True)
        >>> round(float(moved), 3)
        0.15
    """
    moved = jnp.asarray(x) + length * (1 + haste * t) * velocity
    return jnp.where(mask, wrap(moved) if periodic else moved, x)
