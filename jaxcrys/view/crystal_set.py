"""Read the crystals to look at: sets and datasets of ours, and files as others write them."""

import functools
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from jaxcrys.core.errors import InputError
from jaxcrys.core.progress import Progress
from jaxcrys.core.pytree import take
from jaxcrys.crystal.raw import MAX_ATOMS
from jaxcrys.crystal.rejection import Rejection
from jaxcrys.crystal.storage import CRYSTALS_FILE, map_crystals
from jaxcrys.crystal.types import Crystal
from jaxcrys.data.pool import Workers
from jaxcrys.data.readers import Record, read_records
from jaxcrys.data.rows import Outcome, Settings, convert_record, rejected
from jaxcrys.sampling.report import crystal_id, read_rows

TABLE_FILE = "table.csv"

AT_ONCE = 16
"""Items that a worker is given at a time."""


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
    path: Path, *, limit: int, symprec: float, workers: Workers, progress: Progress
) -> CrystalSet:
    """The first crystals of a set.

    Args:
        path: a folder with ``crystals.npz``, or what ``data.readers`` understands.
        limit: how many crystals or records to read at most.
        symprec: tolerance in Å at which symmetry is found, where it is not known.
        workers: who finds it.
        progress: told how far it is.

    Raises:
        InputError: if nothing can be read, or there is no crystal.
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
    with progress.bar("finding symmetry", total=len(first)) as bar:
        for _, found in workers.map(convert, chunked(first), lost=_lost):
            outcomes += found
            bar.advance(len(found))
    return _accepted(path, outcomes, total)


def chunked(items: list[Any]) -> Iterator[tuple[int, list[Any]]]:
    """Numbered pieces of a list, as workers are given them.

    Example:
        >>> [(number, len(piece)) for number, piece in chunked([0] * 20)]
        [(0, 16), (1, 4)]
    """
    return enumerate(items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE))


def _read_own(folder: Path, limit: int) -> CrystalSet:
    every = map_crystals(folder)
    count = min(limit, len(every))
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
