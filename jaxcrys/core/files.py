"""Files that are either whole or not there: write beside, flush, rename."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

_SUFFIX = ".partial"


@contextlib.contextmanager
def atomic_path(path: Path | str) -> Generator[Path, None, None]:
    """Yield a temporary path beside ``path`` that takes its place when the block succeeds.

    Works for a file and for a folder (which must not exist yet). If the block fails, or the
    process is killed, ``path`` is untouched.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "a.txt"
        >>> with atomic_path(target) as partial:
        ...     _ = partial.write_text("whole")
        >>> target.read_text()
        'whole'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=_SUFFIX, dir=path.parent))
    partial = holder / path.name
    try:
        yield partial
        flush(partial)
        os.replace(partial, path)
        _sync(path.parent)  # the new name; what else lies there is not ours
    finally:
        shutil.rmtree(holder, ignore_errors=True)


def flush(path: Path) -> None:
    """Force a file, or a folder and all in it, to the disk."""
    for item in [*path.rglob("*"), path] if path.is_dir() else [path]:
        _sync(item)


def _sync(item: Path) -> None:
    handle = os.open(item, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep_partials(path: Path | str) -> None:
    """Remove what killed writers of ``path`` left beside it."""
    path = Path(path)
    # mkdtemp's random part has no dot: partials of ``path`` only, not those of ``path.other``.
    ours = re.compile(rf"\.{re.escape(path.name)}\.[^.]+{re.escape(_SUFFIX)}")
    for sibling in path.parent.iterdir() if path.parent.is_dir() else ():
        if ours.fullmatch(sibling.name):
            shutil.rmtree(sibling, ignore_errors=True)


def write_text(path: Path | str, text: str) -> None:
    """Write a text file atomically."""
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: Any) -> None:
    """Write JSON atomically, keys in the order given, one trailing newline."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def file_names(ids: Sequence[str]) -> list[str]:
    """Names of files for rows, whatever they are called: without folders, and each only once.

    Example:
        >>> file_names(["mp-1", "a/b.cif", "a_b.cif", "mp-1"])
        ['mp-1', 'a_b.cif', 'a_b.cif-2', 'mp-1-2']
    """
    seen: Counter[str] = Counter()
    names = []
    for each in ids:
        name = re.sub(r"[^\w.+-]", "_", str(each)).lstrip(".") or "_"
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return names


def sha256(path: Path | str) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def git_blob_id(path: Path | str) -> str:
    """The name that git gives to a file's content: SHA-1 of its size and its bytes."""
    path = Path(path)
    found = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, lambda: found).hexdigest()
