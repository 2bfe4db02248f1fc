"""Read ``.npz`` files that others may have made: plain arrays, as large as they say, or an error.

NumPy evaluates the header of an array as a Python literal and makes room for whatever shape it
names. Here the header is read first; the array must fit the bytes that are there.
"""

import contextlib
import math
import struct
import zipfile
from collections.abc import Generator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.untrusted import GIBIBYTE, bound, most_of

MOST_BYTES = 8 * GIBIBYTE
"""Of all arrays of a file that are read into memory."""

_LOCAL_HEADER = 30  # bytes before the name of a member in a zip archive; the last are two lengths
_KINDS = "biufcSU"  # of types that are plain: no objects, no records, no dates


class ArrayHeader(NamedTuple):
    """What the header of an array says."""

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool

    @property
    def bytes(self) -> int:
        """Of the array itself."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(handle: IO[bytes]) -> ArrayHeader:
    """The header of an array, as NumPy writes it; ``handle`` stands behind it then.

    Raises:
        ValueError: for anything else than a plain array.
    """
    try:
        version = np.lib.format.read_magic(handle)
        if version != (1, 0):
            raise ValueError(f"a header of version {version}")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(handle)
    except ValueError:
        raise
    except Exception as error:  # whatever the parser of literals makes of a hostile header
        raise ValueError(f"no header of an array ({type(error).__name__})") from error
    if dtype.hasobject or dtype.kind not in _KINDS or any(size < 0 for size in shape):
        raise ValueError(f"no plain array: {dtype} {shape}")
    return ArrayHeader(shape, dtype, fortran)


def read_array(handle: IO[bytes], *, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """An array as ``numpy.save`` writes it.

    Args:
        handle: where it begins.
        shape: that it must have.

    Raises:
        ValueError: for anything else.
    """
    header = read_header(handle)
    if shape is not None and header.shape != shape:
        raise ValueError(f"an array of shape {header.shape} where {shape} belongs")
    content = handle.read(header.bytes)
    if len(content) != header.bytes:
        raise ValueError(f"an array of {header.bytes} bytes is cut off after {len(content)}")
    flat = np.frombuffer(bytearray(content), header.dtype, count=math.prod(header.shape))
    return flat.reshape(header.shape, order="F" if header.fortran else "C")


def read_arrays(path: Path | str, what: str = "file of arrays") -> dict[str, np.ndarray]:
    """All arrays of an ``.npz`` file, by their names.

    Args:
        path: the file.
        what: it is, for the error.

    Raises:
        InputError: if it is missing, damaged, too large, or holds something else.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.npz"
        >>> np.savez(path, x=np.arange(3), allow_pickle=False)
        >>> read_arrays(path)["x"]
        array([0, 1, 2])
    """
    with _opened(path, what) as (_, archive):
        return {_name(member): _read_member(archive, member) for member in _members(archive)}


def map_arrays(path: Path | str, what: str = "file of arrays") -> dict[str, np.ndarray]:
    """Every array of an uncompressed ``.npz`` file where it lies in the file, not read yet.

    Args:
        path: the file.
        what: it is, for the error.

    Raises:
        InputError: if it is missing, compressed, cut off, or holds something else.
    """
    with _opened(path, what) as (handle, archive):
        members = _members(archive)
        packed = [member.filename for member in members if member.compress_type]
        if packed:
            raise ValueError(f"{packed[0]} is compressed")
        return {_name(member): _map_member(handle, archive, member) for member in members}


@contextlib.contextmanager
def _opened(path: Path | str, what: str) -> Generator[tuple[IO[bytes], zipfile.ZipFile]]:
    """The archive and the file that it lies in; every error of reading it names the file."""
    try:
        # An open handle of our own: zipfile leaves the file open when it is damaged.
        with open(path, "rb") as handle, zipfile.ZipFile(handle) as archive:
            yield handle, archive
    except InputError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy raise many kinds for damaged files
        raise InputError(str(path), f"is not a readable {what} ({error})") from error


def _name(member: zipfile.ZipInfo) -> str:
    return member.filename.removesuffix(".npy")


def _members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    members = archive.infolist()
    names = [member.filename for member in members]
    if len(set(names)) < len(names) or not all(name.endswith(".npy") for name in names):
        raise ValueError("it holds something else than arrays, or two of a name")
    if sum(member.file_size for member in members) > bound(MOST_BYTES):
        raise ValueError(f"its arrays have more than {bound(MOST_BYTES)} bytes")
    for member in members:
        if member.file_size > most_of(member.compress_size):
            raise ValueError(f"{member.filename} unpacks to {member.file_size} bytes")
    return members


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as content:
        header = read_header(content)
        if content.tell() + header.bytes != member.file_size:
            raise ValueError(f"{member.filename} has not the size of its array")
        content.seek(0)
        return read_array(content)


def _map_member(handle: IO[bytes], archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as content:
        header, start = read_header(content), content.tell()
    if header.fortran or start + header.bytes != member.file_size:
        raise ValueError(f"{member.filename} holds no plain array")
    if not header.bytes:  # nothing to map
        return np.zeros(header.shape, header.dtype)
    place = _start(handle, member) + start
    return np.memmap(handle.name, header.dtype, "r", offset=place, shape=header.shape)


def _start(handle: IO[bytes], member: zipfile.ZipInfo) -> int:
    """Where the content of a member begins: after its own header, a name and an extra field."""
    handle.seek(member.header_offset + _LOCAL_HEADER - 4)
    name, extra = struct.unpack("<HH", handle.read(4))
    return member.header_offset + _LOCAL_HEADER + name + extra
