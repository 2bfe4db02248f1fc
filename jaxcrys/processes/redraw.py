"""Draw again what came out unusable, sample by sample, in jit."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import ArrayLike, Bool, Int


@pytree
class Attempts:
    """Samples, and how they came about.

    Attributes:
        drawn: the first usable draw of each sample, or its last.
        usable: whether it is.
        number: how many draws were made.
    """

    drawn: Any
    usable: Bool[ArrayLike, "b"]
    number: Int[ArrayLike, "b"]


def redraw(
    draw: Callable[[Int[jax.Array, "m"], Int[jax.Array, "m"]], Any],
    usable: Callable[[Any], Bool[jax.Array, "m"]],
    *,
    count: int,
    attempts: int,
    at_once: int = 16,
) -> Attempts:
    """The first usable draw of each sample, out of at most ``attempts``.

    All samples are drawn once; those that are not usable follow a few at a time, so that a rare
    failure costs little. A sample is as it would be alone if ``draw`` depends on the number of the
    sample and of the attempt only.

    Args:
        draw: from numbers of samples and of their attempts (0, 1, …), a batch of draws.
        usable: which draws of a batch can be used.
        count: number of samples.
        attempts: most draws of a sample.
        at_once: samples drawn again together.

    Example:
        >>> found = redraw(lambda i, a: i + 4 * a, lambda x: x > 5, count=4, attempts=3)
        >>> found.drawn.tolist(), found.number.tolist()
        ([8, 9, 6, 7], [3, 3, 2, 2])
    """
    first = draw(jnp.arange(count), jnp.zeros(count, jnp.int32))
    state = Attempts(first, usable(first), jnp.ones(count, jnp.int32))
    if attempts == 1:
        return state

    def open_samples(state: Attempts) -> jax.Array:
        return ~jnp.asarray(state.usable) & (jnp.asarray(state.number) < attempts)

    def once_more(state: Attempts) -> Attempts:
        waits = open_samples(state)
        index = jnp.argsort(~waits)[: min(at_once, count)]
        new = draw(index, jnp.asarray(state.number)[index])
        taken = waits[index]

        def put(old: jax.Array, new: jax.Array) -> jax.Array:
            where = taken.reshape(-1, *[1] * (new.ndim - 1))
            return old.at[index].set(jnp.where(where, new, old[index]))

        return Attempts(
            drawn=jax.tree.map(put, state.drawn, new),
            usable=put(jnp.asarray(state.usable), usable(new)),
            number=jnp.asarray(state.number).at[index].add(taken.astype(jnp.int32)),
        )

    return jax.lax.while_loop(lambda state: open_samples(state).any(), once_more, state)
