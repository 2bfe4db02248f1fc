"""Straight paths: their ends, their velocity by autodiff, and exact integration."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

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
