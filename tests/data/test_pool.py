"""Work in processes that die, hang, or are left alone."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from jaxcrys.data.pool import LONGEST_FOLDER, map_chunks

DEATH = "__import__('os')._exit(1)"
linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no process serves others")


@pytest.mark.parametrize("workers", [1, 2])
def test_items_that_kill_their_worker_are_lost_alone(workers):
    chunks = [(0, ["1", "2"]), (1, ["3", DEATH, "5"]), (4, ["6"]), (5, [DEATH, "7"])]
    results = list(map_chunks(eval, iter(chunks), workers=workers, lost=lambda item: "lost"))
    assert results == [(0, [1, 2]), (1, [3, "lost", 5]), (4, [6]), (5, ["lost", 7])]


def test_errors_of_the_function_are_raised():
    with pytest.raises(ZeroDivisionError):
        list(map_chunks(eval, [(0, ["1 / 0"])], workers=1, lost=str))


def test_a_worker_has_no_threads_of_jax():
    started = "__import__('jax')._src.xla_bridge.backends_are_initialized()"
    assert list(map_chunks(eval, [(0, [started])], workers=1, lost=str)) == [(0, [False])]


ASKS = """
from jaxcrys.data.pool import map_chunks
asked = "__import__('os').getpid(), __import__('os').getppid()"
chunks = [(0, [asked]), (1, ["0"]), (2, ["0"]), (3, ["0"])]
results = map_chunks(eval, chunks, workers=1, lost=str)
print(*next(results)[1][0], flush=True)
input()
"""


def asking(folder=None):
    """A process that tells those of a worker and of who started it, and waits."""
    environment = os.environ | ({} if folder is None else {"TMPDIR": str(folder)})
    return subprocess.Popen(
        [sys.executable, "-c", ASKS], env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip


def alive(process):
    """Whether it runs; one that nobody asks for its exit status stays in the list as a zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@linux
def test_nobody_is_left_when_the_caller_is_killed():
    with asking() as caller:
        worker, server = caller.stdout.readline().split()
        assert alive(worker)
        assert alive(server)
        assert server != str(caller.pid)
        caller.send_signal(signal.SIGKILL)
    end = time.monotonic() + 60
    while alive(worker) or alive(server):
        assert time.monotonic() < end
        time.sleep(0.05)


@linux
@pytest.mark.parametrize("more", [0, 1])
def test_names_of_temporary_folders_may_be_long(more):
    """A server of workers has a socket there, whose name may not; beyond, workers are spawned."""
    with tempfile.TemporaryDirectory(dir="/tmp") as base:
        folder = Path(base) / ("x" * (LONGEST_FOLDER + more - len(base) - 1))
        folder.mkdir()
        assert len(str(folder)) == LONGEST_FOLDER + more
        with asking(folder) as caller:
            _, parent = caller.stdout.readline().split()
            assert (parent == str(caller.pid)) == bool(more)
            caller.communicate("\n")
