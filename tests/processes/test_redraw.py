"""Draws that are repeated, against a loop over the samples."""

import functools

import jax
import numpy as np
import pytest

from jaxcrys.processes.redraw import redraw

COUNT, ATTEMPTS = 40, 4


def draw(index, number):
    def one(index, number):
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), index), number)
        return jax.random.uniform(key)

    return {"value": jax.vmap(one)(index, number)}


@pytest.fixture(scope="module", name="every_try")
def every_try_of_every_sample():
    """Shape [COUNT, ATTEMPTS]."""
    index, number = (grid.reshape(-1) for grid in np.indices((COUNT, ATTEMPTS)))
    return np.asarray(jax.jit(draw)(index, number)["value"]).reshape(COUNT, ATTEMPTS)


@pytest.mark.parametrize("at_once", [1, 7, 64])
def test_each_sample_is_its_first_usable_draw(at_once, every_try):
    found = jax.jit(
        functools.partial(
            redraw, draw, lambda drawn: drawn["value"] < 0.4,
            count=COUNT, attempts=ATTEMPTS, at_once=at_once,
        )
    )()  # fmt: skip
    found = jax.device_get(found)
    for index, tries in enumerate(every_try):
        good = [number for number, value in enumerate(tries) if value < 0.4]
        last = good[0] if good else ATTEMPTS - 1
        assert bool(found.usable[index]) == bool(good)
        assert int(found.number[index]) == last + 1
        assert float(found.drawn["value"][index]) == pytest.approx(tries[last])
    assert 0 < np.mean(~np.asarray(found.usable)) < 0.4
