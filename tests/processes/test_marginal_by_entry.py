"""A stationary distribution of its own for each entry: as many processes, one for each."""

import jax
import numpy as np
import pytest

from jaxcrys.processes import discrete
from jaxcrys.processes.discrete import Discrete

STEPS = 6
PI = ((0.4, 0.35, 0.05, 0.2), (0.25, 0.0, 0.75, 0.0), (0.1, 0.2, 0.3, 0.4))
SHARED = Discrete("marginal", 4, STEPS, kl_weight=0.3)
ALONE = [Discrete("marginal", 4, STEPS, marginal=pi, kl_weight=0.3) for pi in PI]
with np.errstate(divide="ignore"):
    LOG_PI = np.log(np.array(PI)).astype(np.float32)
X0, XT, MASK = np.array([1, 2, 3]), np.array([2, 0, 3]), np.ones(3, bool)


@pytest.fixture(name="logits")
def some_logits():
    logits = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    return np.where(np.isfinite(LOG_PI), logits, -np.inf)


@jax.jit
def posteriors(t, s, logits):
    """Of the entries together, and of each alone."""
    together = discrete.posterior_logits(SHARED, XT, t, s, logits, log_pi=LOG_PI)
    alone = [
        discrete.posterior_logits(process, XT[i], t, s, logits[i])
        for i, process in enumerate(ALONE)
    ]
    return together, alone


@pytest.mark.parametrize(("t", "s"), [(6, 5), (4, 1), (3, 0)])
def test_posterior(logits, t, s):
    for together, alone in zip(*posteriors(t, s, logits), strict=True):
        np.testing.assert_allclose(np.exp(together), np.exp(alone), atol=1e-6)


@jax.jit
def losses(logits):
    alone = [
        discrete.loss(process, logits[i], X0[i], XT[i], 4, MASK[i])[0]
        for i, process in enumerate(ALONE)
    ]
    return discrete.loss(SHARED, logits, X0, XT, 4, MASK, log_pi=LOG_PI), alone


def test_loss(logits):
    (together, count), alone = losses(logits)
    np.testing.assert_allclose(together, np.sum(alone), rtol=1e-5)
    assert count == 3


def test_draws_have_the_distribution():
    """Shares of 20,000 draws within five standard errors."""
    draws = 20_000
    keys = jax.random.split(jax.random.key(0), draws)

    @jax.jit
    @jax.vmap
    def draw(key):
        return (
            discrete.prior(SHARED, key, MASK, X0, log_pi=LOG_PI),
            discrete.corrupt(SHARED, key, X0, 3, MASK, log_pi=LOG_PI),
        )

    last, noisy = map(np.asarray, draw(keys))
    keep = np.cos((0.5 + 0.008) / 1.008 * np.pi / 2) ** 2 / np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    for found, kept in ((last, 0.0), (noisy, keep)):
        for i, pi in enumerate(PI):
            expected = kept * np.eye(4)[X0[i]] + (1 - kept) * np.array(pi)
            shares = np.bincount(found[:, i], minlength=4) / draws
            error = np.sqrt(expected * (1 - expected) / draws)
            assert (np.abs(shares - expected) <= 5 * error).all()
