"""Make a dataset: read crystals from files, find their symmetry, write arrays and tables.

A dataset is a folder with

* ``crystals.npz``: the batch of crystals, padded to the same number of sites;
* ``table.csv``: a row for each of them: id, source, formula, atoms in the conventional cell, group,
  occupied positions, degrees of freedom, then every column of the input as it was (under
  ``input_<name>`` if the name is taken);
* ``rejected.csv``: source, row, id, code and reason of every record that could not be used;
* ``meta.json``: what it was made from and how.

The same input gives the same bytes, whatever the number of workers.
"""

import functools
import hashlib
import itertools
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxcrys.core.chunks import ChunkStore
from jaxcrys.core.errors import InputError
from jaxcrys.core.files import sha256, sweep_partials
from jaxcrys.core.progress import Progress
from jaxcrys.core.untrusted import bound
from jaxcrys.crystal.build import stack_crystals
from jaxcrys.crystal.raw import MAX_ATOMS
from jaxcrys.crystal.rejection import Rejection
from jaxcrys.crystal.standardise import ENGINES, SYMPREC
from jaxcrys.crystal.types import Crystal
from jaxcrys.data.dataset import Part, read_meta, write_dataset
from jaxcrys.data.pool import SECONDS_PER_ITEM, map_chunks
from jaxcrys.data.readers import Record, read_records
from jaxcrys.data.rows import Outcome, Settings, convert_record, rejected

ROWS_PER_CHUNK = 200


class Prepared(NamedTuple):
    """What came of it: the folder, its ``meta.json``, and whether it was already up to date."""

    folder: Path
    meta: dict[str, Any]
    up_to_date: bool


def prepare(
    inputs: Path | str | Sequence[Path | str],
    out: Path | str,
    *,
    symprec: float = SYMPREC,
    engine: str = "spglib",
    compare: str | None = None,
    max_sites: int | None = None,
    max_atoms: int = MAX_ATOMS,
    limit: int | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Prepared:
    """Make a dataset folder from files of crystals.

    An interrupted call with the same arguments goes on where it stopped. A finished dataset made
    with the same arguments from the same files is left as it is.

    Args:
        inputs: one or several files or folders; see ``data.readers`` for their kinds.
        out: the dataset folder to make.
        symprec: tolerance of the symmetry search, Å.
        engine: ``"spglib"`` or ``"moyopy"`` (faster).
        compare: another engine to run beside, whose group goes into the table.
        max_sites: most occupied positions of a crystal; any number by default.
        max_atoms: most atoms of a conventional cell.
        limit: read this many records only.
        workers: processes to use; as many as there are cores by default.
        overwrite: replace ``out`` if it holds something else.
        progress: where to report progress.

    Raises:
        InputError: for arguments that make no sense, inputs that cannot be read, an ``out`` that
            holds something else, or if no crystal was accepted.
    """
    out = Path(out)
    paths = [Path(path) for path in ([inputs] if isinstance(inputs, (str, Path)) else inputs)]
    settings = Settings(symprec, engine, compare, max_sites, max_atoms)
    _check_arguments(paths, settings, limit=limit, workers=workers)
    recipe = _recipe(paths, settings, limit)
    key = hashlib.sha256(json.dumps(recipe).encode()).hexdigest()
    store = ChunkStore(out.parent / f".{out.name}.work", key)
    existing = _existing(out, key, overwrite)
    sweep_partials(out)  # of a call that was killed
    if existing is not None:
        store.discard()
        return Prepared(out, existing, up_to_date=True)

    count = _convert(paths, settings, limit, workers or cores(), store, progress or Progress())
    parts = [_load(store, number) for number in range(count)]
    meta = recipe | _counts(parts, settings) | {"key": key}
    write_dataset(out, parts, meta, sites=max_sites)
    store.discard()
    return Prepared(out, meta, up_to_date=False)


def _check_arguments(
    paths: list[Path], settings: Settings, *, limit: int | None, workers: int | None
) -> None:
    if not paths:
        raise InputError("inputs", "expected at least one file or folder")
    for name, engine in (("engine", settings.engine), ("compare", settings.compare)):
        if engine not in ENGINES and not (name == "compare" and engine is None):
            raise InputError(name, f"must be one of {', '.join(ENGINES)}, got {engine!r}")
    if settings.compare == settings.engine:
        raise InputError("compare", f"must be another engine than {settings.engine!r}")
    if not settings.symprec > 0:
        raise InputError("symprec", f"must be a positive length in Å, got {settings.symprec}")
    counts = {"max_sites": settings.max_sites, "max_atoms": settings.max_atoms}
    for name, value in (counts | {"limit": limit, "workers": workers}).items():
        if value is not None and value < 1:
            raise InputError(name, f"must be at least 1, got {value}")


def _recipe(paths: list[Path], settings: Settings, limit: int | None) -> dict[str, Any]:
    """All that the result depends on."""
    libraries = ["jaxcrys", "numpy", "gemmi", "pymatgen", settings.engine, settings.compare]
    return {
        "sources": [{"name": path.name, "sha256": hash_of(path)} for path in paths],
        "settings": settings._asdict() | {"limit": limit},
        "versions": {name: metadata.version(name) for name in libraries if name},
    }


def hash_of(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of a folder's files."""
    if not path.exists():
        raise InputError(str(path), "does not exist")
    if path.is_file():
        return sha256(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    listing = [(file.relative_to(path).as_posix(), sha256(file)) for file in files]
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()


def _existing(out: Path, key: str, overwrite: bool) -> dict[str, Any] | None:
    """The ``meta.json`` of a finished dataset of the same making, None if there is work to do."""
    if not out.exists():
        return None
    meta = read_meta(out) if (out / "meta.json").is_file() else {}
    if meta.get("key") == key:
        return meta
    if not overwrite:
        raise InputError(
            str(out),
            "exists and was not made from these files with these settings",
            "choose another place, or allow to overwrite it",
        )
    return None


def _convert(
    paths: list[Path],
    settings: Settings,
    limit: int | None,
    workers: int,
    store: ChunkStore,
    progress: Progress,
) -> int:
    """Convert all records, chunk by chunk, into the store; return the number of chunks."""

    def records() -> Iterator[Record]:
        every = itertools.chain.from_iterable(read_records(path) for path in paths)
        return itertools.islice(every, limit)

    total = sum(1 for _ in records())
    with progress.bar("converting", total=total) as bar:

        def missing() -> Iterator[tuple[int, list[Record]]]:
            for number, chunk in enumerate(_chunked(records())):
                if store.has(number):
                    bar.advance(len(chunk))
                else:
                    yield number, chunk

        convert = functools.partial(convert_record, settings)
        seconds = bound(SECONDS_PER_ITEM)
        for number, outcomes in map_chunks(
            convert, missing(), workers=workers, lost=_lost, seconds=seconds
        ):
            _save(store, number, outcomes)
            bar.advance(len(outcomes))
    return -(-total // ROWS_PER_CHUNK)


def _chunked(records: Iterator[Record]) -> Iterator[list[Record]]:
    while chunk := list(itertools.islice(records, ROWS_PER_CHUNK)):
        yield chunk


def _lost(record: Record) -> Outcome:
    return rejected(record, Rejection("worker_died", "reading it crashed or hung the worker"))


def _save(store: ChunkStore, number: int, outcomes: list[Outcome]) -> None:
    crystals = [crystal for crystal, _ in outcomes if crystal is not None]
    tables = {
        "rows": [row for crystal, row in outcomes if crystal is not None],
        "rejected": [row for crystal, row in outcomes if crystal is None],
    }
    text = np.frombuffer(json.dumps(tables).encode(), np.uint8)
    store.save(number, {"tables": text, **(vars(stack_crystals(crystals)) if crystals else {})})


def _load(store: ChunkStore, number: int) -> Part:
    arrays = store.load(number)
    tables = json.loads(arrays.pop("tables").tobytes())
    return Part(Crystal(**arrays) if arrays else None, tables["rows"], tables["rejected"])


def _counts(parts: list[Part], settings: Settings) -> dict[str, Any]:
    rows = [row for part in parts for row in part.rows]
    codes = Counter(row["code"] for part in parts for row in part.rejected)
    counts: dict[str, Any] = {
        "accepted": len(rows),
        "rejected": sum(codes.values()),
        "rejected_by_code": dict(sorted(codes.items())),
    }
    if settings.compare:
        other = f"group_{settings.compare}"
        differ = sum(row["group"] != row[other] for row in rows)
        counts["compare"] = {"engine": settings.compare, "compared": len(rows), "differ": differ}
    return counts


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
