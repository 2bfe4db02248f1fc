"""The space group, drawn from its share of the training set, a little smoothed."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import ArrayLike, Float, Int, Key
from jaxcrys.processes.categorical import draw, normalise
from jaxcrys.recipes.census import SMOOTHING
from jaxcrys.symmetry.tables import NUM_GROUPS

UNIFORM = (-float(np.log(NUM_GROUPS)),) * NUM_GROUPS
"""Log-probabilities of groups 1 to 230 before there are data."""


def validate(log_weights: tuple[float, ...]) -> None:
    """Check the number of log-probabilities.

    Raises:
        InputError: if it is not that of the groups.
    """
    if len(log_weights) != NUM_GROUPS:
        raise InputError("group_log_weights", f"must have {NUM_GROUPS} numbers")


def fit_groups(group: Int[np.ndarray, "b"]) -> tuple[float, ...]:
    """Log-probability of each group 1 to 230, from those of the training set.

    Example:
        >>> round(fit_groups(np.array([225] * 977))[224], 4)  # 977.1 of 1000
        -0.0232
    """
    counts = np.bincount(group, minlength=NUM_GROUPS + 1)[1:] + SMOOTHING
    return tuple(np.round(np.log(counts / counts.sum()), 5).tolist())


def draw_groups(
    keys: Key[jax.Array, "b"],
    log_weights: Sequence[float] | Float[ArrayLike, "230"],
    wanted: Float[ArrayLike, "231"],
) -> Int[jax.Array, "b"]:
    """Draw a group for each key, by the weights and those that are wanted.

    Args:
        keys: one for each draw.
        log_weights: log-probability of groups 1 to 230.
        wanted: further log-weights, by group number, -inf for groups that are not to be drawn.

    Example:
        >>> only = np.where(np.arange(231) == 62, 0.0, -np.inf)
        >>> draw_groups(jax.random.split(jax.random.key(0), 2), UNIFORM, only).tolist()
        [62, 62]
    """
    logits = normalise(jnp.pad(jnp.asarray(log_weights), (1, 0), constant_values=-jnp.inf) + wanted)
    return jax.vmap(draw)(keys, jnp.broadcast_to(logits, (len(keys), logits.shape[-1])))
