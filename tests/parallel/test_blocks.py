"""Rows in blocks: all of them, in their order, on one device or eight."""

import jax
import numpy as np
import pytest

from jaxcrys.parallel import blocks
from jaxcrys.parallel.blocks import in_blocks, working_devices

ROWS = np.arange(21)


@pytest.mark.parametrize("size", [1, 3, 8, 21, 64])
@pytest.mark.parametrize("devices", [1, 6, 8])
def test_blocks_are_joined_and_split_over_the_devices(monkeypatch, size, devices):
    seen = []

    @jax.jit
    def double(rows, pairs):
        return {"twice": 2 * rows, "sum": pairs.sum(-1)}

    def program(rows, pairs):
        seen.append(len(rows.devices()) if isinstance(rows, jax.Array) else 1)
        return double(rows, pairs)

    monkeypatch.setattr(blocks, "working_devices", lambda: jax.devices()[:devices])
    found = in_blocks(program, ROWS, np.stack([ROWS, ROWS], -1), size=size)
    np.testing.assert_array_equal(found["twice"], 2 * ROWS)
    np.testing.assert_array_equal(found["sum"], 2 * ROWS)
    assert seen == [np.gcd(size, devices)] * -(-len(ROWS) // size)


def test_fake_devices_do_not_share_samples():
    assert working_devices() == jax.devices()[:1]
