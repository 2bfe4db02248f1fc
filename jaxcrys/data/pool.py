"""Apply a function to many items in worker processes that may crash or hang without harm.

No thread or lock of the caller is copied into workers, and they do not import the caller's script
again: a script needs no ``if __name__ == "__main__"``. On Linux a server process imports once what
they need, and they are forked from it; elsewhere each is spawned.
"""

import contextlib
import faulthandler
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from multiprocessing.context import BaseContext
from types import ModuleType
from typing import Any, TypeVar
from unittest import mock

Item = TypeVar("Item")
Result = TypeVar("Result")

SECONDS_PER_ITEM = 60.0
"""By default."""

BYTES_PER_WORKER = 8 * 2**30
"""A worker that needs more memory is ended (on Linux), before it takes that of others."""

IMPORTED_ONCE = ["jaxcrys.data.rows", "pymatgen.core", "spglib"]
"""Modules of the server that workers are forked from; none of them starts threads of JAX."""

LONGEST_FOLDER = 75
"""Bytes in the name of a temporary folder: the server's socket there may have 107 in all."""


def map_chunks(
    function: Callable[[Item], Result],
    chunks: Iterable[tuple[int, list[Item]]],
    *,
    workers: int,
    lost: Callable[[Item], Result],
    seconds: float = SECONDS_PER_ITEM,
) -> Iterator[tuple[int, list[Result]]]:
    """Yield the number and the results of each chunk, in the order of the chunks.

    When a worker dies, the chunks under way are done again item by item, and an item that kills
    its worker once more gets ``lost(item)`` for a result.

    Args:
        function: an importable function of one item.
        chunks: numbered lists of items, read as they are needed.
        workers: number of processes.
        lost: makes the result of an item that kills its worker.
        seconds: an item that takes longer hangs; its worker is ended.

    Example:
        >>> chunks = [(0, [-1, 2]), (1, [-3])]
        >>> list(map_chunks(abs, chunks, workers=1, lost=abs))
        [(0, [1, 2]), (1, [3])]
    """
    with Workers(workers) as pool:
        yield from pool.map(function, chunks, lost=lost, seconds=seconds)


class Workers:
    """Processes that stay for several rounds of work; :func:`map_chunks` starts its own.

    Args:
        workers: number of processes.

    Example:
        >>> with Workers(1) as pool:
        ...     [list(pool.map(abs, [(0, [-n])], lost=abs)) for n in (1, 2)]
        [[(0, [1])], [(0, [2])]]
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool, self._single = _Pool(workers), _Pool(1)

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.close()
        self._single.close()

    def map(
        self,
        function: Callable[[Item], Result],
        chunks: Iterable[tuple[int, list[Item]]],
        *,
        lost: Callable[[Item], Result],
        seconds: float = SECONDS_PER_ITEM,
    ) -> Iterator[tuple[int, list[Result]]]:
        """See :func:`map_chunks`."""

        def finish(number: int, items: list[Item], future: Future) -> tuple[int, list[Result]]:
            try:
                return number, future.result()
            except BrokenProcessPool:
                return number, [alone(item) for item in items]

        def alone(item: Item) -> Result:
            try:
                return self._single.submit(function, [item], seconds).result()[0]
            except BrokenProcessPool:
                return lost(item)

        under_way: deque[tuple[int, list[Item], Future]] = deque()
        for number, items in chunks:
            under_way.append((number, items, self._pool.submit(function, items, seconds)))
            if len(under_way) > 2 * self._workers:
                yield finish(*under_way.popleft())
        while under_way:
            yield finish(*under_way.popleft())


class _Pool:
    """An executor that starts anew after one of its processes has died."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._executor = self._start()

    def close(self) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)

    def submit(self, function: Callable[[Any], Any], items: list[Any], seconds: float) -> Future:
        # Processes start within submit, and would import the main module that they see.
        main = mock.patch.dict(sys.modules, {"__main__": ModuleType("__main__")})
        with main, _interrupts_held_back():
            try:
                return self._executor.submit(run_items, function, items, seconds)
            except BrokenProcessPool:
                self._executor.shutdown(wait=True)
                self._executor = self._start()
                return self._executor.submit(run_items, function, items, seconds)

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._workers,
            mp_context=_context(),
            initializer=_begin_worker,
        )


def _context() -> BaseContext:
    """How processes start; the list of what a server imports is one for the whole process."""
    short = len(os.fsencode(tempfile.gettempdir())) <= LONGEST_FOLDER
    if sys.platform != "linux" or not short:  # libraries of macOS do not survive a fork
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED_ONCE)
    return context


@contextlib.contextmanager
def _interrupts_held_back() -> Generator[None, None, None]:
    """Processes that start here never see Ctrl-C, not even before ``_begin_worker``."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # starting it would let interrupts through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker() -> None:
    """Leave Ctrl-C to the parent, keep memory bounded, end when the parent has ended somehow."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (BYTES_PER_WORKER, resource.RLIM_INFINITY))
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def run_items(
    function: Callable[[Item], Result], items: list[Item], seconds: float = SECONDS_PER_ITEM
) -> list[Result]:
    """Results of some items; the process ends if one of them takes too long."""
    results = []
    for item in items:
        faulthandler.dump_traceback_later(seconds, exit=True)
        results.append(function(item))
    faulthandler.cancel_dump_traceback_later()
    return results
