"""Sets of crystals with their tables, wherever they lie: sets and datasets of ours, any files."""

import csv
import functools
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.progress import Progress
from jaxcrys.core.pytree import take
from jaxcrys.crystal.build import validate
from jaxcrys.crystal.raw import MAX_ATOMS
from jaxcrys.crystal.rejection import Rejection
from jaxcrys.crystal.standardise import SYMPREC
from jaxcrys.crystal.storage import CRYSTALS_FILE, map_crystals
from jaxcrys.crystal.types import Crystal
from jaxcrys.data.dataset import MISSING, TEXT_COLUMNS
from jaxcrys.data.pool import Workers
from jaxcrys.data.readers import Record, read_records
from jaxcrys.data.rows import Outcome, Settings, convert_record, rejected

TABLE_FILE = "table.csv"

AT_ONCE = 16
"""Items that a worker is given at a time."""

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d*)?([eE][+-]?\d+)?")
"""As JSON writes them: 007 is a name."""

_SAFE_DIGITS = 15  # of an integer that every format holds exactly


class CrystalSet(NamedTuple):
    """Crystals with what is known of them.

    Attributes:
        crystals: single crystals.
        rows: of their table, as text or plain values; each has an ``id``.
        total: crystals or records that the source holds, with those that were not read.
        rejected: source, row, id, code and reason of records that could not be used.
        found: whether the symmetry had to be found, rather than being known.
    """

    crystals: list[Crystal]
    rows: list[dict[str, Any]]
    total: int
    rejected: list[dict[str, Any]]
    found: bool


def read_set(
    path: Path,
    *,
    workers: Workers,
    limit: int | None = None,
    symprec: float = SYMPREC,
    progress: Progress | None = None,
) -> CrystalSet:
    """The crystals of a set.

    Args:
        path: a folder with ``crystals.npz``, or what ``data.readers`` understands.
        workers: who finds symmetry, where it is not known.
        limit: how many crystals or records to read at most.
        symprec: tolerance in Å at which it is found.
        progress: told how far it is.

    Raises:
        InputError: if nothing can be read, or there is no crystal.

    Example:
        >>> import tempfile
        >>> from jaxcrys.crystal import example_crystal
        >>> from jaxcrys.crystal.cif import to_cif
        >>> path = Path(tempfile.mkdtemp()) / "salt.cif"
        >>> _ = path.write_text(to_cif(example_crystal()))
        >>> with Workers(1) as workers:
        ...     read_set(path, workers=workers).rows[0]["formula"]
        'NaCl'
    """
    folder = path.parent if path.name == CRYSTALS_FILE else path
    if (folder / CRYSTALS_FILE).is_file():
        return _read_own(folder, limit)
    records = read_records(path)
    first = list(itertools.islice(records, limit))
    total = len(first) + sum(1 for _ in records)
    settings = Settings(symprec, "spglib", None, None, MAX_ATOMS)
    convert = functools.partial(convert_record, settings)
    outcomes = []
    with (progress or Progress()).bar("finding symmetry", total=len(first)) as bar:
        for _, found in workers.map(convert, chunked(first), lost=_lost):
            outcomes += found
            bar.advance(len(found))
    return _accepted(path, outcomes, total)


def read_rows(folder: Path, *, limit: int | None = None) -> list[dict[str, str]]:
    """Rows of ``table.csv``; numbers come back as text.

    Args:
        folder: of a set or a dataset.
        limit: the first so many rows only.

    Raises:
        InputError: if it cannot be read.
    """
    path = folder / TABLE_FILE
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            rows = list(itertools.islice(csv.DictReader(handle, restval=""), limit))
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(str(path), f"is not a readable table ({error})") from error
    return [{name: text for name, text in row.items() if name is not None} for row in rows]


def crystal_id(index: int) -> str:
    """Name of a sample, in file names and tables.

    Example:
        >>> crystal_id(7)
        '00007'
    """
    return f"{index:05d}"


def usable(found: CrystalSet) -> CrystalSet:
    """A set without crystals that have no unit cell, which are rejected, and without padding.

    The values of its rows are numbers where a whole column is numbers (:func:`typed`).

    Raises:
        InputError: if no crystal is left.
    """
    crystals, rows, bad = [], [], list(found.rejected)
    for crystal, row in zip(found.crystals, found.rows, strict=True):
        try:
            validate(crystal)
        except InputError as error:
            bad.append({"source": "", "row": "", "id": row["id"], "reason": str(error)})
            continue
        crystals.append(_without_padding(crystal))
        rows.append(row)
    if not crystals:
        raise InputError("the set", "holds no crystal that could be used")
    return found._replace(crystals=crystals, rows=typed(rows), rejected=bad)


def typed(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows with numbers where a whole column is numbers, and without what is missing.

    Example:
        >>> typed([{"id": "007", "gap": "1.50", "z": "4"}, {"id": "8", "gap": "nan", "z": ""}])
        [{'id': '007', 'gap': 1.5, 'z': 4}, {'id': '8'}]
    """
    rows = list(rows)
    made: list[dict[str, Any]] = [{} for _ in rows]
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row.get(name) for row in rows]
        texts = ["" if value is None else str(value) for value in values]
        kind = str if name in TEXT_COLUMNS else _kind([t for t in texts if t not in MISSING])
        for row, text in zip(made, texts, strict=True):
            if text and (kind is str or text not in MISSING):
                row[name] = kind(text)
    return made


def _kind(texts: list[str]) -> type:
    """What all texts can be read as without a loss."""
    if not texts or not all(map(_NUMBER.fullmatch, texts)):
        return str
    if all(text.lstrip("-").isdigit() and len(text) <= _SAFE_DIGITS for text in texts):
        return int
    return float if all(math.isfinite(float(text)) for text in texts) else str


def chunked(items: list[Any]) -> Iterator[tuple[int, list[Any]]]:
    """Numbered pieces of a list, as workers are given them.

    Example:
        >>> [(number, len(piece)) for number, piece in chunked([0] * 20)]
        [(0, 16), (1, 4)]
    """
    return enumerate(items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE))


def _without_padding(crystal: Crystal) -> Crystal:
    used = np.asarray(crystal.wyckoff) > 0
    return Crystal(
        group=crystal.group,
        wyckoff=crystal.wyckoff[used],
        species=crystal.species[used],
        free=crystal.free[used],
        lattice=crystal.lattice,
    )


def _read_own(folder: Path, limit: int | None) -> CrystalSet:
    every = map_crystals(folder)
    count = len(every) if limit is None else min(limit, len(every))
    if not count:
        raise InputError(str(folder), "holds no crystals")
    batch = every.batch(slice(0, count))
    crystals = [take(batch, index) for index in range(count)]
    if not (folder / TABLE_FILE).exists():
        rows = [{"id": crystal_id(index)} for index in range(count)]
        return CrystalSet(crystals, rows, len(every), [], found=False)
    rows = read_rows(folder, limit=count + 1)  # one more than is needed shows that some are over
    if len(rows) != min(count + 1, len(every)) or "id" not in rows[0]:
        problem = f"has no row with an id for each of the {len(every)} crystals beside it"
        raise InputError(str(folder / TABLE_FILE), problem, "make the folder again")
    return CrystalSet(crystals, rows[:count], len(every), [], found=False)


def _accepted(path: Path, outcomes: list[Outcome], total: int) -> CrystalSet:
    crystals = [each.crystal for each in outcomes if each.crystal is not None]
    refused = [each.row for each in outcomes if each.crystal is None]
    if not crystals:
        records = "record" if len(refused) == 1 else "records"
        why = (
            f" among {len(refused)} {records}: the first {refused[0]['reason']}" if refused else ""
        )
        raise InputError(
            str(path),
            f"holds no crystal{why}",
            "give a folder made by 'jaxcrys generate', 'predict', 'relax' or 'prepare', or files "
            "of crystals: CIF, POSCAR, extxyz, CSV with a column cif, a folder or zip of them",
        )
    rows = [each.row for each in outcomes if each.crystal is not None]
    return CrystalSet(crystals, rows, total, refused, found=True)


def _lost(record: Record) -> Outcome:
    return rejected(record, Rejection("worker_died", "reading it crashed or hung the worker"))
