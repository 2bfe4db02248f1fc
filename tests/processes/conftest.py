"""What the tests of the processes share: strict numerics, compiled functions, a test of means."""

import functools

import jax
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def strict_numerics():
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield


@pytest.fixture(scope="session")
def compiled():
    """Compile a function of a process once per settings."""
    return functools.cache(lambda function: jax.jit(function, static_argnums=0))


@pytest.fixture(scope="session")
def assert_mean():
    """Check that the mean of samples along axis 0 is within k of its standard errors."""

    def check(samples, expected, *, k=4.5, bias=0.0):
        samples = np.asarray(samples, np.float64)
        error = samples.std(0) / np.sqrt(len(samples))
        excess = np.abs(samples.mean(0) - expected) - bias
        assert (excess <= k * error + 1e-7).all(), (samples.mean(0), expected, error)

    return check
