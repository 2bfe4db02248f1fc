"""Crystals as one ``.npz`` file: plain arrays, no pickle, the same bytes every time.

The arrays are those of :class:`~jaxcrys.crystal.ragged.Ragged` whose sites follow each other in
the order of the crystals, so that where they begin need not be stored. They lie uncompressed in
the archive, so that a file of any size can be memory-mapped.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from jaxcrys.core.array_file import map_arrays, read_arrays
from jaxcrys.core.errors import InputError
from jaxcrys.core.files import atomic_path
from jaxcrys.core.untrusted import bound
from jaxcrys.crystal.ragged import Ragged, concatenate, to_ragged
from jaxcrys.crystal.types import Crystal

CRYSTALS_FILE = "crystals.npz"
"""Name of the arrays in a folder of crystals."""

ARRAYS = ("group", "count", "lattice", "wyckoff", "species", "free")

MOST_SLOTS = 4096
"""Sites of a crystal, and slots of a batch; ten times as many as a cell of 400 atoms has."""


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
    return _open(path, read_arrays).batch()


def map_crystals(path: Path | str) -> Ragged:
    """The same crystals, memory-mapped: only what is looked at is read, and no checksum checked.

    Raises:
        InputError: if the file is missing, cut off or of another kind.
    """
    return _open(path, map_arrays)


def _open(path: Path | str, read: Callable[[Path, str], dict[str, np.ndarray]]) -> Ragged:
    path = Path(path)
    path = path / CRYSTALS_FILE if path.is_dir() else path
    what = "file of crystals"
    try:
        return from_arrays(read(path, what))
    except (KeyError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(str(path), f"is not a readable {what} ({error})") from error


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
    for name, (kinds, width) in _COLUMNS.items():
        array = arrays[name]
        if array.dtype.kind not in kinds or not array.ndim or array.shape[1:] != width:
            raise ValueError(f"{name} holds {array.dtype}{list(array.shape)}")
    count, slots = np.asarray(arrays["count"], np.int64), _slots(arrays["sites"])
    if count.min(initial=0) < 0 or count.max(initial=0) > slots:
        raise ValueError(f"count holds {count.min()} to {count.max()} sites for {slots} slots")
    ends = np.cumsum(count)
    crystals, sites = len(count), int(ends[-1]) if len(ends) else 0
    lengths = dict.fromkeys(("group", "lattice"), crystals)
    lengths |= dict.fromkeys(("wyckoff", "species", "free"), sites)
    for name, length in lengths.items():
        if len(arrays[name]) != length:
            raise ValueError(f"{name} holds {len(arrays[name])} rows, not {length}")
    chosen = {name: arrays[name] for name in lengths}
    return Ragged(first=ends - count, count=count, sites=slots, **chosen)


_COLUMNS: dict[str, tuple[str, tuple[int, ...]]] = {
    **dict.fromkeys(("group", "count", "wyckoff", "species"), ("iu", ())),
    **{"lattice": ("f", (6,)), "free": ("f", (3,))},
}
"""Kind of the numbers of each array, and its shape but for the rows."""


def _slots(sites: np.ndarray) -> int:
    if sites.shape != () or sites.dtype.kind not in "iu" or not 0 <= sites <= bound(MOST_SLOTS):
        raise ValueError(f"sites holds {sites}, more than {bound(MOST_SLOTS)} slots or none")
    return int(sites)
