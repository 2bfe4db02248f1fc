"""The precision of a network's arithmetic; parameters, geometry and outputs are float32 always."""

from typing import Any, Literal

import jax.numpy as jnp

Precision = Literal["float32", "bfloat16"]


def arithmetic(precision: Precision) -> Any:
    """The ``dtype`` of Linen's layers; None is that of their inputs and parameters.

    Example:
        >>> arithmetic("float32") is None, arithmetic("bfloat16").__name__
        (True, 'bfloat16')
    """
    return jnp.bfloat16 if precision == "bfloat16" else None
