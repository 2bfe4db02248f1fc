"""Batches of crystals as one ``.npz`` file: plain arrays, no pickle, the same bytes every time."""

import dataclasses
import zipfile
import zlib
from pathlib import Path

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.files import atomic_path
from jaxcrys.crystal.types import Crystal

CRYSTALS_FILE = "crystals.npz"
"""Name of the arrays in a folder of crystals."""

FIELDS = tuple(field.name for field in dataclasses.fields(Crystal))


def save_crystals(path: Path | str, crystals: Crystal) -> None:
    """Write a batch of crystals atomically, integers as int32 and floats as float64.

    Example:
        >>> import tempfile
        >>> from jaxcrys.crystal import example_crystal, stack_crystals
        >>> path = Path(tempfile.mkdtemp()) / "crystals.npz"
        >>> save_crystals(path, stack_crystals([example_crystal()]))
        >>> load_crystals(path).group.tolist()
        [225]
    """
    arrays = {}
    for name in FIELDS:
        array = np.asarray(getattr(crystals, name))
        arrays[name] = array.astype(np.float64 if array.dtype.kind == "f" else np.int32)
    with atomic_path(path) as partial, partial.open("wb") as handle:
        np.savez(handle, allow_pickle=False, **arrays)


def load_crystals(path: Path | str) -> Crystal:
    """Read what :func:`save_crystals` wrote, as NumPy arrays.

    Args:
        path: the file, or a folder that holds one as ``crystals.npz``: a dataset, or a generated
            set.

    Raises:
        InputError: if the file is missing, damaged or of another kind.
    """
    path = Path(path)
    path = path / CRYSTALS_FILE if path.is_dir() else path
    try:
        # An open handle of our own: numpy leaves the file open when it is damaged.
        with open(path, "rb") as handle, np.lib.npyio.NpzFile(handle, allow_pickle=False) as stored:
            return Crystal(**{name: stored[name] for name in FIELDS})
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(str(path), f"is not a readable file of crystals ({error})") from error
