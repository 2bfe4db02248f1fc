"""Batches over devices."""

import jax
import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.parallel import data_mesh, replicate, shard_batch


def test_each_device_holds_its_part():
    mesh = data_mesh()
    assert mesh.size == 8
    batch = shard_batch(mesh, {"x": np.arange(16)})
    assert {tuple(s.data.tolist()) for s in batch["x"].addressable_shards} == {
        (i, i + 1) for i in range(0, 16, 2)
    }


def test_replicas_are_whole():
    copies = replicate(data_mesh(), np.arange(3)).addressable_shards
    assert all(copy.data.tolist() == [0, 1, 2] for copy in copies)
    assert len(copies) == len(jax.devices())


def test_uneven_batches_are_refused():
    with pytest.raises(InputError, match="12 is not a multiple of the 8 devices"):
        shard_batch(data_mesh(), np.arange(12))
