"""NumPy in, NumPy out; JAX in, JAX out."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.typing import namespace


def test_namespace_follows_the_arrays():
    assert namespace(np.zeros(1), 1.0) is np
    assert namespace(np.zeros(1), jnp.zeros(1)) is jnp
    assert namespace() is np


def test_tracers_are_jax_arrays():
    found = []
    jax.jit(lambda a: found.append(namespace(a)) or a)(np.zeros(1))
    assert found == [jnp]
