"""The mathematics of the network layers, as pure functions without parameters."""

import math

import jax.numpy as jnp

from jaxcrys.core.typing import ArrayLike, Bool, Float


def time_embedding(
    t: Float[ArrayLike, "*b"], width: int, *, period: float = 10_000.0
) -> Float[ArrayLike, "*b c"]:
    """Sines and cosines of t at geometric frequencies (Vaswani et al. 2017, section 3.5).

    Example:
        >>> time_embedding(jnp.zeros(()), 4).tolist()
        [0.0, 0.0, 1.0, 1.0]
    """
    half = width // 2
    frequency = jnp.exp(-math.log(period) * jnp.arange(half) / half)
    phase = t[..., None] * frequency
    return jnp.concatenate([jnp.sin(phase), jnp.cos(phase)], -1)


def pair_waves(
    receiver: Float[ArrayLike, "*b p 3"],
    sender: Float[ArrayLike, "*b q 3"],
    *,
    frequencies: int,
) -> Float[ArrayLike, "*b p q c"]:
    r"""Plane waves of fractional differences: sin and cos of 2πm(x_j − x_i), m = 0 … frequencies−1.

    Invariant under lattice translations of either end. The differences' waves are products of the
    waves at each end, so that sines are computed per atom instead of per pair.

    Returns:
        Features of each pair, c = 6 · frequencies.

    Example:
        >>> x = jnp.array([[0.25, 0.0, 0.0]])
        >>> waves = pair_waves(x, x + 0.5, frequencies=2)
        >>> bool(jnp.allclose(waves, pair_waves(x, x - 2.5, frequencies=2), atol=1e-5))
        True
    """
    order = 2 * jnp.pi * jnp.arange(frequencies)

    def ends(x: ArrayLike) -> tuple[ArrayLike, ArrayLike]:
        phase = (x[..., None] * order).reshape(*x.shape[:-1], -1)
        return jnp.sin(phase), jnp.cos(phase)

    sin_i, cos_i = (wave[..., :, None, :] for wave in ends(receiver))
    sin_j, cos_j = (wave[..., None, :, :] for wave in ends(sender))
    return jnp.concatenate([sin_j * cos_i - cos_j * sin_i, cos_j * cos_i + sin_j * sin_i], -1)


def masked_mean(
    values: Float[ArrayLike, "*b n c"], mask: Bool[ArrayLike, "*b n"]
) -> Float[ArrayLike, "*b c"]:
    """Mean over the entries of the mask; 0 where there are none.

    Example:
        >>> masked_mean(jnp.array([[1.0], [5.0]]), jnp.array([True, False])).tolist()
        [1.0]
    """
    weight = mask[..., None].astype(values.dtype)
    return (values * weight).sum(-2) / jnp.maximum(weight.sum(-2), 1)
