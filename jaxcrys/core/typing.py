"""The vocabulary of array types.

Dimension names: ``b`` batch, ``s`` sites (orbits), ``o`` operations, ``n`` atoms, ``e`` edges,
``c`` channels, ``k`` the six lattice coefficients. Functions that work on the host as well take
NumPy arrays and then return NumPy arrays; :func:`namespace` picks the library.
"""

from types import ModuleType
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float, Int, Key, Shaped, UInt

__all__ = ["ArrayLike", "Bool", "Float", "Int", "Key", "Shaped", "UInt", "namespace"]

ArrayLike = jax.Array | np.ndarray


def namespace(*arrays: Any) -> ModuleType:
    """Return ``jax.numpy`` if any argument is a JAX array or tracer, else ``numpy``.

    Example:
        >>> namespace(np.zeros(3)).__name__
        'numpy'
    """
    return jax.numpy if any(isinstance(a, jax.Array) for a in arrays) else np
