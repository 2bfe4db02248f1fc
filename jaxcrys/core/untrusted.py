"""Bounds on files of others: how much of them is unpacked, held in memory and looked at.

A small file can hold a lot: a compressed gigabyte of zeros takes a megabyte, a line of JSON a
million brackets. What is larger than any honest file of crystals is refused with an error that
names the bound. All bounds are multiplied by the number in the environment variable
``JAXCRYS_LIMIT_FACTOR``, for those who have larger files and trust them.
"""

import bz2
import contextlib
import gzip
import io
import math
import os
import stat
import zipfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from jaxcrys.core.errors import InputError

FACTOR = "JAXCRYS_LIMIT_FACTOR"
"""Environment variable with a number that all bounds are multiplied by."""

GIBIBYTE = 2**30

MOST_WHOLE = GIBIBYTE
"""Bytes of a text that is held in memory at once (JSON, CIF); as JSON it takes ten times that."""

MOST_UNPACKED = 32 * GIBIBYTE
"""Bytes that come out of one compressed file or archive, with the archives in it."""

MOST_RATIO = 200
"""Bytes for each compressed one. Tables of crystals have 5 to 20; zeros a thousand and more."""

RATIO_FROM = 2**26
"""Bytes from which on the ratio is judged: what is small does no harm."""

LONGEST_LINE = 2**26
"""Characters of a line, or of a field of a table."""

MOST_MEMBERS = 1_000_000
"""Files in an archive, with those of the archives in it; the largest public sets have half."""

DEEPEST = 3
"""Archives within archives."""

MOST_COLUMNS = 10_000
"""Of a table."""

_CHUNK = 2**20
_OPENERS = {".gz": gzip.open, ".bz2": bz2.open}


def bound(limit: float) -> int:
    """A bound as the user wishes it.

    Raises:
        InputError: if the factor is no positive number.

    Example:
        >>> bound(MOST_COLUMNS)
        10000
    """
    text = os.environ.get(FACTOR, "1")
    try:
        factor = float(text)
    except ValueError:
        factor = math.nan
    if not (factor > 0 and math.isfinite(factor)):
        raise InputError(FACTOR, f"must be a positive number, got {text!r}")
    return int(limit * factor)


def too_much(path: Path | str, problem: str) -> InputError:
    """The error for what is beyond a bound."""
    return InputError(str(path), problem, f"if you trust it, set {FACTOR}=10 to allow more")


def is_packed(path: Path) -> bool:
    """Whether the ending of a name tells that a text is compressed."""
    return path.suffix.lower() in _OPENERS


@contextlib.contextmanager
def open_text(
    path: Path, *, errors: str = "strict", newline: str | None = None
) -> Generator[TextIO]:
    """A text file, unpacked on the way; what comes out of it is bounded."""
    with contextlib.ExitStack() as stack:
        raw: BinaryIO = stack.enter_context(path.open("rb"))
        if is_packed(path):
            unpacked = stack.enter_context(_OPENERS[path.suffix.lower()](raw, "rb"))
            raw = stack.enter_context(io.BufferedReader(_Bounded(path, unpacked), _CHUNK))
        yield stack.enter_context(
            io.TextIOWrapper(raw, encoding="utf-8-sig", errors=errors, newline=newline)
        )


class _Bounded(io.RawIOBase):
    """What comes out of a compressed file, until it is more than such files hold."""

    def __init__(self, path: Path, unpacked: Any) -> None:
        self._path, self._unpacked = path, unpacked
        self._most, self._read = most_of(path.stat().st_size), 0

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # ty: ignore[incompatible-method-override]
        """Read the next bytes."""
        chunk = self._unpacked.read(len(buffer))
        self._read += len(chunk)
        if self._read > self._most:
            raise too_much(self._path, f"unpacks to more than {self._most} bytes")
        buffer[: len(chunk)] = chunk
        return len(chunk)


def most_of(packed: int) -> int:
    """Bytes that may come out of so many compressed ones.

    Example:
        >>> most_of(1000) == RATIO_FROM, most_of(10**6) == MOST_RATIO * 10**6
        (True, True)
    """
    return min(bound(MOST_UNPACKED), max(bound(RATIO_FROM), bound(MOST_RATIO) * packed))


def read_text(path: Path, *, errors: str = "strict") -> str:
    """A whole text file, plain or compressed.

    Raises:
        InputError: if it is too large.
    """
    most = bound(MOST_WHOLE)
    with open_text(path, errors=errors) as handle:
        text = handle.read(most + 1)
    if len(text) > most:
        raise too_much(path, f"has more than {most} characters, and would be read at once")
    return text


def lines(path: Path, handle: TextIO) -> Iterator[str]:
    """The lines of a text, none of them longer than the memory."""
    most = bound(LONGEST_LINE)
    while line := handle.readline(most + 1):
        if len(line) > most:
            raise too_much(path, f"has a line of more than {most} characters")
        yield line


class Budget:
    """What may come out of an archive and of the archives in it, and how deep they may lie."""

    def __init__(self) -> None:
        self._bytes, self._members = bound(MOST_UNPACKED), bound(MOST_MEMBERS)
        self._depth, self._deepest = 0, bound(DEEPEST)

    @contextlib.contextmanager
    def archive(self, path: Path) -> Generator[zipfile.ZipFile]:
        """Open an archive, one level deeper.

        Raises:
            InputError: if it lies too deep, holds too much, or leads out of itself.
        """
        if self._depth == self._deepest:
            raise too_much(path, f"lies deeper than {self._deepest} archives in each other")
        self._depth += 1
        try:
            with zipfile.ZipFile(path) as opened:
                members = opened.infolist()
                self._members -= len(members)
                if self._members < 0:
                    raise too_much(path, f"holds more than {bound(MOST_MEMBERS)} files")
                for member in members:
                    _check_member(path, member)
                yield opened
        finally:
            self._depth -= 1

    def extract(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
        """Write one member into a file of our naming.

        Raises:
            InputError: if it is larger than it may be.
        """
        with archive.open(member) as source, target.open("wb") as handle:
            # zipfile reads no more than is announced, and what is announced was checked.
            while chunk := source.read(_CHUNK):
                self._bytes -= len(chunk)
                if self._bytes < 0:
                    most = bound(MOST_UNPACKED)
                    raise too_much(archive.filename or target, f"unpacks to more than {most} bytes")
                handle.write(chunk)


def _check_member(path: Path, member: zipfile.ZipInfo) -> None:
    name = member.filename
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or name.startswith(("/", "\\")) or ":" in parts[0]:
        raise InputError(str(path), f"holds a file {name!r} that would lie outside of it")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise InputError(str(path), f"holds a link, {name!r}", "put the file itself into it")
    if member.flag_bits & 1:
        raise InputError(str(path), f"holds an encrypted file, {name!r}", "unpack it yourself")
    most = most_of(member.compress_size)
    if member.file_size > most:
        problem = f"holds {name!r} of {member.compress_size} bytes that unpacks to"
        raise too_much(path, f"{problem} {member.file_size}, more than {most}")
