"""Write crystals with their table in the formats of others; ``data.readers`` reads all of them.

The ending of a name decides (:data:`FORMATS`). Formats that hold CIFs have the full symmetry;
the others hold the atoms of conventional or primitive cells.
"""

import bz2
import contextlib
import csv
import functools
import gzip
import io
import itertools
import json
import zipfile
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.files import atomic_path, file_names
from jaxcrys.crystal.cif import to_cif
from jaxcrys.crystal.convert import (
    cell_and_labels,
    structure_from_raw,
    to_atoms,
    to_structure,
)
from jaxcrys.crystal.p1 import to_p1
from jaxcrys.crystal.raw import RawCell
from jaxcrys.crystal.types import Crystal
from jaxcrys.data import ase_database, extxyz, optimade
from jaxcrys.data.crystal_set import TABLE_FILE

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import Structure

CELLS = ("conventional", "primitive")


class Entry(NamedTuple):
    """One crystal to be written.

    Attributes:
        name: what it is called, in this set only once.
        crystal: with its symmetry.
        row: numbers and texts by the names of their columns.
        cell: which unit cell is written: one of :data:`CELLS`.
    """

    name: str
    crystal: Crystal
    row: Mapping[str, Any]
    cell: str


def check_targets(paths: Sequence[Path | str], *, cell: str = "conventional") -> None:
    """Refuse what cannot be written, before anything is done.

    Raises:
        InputError: for a name of no known format, one given twice, or one that is there already
            and is no database; or for another cell than :data:`CELLS`.
    """
    if not paths:
        raise InputError("FILE", "expected at least one file to write")
    if cell not in CELLS:
        raise InputError("--cell", f"must be {' or '.join(CELLS)}, got {cell!r}")
    for path in map(Path, paths):
        made = format_of(path)
        if path.exists() and made is not FORMATS[".db"]:
            raise InputError(str(path), "exists", "choose another name, or remove it first")
    if len({Path(path).resolve() for path in paths}) < len(paths):
        raise InputError("FILE", "the same file is given twice")


def write(
    path: Path | str,
    crystals: Sequence[Crystal],
    rows: Sequence[Mapping[str, Any]],
    *,
    cell: str = "conventional",
) -> int:
    """Write crystals into one file or folder, whole or not at all.

    Args:
        path: what to make; a database that is there already grows.
        crystals: single ones.
        rows: of each numbers and texts by the names of their columns, an ``id`` among them.
        cell: the unit cell of formats that hold atoms: ``conventional`` or ``primitive``.

    Returns:
        How many were written; fewer than given if a database has some already.

    Raises:
        InputError: as :func:`check_targets`.

    Example:
        >>> import tempfile
        >>> from jaxcrys.crystal import example_crystal
        >>> path = Path(tempfile.mkdtemp()) / "salt.extxyz"
        >>> write(path, [example_crystal()], [{"id": "salt", "gap": 5.0}], cell="primitive")
        1
        >>> path.read_text().split()[0]
        '2'
    """
    path = Path(path)
    check_targets([path], cell=cell)
    names = file_names([str(row["id"]) for row in rows])
    entries = [Entry(*each, cell) for each in zip(names, crystals, rows, strict=True)]
    return format_of(path)(path, entries)


def format_of(path: Path) -> Callable[[Path, Sequence[Entry]], int]:
    """What writes a file of this name.

    Raises:
        InputError: if nothing does.
    """
    name = path.name.lower()
    plain = path.with_suffix("").name.lower() if path.suffix.lower() in _PACKERS else name
    if not Path(name).suffix:
        for folder in FOLDERS:
            if name.endswith(folder):
                return FOLDERS[folder]
    for ending in sorted(FORMATS, key=len, reverse=True):
        packable = isinstance(FORMATS[ending], functools.partial)
        if name.endswith(ending) or (packable and plain.endswith(ending)):
            return FORMATS[ending]
    raise InputError(
        str(path), "has no ending of a format that can be written",
        f"give one of {', '.join(FORMATS)}, or a folder named cif or poscar",
    )  # fmt: skip


# Formats of text, which may be packed.


def _write_text(
    put: Callable[[TextIO, Sequence[Entry]], None], path: Path, entries: Sequence[Entry]
) -> int:
    with atomic_path(path) as partial, _open_text(partial) as handle:
        put(handle, entries)
    return len(entries)


@contextlib.contextmanager
def _open_text(path: Path) -> Generator[TextIO]:
    pack = _PACKERS.get(path.suffix.lower())
    with (
        path.open("wb") as raw,
        pack(raw) if pack else contextlib.nullcontext(raw) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="") as handle,
    ):
        yield handle


def _gzip(raw: Any) -> Any:
    """Without name and time, so that the same crystals give the same bytes."""
    return gzip.GzipFile("", "wb", fileobj=raw, mtime=0)


_PACKERS: dict[str, Callable[[Any], Any]] = {
    ".gz": _gzip,
    ".bz2": functools.partial(bz2.BZ2File, mode="wb"),
}


def _put_extxyz(handle: TextIO, entries: Sequence[Entry]) -> None:
    import ase.io

    for entry in entries:
        atoms = _atoms(entry)
        atoms.info = extxyz.info_of(entry.row)
        ase.io.write(handle, atoms, format="extxyz")


def _put_cif(handle: TextIO, entries: Sequence[Entry]) -> None:
    handle.writelines(f"{_cif(entry)}\n" for entry in entries)


def _put_json(handle: TextIO, entries: Sequence[Entry]) -> None:
    made = ({"structure": _structure(e).as_dict(), "data": dict(e.row)} for e in entries)
    _put_array(handle, made)
    handle.write("\n")


def _put_optimade(handle: TextIO, entries: Sequence[Entry]) -> None:
    handle.write('{"data": ')
    _put_array(handle, map(_optimade_entry, entries))
    handle.write(f', "meta": {_dumps(optimade.response_meta(len(entries)))}}}\n')


def _put_json_lines(handle: TextIO, entries: Sequence[Entry]) -> None:
    for line in itertools.chain([optimade.HEADER], map(_optimade_entry, entries)):
        handle.write(f"{_dumps(line)}\n")


def _put_array(handle: TextIO, values: Iterable[Any]) -> None:
    """A JSON array, one value a line, without holding all of it in memory."""
    handle.write("[")
    for number, value in enumerate(values):
        handle.write(f"{',' if number else ''}\n{_dumps(value)}")
    handle.write("\n]")


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)


def _plain(value: Any) -> Any:
    """NumPy's numbers and arrays as those of Python."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"{type(value)} is no value of JSON")


def _put_csv(handle: TextIO, entries: Sequence[Entry]) -> None:
    _put_table(handle, list(map(_table_row, entries)))


def _put_table(handle: TextIO, rows: Sequence[Mapping[str, Any]]) -> None:
    columns = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(handle, list(columns), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


# Others.


def _write_parquet(path: Path, entries: Sequence[Entry]) -> int:
    import pyarrow
    from pyarrow import parquet

    rows = list(map(_table_row, entries))
    names = dict.fromkeys(name for row in rows for name in row)
    table = pyarrow.table({name: [row.get(name) for row in rows] for name in names})
    with atomic_path(path) as partial:
        parquet.write_table(table, partial)
    return len(entries)


def _write_zip(path: Path, entries: Sequence[Entry]) -> int:
    with atomic_path(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name, text in [*_cif_files(entries), (TABLE_FILE, _table(entries))]:
            member = zipfile.ZipInfo(name)  # of 1980: the same crystals give the same bytes
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, text)
    return len(entries)


def _write_folder(
    files: Callable[[Sequence[Entry]], Iterable[tuple[str, str]]],
    path: Path,
    entries: Sequence[Entry],
) -> int:
    with atomic_path(path) as partial:
        partial.mkdir()
        for name, text in [*files(entries), (TABLE_FILE, _table(entries))]:
            (partial / name).write_text(text, encoding="utf-8")
    return len(entries)


def _write_database(path: Path, entries: Sequence[Entry]) -> int:
    crystals, rows = [entry.crystal for entry in entries], [entry.row for entry in entries]
    return ase_database.append(path, list(map(_atoms, entries)), crystals, rows)


def _cif_files(entries: Sequence[Entry]) -> Iterable[tuple[str, str]]:
    return ((f"{entry.name}.cif", _cif(entry)) for entry in entries)


def _poscar_files(entries: Sequence[Entry]) -> Iterable[tuple[str, str]]:
    from pymatgen.io.vasp.inputs import Poscar

    for entry in entries:
        structure = structure_from_raw(_raw(entry))
        poscar = Poscar(structure, comment=str(entry.row["id"]), sort_structure=True)
        yield f"{entry.name}.poscar", poscar.get_str(significant_figures=12)


def _table(entries: Sequence[Entry]) -> str:
    """The table, for those who read it: a first column names the file of each row."""
    handle = io.StringIO()
    _put_table(handle, [{"file": entry.name} | dict(entry.row) for entry in entries])
    return handle.getvalue()


# What becomes of one crystal.


def _cif(entry: Entry) -> str:
    """With the columns as items of the data block."""
    return to_cif(entry.crystal, name=entry.name, items=entry.row)


def _table_row(entry: Entry) -> dict[str, Any]:
    """With the columns beside it."""
    return {"cif": to_cif(entry.crystal, name=entry.name)} | dict(entry.row)


def _optimade_entry(entry: Entry) -> dict[str, Any]:
    return optimade.to_entry(str(entry.row["id"]), _raw(entry), entry.row)


def _structure(entry: Entry) -> "Structure":
    if entry.cell == "primitive":
        return structure_from_raw(_raw(entry))
    return to_structure(entry.crystal)


def _atoms(entry: Entry) -> "Atoms":
    from ase import Atoms

    if entry.cell == "primitive":
        cell = _raw(entry)
        return Atoms(cell.numbers, scaled_positions=cell.frac, cell=cell.lattice, pbc=True)
    return to_atoms(entry.crystal)


def _raw(entry: Entry) -> RawCell:
    """The atoms of the unit cell."""
    crystal = to_p1(entry.crystal) if entry.cell == "primitive" else entry.crystal
    return cell_and_labels(crystal)[0]


FORMATS: dict[str, Callable[[Path, Sequence[Entry]], int]] = {
    ".extxyz": functools.partial(_write_text, _put_extxyz),
    ".xyz": functools.partial(_write_text, _put_extxyz),
    ".cif": functools.partial(_write_text, _put_cif),
    ".json": functools.partial(_write_text, _put_json),
    ".optimade.json": functools.partial(_write_text, _put_optimade),
    ".jsonl": functools.partial(_write_text, _put_json_lines),
    ".csv": functools.partial(_write_text, _put_csv),
    ".parquet": _write_parquet,
    ".zip": _write_zip,
    ".db": _write_database,
}
"""What is written for each ending; formats of text may have ``.gz`` or ``.bz2`` behind it."""

FOLDERS: dict[str, Callable[[Path, Sequence[Entry]], int]] = {
    "cif": functools.partial(_write_folder, _cif_files),
    "poscar": functools.partial(_write_folder, _poscar_files),
}
"""What is written into a folder whose name, without an ending, ends so."""
