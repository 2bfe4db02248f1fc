"""Read raw crystal records from the files people have: tables, folders, archives, databases.

A record is not parsed here but carried to a worker as it is, so that one bad record spoils nothing
else. Understood are

* ``.csv`` and ``.parquet`` tables with a ``cif`` column,
* ``.cif`` files (each structure of a file is a record), ``POSCAR``/``CONTCAR``, ``.poscar``,
  ``.vasp``,
* ``.xyz``/``.extxyz`` trajectories,
* ``.db`` files of ASE,
* ``.json`` files of pymatgen: structures and entries, alone, in lists or in dictionaries,
* folders and ``.zip`` archives of all these, nested to any depth; other files in them, and tables
  without a ``cif`` column, are skipped.

Text files may be compressed (``.gz``, ``.bz2``).
"""

import bz2
import csv
import gzip
import json
import sqlite3
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from jaxcrys.core.errors import InputError
from jaxcrys.crystal.cif_reader import split_cif

_OPENERS = {".gz": gzip.open, ".bz2": bz2.open}
_LONGEST_FIELD = 2**31 - 1


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
        InputError: if the input is missing, of an unknown kind, damaged, or a table without a
            ``cif`` column.

    Example:
        >>> path = Path(tempfile.mkdtemp()) / "two.csv"
        >>> _ = path.write_text("name,cif\nA,data_a\nB,data_b\n")
        >>> [(record.row, record.properties["name"]) for record in read_records(path)]
        [('0', 'A'), ('1', 'B')]
    """
    path = Path(path)
    if not path.exists():
        raise InputError(str(path), "does not exist")
    if path.is_file() and _reader_of(path) is None:
        raise InputError(
            str(path),
            "is not a kind of file that can be read",
            "give .csv, .parquet, .cif, POSCAR, .extxyz, .db, .json, .zip or a folder",
        )
    for found in _read_any(path):
        yield Record(path.name, *found)


def _read_any(path: Path) -> Iterator[_Found]:
    if path.is_dir():
        yield from _read_folder(path)
        return
    reader = _reader_of(path)
    if reader is None:
        return
    try:
        yield from reader(path)
    except InputError:
        raise
    except _DAMAGE as error:
        raise InputError(str(path), f"cannot be read to its end ({error})") from error


_DAMAGE = (OSError, EOFError, ValueError, csv.Error, zlib.error, zipfile.BadZipFile, sqlite3.Error)


def _read_folder(folder: Path) -> Iterator[_Found]:
    for path in sorted(folder.rglob("*")):
        member = path.relative_to(folder)
        hidden = any(part.startswith((".", "__MACOSX")) for part in member.parts)
        if path.is_file() and not hidden:
            yield from _inside(folder, member.as_posix(), _read_any(path))


def _read_zip(path: Path) -> Iterator[_Found]:
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as scratch:
        for member in sorted(archive.namelist()):
            hidden = any(part.startswith((".", "__MACOSX")) for part in Path(member).parts)
            if not member.endswith("/") and not hidden:
                extracted = Path(archive.extract(member, scratch))
                yield from _inside(path, member, _read_any(extracted))
                extracted.unlink()


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


def _open_text(path: Path, **settings: Any) -> TextIO:
    opener: Callable[..., Any] = _OPENERS.get(path.suffix.lower(), open)
    return opener(path, "rt", encoding="utf-8-sig", **settings)


def _read_csv(path: Path) -> Iterator[_Found]:
    csv.field_size_limit(_LONGEST_FIELD)
    with _open_text(path, newline="") as handle:
        table = csv.DictReader(handle, restval="")
        _require_cif(path, table.fieldnames or [])
        for number, row in enumerate(table):
            text = row.pop("cif")
            row.pop(None, None)  # cells beyond the last column have no name
            yield _Found(str(number), "cif", text, row)


def _read_parquet(path: Path) -> Iterator[_Found]:
    from pyarrow import parquet

    with parquet.ParquetFile(path) as table:
        _require_cif(path, table.schema_arrow.names)
        number = 0
        for batch in table.iter_batches(batch_size=1024):
            for row in batch.to_pylist():
                text = row.pop("cif") or ""
                yield _Found(str(number), "cif", text, {k: _as_text(v) for k, v in row.items()})
                number += 1


def _require_cif(path: Path, columns: Any) -> None:
    if "cif" not in columns:
        raise NoCrystals(str(path), f"has no column 'cif', only {', '.join(columns)}")


def _as_text(value: Any) -> str:
    return "" if value is None else str(value)


def _read_cif_file(path: Path) -> Iterator[_Found]:
    with _open_text(path, errors="replace") as handle:
        text = handle.read()
    texts = split_cif(text)
    for number, part in enumerate(texts):
        yield _Found(str(number) if len(texts) > 1 else "", "cif", part, {})


def _read_poscar(path: Path) -> Iterator[_Found]:
    with _open_text(path, errors="replace") as handle:
        yield _Found("", "poscar", handle.read(), {})


def _read_extxyz(path: Path) -> Iterator[_Found]:
    """Frames: a line with the number of atoms, a line of properties, a line for each atom."""
    from ase.io.extxyz import key_val_str_to_dict

    with _open_text(path) as handle:
        number = 0
        while count := handle.readline():
            if not count.strip():
                continue
            comment = handle.readline()
            atoms = [handle.readline() for _ in range(int(count))]
            properties = {
                key: _as_text(value)
                for key, value in key_val_str_to_dict(comment).items()
                if isinstance(value, (str, int, float)) and key not in ("Lattice", "Properties")
            }
            yield _Found(str(number), "extxyz", "".join([count, comment, *atoms]), properties)
            number += 1


def _read_ase_database(path: Path) -> Iterator[_Found]:
    from ase.db import connect

    with connect(path, type="db") as database:
        for row in database.select():
            content = (row.cell.tolist(), row.positions.tolist(), row.numbers.tolist())
            properties = {key: _as_text(value) for key, value in row.key_value_pairs.items()}
            if "energy" in row:
                properties.setdefault("energy", _as_text(row.energy))
            yield _Found(str(row.id), "arrays", (*content, row.pbc.tolist()), properties)


def _read_json(path: Path) -> Iterator[_Found]:
    with _open_text(path) as handle:
        yield from _structures_in(json.load(handle), "")


def _structures_in(value: Any, row: str) -> Iterator[_Found]:
    """Structures, entries with a ``structure``, and lists or dictionaries of them."""
    if isinstance(value, dict) and "lattice" in value and "sites" in value:
        yield _Found(row, "structure", value, {})
    elif isinstance(value, dict) and "structure" in value:
        fields = {**value, **(value.get("data") or {})}
        properties = {
            key: _as_text(field)
            for key, field in fields.items()
            if not key.startswith("@") and not isinstance(field, (dict, list))
        }
        yield _Found(row, "structure", value["structure"], properties)
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
    ".zip": _read_zip,
}


def _reader_of(path: Path) -> Callable[[Path], Iterator[_Found]] | None:
    plain = path.with_suffix("") if path.suffix.lower() in _OPENERS else path
    if plain.name.upper().startswith(("POSCAR", "CONTCAR")):
        return _read_poscar
    return _READERS.get(plain.suffix.lower())
