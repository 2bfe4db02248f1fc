"""Variance-exploding diffusion on the torus: fractional coordinates in [0, 1).

    x_t = x_0 + σ_t z  mod 1,   z ~ N(0, 1)

so that the displacement δ = x_t - x_0 follows the wrapped normal density of width σ_t. The network
predicts its score ∂ log p(δ | σ) / ∂δ, divided by the root of E[score²] so that the target has unit
variance at every time. (Jiao et al. 2023, DiffCSP, section 4.2, whose public code has the opposite
sign and a Monte Carlo estimate of E[score²].) The density is in :mod:`.wrapped_density`.

Every coordinate is independent, so a function works on an event of any shape.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import ArrayLike, Bool, Float, Key
from jaxcrys.geometry.periodic import wrap
from jaxcrys.processes.schedules import Time, at_time, geometric_sigmas
from jaxcrys.processes.wrapped_density import expected_squared_score, log_density, score

__all__ = [
    "WrappedNormal",
    "correct",
    "corrupt",
    "expected_squared_score",
    "log_density",
    "loss",
    "prior",
    "score",
    "step",
    "validate",
]

WIDEST = 2.0
"""Largest width allowed. The score is of order exp(-2π²σ²), beyond float32 for larger widths."""


@dataclasses.dataclass(frozen=True)
class WrappedNormal:
    """Settings of the process.

    Attributes:
        steps: number T of time steps.
        sigma_min: width σ_1 at the first step, in fractional units.
        sigma_max: width σ_T at the last; at 0.5 the density of x_T is within 1.5 % of uniform.
    """

    steps: int = 1000
    sigma_min: float = 0.005
    sigma_max: float = 0.5


def validate(process: WrappedNormal) -> None:
    """Check the settings.

    Raises:
        InputError: naming the setting that cannot be used.

    Example:
        >>> validate(WrappedNormal())
    """
    if process.steps < 1:
        raise InputError("steps", f"must be at least 1, got {process.steps}")
    if not 0 < process.sigma_min < process.sigma_max <= WIDEST:
        raise InputError(
            "sigma_min, sigma_max",
            f"must satisfy 0 < sigma_min < sigma_max <= {WIDEST}, "
            f"got {process.sigma_min} and {process.sigma_max}",
            "0.005 and 0.5 are the usual values; beyond 1 the noise is uniform to eight digits",
        )


@functools.cache
def _tables(process: WrappedNormal) -> tuple[np.ndarray, np.ndarray]:
    """σ_t and √E[score²] over the times; at time 0 the second has the value of time 1."""
    validate(process)
    sigma = geometric_sigmas(process.sigma_min, process.sigma_max, process.steps)
    norm = np.sqrt(expected_squared_score(sigma[1:]))
    return sigma, np.concatenate([norm[:1], norm])


def _levels(process: WrappedNormal, t: Time, dtype: np.dtype) -> tuple[jax.Array, jax.Array]:
    sigma, norm = _tables(process)
    return at_time(sigma, t, dtype), at_time(norm, t, dtype)


def corrupt(
    process: WrappedNormal,
    key: Key[jax.Array, ""],
    x0: Float[ArrayLike, "*event"],
    t: Time,
    mask: Bool[ArrayLike, "*event"],
) -> tuple[Float[jax.Array, "*event"], Float[jax.Array, "*event"]]:
    """Draw x_t given x_0.

    Returns:
        x_t in [0, 1), which equals ``x0`` where ``mask`` is False, and the target, score divided
        by the root of E[score²], which is 0 there and at time 0.

    Example:
        >>> x0, mask = jnp.array([0.1, 0.0]), jnp.array([True, False])
        >>> xt, target = corrupt(WrappedNormal(), jax.random.key(0), x0, 1000, mask)
        >>> float(xt[1]), float(target[1]), bool(0 <= xt[0] < 1)
        (0.0, 0.0, True)
    """
    x0 = jnp.asarray(x0)
    sigma, norm = _levels(process, t, x0.dtype)
    delta = sigma * jax.random.normal(key, x0.shape, x0.dtype)
    target = score(delta, jnp.maximum(sigma, process.sigma_min)) / norm
    xt = wrap(jnp.where(mask, x0, 0) + delta)
    return jnp.where(mask, xt, x0), jnp.where(mask, target, 0)


def loss(
    process: WrappedNormal,
    prediction: Float[ArrayLike, "*event"],
    target: Float[ArrayLike, "*event"],
    mask: Bool[ArrayLike, "*event"],
) -> tuple[Float[jax.Array, ""], Float[jax.Array, ""]]:
    """Squared error of the predicted normalised score (denoising score matching).

    Returns:
        the sum over the entries where ``mask`` is True, and their number.

    Example:
        >>> total, count = loss(WrappedNormal(), jnp.ones(3), jnp.zeros(3), jnp.arange(3) < 2)
        >>> float(total), float(count)
        (2.0, 2.0)
    """
    del process
    error = jnp.where(mask, jnp.asarray(prediction) - target, 0)
    return jnp.sum(error**2), jnp.sum(jnp.asarray(mask), dtype=error.dtype)


def prior(
    process: WrappedNormal,
    key: Key[jax.Array, ""],
    mask: Bool[ArrayLike, "*event"],
    fixed: Float[ArrayLike, "*event"],
) -> Float[jax.Array, "*event"]:
    """Draw x_T: uniform in [0, 1) where ``mask`` is True, ``fixed`` elsewhere.

    Example:
        >>> mask = jnp.array([True, False])
        >>> float(prior(WrappedNormal(), jax.random.key(0), mask, jnp.array([0.0, 7.0]))[1])
        7.0
    """
    del process
    fixed = jnp.asarray(fixed)
    return jnp.where(mask, jax.random.uniform(key, fixed.shape, fixed.dtype), fixed)


def step(
    process: WrappedNormal,
    key: Key[jax.Array, ""],
    xt: Float[ArrayLike, "*event"],
    t: Time,
    s: Time,
    prediction: Float[ArrayLike, "*event"],
    mask: Bool[ArrayLike, "*event"],
) -> Float[jax.Array, "*event"]:
    """Ancestral predictor from time t to any earlier time s; at s = 0 no noise is added.

        x_s = x_t + (σ_t² - σ_s²) score + √(σ_s² (σ_t² - σ_s²) / σ_t²) z  mod 1

    (Song et al. 2021, appendix F). Exact in the limit of small strides.

    Args:
        process: the settings.
        key: consumed.
        xt: the noisy sample.
        t: its time, 1 to T.
        s: the time to go to, 0 <= s < t.
        prediction: the predicted normalised score.
        mask: what is free; everything else comes out as it stands in ``xt``.

    Example:
        >>> process, x0, mask = WrappedNormal(), jnp.array([0.99]), jnp.array([True])
        >>> xt, target = corrupt(process, jax.random.key(3), x0, 100, mask)
        >>> x = step(process, jax.random.key(1), xt, 100, 0, target, mask)
        >>> round(float(x[0]), 4)
        0.99
    """
    xt = jnp.asarray(xt)
    sigma_t, norm = _levels(process, t, xt.dtype)
    sigma_s, _ = _levels(process, s, xt.dtype)
    gap = (sigma_t - sigma_s) * (sigma_t + sigma_s)
    spread = sigma_s / sigma_t * jnp.sqrt(gap)
    return _move(key, xt, gap * norm, prediction, spread, mask)


def correct(
    process: WrappedNormal,
    key: Key[jax.Array, ""],
    xt: Float[ArrayLike, "*event"],
    t: Time,
    prediction: Float[ArrayLike, "*event"],
    mask: Bool[ArrayLike, "*event"],
    step_size: Float[ArrayLike, ""] | float,
) -> Float[jax.Array, "*event"]:
    """Langevin corrector at time t.

        x ← x + h score + √(2h) z  mod 1,   h = step_size · (σ_t / σ_min)²

    without the noise z at t = 1 (Jiao et al. 2023, algorithm 2, and its public code, which uses
    step sizes of 5e-7 to 1e-5). Arguments as :func:`step`.

    Example:
        >>> process, mask = WrappedNormal(), jnp.array([True])
        >>> xt = jnp.array([0.5])
        >>> correct(process, jax.random.key(0), xt, 1, jnp.array([1.0]), mask, 1e-5)
        Array([0.502], dtype=float32)
    """
    xt = jnp.asarray(xt)
    sigma, norm = _levels(process, t, xt.dtype)
    stride = step_size * (sigma / process.sigma_min) ** 2
    spread = jnp.where(jnp.asarray(t) > 1, jnp.sqrt(2 * stride), 0)
    return _move(key, xt, stride * norm, prediction, spread, mask)


def _move(
    key: jax.Array,
    xt: jax.Array,
    stride: ArrayLike,
    prediction: ArrayLike,
    spread: ArrayLike,
    mask: ArrayLike,
) -> jax.Array:
    """Follow the prediction, add noise, wrap; only where ``mask`` is True."""
    drift = stride * jnp.where(mask, jnp.asarray(prediction), 0)
    noise = spread * jax.random.normal(key, xt.shape, xt.dtype)
    return jnp.where(mask, wrap(jnp.where(mask, xt, 0) + drift + noise), xt)
