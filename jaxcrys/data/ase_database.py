"""ASE's databases (SQLite files): read rows without trusting them, add crystals without doubles.

Reading asks for plain columns of plain tables and decodes them here. ASE's own reader would make
tables in a file that has none, run the views of a hostile one, and build whatever objects its JSON
names.

Writing leaves the file to ASE. The columns of a row become key-value pairs, to be queried; where
ASE does not allow a name or a text (:func:`pairs`), the row as it was lies in its ``data``.
"""

import base64
import contextlib
import hashlib
import json
import re
import sqlite3
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.files import atomic_path
from jaxcrys.crystal.raw import RawCell
from jaxcrys.crystal.rejection import Rejection
from jaxcrys.crystal.types import Crystal

if TYPE_CHECKING:
    from ase import Atoms

HASH = "structure_hash"
"""Key that tells structures apart, together with that of the id."""

MOST_BYTES = 2**26
"""Of one value in a database; the positions of a million atoms are 24 MB."""

_ROW = "row"  # in ``data``: the row as it was
_COLUMNS = ("id", "numbers", "positions", "cell", "pbc", "energy", "key_value_pairs", "data")
_OLDEST = 5  # version of ASE's tables from which on the columns are these


class Row(NamedTuple):
    """A row as it was found.

    Attributes:
        number: in the database.
        content: what :func:`cell_of` makes a cell of.
        properties: its key-value pairs, and its energy.
    """

    number: int
    content: tuple[Any, Any, Any, Any]
    properties: dict[str, Any]


def read_rows(path: Path) -> Iterator[Row]:
    """All rows of a database, in their order.

    Raises:
        InputError: if it is no database of ASE.
        sqlite3.Error: if it is damaged.
    """
    with _reading(path) as connection:
        _check_tables(path, connection)
        query = f"SELECT {', '.join(_COLUMNS)} FROM systems ORDER BY id"
        for number, numbers, positions, cell, pbc, energy, pairs, data in connection.execute(query):
            properties = _properties(pairs, data)
            if isinstance(energy, float):
                properties.setdefault("energy", energy)
            yield Row(number, (numbers, positions, cell, pbc), properties)


def cell_of(content: tuple[Any, Any, Any, Any]) -> RawCell:
    """The cell of a row: numbers, Cartesian positions, cell, and which directions are periodic.

    Raises:
        Rejection: ``bad_lattice`` or ``unreadable``.

    Example:
        >>> po = np.array([84], np.int32).tobytes(), np.zeros((1, 3)).tobytes()
        >>> cell_of((*po, (3 * np.eye(3)).tobytes(), 7)).numbers.tolist()
        [84]
    """
    numbers, positions, cell, pbc = content
    if pbc != 7:
        raise Rejection("bad_lattice", f"is not periodic in three directions (pbc {pbc})")
    lattice = np.frombuffer(cell, "<f8").reshape(3, 3)
    if not np.isfinite(lattice).all() or np.linalg.det(lattice) == 0:
        raise Rejection("bad_lattice", "the cell has no volume")
    elements = np.frombuffer(numbers, "<i4")
    places = np.frombuffer(positions, "<f8").reshape(len(elements), 3)
    return RawCell(lattice, places @ np.linalg.inv(lattice), elements)


@contextlib.contextmanager
def _reading(path: Path) -> Generator[sqlite3.Connection]:
    """A connection that writes nothing, runs nothing that the file holds, and bounds its values."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_BYTES)
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        yield connection
    finally:
        connection.close()


def _check_tables(path: Path, connection: sqlite3.Connection) -> None:
    """Both tables that are read must be tables; views would be programs."""
    for name in ("systems", "information"):
        made = connection.execute(
            "SELECT sql FROM sqlite_master WHERE name = ? AND type = 'table'", (name,)
        ).fetchone()
        if made is None or not re.match(r"CREATE TABLE\s", str(made[0]), re.IGNORECASE):
            raise InputError(str(path), f"is no database of ASE: it has no table {name!r}")
    query = "SELECT value FROM information WHERE name = 'version'"
    version = connection.execute(query).fetchone()
    if version is None or not str(version[0]).isdigit() or int(version[0]) < _OLDEST:
        raise InputError(
            str(path), "is of a version of ASE that is not known", "convert it: ase db OLD -i NEW"
        )


def _properties(pairs: Any, data: Any) -> dict[str, Any]:
    """Key-value pairs; those that stand for columns of ours by the names of the columns."""
    known = _json(pairs) or {}
    row = (_json(_tail(data)) or {}).get(_ROW)
    if not isinstance(row, dict):
        return known
    ours = {*_keys(row).values(), HASH}
    return {key: value for key, value in known.items() if key not in ours} | row


def _tail(data: Any) -> Any:
    """The JSON text at the end of ASE's binary form, after the arrays that it names."""
    if not isinstance(data, bytes) or len(data) < 8:
        return None
    return data[int.from_bytes(data[:8], "little", signed=True) :]


def _json(text: Any) -> dict[str, Any] | None:
    """A JSON object as plain values; nothing is built of it."""
    if not isinstance(text, (str, bytes)):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def append(
    path: Path,
    atoms: Sequence["Atoms"],
    crystals: Sequence[Crystal],
    rows: Sequence[Mapping[str, Any]],
) -> int:
    """Add crystals to a database, which is made if it is not there: all of them, or none.

    Those whose id and structure are there already are left out.

    Args:
        path: the database.
        atoms: one unit cell of each.
        crystals: the same, with their symmetry, by which they are told apart.
        rows: numbers and texts by the names of their columns, an ``id`` among them.

    Returns:
        How many were added.

    Raises:
        InputError: if the file is something else.
    """
    if not path.exists():
        with atomic_path(path) as partial:
            return _append(partial, atoms, crystals, rows)
    try:
        with _reading(path) as connection:
            _check_tables(path, connection)
        return _append(path, atoms, crystals, rows)
    except sqlite3.Error as error:
        problem = f"is no database that can be written ({error})"
        raise InputError(str(path), problem, "give another name") from error


def _append(
    path: Path,
    atoms: Sequence["Atoms"],
    crystals: Sequence[Crystal],
    rows: Sequence[Mapping[str, Any]],
) -> int:
    from ase.db import connect

    added = 0
    # SQLite locks the file itself; a lock file would outlive a killed process.
    with connect(path, type="db", use_lock_file=False) as database:
        database.connection.execute("BEGIN IMMEDIATE")
        # One transaction: by itself ASE commits after every 5,000 rows.
        database.change_count = -sys.maxsize
        there = {
            (row.key_value_pairs.get("id_"), row.key_value_pairs.get(HASH))
            for row in database.select(include_data=False)
        }
        for cell, crystal, row in zip(atoms, crystals, rows, strict=True):
            keys = pairs(row) | {HASH: structure_hash(crystal)}
            name = keys.get("id_"), keys[HASH]
            if name not in there:
                there.add(name)
                database.write(cell, key_value_pairs=keys, data={_ROW: dict(row)})
                added += 1
    return added


def pairs(row: Mapping[str, Any]) -> dict[str, Any]:
    """Key-value pairs that ASE accepts for a row.

    Names that ASE keeps for itself (``id``, ``formula``, ``energy``, ...) and names that are
    chemical formulas get a ``_`` behind them, other signs than letters and digits become ``_``.
    A text that looks like a number is one for ASE.

    Example:
        >>> pairs({"id": "mp-22", "group_0.1": 225, "energy": -3.1, "batch": "007"})
        {'id_': 'mp-22', 'group_0_1': 225, 'energy_': -3.1, 'batch': 7}
    """
    from ase.db.core import convert_str_to_int_float_bool_or_str

    found = {}
    for name, key in _keys(row).items():
        value = row[name]
        if isinstance(value, str):
            value = convert_str_to_int_float_bool_or_str(value)
        if isinstance(value, str) or np.isfinite(value):
            found[key] = value
    return found


def _keys(row: Mapping[str, Any]) -> dict[str, str]:
    """The key of each column; no two are the same."""
    found: dict[str, str] = {}
    for name in row:
        key = re.sub(r"[^A-Za-z0-9_]", "_", name)
        key = key if re.match(r"[A-Za-z_]", key) else f"_{key}"
        while key == HASH or key in found.values() or _is_reserved(key):
            key += "_"
        found[name] = key
    return found


def _is_reserved(key: str) -> bool:
    from ase.db.core import reserved_keys
    from ase.formula import Formula

    try:
        Formula(key, strict=True)
    except ValueError:
        return key in reserved_keys
    return True


def structure_hash(crystal: Crystal) -> str:
    """What tells crystals apart to about 1e-6: letters and digits, never a number.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> structure_hash(example_crystal())[:6]
        '...'
    """
    used = np.asarray(crystal.wyckoff) > 0
    numbers = np.stack([np.asarray(crystal.wyckoff), np.asarray(crystal.species)], -1)[used]
    free = np.round(np.asarray(crystal.free, np.float64)[used], 6) % 1
    order = np.lexsort((*free.T, *numbers.T))
    lattice = np.round(np.asarray(crystal.lattice, np.float64), 6) + 0.0  # no -0.0
    found = hashlib.blake2b(digest_size=15)
    for part in (np.asarray(crystal.group).astype("<i4"), numbers[order].astype("<i4")):
        found.update(part.tobytes())
    for part in (free[order], lattice):
        found.update(part.astype("<f8").tobytes())
    return base64.b32encode(found.digest()).decode().lower()
