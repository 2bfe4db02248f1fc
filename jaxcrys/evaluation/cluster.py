"""Work on a Dask cluster: workers may hang, die and come back; results are those of one process.

A worker ends itself when an item takes too long, as a process of ours does. Dask gives what it had
to others; a piece that has killed several workers is done again item by item, and an item that
kills its workers once more gets the result that ``lost`` makes of it.
"""

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeVar

from jaxcrys.core.errors import InputError
from jaxcrys.data.pool import run_items

Item = TypeVar("Item")
Result = TypeVar("Result")

CONNECT_SECONDS = 15

AHEAD = 4
"""Pieces under way for each worker."""


class _Cluster:
    """A :class:`work.Work` on the workers of a Dask client.

    Args:
        client: connected.
        seconds: that an item may take.
    """

    def __init__(self, client: Any, seconds: float) -> None:
        self._client = client
        self._seconds = seconds

    def __call__(
        self,
        function: Callable[[Item], Result],
        chunks: Iterator[tuple[int, list[Item]]],
        *,
        lost: Callable[[Item], Result],
    ) -> Iterator[tuple[int, list[Result]]]:
        """See :class:`work.Work`."""
        under_way: deque[tuple[int, list[Item], Any]] = deque()
        for number, items in chunks:
            under_way.append((number, items, self._submit(function, items)))
            if len(under_way) >= AHEAD * max(len(self._client.nthreads()), 1):
                yield self._finish(function, lost, *under_way.popleft())
        while under_way:
            yield self._finish(function, lost, *under_way.popleft())

    def _submit(self, function: Callable[[Item], Result], items: list[Item]) -> Any:
        return self._client.submit(run_items, function, items, self._seconds, pure=False)

    def _finish(
        self,
        function: Callable[[Item], Result],
        lost: Callable[[Item], Result],
        number: int,
        items: list[Item],
        future: Any,
    ) -> tuple[int, list[Result]]:
        from distributed import KilledWorker

        try:
            return number, future.result()
        except KilledWorker:
            return number, [self._alone(function, lost, item) for item in items]

    def _alone(
        self, function: Callable[[Item], Result], lost: Callable[[Item], Result], item: Item
    ) -> Result:
        from distributed import KilledWorker

        try:
            return self._submit(function, [item]).result()[0]
        except KilledWorker:
            return lost(item)


@contextlib.contextmanager
def cluster(address: str, seconds: float) -> Generator[_Cluster, None, None]:
    """The workers of a running Dask scheduler.

    Args:
        address: of the scheduler, such as ``tcp://host:8786``.
        seconds: that an item may take.

    Raises:
        InputError: if Dask is missing, the scheduler does not answer, or a worker has several
            threads: an item that hangs ends its whole process.
    """
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise InputError("--scheduler", "needs Dask", "pip install 'jaxcrys[dask]'") from error
    try:
        client = Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError, TimeoutError) as error:
        raise InputError(
            "--scheduler", f"{address} does not answer ({error})",
            "start one: dask scheduler, and workers: dask worker ADDRESS --nthreads 1",
        ) from error  # fmt: skip
    try:
        busy = {name: count for name, count in client.nthreads().items() if count != 1}
        if busy:
            raise InputError(
                "--scheduler", f"workers have several threads: {', '.join(busy)}",
                "start them with: dask worker ADDRESS --nworkers N --nthreads 1",
            )  # fmt: skip
        yield _Cluster(client, seconds)
    finally:
        client.close()
