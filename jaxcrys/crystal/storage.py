"""Crystals as one ``.npz`` file: plain arrays, no pickle, the same bytes every time.

The arrays are those of :class:`~jaxcrys.crystal.ragged.Ragged` whose sites follow each other in
the order of the crystals, so that where they begin need not be stored. They lie uncompressed in
the archive, so that a file of any size can be memory-mapped.
"""

import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.files import atomic_path
from jaxcrys.crystal.ragged import Ragged, concatenate, to_ragged
from jaxcrys.crystal.types import Crystal

CRYSTALS_FILE = "crystals.npz"
"""Name of the arrays in a folder of crystals."""

LOCAL_HEADER = 30
"""Bytes before the name of a member in a zip archive; the last are two lengths."""

ARRAYS = ("group", "count", "lattice", "wyckoff", "species", "free")


def save_crystals(path: Path | str, crystals: Crystal | Ragged) -> None:
    """Write crystals atomically, floats as float64.

    Example:
        >>> import tempfile
        >>> from jaxcrys.crystal import example_crystal, stack_crystals
        >>> path = Path(tempfile.mkdtemp()) / "crystals.npz"
        >>> save_crystals(path, stack_crystals([example_crystal()]))
        >>> load_crystals(path).group.tolist()
        [225]
    """
    with atomic_path(path) as partial, partial.open("wb") as handle:
        np.savez(handle, allow_pickle=False, **to_arrays(crystals))


def load_crystals(path: Path | str) -> Crystal:
    """Read what :func:`save_crystals` wrote, as one padded batch of NumPy arrays.

    Args:
        path: the file, or a folder that holds one as ``crystals.npz``: a dataset, or a generated
            set.

    Raises:
        InputError: if the file is missing, damaged or of another kind.
    """
    return _open(path, _read).batch()


def map_crystals(path: Path | str) -> Ragged:
    """The same crystals, memory-mapped: only what is looked at is read, and no checksum checked.

    Raises:
        InputError: if the file is missing, cut off or of another kind.
    """
    return _open(path, _map)


def _open(path: Path | str, read: Callable[[BinaryIO], dict[str, np.ndarray]]) -> Ragged:
    path = Path(path)
    path = path / CRYSTALS_FILE if path.is_dir() else path
    try:
        # An open handle of our own: numpy leaves the file open when it is damaged.
        with open(path, "rb") as handle:
            return from_arrays(read(handle))
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(str(path), f"is not a readable file of crystals ({error})") from error


def _read(handle: BinaryIO) -> dict[str, np.ndarray]:
    with np.lib.npyio.NpzFile(handle, allow_pickle=False) as stored:
        return dict(stored)


def _map(handle: BinaryIO) -> dict[str, np.ndarray]:
    """Every array of an archive where it lies in the file; small ones and scalars too."""
    with zipfile.ZipFile(handle) as archive:
        members = archive.infolist()
        packed = [member.filename for member in members if member.compress_type]
        if packed:
            raise ValueError(f"{packed[0]} is compressed")
        return {
            member.filename.removesuffix(".npy"): _map_member(handle, archive, member)
            for member in members
        }


def _map_member(handle: BinaryIO, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as content:
        version = np.lib.format.read_magic(content)
        if version != (1, 0):
            raise ValueError(f"{member.filename} has a header of version {version}")
        shape, fortran, kind = np.lib.format.read_array_header_1_0(content)
        header = content.tell()
    if kind.hasobject or fortran:
        raise ValueError(f"{member.filename} holds no plain array")
    if 0 in shape:  # nothing to map
        return np.zeros(shape, kind)
    start = _start(handle, member) + header
    return np.memmap(handle.name, kind, "r", offset=start, shape=shape)


def _start(handle: BinaryIO, member: zipfile.ZipInfo) -> int:
    """Where the content of a member begins: after its own header, a name and an extra field."""
    handle.seek(member.header_offset + LOCAL_HEADER - 4)
    name, extra = struct.unpack("<HH", handle.read(4))
    return member.header_offset + LOCAL_HEADER + name + extra


def to_arrays(crystals: Crystal | Ragged) -> dict[str, np.ndarray]:
    """Named arrays that hold crystals: small integers, and float64.

    Example:
        >>> from jaxcrys.crystal import example_crystal, stack_crystals
        >>> to_arrays(stack_crystals([example_crystal()]))["count"]
        array([2], dtype=int16)
    """
    ragged = concatenate([crystals if isinstance(crystals, Ragged) else to_ragged(crystals)])
    arrays = {name: np.asarray(getattr(ragged, name)) for name in ARRAYS}
    arrays = {
        name: array.astype(np.float64 if array.dtype.kind == "f" else np.int16)
        for name, array in arrays.items()
    }
    return arrays | {"sites": np.array(ragged.sites, np.int32)}


def from_arrays(arrays: dict[str, np.ndarray]) -> Ragged:
    """Inverse of :func:`to_arrays`.

    Raises:
        KeyError: if an array is missing.
        ValueError: if they do not belong together.
    """
    count = np.asarray(arrays["count"], np.int64)
    ends = np.cumsum(count)
    crystals, sites = len(count), int(ends[-1]) if len(ends) else 0
    lengths = dict.fromkeys(("group", "lattice"), crystals)
    lengths |= dict.fromkeys(("wyckoff", "species", "free"), sites)
    for name, length in lengths.items():
        if len(arrays[name]) != length:
            raise ValueError(f"{name} holds {len(arrays[name])} rows, not {length}")
    chosen = {name: arrays[name] for name in lengths}
    return Ragged(first=ends - count, count=count, sites=int(arrays["sites"]), **chosen)
