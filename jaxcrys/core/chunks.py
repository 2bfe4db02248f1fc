"""Finished pieces of long work, kept on disk so that an interrupted run can go on."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import numpy as np

from jaxcrys.core.files import atomic_path
from jaxcrys.core.typing import ArrayLike


class ChunkStore:
    """Numbered pieces of one piece of work; each is on disk whole or not at all.

    Args:
        folder: where to keep them; made on the first save.
        key: what the pieces depend on (a hash of arguments and sources). Work with another key
            sees none of them.

    Example:
        >>> import tempfile
        >>> store = ChunkStore(Path(tempfile.mkdtemp()) / "work", key="a1")
        >>> store.save(0, {"group": np.array([225, 62])})
        >>> store.has(0), store.has(1), store.load(0)["group"].tolist()
        (True, False, [225, 62])
        >>> store.discard()
        >>> store.has(0)
        False
    """

    def __init__(self, folder: Path | str, key: str) -> None:
        self._folder = Path(folder)
        self._key = key
        self._chunks = self._folder / key

    def part(self, name: str) -> Self:
        """A store for another sequence of pieces of the same work; discarded with this one."""
        return type(self)(self._folder, f"{self._key}.{name}")

    def has(self, index: int) -> bool:
        """Whether piece ``index`` is finished."""
        return self._path(index).exists()

    def save(self, index: int, arrays: Mapping[str, ArrayLike]) -> None:
        """Keep the named arrays of piece ``index``."""
        with atomic_path(self._path(index)) as partial, partial.open("wb") as handle:
            np.savez(handle, allow_pickle=False, **{k: np.asarray(v) for k, v in arrays.items()})

    def load(self, index: int) -> dict[str, np.ndarray]:
        """The arrays of piece ``index``."""
        with np.load(self._path(index), allow_pickle=False) as stored:
            return dict(stored)

    def discard(self) -> None:
        """Remove the whole folder, with pieces of other keys in it."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, index: int) -> Path:
        return self._chunks / f"{index:06d}.npz"
