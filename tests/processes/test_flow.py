"""Straight paths: their ends, their velocity by autodiff, and exact integration."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.processes import flow

RANDOM = np.random.default_rng(0)
START, END = jnp.asarray(RANDOM.random((2, 40, 3)), jnp.float32)
MASK = jnp.asarray(RANDOM.random((40, 3)) < 0.8)


def near(left, right, periodic):
    apart = np.asarray(left) - np.asarray(right)
    return np.abs(apart - np.round(apart) if periodic else apart).max()


@pytest.mark.parametrize("periodic", [True, False])
def test_paths_lead_from_the_start_to_the_data(periodic):
    w = flow.way(START, END, MASK, periodic=periodic)
    assert near(flow.point(START, w, 0.0, periodic=periodic), START, periodic) < 1e-6
    end = flow.point(START, w, 1.0, periodic=periodic)
    assert near(end, jnp.where(MASK, END, START), periodic) < 1e-6
    assert not np.asarray(w)[~np.asarray(MASK)].any()


def test_the_way_on_the_torus_is_the_shortest():
    w = np.asarray(flow.way(START, END, jnp.ones_like(MASK), periodic=True))
    images = np.asarray(END - START)[..., None] + np.arange(-2, 3)
    np.testing.assert_allclose(np.abs(w), np.abs(images).min(-1), atol=1e-6)


@pytest.mark.parametrize("periodic", [True, False])
def test_velocity_is_the_derivative_of_the_path(periodic):
    w = flow.way(START, END, MASK, periodic=periodic)
    slope = jax.jvp(lambda t: flow.point(START, w, t, periodic=periodic), (0.3,), (1.0,))[1]
    np.testing.assert_allclose(slope, w, atol=1e-6)


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("count", [1, 7])
def test_steps_with_the_true_velocity_arrive(periodic, count):
    w = flow.way(START, END, MASK, periodic=periodic)
    x = START
    for i in range(count):
        x = flow.step(x, w, i / count, 1 / count, MASK, periodic=periodic)
    assert near(x, jnp.where(MASK, END, START), periodic) < 1e-5


def test_haste_shortens_what_is_left_of_a_decaying_velocity():
    """dx/dt = -x: the exact factor is exp(-1); with haste h it is exp(-1 - h / 2)."""
    for haste in (0.0, 1.0):
        x, count = jnp.ones(()), 1000
        for i in range(count):
            x = flow.step(x, -x, i / count, 1 / count, jnp.array(True), periodic=False, haste=haste)
        assert float(x) == pytest.approx(np.exp(-1 - haste / 2), rel=2e-3)


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("count", [4, 30])
def test_steps_towards_the_true_endpoint_arrive(periodic, count):
    settings = flow.Flow(target="endpoint")
    x = START
    for i in range(count):
        t = i / count
        left = flow.target(settings, flow.way(START, END, MASK, periodic=periodic), t)
        velocity = flow.velocity_of(settings, left, t)
        x = flow.step(x, velocity, t, 1 / count, MASK, periodic=periodic)
    # The last twentieth of the time is walked more slowly, so that errors do not grow.
    missing = 0.0 if count == 4 else 0.03
    assert near(x, jnp.where(MASK, END, START), periodic) < missing + 1e-5


@pytest.mark.parametrize("kind", ["velocity", "endpoint"])
def test_velocity_is_the_inverse_of_the_target(kind):
    settings = flow.Flow(target=kind)
    w = flow.way(START, END, MASK, periodic=True)
    for t in (0.0, 0.4, 0.9):
        back = flow.velocity_of(settings, flow.target(settings, w, t), t)
        np.testing.assert_allclose(back, w, rtol=1e-5, atol=1e-6)


def test_redrawing_keeps_the_distribution_of_points():
    """Many small redraws of standard normal starts: x_t keeps mean t x_1 and variance (1 - t)²."""
    settings, t, end = flow.Flow(churn=3.0), 0.4, 2.0
    start = jax.random.normal(jax.random.key(0), (20_000,))
    mask = jnp.ones(start.shape, bool)
    x = (1 - t) * start + t * end
    for step in range(10):
        moved = flow.redraw(
            settings, jax.random.key(step + 1), x, (x - t * end) / (1 - t), t, 0.05, mask,
            periodic=False,
        )  # fmt: skip
        assert float(jnp.abs(moved - x).mean()) > 0.05
        x = moved
    assert float(x.mean()) == pytest.approx(t * end, abs=0.02)
    assert float(x.std()) == pytest.approx(1 - t, abs=0.02)
    kept = float(jnp.corrcoef(start, x)[0, 1])
    assert kept == pytest.approx(np.exp(-3.0 * 10 * 0.05), abs=0.03)


def test_redrawing_keeps_uniform_starts_uniform():
    settings, x = flow.Flow(churn=3.0), jax.random.uniform(jax.random.key(0), (20_000,))
    mask = jnp.arange(20_000) < 10_000
    moved = flow.redraw(settings, jax.random.key(1), x, x, 0.0, 0.1, mask, periodic=True)
    counts = np.histogram(moved[mask], bins=10, range=(0, 1))[0]
    assert counts.min() > 850
    assert counts.max() < 1150
    np.testing.assert_array_equal(moved[~mask], x[~mask])


@pytest.mark.parametrize("kind", ["uniform", "logit_normal"])
def test_times_of_training_have_their_distribution(kind):
    keys = jax.random.split(jax.random.key(0), 20_000)
    times = np.asarray(jax.vmap(flow.draw_time, (None, 0))(flow.Flow(time=kind), keys))
    expected = {"uniform": 0.25, "logit_normal": 1 / (1 + np.exp(0.6745))}[kind]
    assert np.quantile(times, 0.25) == pytest.approx(expected, abs=0.02)
    assert np.median(times) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("changes", [{"steps": 0}, {"haste": -1.0}, {"churn": float("nan")}])
def test_bad_settings_are_named(changes):
    with pytest.raises(InputError, match=next(iter(changes))):
        flow.validate(flow.Flow(**changes))
