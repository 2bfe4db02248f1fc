"""Fresh parameters without running, or compiling, the network that they are for."""

from collections.abc import Callable
from typing import Any

import jax
from jax.core import eval_jaxpr
from jax.interpreters.partial_eval import dce_jaxpr

from jaxcrys.core.typing import Key


def fresh_parameters(init: Callable[[jax.Array], Any], key: Key[jax.Array, ""]) -> Any:
    """What ``init(key)`` gives, to rounding, where ``init`` runs a network of Flax.

    Compiled as a whole, ``init`` is a program with the random generator unrolled for each array:
    24 s for the small preset of ``orbit_flow`` on one busy core, 11 s as it is done here. Here only
    those operations run that parameters depend on, one after another; arrays of the same shape
    share their small programs.

    Args:
        init: makes inputs of the network, of any values, and gives them to ``network.init``.
        key: random key.

    Example:
        >>> from flax import linen as nn
        >>> init = lambda key: nn.Dense(3).init(key, jax.numpy.ones((1, 2)))
        >>> fresh_parameters(init, jax.random.key(0))["params"]["kernel"].shape
        (2, 3)
    """
    traced, like = jax.make_jaxpr(init, return_shape=True)(key)
    needed, (takes_key,) = dce_jaxpr(traced.jaxpr, [True] * len(traced.jaxpr.outvars))
    leaves = eval_jaxpr(needed, traced.consts, *[key] * takes_key)
    return jax.tree.unflatten(jax.tree.structure(like), leaves)
