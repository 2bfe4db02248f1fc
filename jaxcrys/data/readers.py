"""Read raw crystal records from the files people have: tables, folders, archives, databases.

A record is not parsed here but carried to a worker as it is, so that one bad record spoils nothing
else. Understood are

* ``.csv`` and ``.parquet`` tables with a column ``cif``, or a column ``structure`` with pymatgen's
  dictionaries, or with the columns of OPTIMADE,
* ``.cif`` files (each structure of a file is a record), ``POSCAR``/``CONTCAR``, ``.poscar``,
  ``.vasp``,
* ``.xyz``/``.extxyz`` trajectories,
* ``.db`` files of ASE,
* ``.json`` files of pymatgen: structures and entries, alone, in lists or in dictionaries; and
  responses of OPTIMADE,
* ``.jsonl`` files with one of these on each line,
* folders and ``.zip`` archives of all these, nested to any depth; other files in them, and tables
  without crystals, are skipped.

Text files may be compressed (``.gz``, ``.bz2``).
"""

import csv
import functools
import itertools
import json
import sqlite3
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxcrys.core.errors import InputError
from jaxcrys.core.untrusted import (
    LONGEST_LINE,
    MOST_COLUMNS,
    Budget,
    bound,
    is_packed,
    lines,
    open_text,
    read_text,
    too_much,
)
from jaxcrys.crystal.cif_reader import read_items, split_cif
from jaxcrys.data import ase_database, extxyz, optimade
from jaxcrys.data.parsing import TOO_LARGE

LONGEST_TEXT = 5_000_000
"""Characters of one crystal; a CIF of a thousand atoms has a fiftieth of them."""

MOST_ATOMS = 100_000
"""Of one crystal; it is not looked at otherwise."""

_ROWS_AT_ONCE = 128  # of a parquet file


class Record(NamedTuple):
    """One crystal as it was found.

    Attributes:
        source: name of the input file or folder.
        row: where in the source: a number, the path of a member, or both.
        kind: how to parse ``content``: a key of ``parsing.PARSERS``.
        content: text or plain Python values.
        properties: the other columns, as text.
    """

    source: str
    row: str
    kind: str
    content: Any
    properties: dict[str, str]


def _bounded(found: "_Found") -> "_Found":
    """What no crystal needs is not carried further; it stays a record that is rejected."""
    content = found.content
    if isinstance(content, str) and len(content) > bound(LONGEST_TEXT):
        return found._replace(kind=TOO_LARGE, content=f"{len(content)} characters")
    sizes = [0]
    if isinstance(content, dict):
        listed = (content.get(name) for name in ("sites", "cartesian_site_positions"))
        sizes = [len(each) for each in listed if isinstance(each, list)]
    if max(sizes, default=0) > bound(MOST_ATOMS):
        return found._replace(kind=TOO_LARGE, content=f"{max(sizes)} atoms")
    return found


class NoCrystals(InputError):
    """A table without a column of crystals."""


class _Found(NamedTuple):
    row: str
    kind: str
    content: Any
    properties: dict[str, str]


def read_records(path: Path | str) -> Iterator[Record]:
    r"""All records of one input, in a fixed order.

    Raises:
        InputError: if the input is missing, of an unknown kind, damaged, or a table without
            crystals.

    Example:
        >>> path = Path(tempfile.mkdtemp()) / "two.csv"
        >>> _ = path.write_text("name,cif\nA,data_a\nB,data_b\n")
        >>> [(record.row, record.properties["name"]) for record in read_records(path)]
        [('0', 'A'), ('1', 'B')]
    """
    path = Path(path)
    if not path.exists():
        raise InputError(str(path), "does not exist")
    budget = Budget()
    if path.is_file() and _reader_of(path, budget) is None:
        raise InputError(
            str(path),
            "is not a kind of file that can be read",
            "give .csv, .parquet, .cif, POSCAR, .extxyz, .db, .json, .jsonl, .zip or a folder",
        )
    for found in _read_any(path, budget):
        yield Record(path.name, *_bounded(found))


def _read_any(path: Path, budget: Budget) -> Iterator[_Found]:
    if path.is_dir():
        yield from _read_folder(path, budget)
        return
    reader = _reader_of(path, budget)
    if reader is None:
        return
    try:
        yield from reader(path)
    except InputError:
        raise
    except _damage() as error:
        reason = str(error).split("\n")[0] or type(error).__name__
        raise InputError(str(path), f"cannot be read to its end ({reason})") from error


def _damage() -> tuple[type[Exception], ...]:
    """What libraries raise for files that are damaged, or made to do damage."""
    from pyarrow import ArrowException

    return (
        *(OSError, EOFError, ValueError, TypeError, MemoryError, RecursionError),
        *(csv.Error, zlib.error, sqlite3.Error),
        *(zipfile.BadZipFile, NotImplementedError, ArrowException),  # unknown compressions
    )


def _read_folder(folder: Path, budget: Budget) -> Iterator[_Found]:
    for path in sorted(folder.rglob("*")):
        member = path.relative_to(folder)
        if path.is_file() and not _is_hidden(member):
            yield from _inside(folder, member.as_posix(), _read_any(path, budget))


def _read_zip(path: Path, budget: Budget) -> Iterator[_Found]:
    with budget.archive(path) as archive, tempfile.TemporaryDirectory() as scratch:
        for member in sorted(archive.infolist(), key=lambda member: member.filename):
            name = Path(member.filename)
            if (
                not member.is_dir()
                and not _is_hidden(name)
                and _reader_of(name, budget) is not None
            ):
                extracted = Path(scratch) / name.name
                budget.extract(archive, member, extracted)
                yield from _inside(path, member.filename, _read_any(extracted, budget))
                extracted.unlink()


def _is_hidden(name: Path) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.parts)


def _inside(container: Path, member: str, found: Iterator[_Found]) -> Iterator[_Found]:
    """What a member of a folder or archive holds, its name before the row."""
    try:
        yield from (item._replace(row=_joined(member, item.row)) for item in found)
    except NoCrystals:
        return
    except InputError as error:
        raise InputError(f"{container}/{member}", error.problem, error.mend) from error


def _joined(first: str, second: str) -> str:
    return f"{first}/{second}" if first and second else first or second


def _read_csv(path: Path) -> Iterator[_Found]:
    csv.field_size_limit(bound(LONGEST_LINE))
    with open_text(path, newline="") as handle:
        table = csv.DictReader(lines(path, handle), restval="")
        take = _crystal_of(path, table.fieldnames or [])
        for number, row in enumerate(table):
            row.pop(None, None)  # cells beyond the last column have no name
            yield _found(str(number), *take(row))


def _read_parquet(path: Path) -> Iterator[_Found]:
    from pyarrow import parquet

    with parquet.ParquetFile(path) as table:
        take, number = _crystal_of(path, table.schema_arrow.names), 0
        for batch in table.iter_batches(batch_size=_ROWS_AT_ONCE):
            for row in batch.to_pylist():
                yield _found(str(number), *take(row))
                number += 1


def _found(row: str, kind: str, content: Any, properties: Mapping[str, Any]) -> _Found:
    texts = {
        name: _as_text(value)
        for name, value in properties.items()
        if not isinstance(value, (dict, list))
    }
    return _Found(row, kind, content, texts)


_Taken = tuple[str, Any, dict[str, Any]]


def _crystal_of(path: Path, columns: Sequence[str]) -> Callable[[dict[str, Any]], _Taken]:
    """What takes a row of a table apart: kind and content of the crystal, other columns."""
    if len(columns) > bound(MOST_COLUMNS):
        raise too_much(path, f"has {len(columns)} columns, more than {bound(MOST_COLUMNS)}")
    if "cif" in columns:
        return lambda row: ("cif", row.pop("cif") or "", row)
    if "structure" in columns:
        return lambda row: ("structure", _structure_in(row.pop("structure")), row)
    if set(columns) >= optimade.TABLE_FIELDS:
        return lambda row: ("optimade", optimade.cell_fields(row), optimade.other_columns(row))
    shown = ", ".join(columns)
    raise NoCrystals(str(path), f"has no column 'cif' or 'structure', only {shown}")


def _structure_in(value: Any) -> Any:
    """A dictionary, or text of JSON with one; what is neither is rejected when it is parsed."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return None


def _as_text(value: Any) -> str:
    return "" if value is None else str(value)


def _read_cif_file(path: Path) -> Iterator[_Found]:
    texts = split_cif(read_text(path, errors="replace"))
    for number, part in enumerate(texts):
        yield _Found(str(number) if len(texts) > 1 else "", "cif", part, read_items(part))


def _read_poscar(path: Path) -> Iterator[_Found]:
    yield _Found("", "poscar", read_text(path, errors="replace"), {})


def _read_extxyz(path: Path) -> Iterator[_Found]:
    """Frames: a line with the number of atoms, a line of properties, a line for each atom."""
    with open_text(path) as handle:
        rest, number = lines(path, handle), 0
        for count in rest:
            if not count.strip():
                continue
            frame = [count, *itertools.islice(rest, _frame_length(path, count))]
            comment = frame[1] if len(frame) > 1 else ""
            yield _Found(str(number), "extxyz", "".join(frame), extxyz.items_of(comment))
            number += 1


def _frame_length(path: Path, count: str) -> int:
    """Lines of a frame behind the number of its atoms."""
    atoms = int(count)
    if not 0 <= atoms <= bound(MOST_ATOMS):
        raise too_much(path, f"has a frame of {atoms} atoms, more than {bound(MOST_ATOMS)}")
    return atoms + 1


def _read_ase_database(path: Path) -> Iterator[_Found]:
    for row in ase_database.read_rows(path):
        yield _found(str(row.number), "ase_row", row.content, row.properties)


def _read_json(path: Path) -> Iterator[_Found]:
    yield from _structures_in(json.loads(read_text(path)), "")


def _read_json_lines(path: Path) -> Iterator[_Found]:
    with open_text(path) as handle:
        for number, line in enumerate(lines(path, handle)):
            if line.strip():
                yield from _structures_in(json.loads(line), str(number))


def _structures_in(value: Any, row: str) -> Iterator[_Found]:
    """Structures, entries with a ``structure``, and lists or dictionaries of them."""
    if optimade.is_entry(value):
        fields = optimade.cell_fields(value["attributes"])
        yield _found(row, "optimade", fields, optimade.properties_of(value))
    elif optimade.is_other(value):
        return
    elif isinstance(value, dict) and "lattice" in value and "sites" in value:
        yield _Found(row, "structure", value, {})
    elif isinstance(value, dict) and "structure" in value:
        more = value.get("data")
        fields = {**value, **(more if isinstance(more, dict) else {})}
        properties = {key: field for key, field in fields.items() if not key.startswith("@")}
        yield _found(row, "structure", value["structure"], properties)
    elif isinstance(value, (dict, list)):
        members = value.items() if isinstance(value, dict) else enumerate(value)
        for key, member in members:
            if isinstance(member, (dict, list)):
                yield from _structures_in(member, _joined(row, str(key)))


_READERS: dict[str, Callable[[Path], Iterator[_Found]]] = {
    ".csv": _read_csv,
    ".parquet": _read_parquet,
    ".cif": _read_cif_file,
    ".mcif": _read_cif_file,
    ".poscar": _read_poscar,
    ".vasp": _read_poscar,
    ".xyz": _read_extxyz,
    ".extxyz": _read_extxyz,
    ".db": _read_ase_database,
    ".json": _read_json,
    ".jsonl": _read_json_lines,
}


def _reader_of(path: Path, budget: Budget) -> Callable[[Path], Iterator[_Found]] | None:
    plain = path.with_suffix("") if is_packed(path) else path
    if plain.name.upper().startswith(("POSCAR", "CONTCAR")):
        return _read_poscar
    if path.suffix.lower() == ".zip":
        return functools.partial(_read_zip, budget=budget)
    return _READERS.get(plain.suffix.lower())
