"""Fetch a file: resumed where it broke off, checked, and then whole in its place.

What has come is kept in a hidden folder beside the file, with the version that the server calls it
(its ETag, or its date). The next attempt asks for the rest of that version only, in this process or
in one that is started after this one was killed, so bytes of two versions are never joined.
"""

import contextlib
import json
import re
import shutil
import time
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from jaxcrys.core.errors import InputError
from jaxcrys.core.files import atomic_path, git_blob_id, sha256, sweep_partials, write_json
from jaxcrys.core.progress import Progress

if TYPE_CHECKING:
    from requests import Response

WAITS = (1.0, 2.0, 4.0, 8.0)
"""Seconds before the next attempt, after each in a row that brought nothing new."""

MOST_BYTES = 4 * 2**30
"""Of a file whose size is not known beforehand."""

MEGABYTE = 10**6
_CHUNK = 2**16
_TIMEOUT = (10.0, 60.0)  # seconds to connect, and between bytes
_PASSING = (408, 429, 500, 502, 503, 504)  # what a server answers that may answer better later
_CONTENT_RANGE = re.compile(r"bytes (?:(?P<first>\d+)-\d+|\*)/(?:(?P<total>\d+)|\*)")
_KINDS = {"sha256": sha256, "git-blob": git_blob_id}


class DownloadError(RuntimeError):
    """A file that could not be fetched.

    Args:
        url: of the file.
        problem: what was expected and what came instead.
        mend: what the user can do about it.
    """

    def __init__(self, url: str, problem: str, mend: str) -> None:
        super().__init__(f"{url}: {problem}; {mend}")


class _Broken(Exception):
    """An attempt that did not bring the whole file; another may."""


def has_checksum(path: Path, checksum: str) -> bool:
    """Whether a file is there and has a checksum, ``sha256:…`` or ``git-blob:…``.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "hello.txt"
        >>> _ = path.write_text("hello")
        >>> has_checksum(path, "git-blob:b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0")
        True
    """
    return path.is_file() and _checksum(path, checksum) == checksum


def _checksum(path: Path, like: str) -> str:
    kind = like.partition(":")[0]
    return f"{kind}:{_KINDS[kind](path)}"


def download(
    url: str,
    path: Path | str,
    *,
    checksum: str = "",
    size: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Fetch a file, unless the right one is there; whatever else is there is replaced.

    If the connection breaks off, the rest is asked for, after growing waits. Processes that fetch
    into the same folder wait for each other.

    Args:
        url: ``https://…`` or ``http://…``.
        path: the file to make.
        checksum: what it must have, ``sha256:…`` or ``git-blob:…``; anything if empty.
        size: its bytes; more are refused.
        progress: where to report progress.

    Raises:
        InputError: for an address of another kind.
        DownloadError: if the file is not there, is another one, or does not come to its end.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise InputError(url, "is no address of a file", "give one with https:// or http://")
    path, progress = Path(path), progress or Progress()
    if checksum and has_checksum(path, checksum):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path.parent, progress):
        if checksum and has_checksum(path, checksum):  # another process was faster
            return
        sweep_partials(path)
        partial = _Partial(path, url, weak=bool(checksum))
        _gather(partial, size, progress)
        if checksum:
            _check(partial, checksum)
        with atomic_path(path) as whole:
            partial.bytes.rename(whole)
        partial.discard()


@contextlib.contextmanager
def _alone(folder: Path, progress: Progress) -> Generator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".download.lock")
    try:
        lock.acquire(timeout=1)
    except Timeout:
        progress.say(f"waiting for another download into {folder}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


class _Partial:
    """What has come of a file so far, and of which version of it.

    Args:
        path: where the file is to be.
        url: where it comes from.
        weak: whether versions that do not promise equal bytes will do: a checksum judges them.
    """

    def __init__(self, path: Path, url: str, *, weak: bool) -> None:
        self.name, self.url, self.weak = path.name, url, weak
        self._folder = path.parent / f".{path.name}.download"
        self.bytes = self._folder / "bytes"
        self._origin = self._folder / "origin.json"

    def size(self) -> int:
        """Bytes that can be gone on from."""
        return self.bytes.stat().st_size if self.version() and self.bytes.exists() else 0

    def version(self) -> str:
        """Empty if the server named none that will do, or the bytes are of another address."""
        try:
            origin = json.loads(self._origin.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return ""
        usable = self.weak or not _is_weak(origin["version"])
        return origin["version"] if usable and origin["url"] == self.url else ""

    def restart(self, version: str) -> None:
        self.discard()
        write_json(self._origin, {"url": self.url, "version": version})

    def discard(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def _gather(partial: _Partial, size: int | None, progress: Progress) -> None:
    """Attempt after attempt until all bytes are there."""
    most, failures = partial.size(), 0
    while True:
        try:
            return _attempt(partial, size, progress)
        except _Broken as broken:
            failures = 1 if partial.size() > most else failures + 1
            most = max(most, partial.size())
            if failures > len(WAITS):
                raise DownloadError(
                    partial.url,
                    f"{failures} attempts in a row came no further than {most} bytes: {broken}",
                    "try again later, the same command goes on from here",
                ) from broken
            wait = WAITS[failures - 1]
            progress.say(f"{partial.name}: {broken}; again in {wait:.0f} s")
            time.sleep(wait)


def _attempt(partial: _Partial, size: int | None, progress: Progress) -> None:
    """Ask for what is missing, and keep what comes."""
    import requests

    have = partial.size()
    if have and have == size:
        return
    headers = {"Accept-Encoding": "identity", "User-Agent": "jaxcrys"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if not _is_weak(partial.version()):  # which servers take for another version
            headers["If-Range"] = partial.version()
    try:
        with requests.get(partial.url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            have, total = _begin(response, partial)
            if response.status_code != 416:  # else all was there
                _keep(response, partial, have, total, size or MOST_BYTES, progress)
    except requests.RequestException as error:
        if isinstance(error, ValueError):  # an address that leads to no server
            raise DownloadError(partial.url, str(error), "give another address") from error
        raise _Broken(f"the connection failed ({_root(error)})") from error


def _root(error: BaseException) -> BaseException:
    """What it began with, below the layers of libraries."""
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    return error


def _begin(response: "Response", partial: _Partial) -> tuple[int, int | None]:
    """From which byte on the server answers, and the size of the whole file where it tells."""
    status, have = response.status_code, partial.size()
    told = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    total = int(told["total"]) if told and told["total"] else None
    if status == 200:
        partial.restart(_version(response))
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdigit() else None
    if status == 206 and told and told["first"] == str(have) and _same(response, partial):
        return have, total
    if status == 416 and total == have:
        return have, total
    if status in (206, 416):
        partial.discard()
        raise _Broken("the file changed meanwhile, begun anew")
    if status in _PASSING:
        raise _Broken(f"the server answers {status} {response.reason}")
    raise DownloadError(
        partial.url,
        f"the server answers {status} {response.reason}",
        "look whether the file has moved, or fetch it by other means",
    )


def _version(response: "Response") -> str:
    return response.headers.get("ETag") or response.headers.get("Last-Modified", "")


def _is_weak(version: str) -> bool:
    """Whether it is an ETag that does not promise equal bytes."""
    return version.startswith("W/")


def _same(response: "Response", partial: _Partial) -> bool:
    return _version(response) in ("", partial.version())


def _keep(
    response: "Response",
    partial: _Partial,
    have: int,
    total: int | None,
    most: int,
    progress: Progress,
) -> None:
    """Append what comes to what is there."""
    if (total or 0) > most:
        raise _too_much(partial, f"{total} bytes are announced", most)
    shown = progress if total else Progress()
    megabytes, done = -(-(total or 0) // MEGABYTE), have // MEGABYTE
    with (
        shown.bar(f"{partial.name}, MB", total=megabytes, done=done) as bar,
        partial.bytes.open("ab") as handle,
    ):
        for chunk in response.iter_content(_CHUNK):
            if have + len(chunk) > most:
                raise _too_much(partial, "more come", most)
            handle.write(chunk)
            bar.advance((have + len(chunk)) // MEGABYTE - have // MEGABYTE)
            have += len(chunk)
    if total and have < total:
        raise _Broken(f"the connection broke off at {have} of {total} bytes")


def _too_much(partial: _Partial, what: str, most: int) -> DownloadError:
    partial.discard()
    return DownloadError(
        partial.url,
        f"{what} where at most {most} were expected",
        "look at what the address leads to; it is not the file that is meant",
    )


def _check(partial: _Partial, checksum: str) -> None:
    found, size = _checksum(partial.bytes, checksum), partial.bytes.stat().st_size
    if found == checksum:
        return
    partial.discard()
    raise DownloadError(
        partial.url,
        f"has not the bytes it must have: expected {checksum}, got {found} of {size} bytes",
        "try again; if that is no better, the file was changed there or on its way (a proxy, a"
        " page to log in): fetch it by other means",
    )
