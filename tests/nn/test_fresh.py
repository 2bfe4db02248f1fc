"""Fresh parameters are those of Flax's own ``init``."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxcrys.nn.fresh import fresh_parameters

KEY = jax.random.key(3)


class Network(nn.Module):
    """Arrays of equal and of other shapes, constants, and a parameter that starts at zero."""

    @nn.compact
    def __call__(self, x):
        table = self.param("table", nn.initializers.normal(0.5), (7, 4))
        x = x + table[jnp.argsort(jnp.arange(3))]
        for _ in range(2):
            x = jax.jit(nn.silu)(nn.Dense(4)(nn.LayerNorm()(x)))
        return x @ self.param("out", nn.initializers.zeros, (4, 2))


def init(key):
    return Network().init(key, jnp.ones((3, 4)))


def test_they_are_those_of_flax():
    found, expected = fresh_parameters(init, KEY), init(KEY)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_inside_of_other_transformations():
    expected = fresh_parameters(init, KEY)
    shapes = jax.eval_shape(lambda: fresh_parameters(init, KEY))
    assert jax.tree.map(lambda x: x.shape, shapes) == jax.tree.map(lambda x: x.shape, expected)
    compiled = jax.jit(lambda key: fresh_parameters(init, key))(KEY)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), compiled, expected)


def test_parameters_that_depend_on_no_key():
    class Scale(nn.Module):
        @nn.compact
        def __call__(self, x):
            return x * self.param("scale", nn.initializers.ones, (2,))

    found = fresh_parameters(lambda key: Scale().init(key, jnp.ones(2)), KEY)
    np.testing.assert_array_equal(found["params"]["scale"], [1, 1])
