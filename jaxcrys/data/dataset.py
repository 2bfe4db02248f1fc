"""Dataset folders: write them whole, read them back.

The arrays alone load with NumPy (``crystal.storage.load_crystals``), so that a training machine
needs nothing else.
"""

import csv
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.files import atomic_path, write_json
from jaxcrys.crystal.storage import load_crystals, save_crystals
from jaxcrys.crystal.types import Crystal

if TYPE_CHECKING:
    from pandas import DataFrame

TEXT_COLUMNS = ("id", "source", "row", "formula", "wyckoff", "pretty_formula")
MISSING = ("", "NaN", "nan", "NA", "N/A", "None", "null")
REJECTED_COLUMNS = ("source", "row", "id", "code", "reason")


class Part(NamedTuple):
    """Some rows of a dataset: a batch of crystals or None, their rows, the rejected rows."""

    crystals: Crystal | None
    rows: list[dict[str, Any]]
    rejected: list[dict[str, Any]]


class Dataset(NamedTuple):
    """A dataset in memory.

    Attributes:
        crystals: batch of NumPy arrays.
        table: a row for each crystal.
        meta: what it was made from and how.
    """

    crystals: Crystal
    table: "DataFrame"
    meta: dict[str, Any]


def load_dataset(path: Path | str) -> Dataset:
    """Read a dataset folder.

    Raises:
        InputError: if it is not a whole dataset.
    """
    import pandas as pd

    path = Path(path)
    meta = read_meta(path)
    crystals = load_crystals(path / "crystals.npz")
    columns = pd.read_csv(path / "table.csv", nrows=0).columns
    table = pd.read_csv(
        path / "table.csv",
        dtype=dict.fromkeys(TEXT_COLUMNS, str),
        keep_default_na=False,  # the formula NaN is sodium nitride
        na_values=dict.fromkeys(columns.difference(TEXT_COLUMNS), MISSING),
        low_memory=False,
    )
    if len(table) != len(crystals.group):
        raise InputError(
            str(path),
            f"has {len(crystals.group)} crystals but {len(table)} rows in its table",
            "make it again with 'jaxcrys prepare'",
        )
    return Dataset(crystals, table, meta)


def read_meta(path: Path | str) -> dict[str, Any]:
    """The ``meta.json`` of a dataset folder.

    Raises:
        InputError: if there is none.
    """
    try:
        return json.loads((Path(path) / "meta.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            str(path), f"is not a dataset ({error})", "make one: jaxcrys prepare FILES --out ..."
        ) from error


def write_dataset(
    out: Path, parts: Sequence[Part], meta: dict[str, Any], *, sites: int | None = None
) -> None:
    """Write a dataset folder at once, in the place of one that may be there.

    Args:
        out: the folder.
        parts: its rows.
        meta: the content of ``meta.json``.
        sites: pad to this many sites; to the largest number found by default.

    Raises:
        InputError: if no crystal was accepted.
    """
    rejected = [row for part in parts for row in part.rejected]
    batches = [part.crystals for part in parts if part.crystals is not None]
    if not batches:
        first = f", the first because it {rejected[0]['reason']}" if rejected else ""
        raise InputError(str(out), f"no crystal was accepted of {len(rejected)}{first}")
    rows = [row for part in parts for row in part.rows]
    columns = dict.fromkeys(name for row in rows for name in row)
    with atomic_path(out) as partial:
        partial.mkdir()
        save_crystals(partial / "crystals.npz", _join(batches, sites))
        _write_csv(partial / "table.csv", columns, rows)
        _write_csv(partial / "rejected.csv", REJECTED_COLUMNS, rejected)
        write_json(partial / "meta.json", meta)
        if out.exists():
            os.replace(out, partial.with_name("replaced"))


def _join(batches: list[Crystal], sites: int | None) -> Crystal:
    """One batch of several, padded to the same number of sites."""
    width = sites or max(batch.wyckoff.shape[1] for batch in batches)

    def joined(name: str) -> np.ndarray:
        return np.concatenate([np.asarray(getattr(batch, name)) for batch in batches])

    def padded(name: str) -> np.ndarray:
        arrays = [np.asarray(getattr(batch, name)) for batch in batches]
        rest = [(0, 0)] * (arrays[0].ndim - 2)
        return np.concatenate([np.pad(a, [(0, 0), (0, width - a.shape[1]), *rest]) for a in arrays])

    return Crystal(
        group=joined("group"),
        wyckoff=padded("wyckoff"),
        species=padded("species"),
        free=padded("free"),
        lattice=joined("lattice"),
    )


def _write_csv(path: Path, columns: Iterable[str], rows: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, list(columns), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
