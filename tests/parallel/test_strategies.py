"""Sums over the parts of a batch: by hand, on one device and on eight, by both strategies."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.parallel import STRATEGIES, data_mesh
from jaxcrys.parallel.strategies import cut, sum_over_parts

PARTS = 16
BATCH = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)


def noisy(common, number, rows, *, power=2):
    """What depends on the rows, on noise of their shape, and on the part's number."""
    noise = jax.random.normal(jax.random.fold_in(jax.random.key(1), number), rows.shape)
    return {"sum": ((rows + noise) ** power).sum() * common, "rows": jnp.ones(()) * len(rows)}


def by_hand(power):
    keys = [jax.random.fold_in(jax.random.key(1), m) for m in range(PARTS)]
    noise = [np.asarray(jax.random.normal(key, (4, 3)), np.float64) for key in keys]
    rows = [BATCH[m::PARTS].astype(np.float64) for m in range(PARTS)]
    return 3 * sum(((x + e) ** power).sum() for x, e in zip(rows, noise, strict=True))


def summed(strategy, devices, power=2):
    mesh = data_mesh(jax.devices()[:devices])
    chosen = STRATEGIES[strategy]
    double = functools.partial(jax.tree.map, lambda total: 2 * total)
    program = chosen.compile(noisy, double, mesh, PARTS, "power")
    placed = chosen.place(mesh, BATCH[chosen.rows(mesh, len(BATCH), PARTS)], PARTS)
    return program(jnp.float32(3.0), placed, power=power)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("devices", [1, 2, 4])
@pytest.mark.parametrize("power", [1, 2])
def test_sums_are_those_by_hand(strategy, devices, power):
    found = summed(strategy, devices, power)
    assert float(found["sum"]) == pytest.approx(2 * by_hand(power), rel=1e-5)
    assert float(found["rows"]) == 2 * len(BATCH)


def test_parts_of_split_rows_are_split_as_well():
    """No part has to be fetched from the devices that hold it."""
    mesh = data_mesh(jax.devices()[:4])
    placed = STRATEGIES["sharded"].place(mesh, BATCH, PARTS)
    parts = jax.jit(functools.partial(cut, parts=PARTS))(placed)
    np.testing.assert_array_equal(parts[3], BATCH[3::PARTS])
    assert {shard.data.shape for shard in parts.addressable_shards} == {(16, 1, 3)}


def test_one_part_is_the_whole_batch():
    found = sum_over_parts(lambda number, rows: rows + number, jnp.arange(1), cut(BATCH, 1))
    np.testing.assert_array_equal(found, BATCH)


@pytest.mark.parametrize(
    ("strategy", "size", "parts", "message"),
    [
        ("sharded", 12, 1, "12 is not a multiple of 8: microbatches times devices"),
        ("sharded", 16, 4, "16 is not a multiple of 32"),
        ("pmap", 16, 4, "4 is not a multiple of the 8 devices"),
        ("pmap", 12, 8, "12 is not a multiple of the 8 microbatches"),
    ],
)
def test_what_cannot_be_shared_is_refused(strategy, size, parts, message):
    with pytest.raises(InputError, match=message):
        STRATEGIES[strategy].rows(data_mesh(), size, parts)
