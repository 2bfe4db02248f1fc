"""The order in which crystals are seen: a function of (seed, step) alone, so it can be resumed.

Each batch holds crystals of one cell shape. In every epoch each shape's crystals are permuted and
cut into batches (the last one is filled up from the start), and the batches are shuffled.
"""

import functools
from collections.abc import Iterator

import numpy as np
from jax.sharding import Mesh

from jaxcrys.core.pytree import take
from jaxcrys.core.typing import Int
from jaxcrys.crystal.buckets import assign_shapes, fit_sites
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.crystal.types import Crystal
from jaxcrys.parallel.mesh import shard_batch
from jaxcrys.recipes.model import ModelConfig
from jaxcrys.training.config import TrainingConfig


class BatchOrder:
    """Which crystals each step sees.

    Args:
        shape_index: cell shape of each crystal, from ``crystal.buckets.assign_shapes``.
        batch_size: crystals in a batch.
        seed: of all permutations.

    Example:
        >>> order = BatchOrder(np.array([0, 0, 0, 1]), batch_size=2, seed=0)
        >>> order.batches_per_epoch
        3
        >>> shape, crystals = order.batch(7)
        >>> len(crystals)
        2
    """

    def __init__(self, shape_index: Int[np.ndarray, "b"], *, batch_size: int, seed: int) -> None:
        self._members = [
            (int(shape), np.flatnonzero(shape_index == shape)) for shape in np.unique(shape_index)
        ]
        self._batch_size = batch_size
        self._seed = seed
        self.batches_per_epoch = sum(-(-len(m) // batch_size) for _, m in self._members)
        self.num_shapes = len(self._members)
        self._epoch = functools.lru_cache(maxsize=2)(self._make_epoch)

    def batch(self, step: int) -> tuple[int, Int[np.ndarray, "b"]]:
        """Cell shape and crystals of a step."""
        epoch, place = divmod(step, self.batches_per_epoch)
        return self._epoch(epoch)[place]

    def _make_epoch(self, epoch: int) -> list[tuple[int, Int[np.ndarray, "b"]]]:
        random = np.random.default_rng([self._seed, epoch])
        batches = []
        for shape, members in self._members:
            order = random.permutation(members)
            full = -(-len(order) // self._batch_size) * self._batch_size
            for chunk in np.resize(order, full).reshape(-1, self._batch_size):
                batches.append((shape, chunk))
        return [batches[i] for i in random.permutation(len(batches))]


class Batches:
    """Batches of a set of crystals, laid over the devices."""

    def __init__(
        self, crystals: Crystal, model: ModelConfig, config: TrainingConfig, mesh: Mesh
    ) -> None:
        self._crystals = crystals
        self._mesh = mesh
        self._shapes = model.shapes
        index = assign_shapes(crystals, model.shapes)
        self.order = BatchOrder(index, batch_size=config.batch_size, seed=config.seed)

    def at(self, step: int) -> tuple[CellShape, Crystal]:
        """Cell shape and crystals of a step."""
        return self._batch(*self.order.batch(step))

    def examples(self) -> Iterator[tuple[CellShape, Crystal]]:
        """One batch of each cell shape."""
        batches = dict(map(self.order.batch, self.epoch()))
        return (self._batch(shape, members) for shape, members in batches.items())

    def _batch(self, shape: int, members: Int[np.ndarray, "b"]) -> tuple[CellShape, Crystal]:
        cell = self._shapes[shape]
        crystals = fit_sites(take(self._crystals, members), cell.sites)
        return cell, shard_batch(self._mesh, crystals)

    def epoch(self) -> range:
        """The steps of the first epoch."""
        return range(self.order.batches_per_epoch)
