"""Elements hidden behind a mask, 0, that is lifted site by site on a continuous clock.

At time t each element has become visible with probability t (absorbing discrete flow: Campbell et
al. 2024; Gat et al. 2024). A sampler draws those that become visible from the model's say.
"""

import jax
import jax.numpy as jnp

from jaxcrys.core.typing import ArrayLike, Bool, Float, Int, Key

ALL_KNOWN, NONE_KNOWN = 0.25, 0.5
"""Shares of training crystals that start with all elements known, or with none; the others start
with a random part, so that any part may be given when samples are drawn."""


def given(key: Key[jax.Array, ""], species: Int[ArrayLike, "s"]) -> Bool[ArrayLike, "s"]:
    """Sites whose element is given at the start: all, none, or a random part of them.

    Example:
        >>> given(jax.random.key(0), jnp.array([11, 17])).shape
        (2,)
    """
    which, share, sites = jax.random.split(key, 3)
    kind = jax.random.uniform(which)
    part = jax.random.uniform(sites, species.shape) < jax.random.uniform(share)
    return (kind < ALL_KNOWN) | (part & (kind >= ALL_KNOWN + NONE_KNOWN))


def reveal(
    key: Key[jax.Array, ""],
    species: Int[ArrayLike, "s"],
    logits: Float[ArrayLike, "s z"],
    share: Float[jax.Array, ""] | float,
    last: Bool[jax.Array, ""] | bool,
) -> Int[ArrayLike, "s"]:
    """Draw the elements of a share of the unknown sites; of all of them in the last step.

    Example:
        >>> logits = jnp.where(jnp.arange(5) == 3, 0.0, -jnp.inf)[None]
        >>> reveal(jax.random.key(0), jnp.array([0]), logits, 0.0, True).tolist()
        [3]
    """
    which, what = jax.random.split(key)
    chosen = (jax.random.uniform(which, species.shape) < share) | last
    no_atom = jnp.arange(logits.shape[-1]) == 0
    drawn = jax.random.categorical(what, jnp.where(no_atom, -jnp.inf, logits))
    return jnp.where((species == 0) & chosen, drawn, species).astype(species.dtype)
