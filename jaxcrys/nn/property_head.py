"""From what a network knows of each site to numbers of the whole crystal, with their spread."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxcrys.core.typing import ArrayLike, Float, Key
from jaxcrys.crystal.types import Crystal
from jaxcrys.symmetry.wyckoff import multiplicity

NARROWEST, WIDEST = -6.0, 4.0
"""Limits of the logarithm of a standardised variance."""


class PropertyHead(nn.Module):
    """A mean and the logarithm of a variance for each property.

    The features of the sites are averaged over the atoms of the crystal, so that what comes out is
    intensive and depends neither on the cell nor on the order of the sites.

    Attributes:
        properties: how many.

    Example:
        >>> from jaxcrys.crystal import example_crystal, stack_crystals
        >>> batch = jax.tree.map(jnp.asarray, stack_crystals([example_crystal()]))
        >>> head, features = PropertyHead(2), jnp.ones((1, batch.wyckoff.shape[-1], 8))
        >>> mean, _ = head.apply(head.init(jax.random.key(0), features, batch), features, batch)
        >>> mean.shape
        (1, 2)
    """

    properties: int

    @nn.compact
    def __call__(
        self, features: Float[ArrayLike, "b s c"], crystals: Crystal
    ) -> tuple[Float[jax.Array, "b p"], Float[jax.Array, "b p"]]:
        """Return standardised means, and logarithms of their variances."""
        atoms = multiplicity(crystals.wyckoff).astype(features.dtype)
        total = (features * atoms[..., None]).sum(-2)
        known = total / jnp.maximum(atoms.sum(-1, keepdims=True), 1)
        hidden = nn.silu(nn.Dense(features.shape[-1], name="hidden")(known))
        mean, log_variance = jnp.split(nn.Dense(2 * self.properties, name="logits")(hidden), 2, -1)
        # smooth limits, with a slope everywhere
        middle, half = (WIDEST + NARROWEST) / 2, (WIDEST - NARROWEST) / 2
        return mean, middle + half * jnp.tanh((log_variance - middle) / half)


def init_property_head(
    key: Key[jax.Array, ""], crystals: Crystal, *, channels: int, properties: int
) -> Any:
    """Fresh parameters for features of so many channels."""
    features = jnp.zeros((*crystals.wyckoff.shape, channels))
    return PropertyHead(properties).init(key, features, crystals)
