"""Devices: one mesh with a single data axis, two strategies to share a batch, many processes."""

from jaxcrys.parallel.distributed import start_distributed
from jaxcrys.parallel.mesh import data_mesh, replicate, shard_batch
from jaxcrys.parallel.strategies import STRATEGIES

__all__ = ["STRATEGIES", "data_mesh", "replicate", "shard_batch", "start_distributed"]
