"""Devices: one mesh with a single data axis, and two strategies to share a batch over it."""

from jaxcrys.parallel.mesh import data_mesh, replicate, shard_batch
from jaxcrys.parallel.strategies import STRATEGIES

__all__ = ["STRATEGIES", "data_mesh", "replicate", "shard_batch"]
