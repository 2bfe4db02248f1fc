"""The order in which crystals are seen: a function of (seed, step) alone, so it can be resumed.

Each batch holds crystals of one cell shape. In every epoch the crystals of each shape are permuted
and cut into batches, and the batches are shuffled. The last batch of a shape is filled up from the
start in training; in validation, where every crystal must count once, with empty crystals.
"""

import functools
from collections.abc import Iterator

import numpy as np
from jax.sharding import Mesh

from jaxcrys.core.typing import Int
from jaxcrys.crystal.buckets import assign_shapes
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.parallel.strategies import STRATEGIES
from jaxcrys.recipes.model import ModelConfig
from jaxcrys.training.config import TrainingConfig
from jaxcrys.training.examples import NOBODY, Examples, ExampleSet

READERS = 2
"""Threads that read batches ahead."""

AHEAD = 8
"""Batches that wait in the host's memory."""


class BatchOrder:
    """Which crystals each step sees.

    Args:
        shape_index: cell shape of each crystal, from ``crystal.buckets.assign_shapes``.
        batch_size: crystals in a batch.
        seed: of all permutations.
        repeat: whether the last batch of a shape is filled up with crystals; else with -1.

    Example:
        >>> order = BatchOrder(np.array([0, 0, 0, 1]), batch_size=2, seed=0)
        >>> order.batches_per_epoch
        3
        >>> shape, crystals = order.batch(7)
        >>> len(crystals)
        2
    """

    def __init__(
        self,
        shape_index: Int[np.ndarray, "b"],
        *,
        batch_size: int,
        seed: int,
        repeat: bool = True,
    ) -> None:
        self._members = [
            (int(shape), np.flatnonzero(shape_index == shape)) for shape in np.unique(shape_index)
        ]
        self._batch_size = batch_size
        self._seed = seed
        self._repeat = repeat
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
            filled = np.resize(order, full)
            if not self._repeat:
                filled[len(order) :] = NOBODY
            for chunk in filled.reshape(-1, self._batch_size):
                batches.append((shape, chunk))
        return [batches[i] for i in random.permutation(len(batches))]


class Batches:
    """Batches of a set of examples, laid over the devices; a process reads the rows of its own."""

    def __init__(
        self,
        examples: ExampleSet,
        model: ModelConfig,
        config: TrainingConfig,
        mesh: Mesh,
        *,
        repeat: bool = True,
        strategy: str = "sharded",
        parts: int = 1,
    ) -> None:
        self._examples = examples
        self._shapes = model.shapes
        self._rows = STRATEGIES[strategy].rows(mesh, config.batch_size, parts)
        self._place = lambda rows: STRATEGIES[strategy].place(mesh, rows, parts)
        index = assign_shapes(examples.crystals, model.shapes)
        self.order = BatchOrder(
            index, batch_size=config.batch_size, seed=config.seed, repeat=repeat
        )

    def at(self, step: int) -> tuple[CellShape, Examples]:
        """Cell shape and examples of a step."""
        shape, examples = self.read(step)
        return shape, self._place(examples)

    def read(self, step: int) -> tuple[CellShape, Examples]:
        """The same in the host's memory: the rows that this process's devices need."""
        shape, members = self.order.batch(step)
        cell = self._shapes[shape]
        return cell, self._examples.batch(members[self._rows], cell.sites)

    def stream(self, first: int, last: int) -> Iterator[tuple[CellShape, Examples]]:
        """Those of the steps from ``first`` to before ``last``, read ahead by other threads."""
        import grain  # takes a second

        steps = grain.MapDataset.range(first, last).map(self.read)
        options = grain.ReadOptions(num_threads=READERS, prefetch_buffer_size=AHEAD)
        for shape, examples in steps.to_iter_dataset(options):
            yield shape, self._place(examples)

    def one_of_each(self) -> Iterator[tuple[CellShape, Examples]]:
        """One batch of each cell shape."""
        steps = {self.order.batch(step)[0]: step for step in self.epoch()}
        return map(self.at, steps.values())

    def epoch(self) -> range:
        """The steps of the first epoch."""
        return range(self.order.batches_per_epoch)
