"""The wrapped normal against an explicit mixture over 121 images, written here in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcrys.processes import wrapped_normal
from jaxcrys.processes.wrapped_normal import WrappedNormal

SIGMAS = [0.001, 0.005, 0.03, 0.1, 0.2, 0.2999, 0.3, 0.4, 0.5, 0.7, 1.0]
SAMPLES = 20000


def mixture_log_density(delta, sigma):
    images = jnp.arange(-60, 61).astype(delta.dtype)
    exponents = -((delta + images) ** 2) / (2 * sigma**2)
    return jax.nn.logsumexp(exponents) - jnp.log(sigma * np.sqrt(2 * np.pi))


def mixture_score(delta, sigma):
    """The same in NumPy, differentiated by hand."""
    shifted = delta[..., None] + np.arange(-9, 10)
    exponents = -(shifted**2) / (2 * sigma**2)
    weight = np.exp(exponents - exponents.max(-1, keepdims=True))
    return -(weight * shifted).sum(-1) / weight.sum(-1) / sigma**2


def everywhere(x):
    return jnp.ones(x.shape, bool)


def displacements():
    """Displacements [sigma, point] where the density is not negligible, exact in float32."""
    near = np.linspace(-1, 1, 41) * np.minimum(0.5, 8 * np.array(SIGMAS))[:, None]
    far = np.round(near * 64) / 64 + 2
    delta = np.concatenate([near, far], 1).astype(np.float32)
    return delta, np.broadcast_to(np.array(SIGMAS, np.float32)[:, None], delta.shape)


@pytest.fixture(scope="module")
def oracle():
    """Log density, and score in units of its root mean square, of the explicit mixture."""
    with jax.enable_x64(True):
        delta, sigma = (jnp.asarray(x, jnp.float64) for x in displacements())
        both = jax.value_and_grad(mixture_log_density)
        density, slope = jax.jit(jax.vmap(jax.vmap(both)))(delta, sigma)
    return np.asarray(density), np.asarray(slope) / rms_score()


def rms_score():
    return np.sqrt(wrapped_normal.expected_squared_score(np.array(SIGMAS, np.float32)))[:, None]


def test_density_and_score_are_those_of_the_mixture(oracle):
    delta, sigma = (x.astype(np.float64) for x in displacements())
    density = wrapped_normal.log_density(delta, sigma)
    score = wrapped_normal.score(delta, sigma) / rms_score()
    np.testing.assert_allclose(density, oracle[0], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(score, oracle[1], rtol=1e-9, atol=1e-6)


def test_single_precision_is_enough(oracle):
    delta, sigma = (jnp.asarray(x) for x in displacements())
    density, score = (
        jax.jit(f)(delta, sigma) for f in (wrapped_normal.log_density, wrapped_normal.score)
    )
    assert density.dtype == score.dtype == jnp.float32
    np.testing.assert_allclose(density, oracle[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(score / rms_score(), oracle[1], rtol=1e-4, atol=1e-5)


def test_score_is_the_gradient_of_the_log_density(oracle):
    delta, sigma = (jnp.asarray(x) for x in displacements())
    value = lambda d: wrapped_normal.log_density(d, sigma).sum()  # noqa: E731
    gradient = jax.jit(jax.grad(value))(delta) / rms_score()
    np.testing.assert_allclose(gradient, oracle[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("sigma", SIGMAS)
def test_density_integrates_to_one(sigma):
    delta = np.arange(20000) / 20000
    assert np.isclose(np.exp(wrapped_normal.log_density(delta, sigma)).mean(), 1, rtol=1e-12)


@pytest.mark.parametrize("sigma", [0.005, 0.1, 0.2, 0.35, 0.5, 1.0])
def test_expected_squared_score_is_the_monte_carlo_mean(sigma, assert_mean):
    delta = sigma * np.random.default_rng(0).normal(size=100000)
    delta = delta - np.round(delta)
    expected = wrapped_normal.expected_squared_score(np.array([sigma]))[0]
    assert_mean(mixture_score(delta, sigma) ** 2 / expected, 1)


def test_expected_squared_score_has_the_known_limits():
    narrow, wide = np.array([0.001, 0.02]), np.array([1.0, 1.5])
    np.testing.assert_allclose(wrapped_normal.expected_squared_score(narrow), narrow**-2)
    np.testing.assert_allclose(
        wrapped_normal.expected_squared_score(wide),
        8 * np.pi**2 * np.exp(-4 * np.pi**2 * wide**2),
        rtol=1e-7,
    )


@pytest.mark.parametrize("t", [1, 600, 900, 1000])
def test_moments_of_the_noisy_sample_and_of_the_target(t, compiled, assert_mean):
    process, x0 = WrappedNormal(), jnp.full(SAMPLES, 0.9)
    xt, target = compiled(wrapped_normal.corrupt)(process, jax.random.key(t), x0, t, everywhere(x0))
    assert ((xt >= 0) & (xt < 1)).all()
    sigma = 0.005 * 100 ** ((t - 1) / 999)
    delta = np.asarray(xt, np.float64) - np.float32(0.9)
    for m in (1, 2):
        assert_mean(np.cos(2 * np.pi * m * delta), np.exp(-2 * (np.pi * m * sigma) ** 2))
        assert_mean(np.sin(2 * np.pi * m * delta), 0)
    assert_mean(target, 0)
    assert_mean(np.asarray(target, np.float64) ** 2, 1)
    score = mixture_score(delta - np.round(delta), sigma)
    np.testing.assert_allclose(target, score / np.sqrt((score**2).mean()), rtol=0.05, atol=0.05)


@pytest.mark.parametrize(("t", "s"), [(1, 0), (200, 199), (300, 100)])
def test_step_draws_from_the_posterior_of_bayes_rule(t, s, compiled, assert_mean):
    """Where nothing wraps, the ancestral step with the exact score is Bayes' rule."""
    process, x0, xt = WrappedNormal(), 0.5, 0.53
    sigma = np.concatenate([[0], 0.005 * 100 ** (np.arange(1000) / 999)])
    mean = x0 + (xt - x0) * (sigma[s] / sigma[t]) ** 2
    if s:
        grid = np.linspace(0, 1, 400001)
        exponent = -((grid - x0) ** 2) / (2 * sigma[s] ** 2)
        exponent -= (xt - grid) ** 2 / (2 * (sigma[t] ** 2 - sigma[s] ** 2))
        weight = np.exp(exponent - exponent.max())
        weight /= weight.sum()
        assert np.isclose(mean, (weight * grid).sum())
        variance = (weight * (grid - mean) ** 2).sum()
    else:
        variance = 0
    state = jnp.full(SAMPLES, xt)
    score = -(xt - x0) / sigma[t] ** 2 / np.sqrt(1 / sigma[t] ** 2)
    xs = compiled(wrapped_normal.step)(
        process, jax.random.key(t), state, t, s, jnp.full(SAMPLES, score), everywhere(state)
    )
    assert_mean(xs, mean)
    assert_mean((np.asarray(xs, np.float64) - mean) ** 2, variance)


POINTS, WEIGHTS = [0.1, 0.6], [0.3, 0.7]


def exact_prediction(x, sigma, norm):
    """Normalised score of the noisy data, if x_0 is one of a few points; 7 images are enough."""
    total, slope = jnp.zeros_like(x), jnp.zeros_like(x)
    terms = [(x - p + n, float(np.log(w)))
             for p, w in zip(POINTS, WEIGHTS, strict=True) for n in range(-3, 4)]  # fmt: skip
    top = jnp.stack([-((d / sigma) ** 2) / 2 for d, _ in terms]).max(0)
    for d, log_weight in terms:
        weight = jnp.exp(-((d / sigma) ** 2) / 2 - top + log_weight)
        total, slope = total + weight, slope - weight * d
    return slope / total / sigma**2 / norm


def scan_chain(process, start, step_size):
    """Predictor steps through all times, with a corrector step before each if asked for."""
    sigma = jnp.asarray(0.005 * 100 ** (np.arange(process.steps) / (process.steps - 1)), "float32")
    norm = jnp.asarray(
        np.sqrt(wrapped_normal.expected_squared_score(np.asarray(sigma))), jnp.float32
    )
    mask = everywhere(start)

    def body(x, now):
        key, t = now
        first, second = jax.random.split(key)
        if step_size:
            prediction = exact_prediction(x, sigma[t - 1], norm[t - 1])
            x = wrapped_normal.correct(process, first, x, t, prediction, mask, step_size)
        prediction = exact_prediction(x, sigma[t - 1], norm[t - 1])
        return wrapped_normal.step(process, second, x, t, t - 1, prediction, mask), None

    keys = jax.random.split(jax.random.key(7), process.steps)
    times = jnp.arange(process.steps, 0, -1)
    return jax.jit(lambda x: jax.lax.scan(body, x, (keys, times))[0])(start)


@pytest.mark.parametrize("step_size", [0.0, 1e-5])
def test_exact_score_recovers_the_data(step_size, assert_mean):
    process, mask = WrappedNormal(steps=300), jnp.ones(5000, bool)
    start = wrapped_normal.prior(process, jax.random.key(3), mask, jnp.zeros(5000))
    x = np.asarray(scan_chain(process, start, step_size), np.float64)
    first = np.abs(x - 0.1) < 0.25
    assert np.abs(x - np.where(first, 0.1, 0.6)).max() < 1e-4
    assert_mean(first, 0.3)


def test_corrector_leaves_the_noisy_data_as_they_are_distributed(assert_mean):
    process, t = WrappedNormal(), 700
    mask = jnp.ones(SAMPLES, bool)
    x0 = jnp.asarray(np.random.default_rng(0).choice(POINTS, p=WEIGHTS, size=SAMPLES), "float32")
    sigma = 0.005 * 100 ** (699 / 999)
    norm = float(np.sqrt(wrapped_normal.expected_squared_score(np.array([sigma])))[0])
    start, _ = wrapped_normal.corrupt(process, jax.random.key(0), x0, t, mask)

    def body(x, key):
        prediction = exact_prediction(x, sigma, norm)
        return wrapped_normal.correct(process, key, x, t, prediction, mask, 1e-6), None

    keys = jax.random.split(jax.random.key(1), 300)
    x = np.asarray(jax.jit(lambda x: jax.lax.scan(body, x, keys)[0])(start), np.float64)
    assert np.abs(x - start).mean() > sigma / 2
    for m in (1, 2):
        decay = np.exp(-2 * (np.pi * m * sigma) ** 2)
        for wave in (np.cos, np.sin):
            clean = sum(w * wave(2 * np.pi * m * p) for p, w in zip(POINTS, WEIGHTS, strict=True))
            assert_mean(wave(2 * np.pi * m * x), decay * clean)


def test_corrector_is_the_published_step(compiled, assert_mean):
    process, state, t, step_size = WrappedNormal(), jnp.full(SAMPLES, 0.5), 400, 1e-5
    sigma = 0.005 * 100 ** (399 / 999)
    stride = step_size * (sigma / 0.005) ** 2
    x = compiled(wrapped_normal.correct)(
        process, jax.random.key(0), state, t, jnp.full(SAMPLES, 2.0), everywhere(state), step_size
    )
    mean = 0.5 + stride * 2.0 / sigma
    assert_mean(x, mean)
    assert_mean((np.asarray(x, np.float64) - mean) ** 2, 2 * stride)


def test_corrector_adds_no_noise_at_the_first_time(compiled):
    state = jnp.array([0.2, 0.4])
    drawn = [
        compiled(wrapped_normal.correct)(
            WrappedNormal(), jax.random.key(i), state, 1, jnp.ones(2), everywhere(state), 1e-5
        )
        for i in range(2)
    ]
    np.testing.assert_array_equal(*drawn)
    np.testing.assert_allclose(drawn[0], state + 1e-5 / 0.005, rtol=1e-5)


def test_corrector_leaves_alone_what_is_masked_out(compiled):
    mask, state = jnp.array([True, False]), jnp.array([0.2, 1e30])
    arguments = (900, jnp.array([1.0, 3e38]), mask, 1e-5)
    x = compiled(wrapped_normal.correct)(WrappedNormal(), jax.random.key(0), state, *arguments)
    assert x[1] == state[1]
    assert 0 <= x[0] < 1
