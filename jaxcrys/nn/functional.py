"""The mathematics of the network layers, as pure functions without parameters."""

import math
from typing import Any

import jax.numpy as jnp

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import ArrayLike, Bool, Float


def check_sizes(config: Any, *names: str) -> None:
    """Check the sizes of a network: all at least 1, what must divide each other, and the dropout.

    Args:
        config: settings of a network.
        names: its sizes; ``time_channels`` must be even, ``heads`` divide ``channels``.

    Raises:
        InputError: naming the setting that cannot be used.

    Example:
        >>> import types
        >>> check_sizes(types.SimpleNamespace(layers=2, channels=8, heads=4), "layers", "heads")
    """
    for name in names:
        value = getattr(config, name)
        if value < 1:
            raise InputError(f"network.{name}", f"must be at least 1, got {value}")
    if "time_channels" in names and config.time_channels % 2:
        raise InputError("network.time_channels", f"must be even, got {config.time_channels}")
    if "heads" in names and config.channels % config.heads:
        raise InputError(
            "network.heads", f"must divide the {config.channels} channels, got {config.heads}"
        )
    dropout = getattr(config, "dropout", 0.0)
    if not 0 <= dropout < 1:
        raise InputError("network.dropout", f"must be 0 to below 1, got {dropout}")


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


def plane_waves(
    difference: Float[ArrayLike, "*b 3"], *, frequencies: int
) -> Float[ArrayLike, "*b c"]:
    """The features of :func:`pair_waves`, for differences that are given.

    Example:
        >>> x, y = jnp.array([[0.1, 0.2, 0.3]]), jnp.array([[0.4, 0.9, 0.0]])
        >>> waves = plane_waves((y - x)[None], frequencies=3)
        >>> bool(jnp.allclose(waves, pair_waves(x, y, frequencies=3), atol=1e-5))
        True
    """
    phase = difference[..., None] * (2 * jnp.pi * jnp.arange(frequencies))
    phase = phase.reshape(*phase.shape[:-2], -1)
    return jnp.concatenate([jnp.sin(phase), jnp.cos(phase)], -1)


def masked_mean(
    values: Float[ArrayLike, "*b n c"], mask: Bool[ArrayLike, "*b n"]
) -> Float[ArrayLike, "*b c"]:
    """Mean over the entries of the mask, summed in float32 at least; 0 where there are none.

    Example:
        >>> masked_mean(jnp.array([[1.0], [5.0]]), jnp.array([True, False])).tolist()
        [1.0]
    """
    weight = mask[..., None].astype(jnp.promote_types(values.dtype, jnp.float32))
    return (values * weight).sum(-2) / jnp.maximum(weight.sum(-2), 1)
