"""Work in processes and on a cluster: the same results, whoever hangs or dies."""

import os
import signal
import time

import pytest

from jaxcrys.core.chunks import ChunkStore
from jaxcrys.core.errors import InputError
from jaxcrys.core.progress import Progress
from jaxcrys.evaluation.cluster import cluster
from jaxcrys.evaluation.examine import Task, examine, lost
from jaxcrys.evaluation.samples import Sample, of_crystal
from jaxcrys.evaluation.work import Processes, map_items
from tests.evaluation.sets import ODD, salts

TASKS = [
    Task(sample)
    for sample in (
        *(of_crystal(crystal, str(i)) for i, crystal in enumerate(salts() * 3)),
        *(Sample(name, "cif", text) for name, (text, _) in ODD.items()),
    )
]


def rows_of(work, store=None):
    return map_items(
        work, examine, TASKS, lost=lost, name="rows", progress=Progress(), store=store, at_once=4
    )


@pytest.fixture(scope="module")
def expected():
    return [examine(task) for task in TASKS]


def test_an_item_that_hangs_is_lost_alone():
    with Processes(1, seconds=0.5) as work:
        found = map_items(
            work, time.sleep, [0, 60, 0], lost=lambda item: f"lost {item}",
            name="sleeping", progress=Progress(),
        )  # fmt: skip
    assert found == [None, "lost 60", None]


def test_finished_pieces_are_not_made_again(tmp_path):
    asked = []

    def here(function, chunks, *, lost):
        for number, items in chunks:
            asked.extend(items)
            yield number, [function(item) for item in items]

    def stops(function, chunks, *, lost):
        for number, items in chunks:
            if number == 2:
                raise KeyboardInterrupt
            yield number, [function(item) for item in items]

    store = ChunkStore(tmp_path / "work", "key")
    settings = {"lost": None, "name": "x", "progress": Progress(), "store": store, "at_once": 2}
    with pytest.raises(KeyboardInterrupt):
        map_items(stops, str, range(9), **settings)
    assert map_items(here, str, range(9), **settings) == [str(i) for i in range(9)]
    assert asked == [4, 5, 6, 7, 8]


@pytest.fixture(scope="module")
def client():
    import dask
    import distributed

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=0
        ) as local,
        distributed.Client(local) as client,
    ):
        yield client


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_gives_the_same_rows_though_a_worker_is_killed(client, expected, tmp_path):
    pids = client.run(os.getpid)
    assert len(pids) == 2
    killed = []

    class Store(ChunkStore):
        def save(self, index, arrays):
            super().save(index, arrays)
            if not killed:
                killed.append(pids.popitem()[1])
                os.kill(killed[0], signal.SIGKILL)

    with cluster(client.scheduler.address, 60.0) as work:
        rows = rows_of(work, Store(tmp_path / "work", "key"))
    assert killed
    assert rows == expected


@pytest.mark.filterwarnings("ignore")
def test_an_item_that_hangs_on_a_cluster_is_lost_alone(client):
    with cluster(client.scheduler.address, 0.5) as work:
        found = map_items(
            work, time.sleep, [0, 30, 0], lost=lambda item: f"lost {item}",
            name="sleeping", progress=Progress(),
        )  # fmt: skip
    assert found == [None, "lost 30", None]


@pytest.mark.filterwarnings("ignore")
def test_a_scheduler_that_is_not_there_is_named(monkeypatch):
    from jaxcrys.evaluation import cluster as module

    monkeypatch.setattr(module, "CONNECT_SECONDS", 1)
    with pytest.raises(InputError, match="does not answer"), cluster("tcp://127.0.0.1:9", 1.0):
        pass
