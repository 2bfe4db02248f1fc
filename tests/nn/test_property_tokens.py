"""Values as vectors: the same as value by value in NumPy."""

import jax
import numpy as np

from jaxcrys.nn.property_tokens import STEPS, PropertyTokens


def test_each_value_has_weights_of_its_own():
    values = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    values[1, 2] = values[4, 0] = np.nan
    tokens = PropertyTokens(channels=4)
    params = tokens.init(jax.random.key(0), values)
    found = np.asarray(tokens.apply(params, values))
    kernel = np.asarray(params["params"]["of_steps"]["kernel"]).reshape(3, 1 + len(STEPS), 4)
    for row, column in np.ndindex(values.shape):
        value = values[row, column]
        steps = np.append(1, np.tanh(2 * (value - np.array(STEPS))))
        wanted = np.zeros(4) if np.isnan(value) else steps @ kernel[column]
        np.testing.assert_allclose(found[row, column], wanted, atol=1e-5)
