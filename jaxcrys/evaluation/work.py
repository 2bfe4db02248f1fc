"""Where the work is done: in processes of this machine, or on a Dask cluster; the same results.

An item that hangs or kills its worker costs that item alone: it gets the result that ``lost`` makes
of it. Finished pieces may be kept, so that an interrupted evaluation goes on.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from jaxcrys.core.chunks import ChunkStore
from jaxcrys.core.progress import Progress
from jaxcrys.data.pool import SECONDS_PER_ITEM, Workers

Item = TypeVar("Item")
Result = TypeVar("Result")

AT_ONCE = 32
"""Items that a worker is given at a time."""


class Work(Protocol):
    """A function of one item, for many items, somewhere."""

    def __call__(
        self,
        function: Callable[[Item], Result],
        chunks: Iterator[tuple[int, list[Item]]],
        *,
        lost: Callable[[Item], Result],
    ) -> Iterator[tuple[int, list[Result]]]:
        """Yield the results of each numbered chunk."""
        ...


class Processes:
    """Worker processes of this machine, until the end of the ``with``.

    Args:
        workers: how many.
        seconds: that an item may take.
    """

    def __init__(self, workers: int, seconds: float = SECONDS_PER_ITEM) -> None:
        self._pool = Workers(workers)
        self._seconds = seconds

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.__exit__(*error)

    def __call__(
        self,
        function: Callable[[Item], Result],
        chunks: Iterator[tuple[int, list[Item]]],
        *,
        lost: Callable[[Item], Result],
    ) -> Iterator[tuple[int, list[Result]]]:
        """See :class:`Work`."""
        return self._pool.map(function, chunks, lost=lost, seconds=self._seconds)


def map_items(
    work: Work,
    function: Callable[[Item], Any],
    items: Sequence[Item],
    *,
    lost: Callable[[Item], Any],
    name: str,
    progress: Progress,
    store: ChunkStore | None = None,
    at_once: int = AT_ONCE,
) -> list[Any]:
    """Results of all items in their order; those that a store has are not made again.

    Args:
        work: who does it.
        function: importable, of one item; gives plain values (numbers, text, lists, dictionaries).
        items: picklable.
        lost: the result of an item that kills its worker.
        name: of the task, for the progress.
        progress: told how far it is.
        store: keeps finished pieces.
        at_once: items of a piece.
    """
    starts = range(0, len(items), at_once)
    pieces = {number: list(items[i : i + at_once]) for number, i in enumerate(starts)}
    found: dict[int, list[Any]] = {}
    if store is not None:
        found = {number: _load(store, number) for number in pieces if store.has(number)}
    done = sum(len(pieces[number]) for number in found)
    missing = ((number, piece) for number, piece in pieces.items() if number not in found)
    with progress.bar(name, total=len(items), done=done) as bar:
        for number, results in work(function, missing, lost=lost):
            found[number] = results
            if store is not None:
                _save(store, number, results)
            bar.advance(len(results))
    return [result for number in sorted(found) for result in found[number]]


def key_of(*parts: Any) -> str:
    """A name for what work depends on.

    Example:
        >>> key_of("rows", 3) == key_of("rows", 3), key_of("rows", 3) == key_of("rows", 4)
        (True, False)
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _save(store: ChunkStore, number: int, results: list[Any]) -> None:
    store.save(number, {"json": np.frombuffer(json.dumps(results).encode(), np.uint8)})


def _load(store: ChunkStore, number: int) -> list[Any]:
    return json.loads(store.load(number)["json"].tobytes())
