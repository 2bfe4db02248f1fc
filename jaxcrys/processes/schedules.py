"""Noise schedules: tables over the times 0 … T, where time 0 is clean data.

All tables are NumPy float64 arrays of shape [T + 1], made on demand and cached; they may not be
written to. ᾱ_t (alpha bar) is the share of the signal's variance, or the probability of an entry,
that survives until time t; σ_t is the width of noise that is added without shrinking the signal.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import ArrayLike, Float, Int

Time = Int[ArrayLike, ""] | int
"""One time 0 … T, a Python integer or a traced scalar."""


def _frozen(table: np.ndarray) -> np.ndarray:
    table.setflags(write=False)
    return table


@functools.cache
def cosine_alpha_bar(
    steps: int, offset: float = 0.008, clip: tuple[float, float] = (1e-4, 0.9999)
) -> Float[np.ndarray, "t"]:
    """Cosine schedule, ᾱ_t ∝ cos²(π/2 · (t/T + offset) / (1 + offset)), with ᾱ_0 = 1.

    Nichol & Dhariwal 2021, section 3.2. The steps β_t = 1 - ᾱ_t / ᾱ_{t-1} are clipped, by default
    to the range that DiffCSP++ uses.

    Example:
        >>> np.round(cosine_alpha_bar(4), 3)
        array([1. , 0.847, 0.494, 0.144, 0. ])
    """
    angle = (np.arange(steps + 1) / steps + offset) / (1 + offset) * np.pi / 2
    survival = np.cos(angle) ** 2
    beta = np.clip(1 - survival[1:] / survival[:-1], *clip)
    return _frozen(np.concatenate([[1.0], np.cumprod(1 - beta)]))


@functools.cache
def linear_alpha_bar(steps: int) -> Float[np.ndarray, "t"]:
    """Mutual-information schedule of absorbing diffusion: ᾱ_t = 1 - t/T.

    It is β_t = 1 / (T - t + 1): in each step the same number of entries is lost (Austin et al.
    2021, section 3.2).

    Example:
        >>> linear_alpha_bar(4)
        array([1. , 0.75, 0.5 , 0.25, 0. ])
    """
    return _frozen(1 - np.arange(steps + 1) / steps)


@functools.cache
def geometric_sigmas(sigma_min: float, sigma_max: float, steps: int) -> Float[np.ndarray, "t"]:
    """Widths σ_0 = 0 and σ_1 = sigma_min … σ_T = sigma_max in geometric progression.

    Song & Ermon 2019, section 4.2; Jiao et al. 2023 (DiffCSP).

    Example:
        >>> geometric_sigmas(0.01, 1.0, 3)
        array([0. , 0.01, 0.1 , 1. ])
    """
    return _frozen(np.concatenate([[0.0], np.geomspace(sigma_min, sigma_max, steps)]))


def strided_times(steps: int, count: int) -> Int[np.ndarray, "t"]:
    """Times of a sampler that makes ``count`` jumps, from T down to 0, as evenly as integers allow.

    Raises:
        InputError: if ``count`` is not between 1 and ``steps``.

    Example:
        >>> strided_times(1000, 4)
        array([1000, 750, 500, 250, 0])
    """
    if not 1 <= count <= steps:
        raise InputError("count", f"must be from 1 to the {steps} steps, got {count}")
    return np.rint(np.linspace(steps, 0, count + 1)).astype(int)


def at_time(table: Float[np.ndarray, "t"], t: Time, dtype: np.dtype) -> Float[jax.Array, ""]:
    """Look up a host table at a (traced) time.

    Example:
        >>> float(at_time(linear_alpha_bar(4), 1, np.dtype("float32")))
        0.75
    """
    return jnp.asarray(table, dtype)[t]
