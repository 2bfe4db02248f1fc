"""The files of an evaluation: figures for machines, a table of samples, a page for people."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.files import write_json
from jaxcrys.evaluation.evaluate import Evaluation
from jaxcrys.evaluation.figures import Figure
from jaxcrys.evaluation.page import Column, lines, page
from jaxcrys.evaluation.reference import Reference

FIGURES_FILE = "report.json"
PAGE_FILE = "report.html"
HIDDEN = ("cell", "structure_fingerprint", "composition_fingerprint")
"""Columns that no table shows."""


def write_evaluation(
    folder: Path,
    name: str,
    found: Evaluation,
    record: Mapping[str, Any],
    *,
    test: Reference,
    train: Reference | None,
    others: Sequence[Column] = (),
) -> None:
    """Write all files into a new folder.

    Args:
        folder: that does not exist yet.
        name: of the evaluated set.
        found: what was found.
        record: what it depends on.
        test: the test set.
        train: the training set, for pictures.
        others: figures of other evaluations, to stand beside.
    """
    folder.mkdir(parents=True)
    write_json(folder / FIGURES_FILE, {
        "name": name,
        "figures": [_plain(figure) for figure in found.figures],
        "notes": found.notes,
        "protocol": dict(record),
    })  # fmt: skip
    _write_table(folder, found.rows)
    count = len(found.rows)
    text = page(
        f"Evaluation of {name}",
        f"{count} samples against {test.name} ({len(test.formula)} crystals)"
        + (f", novelty against {train.name} ({len(train.formula)})" if train else "")
        + ". In brackets: 95 % confidence intervals by the bootstrap over samples.",
        [Column(name, found.figures), *others],
        found.rows, protocol=lines(record), notes=found.notes, test=test, train=train,
    )  # fmt: skip
    (folder / PAGE_FILE).write_text(text, encoding="utf-8")


def read_figures(folder: Path) -> Column:
    """The name and the figures of an evaluation that was written before.

    Raises:
        InputError: if there is none.
    """
    try:
        stored = json.loads((folder / FIGURES_FILE).read_text(encoding="utf-8"))
        figures = [Figure(**_numbers(each)) for each in stored["figures"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            str(folder), f"holds no evaluation ({error})", "make one: jaxcrys evaluate"
        ) from error
    return Column(stored["name"], figures)


def _plain(figure: Figure) -> dict[str, Any]:
    """JSON has no NaN: it becomes null."""
    return {
        name: None if isinstance(value, float) and not np.isfinite(value) else value
        for name, value in figure._asdict().items()
    }


def _numbers(plain: dict[str, Any]) -> Any:
    """The fields of a figure again: what is null was NaN, but for ``beside``."""
    return {
        name: np.nan if value is None and name != "beside" else value
        for name, value in plain.items()
    }


def _write_table(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    """The same table as CSV and as Parquet."""
    import pandas as pd

    names = dict.fromkeys(name for row in rows for name in row if name not in HIDDEN)
    table = pd.DataFrame([{name: row.get(name) for name in names} for row in rows])
    table.to_csv(folder / "table.csv", index=False)
    for name in table.select_dtypes("object"):
        if not table[name].dropna().map(lambda value: isinstance(value, bool)).all():
            table[name] = table[name].map(lambda value: None if value is None else str(value))
    table.to_parquet(folder / "table.parquet", index=False)
