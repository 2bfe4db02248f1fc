"""Downloads: resumed, checked, never joined of two versions, whole in their place or not there."""

import hashlib
import random
import signal
import subprocess
import sys
import threading
import time
import types

import pytest

from jaxcrys.core import download as module
from jaxcrys.core.download import DownloadError, download, has_checksum
from jaxcrys.core.errors import InputError
from jaxcrys.core.progress import Bar, Progress
from tests.serving import Served, serving

DATA = random.Random(0).randbytes(1_000_000)
OTHER = random.Random(1).randbytes(1_000_000)


@pytest.fixture
def served():
    """A file that is served well, until a test changes it."""
    return Served(DATA)


@pytest.fixture
def url(served):
    with serving({"file.bin": served}) as address:
        yield f"{address}file.bin"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "file.bin"


@pytest.fixture
def waits(monkeypatch):
    """Seconds that were waited, without waiting."""
    waited = []
    monkeypatch.setattr(module, "time", types.SimpleNamespace(sleep=waited.append))
    return waited


def sha256_of(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def names(path):
    """What lies in its folder, but for the lock."""
    return sorted(item.name for item in path.parent.iterdir() if item.name != ".download.lock")


def test_a_file_is_fetched_once(served, url, path):
    download(url, path, checksum=sha256_of(DATA), size=len(DATA))
    assert path.read_bytes() == DATA
    assert names(path) == ["file.bin"]
    download(url, path, checksum=sha256_of(DATA), size=len(DATA))
    assert served.asked == [None]
    path.write_bytes(OTHER)
    download(url, path, checksum=sha256_of(DATA))
    assert path.read_bytes() == DATA


def test_names_of_git_are_checksums_too(url, path):
    """As ``git hash-object`` gives them."""
    command = ["git", "hash-object", "--stdin"]
    name = subprocess.run(command, input=DATA, capture_output=True, check=True).stdout.decode()
    download(url, path, checksum=f"git-blob:{name.strip()}")
    assert has_checksum(path, f"git-blob:{name.strip()}")
    path.write_bytes(DATA[:-1])
    assert not has_checksum(path, f"git-blob:{name.strip()}")


def test_a_broken_connection_is_resumed_where_it_broke(served, url, path, waits):
    served.cuts = [300_000, 200_000, 0, 0, 100_000]
    download(url, path, checksum=sha256_of(DATA), size=len(DATA))
    assert path.read_bytes() == DATA
    asked = [int(text.removeprefix("bytes=").removesuffix("-")) for text in served.asked[1:]]
    assert asked == sorted(asked)
    assert served.asked[0] is None
    assert served.conditions == [None] + ['"one"'] * 5
    assert sum(served.sent) - len(DATA) <= 3 * 2**16  # what was under way when it broke
    assert waits == [1, 1, 2, 4, 1]  # growing while nothing new comes


def test_attempts_end_and_the_next_call_goes_on(served, url, path, waits):
    served.cuts = [500_000] + [0] * 6
    with pytest.raises(DownloadError, match="5 attempts in a row"):
        download(url, path, checksum=sha256_of(DATA))
    assert waits == [1, 2, 4, 8]
    assert not path.exists()
    served.cuts = []
    download(url, path, checksum=sha256_of(DATA))
    assert path.read_bytes() == DATA
    assert served.sent[-1] <= 500_000 + 2**16


def test_wrong_bytes_are_refused_and_forgotten(served, url, path):
    served.data = DATA[:500_000] + b"?" + DATA[500_001:]
    expected, got = sha256_of(DATA), sha256_of(served.data)
    with pytest.raises(DownloadError, match=f"expected {expected}, got {got} of 1000000 bytes"):
        download(url, path, checksum=expected)
    assert names(path) == []
    served.data = DATA
    download(url, path, checksum=expected)
    assert path.read_bytes() == DATA
    assert served.asked == [None, None]


def test_a_file_that_was_there_stays_until_the_right_one_is(served, url, path, waits):
    path.parent.mkdir()
    path.write_bytes(b"old")
    served.statuses = [404]
    with pytest.raises(DownloadError):
        download(url, path, checksum=sha256_of(DATA))
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("how", ["no ranges", "no version", "weak version"])
def test_servers_that_give_no_parts_are_asked_for_the_whole(how, served, url, path, waits):
    served.cuts = [300_000]
    if how == "no ranges":
        served.ranges = False
    else:
        served.version = None if how == "no version" else 'W/"one"'
    download(url, path, checksum="" if how == "weak version" else sha256_of(DATA))
    assert path.read_bytes() == DATA
    assert served.sent == [300_000, 1_000_000]


def test_a_weak_version_will_do_where_a_checksum_judges(served, url, path, waits):
    served.cuts, served.version = [300_000], 'W/"one"'
    download(url, path, checksum=sha256_of(DATA))
    assert path.read_bytes() == DATA
    assert served.asked[1].startswith("bytes=")
    assert served.sent[1] < 800_000


def test_a_server_that_always_breaks_off_at_the_same_place_is_given_up(served, url, path, waits):
    served.ranges, served.cuts = False, [300_000] * 99
    with pytest.raises(DownloadError, match="5 attempts in a row"):
        download(url, path)
    assert len(served.asked) == 5


@pytest.mark.parametrize("heeds", [True, False])
@pytest.mark.parametrize("versions", [('"one"', '"two"'), ('W/"one"', 'W/"two"')])
def test_two_versions_are_never_joined(heeds, versions, served, url, path, waits):
    """Also if the server sends the rest of another version than was asked for."""
    served.heed_version = heeds
    served.version, served.cuts = versions[0], [500_000] + [0] * 6
    with pytest.raises(DownloadError):
        download(url, path, checksum=sha256_of(OTHER))
    served.data, served.version, served.cuts = OTHER, versions[1], []
    download(url, path, checksum=sha256_of(OTHER))
    assert path.read_bytes() == OTHER
    assert names(path) == ["file.bin"]


def test_a_part_that_begins_elsewhere_is_not_joined(served, url, path, waits):
    served.cuts, served.shift = [500_000], 1000
    download(url, path)
    assert path.read_bytes() == DATA
    assert [text is None for text in served.asked] == [True, False, True]


def test_bytes_come_uncompressed(served, url, path):
    served.data, served.compress = b"0" * 1_000_000, True
    download(url, path, size=1_000_000)
    assert path.read_bytes() == served.data
    assert served.sent == [1_000_000]


def test_bytes_of_another_address_are_not_gone_on_with(served, path, waits):
    served.cuts = [500_000] + [0] * 6
    other = Served(OTHER)
    with serving({"one": served, "other": other}) as address:
        with pytest.raises(DownloadError):
            download(f"{address}one", path)
        download(f"{address}other", path)
    assert path.read_bytes() == OTHER
    assert other.asked == [None]


@pytest.mark.parametrize("told", [True, False], ids=["size known", "size unknown"])
def test_a_download_killed_before_it_took_its_place_is_not_fetched_again(told, served, url, path):
    partial = module._Partial(path, url, weak=True)
    partial.restart('"one"')
    partial.bytes.write_bytes(DATA)
    download(url, path, checksum=sha256_of(DATA), size=len(DATA) if told else None)
    assert path.read_bytes() == DATA
    assert served.sent == []
    assert served.asked == ([] if told else ["bytes=1000000-"])


def test_more_bytes_than_the_server_has_are_thrown_away(served, url, path, waits):
    partial = module._Partial(path, url, weak=True)
    partial.restart('"one"')
    partial.bytes.write_bytes(DATA + b"more")
    download(url, path, checksum=sha256_of(DATA), size=len(DATA))
    assert path.read_bytes() == DATA


def test_passing_failures_are_waited_for(served, url, path, waits):
    served.statuses = [500, 503, 429]
    download(url, path, checksum=sha256_of(DATA))
    assert path.read_bytes() == DATA
    assert waits == [1, 2, 4]


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_what_waiting_does_not_mend_fails_at_once(status, served, url, path, waits):
    served.statuses = [status]
    with pytest.raises(DownloadError, match=f"file.bin: the server answers {status} .*; look"):
        download(url, path)
    assert waits == []
    assert names(path) == []


def test_more_than_expected_is_refused_before_it_comes(served, url, path):
    with pytest.raises(DownloadError, match="1000000 bytes are announced where at most 999999"):
        download(url, path, size=999_999)
    assert names(path) == []


def test_more_than_expected_is_refused_when_it_comes_unannounced(served, url, path):
    served.length = False
    with pytest.raises(DownloadError, match="more come where at most 500000"):
        download(url, path, size=500_000)
    assert names(path) == []


def test_bytes_after_what_was_announced_are_not_taken(served, url, path):
    served.announced = 600_000
    download(url, path, checksum=sha256_of(DATA[:600_000]))
    assert path.read_bytes() == DATA[:600_000]


@pytest.mark.parametrize("address", ["ftp://a.org/b", "file:///etc/passwd", "b.csv"])
def test_only_http_is_spoken(address, path):
    with pytest.raises(InputError, match="no address of a file"):
        download(address, path)


def test_a_server_that_leads_elsewhere_is_followed_over_http_only(served, path):
    moved = Served(b"", location="/file.bin")
    away = Served(b"", location="file:///etc/passwd")
    with serving({"file.bin": served, "moved": moved, "away": away}) as address:
        download(f"{address}moved", path, checksum=sha256_of(DATA))
        assert path.read_bytes() == DATA
        with pytest.raises(DownloadError, match="No connection adapters"):
            download(f"{address}away", path)


def test_nobody_there_is_told(path, waits):
    with serving({}) as address:
        pass
    with pytest.raises(DownloadError, match="5 attempts in a row"):
        download(f"{address}file.bin", path)
    assert waits == [1, 2, 4, 8]


class Counted(Progress):
    """Adds up what is shown."""

    def __init__(self):
        self.shown = []

    def bar(self, name, *, total, done=0):
        return self._counting(name, total, done)

    @module.contextlib.contextmanager
    def _counting(self, name, total, done):
        steps = [done]
        yield Bar(lambda more, note: steps.append(more))
        self.shown.append((name, total, sum(steps)))


def test_progress_is_shown_in_megabytes(url, served, path):
    served.data = DATA * 3 + DATA[:500_000]
    progress = Counted()
    download(url, path, progress=progress)
    assert progress.shown == [("file.bin, MB", 4, 3)]


KILLED = """
import sys
from jaxcrys.core.download import download
download(sys.argv[1], sys.argv[2], checksum=sys.argv[3])
"""


def test_a_killed_process_is_gone_on_with(served, url, path):
    served.pause = 0.02
    command = [sys.executable, "-c", KILLED, url, str(path), sha256_of(DATA)]
    partial = module._Partial(path, url, weak=True)
    with subprocess.Popen(command) as process:
        while partial.size() < 300_000:
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
    assert not path.exists()
    have = partial.size()
    assert have < len(DATA)
    served.pause = 0.0
    download(url, path, checksum=sha256_of(DATA))
    assert path.read_bytes() == DATA
    assert served.asked == [None, f"bytes={have}-"]
    assert served.sent[1] == len(DATA) - have


def test_those_who_fetch_the_same_at_once_fetch_it_once(served, url, path):
    served.pause = 0.01
    threads = [
        threading.Thread(target=download, args=(url, path), kwargs={"checksum": sha256_of(DATA)})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() == DATA
    assert served.asked == [None]
