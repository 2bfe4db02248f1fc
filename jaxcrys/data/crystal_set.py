"""A set of crystals with their table, whatever it lies in: a dataset, a generated set, any file."""

import csv
import math
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.progress import Progress
from jaxcrys.core.pytree import take
from jaxcrys.crystal.build import validate
from jaxcrys.crystal.storage import CRYSTALS_FILE, load_crystals
from jaxcrys.crystal.types import Crystal
from jaxcrys.data.dataset import MISSING, TEXT_COLUMNS
from jaxcrys.data.prepare import prepare

TABLE_FILE = "table.csv"

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d*)?([eE][+-]?\d+)?")
"""As JSON writes them: 007 is a name."""

_SAFE_DIGITS = 15  # of an integer that every format holds exactly


class CrystalSet(NamedTuple):
    """Crystals and their rows.

    Attributes:
        crystals: single ones.
        rows: of each its numbers and texts by the names of their columns, an ``id`` among them;
            what is missing is left out.
        left_out: what could not be used, and why: name and reason.
    """

    crystals: list[Crystal]
    rows: list[dict[str, Any]]
    left_out: list[tuple[str, str]]


def read_set(
    path: Path | str, *, workers: int | None = None, progress: Progress | None = None
) -> CrystalSet:
    """Read a folder of ours, or what ``data.readers`` understands.

    Args:
        path: a dataset, a generated, predicted or relaxed set, or a file or folder of others.
        workers: processes for files of others; as many as there are cores by default.
        progress: told how far it is.

    Raises:
        InputError: if it cannot be read, or holds no crystal.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> from jaxcrys.crystal.cif import to_cif
        >>> path = Path(tempfile.mkdtemp()) / "salt.cif"
        >>> _ = path.write_text(to_cif(example_crystal()))
        >>> read_set(path, workers=1).rows[0]["formula"]
        'NaCl'
    """
    path = Path(path)
    if (path / CRYSTALS_FILE).is_file():
        return _read_folder(path)
    with tempfile.TemporaryDirectory() as scratch:
        made = prepare(path, Path(scratch) / "set", workers=workers, progress=progress).folder
        rejected = _read_table(made / "rejected.csv")
        left_out = [(f"{row['source']} {row['row']}".strip(), row["reason"]) for row in rejected]
        return _read_folder(made)._replace(left_out=left_out)


def _read_folder(folder: Path) -> CrystalSet:
    batch = load_crystals(folder)
    texts = _read_table(folder / TABLE_FILE)
    if len(texts) != len(batch.group):
        raise InputError(
            str(folder), f"has {len(batch.group)} crystals but {len(texts)} rows in its table"
        )
    crystals, kept, left_out = [], [], []
    for index, text in enumerate(texts):
        crystal, text = take(batch, index), {"id": f"{index:05d}"} | text
        try:
            validate(crystal)
        except InputError as error:
            left_out.append((text["id"], str(error)))
            continue
        used = np.asarray(crystal.wyckoff) > 0
        crystals.append(
            Crystal(
                group=crystal.group,
                wyckoff=crystal.wyckoff[used],
                species=crystal.species[used],
                free=crystal.free[used],
                lattice=crystal.lattice,
            )
        )
        kept.append(text)
    if not crystals:
        raise InputError(str(folder), "holds no crystal that could be used")
    return CrystalSet(crystals, typed(kept), left_out)


def _read_table(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            rows = list(csv.DictReader(handle, restval=""))
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(str(path), f"is not a readable table ({error})") from error
    return [{name: text for name, text in row.items() if name is not None} for row in rows]


def typed(rows: Iterable[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Rows of texts with numbers where a whole column is numbers, and without what is missing.

    Example:
        >>> typed([{"id": "007", "gap": "1.50", "z": "4"}, {"id": "8", "gap": "nan", "z": ""}])
        [{'id': '007', 'gap': 1.5, 'z': 4}, {'id': '8'}]
    """
    rows = list(rows)
    made: list[dict[str, Any]] = [{} for _ in rows]
    for name in dict.fromkeys(name for row in rows for name in row):
        texts = [row.get(name) or "" for row in rows]
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
