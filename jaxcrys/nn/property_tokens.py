"""Numbers that are told to a network, such as a band gap, as vectors beside its own."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxcrys.core.typing import ArrayLike, Float

STEPS = (-2.0, -1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Where smooth steps show how large a standardised value is."""


class PropertyTokens(nn.Module):
    """A vector for each value, of smooth steps of it with weights of its own.

    Attributes:
        channels: width of a vector.
        dtype: of the arithmetic.

    Example:
        >>> tokens = PropertyTokens(channels=8)
        >>> values = jnp.array([[0.5, jnp.nan]])
        >>> told = tokens.apply(tokens.init(jax.random.key(0), values), values)
        >>> told.shape, bool((told[0, 1] == 0).all())
        ((1, 2, 8), True)
    """

    channels: int
    dtype: Any = None

    @nn.compact
    def __call__(self, values: Float[ArrayLike, "*b p"]) -> Float[jax.Array, "*b p c"]:
        """Vectors of standardised values; 0 where a value is NaN, not known."""
        known = ~jnp.isnan(values)
        values = jnp.where(known, values, 0)
        steps = jnp.tanh(2 * (values[..., None] - jnp.array(STEPS)))
        told = jnp.pad(steps, [*[(0, 0)] * values.ndim, (1, 0)], constant_values=1)
        own = told[..., None, :] * jnp.eye(values.shape[-1])[..., None]
        dense = nn.Dense(self.channels, name="of_steps", dtype=self.dtype)
        tokens = dense(own.reshape(*values.shape, -1))
        return jnp.where(known[..., None], tokens, 0)
