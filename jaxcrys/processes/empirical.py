"""The empirical distribution of space groups and Wyckoff templates.

A template is a space group with the multiset of Wyckoff positions that its sites occupy, written
as ids in ascending order with the empty slots (0) at the end. DiffCSP++ and SymmCD draw templates,
or groups, from the training set; their probability is their share of it.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import ArrayLike, Bool, Float, Int, Key, namespace
from jaxcrys.processes.categorical import draw


@pytree
class Templates:
    """The distinct templates of a dataset; m templates, s slots.

    Attributes:
        group: space group number of each.
        wyckoff: global Wyckoff ids, ascending, empty slots at the end.
        count: how often each occurs in the dataset.
        log_weight: logarithm of its share.
    """

    group: Int[ArrayLike, "m"]
    wyckoff: Int[ArrayLike, "m s"]
    count: Int[ArrayLike, "m"]
    log_weight: Float[ArrayLike, "m"]


def canonical(wyckoff: Int[ArrayLike, "*b s"]) -> Int[ArrayLike, "*b s"]:
    """Sort the sites of a template: ascending ids, empty slots at the end.

    Example:
        >>> canonical(np.array([7, 0, 3]))
        array([3, 7, 0])
    """
    xp = namespace(wyckoff)
    last = np.iinfo(wyckoff.dtype).max
    ordered = xp.sort(xp.where(wyckoff == 0, last, wyckoff), axis=-1)
    return xp.where(ordered == last, 0, ordered)


def fit(group: Int[np.ndarray, "n"], wyckoff: Int[np.ndarray, "n s"]) -> Templates:
    """Count the templates of a dataset, on the host.

    Args:
        group: space group number of each crystal.
        wyckoff: its global Wyckoff ids in any order; 0 is an empty slot.

    Raises:
        InputError: if there are no crystals, or the shapes do not fit.

    Example:
        >>> fit(np.array([2, 2, 2]), np.array([[3, 2], [2, 3], [2, 0]])).count
        array([1, 2], dtype=int32)
    """
    group, wyckoff = np.asarray(group), np.asarray(wyckoff)
    if wyckoff.ndim != 2 or group.shape != wyckoff.shape[:1] or not len(group):
        raise InputError(
            "group, wyckoff",
            f"must have shapes [n] and [n, s] with n > 0, got {group.shape} and {wyckoff.shape}",
        )
    rows = np.concatenate([group[:, None], canonical(wyckoff)], axis=1).astype(np.int32)
    unique, count = np.unique(rows, axis=0, return_counts=True)
    log_weight = np.log(count / count.sum()).astype(np.float32)
    return Templates(unique[:, 0], unique[:, 1:], count.astype(np.int32), log_weight)


def log_prob(
    templates: Templates, group: Int[ArrayLike, ""], wyckoff: Int[ArrayLike, "s"]
) -> Float[jax.Array, ""]:
    """Log-probability of one crystal's template; -inf if the dataset has none like it.

    Args:
        templates: the fitted distribution.
        group: space group number.
        wyckoff: global Wyckoff ids in any order, as many slots as the templates.

    Example:
        >>> templates = fit(np.array([2, 2]), np.array([[3, 2], [2, 0]]))
        >>> round(float(log_prob(templates, np.array(2), np.array([2, 3]))), 4)
        -0.6931
    """
    own = jnp.broadcast_to(canonical(jnp.asarray(wyckoff)), templates.wyckoff.shape)
    same = (templates.wyckoff == own).all(-1) & (templates.group == group)
    return jnp.where(same, templates.log_weight, -jnp.inf).max()


def group_log_prob(templates: Templates, group: Int[ArrayLike, ""]) -> Float[jax.Array, ""]:
    """Log-probability of a space group; -inf if the dataset has none in it.

    Example:
        >>> templates = fit(np.array([2, 2, 5]), np.array([[3, 2], [2, 0], [20, 0]]))
        >>> round(float(jnp.exp(group_log_prob(templates, np.array(2)))), 4)
        0.6667
    """
    share = jnp.where(templates.group == group, jnp.exp(templates.log_weight), 0)
    return jnp.log(share.sum())


def in_groups(templates: Templates, groups: tuple[int, ...]) -> Bool[ArrayLike, "m"]:
    """Which templates belong to one of the space groups, as ``allowed`` of :func:`sample`.

    Example:
        >>> in_groups(fit(np.array([2, 5]), np.array([[3], [20]])), (5, 7))
        array([False,  True])
    """
    xp = namespace(templates.group)
    return xp.isin(templates.group, np.asarray(groups))


def sample(
    templates: Templates,
    key: Key[jax.Array, ""],
    allowed: Bool[ArrayLike, "m"] | None = None,
    temperature: Float[ArrayLike, ""] | float = 1.0,
) -> Int[jax.Array, ""]:
    """Draw the index of a template; what is not allowed has probability exactly 0.

    Args:
        templates: the fitted distribution.
        key: consumed; one per sample.
        allowed: templates to choose from; None allows all.
        temperature: shares are raised to the power 1 / temperature: above 1 flattens.

    Returns:
        the index, or -1 if nothing is allowed.

    Example:
        >>> templates = fit(np.array([2, 5]), np.array([[3], [20]]))
        >>> int(sample(templates, jax.random.key(0), in_groups(templates, (5,))))
        1
    """
    logits = jnp.asarray(templates.log_weight) / temperature
    if allowed is not None:
        logits = jnp.where(allowed, logits, -jnp.inf)
    return jnp.where((logits > -jnp.inf).any(), draw(key, logits), -1)
