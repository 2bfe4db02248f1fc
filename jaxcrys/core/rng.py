"""Random keys that depend on what is drawn, never on how the work is cut up."""

import zlib

import jax
import jax.numpy as jnp

from jaxcrys.core.typing import ArrayLike, Int, Key


def sample_keys(seed: int, index: Int[ArrayLike, "b"]) -> Key[jax.Array, "b"]:
    """One key for each sample: a function of (seed, sample index) alone.

    Example:
        >>> import numpy as np
        >>> together = sample_keys(0, np.arange(4))
        >>> alone = sample_keys(0, np.array([2]))
        >>> bool(together[2] == alone[0])
        True
    """
    fold = jax.vmap(jax.random.fold_in, in_axes=(None, 0))
    return fold(jax.random.key(seed), jnp.asarray(index, jnp.uint32))


def streams(key: Key[jax.Array, ""], *names: str) -> dict[str, Key[jax.Array, ""]]:
    """One key for each name, by a single split.

    Example:
        >>> import jax
        >>> keys = streams(jax.random.key(0), "lattice", "species")
        >>> bool(keys["lattice"] == keys["species"])
        False
    """
    return dict(zip(names, jax.random.split(key, len(names)), strict=True))


def stream(key: Key[jax.Array, ""], name: str) -> Key[jax.Array, ""]:
    """The key of a named stream, so that a new consumer of randomness disturbs no other.

    Example:
        >>> import jax
        >>> key = jax.random.key(0)
        >>> bool(stream(key, "lattice") == stream(key, "species"))
        False
    """
    return jax.random.fold_in(key, zlib.crc32(name.encode()))
