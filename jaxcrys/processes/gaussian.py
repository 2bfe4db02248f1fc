"""Variance-preserving Gaussian diffusion of real numbers, on the entries that are free.

    x_t = √ᾱ_t x_0 + √(1 - ᾱ_t) ε,   ε ~ N(0, 1)

with ᾱ_t the cosine schedule. The network predicts ε. (Ho et al. 2020, equations 4 and 7; masked
to the free lattice coefficients as in DiffCSP++, Jiao et al. 2024, section 4.2.)
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import ArrayLike, Bool, Float, Key
from jaxcrys.processes.schedules import Time, at_time, cosine_alpha_bar


@dataclasses.dataclass(frozen=True)
class MaskedGaussian:
    """Settings of the process.

    Attributes:
        steps: number T of time steps.
        offset: offset of the cosine schedule.
        clip: largest magnitude of the predicted x_0 in :func:`step`; None does not clip.
    """

    steps: int = 1000
    offset: float = 0.008
    clip: float | None = None


def validate(process: MaskedGaussian) -> None:
    """Check the settings.

    Raises:
        InputError: naming the setting that cannot be used.

    Example:
        >>> validate(MaskedGaussian())
    """
    if process.steps < 1:
        raise InputError("steps", f"must be at least 1, got {process.steps}")
    if process.clip is not None and process.clip <= 0:
        raise InputError(
            "clip", f"must be positive, got {process.clip}", "pass None for no clipping"
        )


@functools.cache
def _log_alpha_bar(process: MaskedGaussian) -> np.ndarray:
    validate(process)
    return np.log(cosine_alpha_bar(process.steps, process.offset))


def corrupt(
    process: MaskedGaussian,
    key: Key[jax.Array, ""],
    x0: Float[ArrayLike, "*event"],
    t: Time,
    mask: Bool[ArrayLike, "*event"],
) -> tuple[Float[jax.Array, "*event"], Float[jax.Array, "*event"]]:
    """Draw x_t given x_0.

    Returns:
        x_t, which equals ``x0`` where ``mask`` is False, and the noise ε that the network is to
        predict, which is 0 there.

    Example:
        >>> x0, mask = jnp.array([1.0, 7.0]), jnp.array([True, False])
        >>> xt, noise = corrupt(MaskedGaussian(), jax.random.key(0), x0, 1000, mask)
        >>> float(xt[1]), float(noise[1]), bool(abs(xt[0] - noise[0]) < 1e-3)
        (7.0, 0.0, True)
    """
    x0 = jnp.asarray(x0)
    level = at_time(_log_alpha_bar(process), t, x0.dtype)
    noise = jnp.where(mask, jax.random.normal(key, x0.shape, x0.dtype), 0)
    xt = jnp.exp(level / 2) * jnp.where(mask, x0, 0) + jnp.sqrt(-jnp.expm1(level)) * noise
    return jnp.where(mask, xt, x0), noise


def loss(
    process: MaskedGaussian,
    prediction: Float[ArrayLike, "*event"],
    noise: Float[ArrayLike, "*event"],
    mask: Bool[ArrayLike, "*event"],
) -> tuple[Float[jax.Array, ""], Float[jax.Array, ""]]:
    """Squared error of the predicted noise (Ho et al. 2020, equation 14).

    Returns:
        the sum over the entries where ``mask`` is True, and their number.

    Example:
        >>> total, count = loss(MaskedGaussian(), jnp.ones(3), jnp.zeros(3), jnp.arange(3) < 2)
        >>> float(total), float(count)
        (2.0, 2.0)
    """
    del process
    error = jnp.where(mask, jnp.asarray(prediction) - noise, 0)
    return jnp.sum(error**2), jnp.sum(jnp.asarray(mask), dtype=error.dtype)


def prior(
    process: MaskedGaussian,
    key: Key[jax.Array, ""],
    mask: Bool[ArrayLike, "*event"],
    fixed: Float[ArrayLike, "*event"],
) -> Float[jax.Array, "*event"]:
    """Draw x_T: standard normal where ``mask`` is True, ``fixed`` elsewhere.

    Example:
        >>> mask = jnp.array([True, False])
        >>> float(prior(MaskedGaussian(), jax.random.key(0), mask, jnp.array([0.0, 7.0]))[1])
        7.0
    """
    del process
    fixed = jnp.asarray(fixed)
    return jnp.where(mask, jax.random.normal(key, fixed.shape, fixed.dtype), fixed)


def step(
    process: MaskedGaussian,
    key: Key[jax.Array, ""],
    xt: Float[ArrayLike, "*event"],
    t: Time,
    s: Time,
    prediction: Float[ArrayLike, "*event"],
    mask: Bool[ArrayLike, "*event"],
) -> Float[jax.Array, "*event"]:
    """Ancestral step from time t to any earlier time s; at s = 0 no noise is added.

    Draws from q(x_s | x_t, x̂_0), the normal distribution with a = ᾱ_t / ᾱ_s and

        mean      (√ᾱ_s (1 - a) x̂_0 + √a (1 - ᾱ_s) x_t) / (1 - ᾱ_t)
        variance  (1 - ᾱ_s) (1 - a) / (1 - ᾱ_t)

    where x̂_0 = (x_t - √(1 - ᾱ_t) ε̂) / √ᾱ_t, clipped if the process says so (Ho et al. 2020,
    equations 6 and 7, for any stride).

    Args:
        process: the settings.
        key: consumed.
        xt: the noisy sample.
        t: its time, 1 to T.
        s: the time to go to, 0 <= s < t.
        prediction: the predicted noise ε̂.
        mask: what is free; everything else comes out as it stands in ``xt``.

    Example:
        >>> process, x0, mask = MaskedGaussian(), jnp.array([0.3]), jnp.array([True])
        >>> xt, noise = corrupt(process, jax.random.key(0), x0, 400, mask)
        >>> x = step(process, jax.random.key(1), xt, 400, 0, noise, mask)
        >>> round(float(x[0]), 4)
        0.3
    """
    xt = jnp.asarray(xt)
    level_t = at_time(_log_alpha_bar(process), t, xt.dtype)
    level_s = at_time(_log_alpha_bar(process), s, xt.dtype)
    noise_t, noise_s = -jnp.expm1(level_t), -jnp.expm1(level_s)
    lost = -jnp.expm1(level_t - level_s)

    live = jnp.where(mask, xt, 0)
    clean = (live - jnp.sqrt(noise_t) * jnp.where(mask, prediction, 0)) * jnp.exp(-level_t / 2)
    if process.clip is not None:
        clean = jnp.clip(clean, -process.clip, process.clip)
    mean = jnp.exp(level_s / 2) * lost * clean + jnp.exp((level_t - level_s) / 2) * noise_s * live
    spread = jnp.sqrt(noise_s * lost / noise_t)
    drawn = mean / noise_t + spread * jax.random.normal(key, xt.shape, xt.dtype)
    return jnp.where(mask, drawn, xt)
