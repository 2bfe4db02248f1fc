"""Straight paths: their ends, their velocity by autodiff, and exact integration."""

import functools

import jax
import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.processes import flow

RANDOM = np.random.default_rng(0)
START, END = RANDOM.random((2, 40, 3)).astype(np.float32)
MASK = RANDOM.random((40, 3)) < 0.8

way, point, step = (
    jax.jit(function, static_argnames="periodic") for function in (flow.way, flow.point, flow.step)
)
target, velocity_of, redraw = (
    jax.jit(function, static_argnums=0, static_argnames=names)
    for function, names in ((flow.target, ()), (flow.velocity_of, ()), (flow.redraw, "periodic"))
)


def near(left, right, periodic):
    apart = np.asarray(left) - np.asarray(right)
    return np.abs(apart - np.round(apart) if periodic else apart).max()


@pytest.mark.parametrize("periodic", [True, False])
def test_paths_lead_from_the_start_to_the_data(periodic):
    w = way(START, END, MASK, periodic=periodic)
    assert near(point(START, w, 0.0, periodic=periodic), START, periodic) < 1e-6
    end = point(START, w, 1.0, periodic=periodic)
    assert near(end, np.where(MASK, END, START), periodic) < 1e-6
    assert not np.asarray(w)[~np.asarray(MASK)].any()


def test_the_way_on_the_torus_is_the_shortest():
    w = np.asarray(way(START, END, np.ones_like(MASK), periodic=True))
    images = np.asarray(END - START)[..., None] + np.arange(-2, 3)
    np.testing.assert_allclose(np.abs(w), np.abs(images).min(-1), atol=1e-6)


@pytest.mark.parametrize("periodic", [True, False])
def test_velocity_is_the_derivative_of_the_path(periodic):
    w = way(START, END, MASK, periodic=periodic)
    slope = jax.jvp(lambda t: point(START, w, t, periodic=periodic), (0.3,), (1.0,))[1]
    np.testing.assert_allclose(slope, w, atol=1e-6)


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("count", [1, 7])
def test_steps_with_the_true_velocity_arrive(periodic, count):
    w = way(START, END, MASK, periodic=periodic)
    x = START
    for i in range(count):
        x = step(x, w, i / count, 1 / count, MASK, periodic=periodic)
    assert near(x, np.where(MASK, END, START), periodic) < 1e-5


def test_haste_shortens_what_is_left_of_a_decaying_velocity():
    """dx/dt = -x: the exact factor is exp(-1); with haste h it is exp(-1 - h / 2)."""
    for haste in (0.0, 1.0):
        x, count = np.ones(()), 1000
        for i in range(count):
            x = step(x, -x, i / count, 1 / count, np.array(True), periodic=False, haste=haste)
        assert float(x) == pytest.approx(np.exp(-1 - haste / 2), rel=2e-3)


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("count", [4, 30])
def test_steps_towards_the_true_endpoint_arrive(periodic, count):
    settings = flow.Flow(target="endpoint")
    x = START
    for i in range(count):
        t = i / count
        left = target(settings, way(START, END, MASK, periodic=periodic), t)
        velocity = velocity_of(settings, left, t)
        x = step(x, velocity, t, 1 / count, MASK, periodic=periodic)
    # The last twentieth of the time is walked more slowly, so that errors do not grow.
    missing = 0.0 if count == 4 else 0.03
    assert near(x, np.where(MASK, END, START), periodic) < missing + 1e-5


@pytest.mark.parametrize("kind", ["velocity", "endpoint"])
def test_velocity_is_the_inverse_of_the_target(kind):
    settings = flow.Flow(target=kind)
    w = way(START, END, MASK, periodic=True)
    for t in (0.0, 0.4, 0.9):
        back = velocity_of(settings, target(settings, w, t), t)
        np.testing.assert_allclose(back, w, rtol=1e-5, atol=1e-6)


def test_redrawing_keeps_the_distribution_of_points():
    """Many small redraws of standard normal starts: x_t keeps mean t x_1 and variance (1 - t)²."""
    settings, t, end = flow.Flow(churn=3.0), 0.4, 2.0
    start = np.asarray(jax.random.normal(jax.random.key(0), (20_000,)))
    mask = np.ones(start.shape, bool)
    x = (1 - t) * start + t * end
    for number in range(10):
        moved = np.asarray(redraw(
            settings, jax.random.key(number + 1), x, (x - t * end) / (1 - t), t, 0.05, mask,
            periodic=False,
        ))  # fmt: skip
        assert float(np.abs(moved - x).mean()) > 0.05
        x = moved
    assert float(x.mean()) == pytest.approx(t * end, abs=0.02)
    assert float(x.std()) == pytest.approx(1 - t, abs=0.02)
    kept = float(np.corrcoef(start, x)[0, 1])
    assert kept == pytest.approx(np.exp(-3.0 * 10 * 0.05), abs=0.03)


def test_redrawing_keeps_uniform_starts_uniform():
    settings = flow.Flow(churn=3.0)
    x = np.asarray(jax.random.uniform(jax.random.key(0), (20_000,)))
    mask = np.arange(20_000) < 10_000
    moved = np.asarray(redraw(settings, jax.random.key(1), x, x, 0.0, 0.1, mask, periodic=True))
    counts = np.histogram(moved[mask], bins=10, range=(0, 1))[0]
    assert counts.min() > 850
    assert counts.max() < 1150
    np.testing.assert_array_equal(moved[~mask], x[~mask])


@pytest.mark.parametrize("kind", ["uniform", "logit_normal"])
def test_times_of_training_have_their_distribution(kind):
    keys = jax.random.split(jax.random.key(0), 20_000)
    draw = functools.partial(flow.draw_time, flow.Flow(time=kind))
    times = np.asarray(jax.jit(jax.vmap(draw))(keys))
    expected = {"uniform": 0.25, "logit_normal": 1 / (1 + np.exp(0.6745))}[kind]
    assert np.quantile(times, 0.25) == pytest.approx(expected, abs=0.02)
    assert np.median(times) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("changes", [{"steps": 0}, {"haste": -1.0}, {"churn": float("nan")}])
def test_bad_settings_are_named(changes):
    with pytest.raises(InputError, match=next(iter(changes))):
        flow.validate(flow.Flow(**changes))
