"""The Gaussian process against formulas and sums written here, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcrys.processes import gaussian
from jaxcrys.processes.gaussian import MaskedGaussian

SAMPLES = 20000


def alpha_bar(steps):
    f = np.cos((np.arange(steps + 1) / steps + 0.008) / 1.008 * np.pi / 2) ** 2
    return np.concatenate([[1], np.cumprod(1 - np.clip(1 - f[1:] / f[:-1], 1e-4, 0.9999))])


def everywhere(x):
    return jnp.ones(x.shape, bool)


@pytest.mark.parametrize("t", [1, 300, 700, 1000])
def test_moments_of_the_noisy_sample(t, compiled, assert_mean):
    process, x0 = MaskedGaussian(), jnp.full(SAMPLES, 1.7)
    xt, noise = compiled(gaussian.corrupt)(process, jax.random.key(t), x0, t, everywhere(x0))
    mean, variance = np.sqrt(alpha_bar(1000)[t]) * 1.7, 1 - alpha_bar(1000)[t]
    assert_mean(xt, mean)
    assert_mean((np.asarray(xt, np.float64) - mean) ** 2, variance)
    assert_mean(noise, 0)
    np.testing.assert_allclose(xt, mean + np.sqrt(variance) * noise, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("t", "s"), [(2, 1), (40, 39), (40, 10), (50, 49), (50, 5)])
def test_step_draws_from_the_posterior_of_bayes_rule(t, s, compiled, assert_mean):
    process, level = MaskedGaussian(steps=50), alpha_bar(50)
    x0, xt = 0.8, 0.8 * np.sqrt(level[t]) + 1.3 * np.sqrt(1 - level[t])
    grid = np.linspace(-7, 7, 200001)
    ratio = level[t] / level[s]
    log_density = -((grid - np.sqrt(level[s]) * x0) ** 2) / (2 * (1 - level[s]))
    log_density -= (xt - np.sqrt(ratio) * grid) ** 2 / (2 * (1 - ratio))
    weight = np.exp(log_density - log_density.max())
    weight /= weight.sum()
    mean = (weight * grid).sum()
    variance = (weight * (grid - mean) ** 2).sum()

    state = jnp.full(SAMPLES, xt, jnp.float32)
    noise = jnp.full(SAMPLES, 1.3)
    xs = compiled(gaussian.step)(process, jax.random.key(t), state, t, s, noise, everywhere(state))
    assert_mean(xs, mean)
    assert_mean((np.asarray(xs, np.float64) - mean) ** 2, variance)


def exact_noise(xt, t, level, points, weights):
    """E[ε | x_t] if x_0 is one of a few points."""
    root, spread = jnp.sqrt(level[t]), jnp.sqrt(1 - level[t])
    logits = [-((xt - root * p) ** 2) / (2 * spread**2) + float(np.log(w))
              for p, w in zip(points, weights, strict=True)]  # fmt: skip
    share = jax.nn.softmax(jnp.stack(logits), axis=0)
    clean = sum(share[i] * p for i, p in enumerate(points))
    return (xt - root * clean) / spread


def run_chain(process, times, start, points, weights):
    level = jnp.asarray(alpha_bar(process.steps), jnp.float32)

    def body(state, now):
        key, t, s = now
        prediction = exact_noise(state, t, level, points, weights)
        return gaussian.step(process, key, state, t, s, prediction, everywhere(state)), None

    keys = jax.random.split(jax.random.key(9), len(times) - 1)
    times = jnp.asarray(times, jnp.int32)
    return jax.jit(jax.lax.scan, static_argnums=0)(body, start, (keys, times[:-1], times[1:]))[0]


@pytest.mark.parametrize("times", [range(20, 4, -1), [20, 5], [20, 13, 12, 5]])
def test_chains_of_any_stride_have_the_same_marginal(times, assert_mean):
    process, x0 = MaskedGaussian(steps=20), -0.6
    mask = jnp.ones(SAMPLES, bool)
    start = gaussian.prior(process, jax.random.key(4), mask, jnp.zeros(SAMPLES))
    xs = run_chain(process, list(times), start, [x0], [1.0])
    mean, variance = np.sqrt(alpha_bar(20)[5]) * x0, 1 - alpha_bar(20)[5]
    assert_mean(xs, mean)
    assert_mean((np.asarray(xs, np.float64) - mean) ** 2, variance)


def test_exact_denoiser_recovers_the_data(assert_mean):
    process, points, weights = MaskedGaussian(), [-1.0, 0.5], [0.25, 0.75]
    mask = jnp.ones(SAMPLES, bool)
    start = gaussian.prior(process, jax.random.key(5), mask, jnp.zeros(SAMPLES))
    x = np.asarray(run_chain(process, list(range(1000, -1, -1)), start, points, weights))
    left = np.abs(x + 1) < np.abs(x - 0.5)
    assert np.abs(x - np.where(left, -1, 0.5)).max() < 1e-3
    assert_mean(left, 0.25)


def test_last_step_gives_the_predicted_clean_value(compiled):
    process = MaskedGaussian()
    x0 = jnp.linspace(-1, 1, 5)
    xt, noise = compiled(gaussian.corrupt)(process, jax.random.key(0), x0, 300, everywhere(x0))
    drawn = [
        compiled(gaussian.step)(process, jax.random.key(i), xt, 300, 0, noise, everywhere(x0))
        for i in (1, 2)
    ]
    np.testing.assert_array_equal(*drawn)
    np.testing.assert_allclose(drawn[0], x0, atol=1e-5)


def test_clipping_bounds_the_predicted_clean_value(compiled):
    state = jnp.array([3.0, -3.0])
    arguments = (jax.random.key(0), state, 1000, 0, jnp.zeros(2), everywhere(state))
    assert (np.abs(compiled(gaussian.step)(MaskedGaussian(), *arguments)) > 1e4).all()
    clipped = compiled(gaussian.step)(MaskedGaussian(clip=2.0), *arguments)
    np.testing.assert_allclose(clipped, [2, -2])


def test_loss_is_the_sum_of_squares():
    prediction, noise = jnp.array([1.0, 2.0, 9.0]), jnp.array([0.0, 4.0, 0.0])
    total, count = gaussian.loss(
        MaskedGaussian(), prediction, noise, jnp.array([True, True, False])
    )
    assert (float(total), float(count)) == (5.0, 2.0)
