"""The report for people: one HTML page that needs nothing else, not even a network."""

import functools
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, NamedTuple

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.evaluation import plots
from jaxcrys.evaluation.figures import Figure
from jaxcrys.evaluation.reference import Reference

Rows = Sequence[dict[str, Any]]

BEST = 9
"""Crystals that are shown."""

TILES = (
    "valid", "lemat_valid", "unique_novel", "as asked or more at 0.001 Å", "χ²(groups)",
    "S.U.N. at 0.1 eV/atom, relaxed", "match rate, k = 1, all",
)  # fmt: skip
"""Figures that stand at the top, where there are any."""


class Column(NamedTuple):
    """The figures of one set: of this evaluation, or of another that stands beside it."""

    name: str
    figures: Sequence[Figure]


def page(
    title: str,
    lead: str,
    columns: Sequence[Column],
    rows: Rows,
    *,
    protocol: Sequence[str],
    notes: Sequence[str],
    test: Reference,
    train: Reference | None,
) -> str:
    """The page as text.

    Args:
        title: at the top.
        lead: a sentence under it.
        columns: the evaluation, and others to compare it with.
        rows: of its samples.
        protocol: lines that say what was measured and how.
        notes: lines that say what could not be.
        test: the test set.
        train: the training set; without it there are no pictures of distributions.

    Raises:
        InputError: if plotly, pymatviz or Jinja are missing.
    """
    import plotly.offline

    own = columns[0].figures
    known = {figure.name: figure for figure in own}
    tiles = [{"name": name, "value": _number(known[name].value)} for name in TILES if name in known]
    return _template().render(
        title=title, lead=lead, tiles=tiles, sections=_sections(columns),
        columns=[column.name for column in columns],
        beside="real crystals, or noise floor",
        plots=_pictures(own, rows, test, train) if train is not None else [],
        cards=_cards(rows), chosen=_chosen(rows), protocol=protocol, notes=notes,
        plotly=_raw(plotly.offline.get_plotlyjs()),
    )  # fmt: skip


def _sections(columns: Sequence[Column]) -> dict[str, list[dict[str, Any]]]:
    """Rows of the tables by section; figures that only others have are left out."""
    others = [{figure.name: figure for figure in column.figures} for column in columns]
    sections: dict[str, list[dict[str, Any]]] = {}
    for figure in columns[0].figures:
        cells = [_cell(other.get(figure.name)) for other in others]
        beside = "" if figure.beside is None else _number(figure.beside)
        sections.setdefault(figure.section, []).append(
            {
                "name": figure.name.replace("_", " "),
                "cells": cells,
                "beside": beside,
                "meaning": figure.meaning,
            }
        )
    return sections


def _cell(figure: Figure | None) -> str:
    if figure is None or not np.isfinite(figure.value):
        return "–"
    if not np.isfinite(figure.low):
        return _number(figure.value)
    return f"{_number(figure.value)} [{_number(figure.low)}, {_number(figure.high)}]"


def _number(value: float) -> str:
    return f"{value:.4g}" if np.isfinite(value) else "–"


def _pictures(
    own: Sequence[Figure], rows: Rows, test: Reference, train: Reference
) -> list[dict[str, Any]]:
    if all(row["reason"] for row in rows):
        return []
    found = {
        "elements": (plots.elements(rows), "Elements of the samples."),
        "groups": (plots.groups(rows, test), "Space groups."),
    }
    for name, figure in plots.distributions(rows, test, train).items():
        found[name] = (figure, f"Distribution of {plots.DISTRIBUTIONS[name]}.")
    found["valid"] = (
        plots.breakdown(own), "Validity by size and by crystal system.",
    )  # fmt: skip
    if any(row.get("e_hull") not in (None, "") for row in rows):
        found["energies"] = (plots.energies(rows), "Energies above the hull.")
    return [
        {"id": name, "html": _html(figure), "caption": caption}
        for name, (figure, caption) in found.items()
    ]


def _cards(rows: Rows) -> list[dict[str, Any]]:
    return [
        {
            "html": _html(plots.view(row), tools=False),
            "name": row["formula"],
            "text": _described(row),
        }
        for row in best(rows)
    ]


def best(rows: Rows, count: int = BEST) -> list[dict[str, Any]]:
    """Crystals worth looking at: new and valid ones first, the lowest in energy before others."""

    def order(row: dict[str, Any]) -> tuple:
        energy = row.get("e_hull")
        known = energy not in (None, "")
        return (
            not row.get("unique_novel", False), not row.get("valid", False),
            float(energy) if known else np.inf,
        )  # fmt: skip

    good = [row for row in rows if not row["reason"] and row["structure_valid"]]
    return sorted(good, key=order)[:count]


def _chosen(rows: Rows) -> str:
    judged = any(row.get("e_hull") not in (None, "") for row in rows)
    by = "the lowest energy above the hull first" if judged else "in the order they came"
    return f"Unique, novel and valid samples, {by}. Drag to turn them."


def _described(row: dict[str, Any]) -> str:
    parts = [f"{row['name']}", f"group {row['group_0.1']}", row.get("wyckoff", "")]
    if row.get("e_hull") not in (None, ""):
        parts.append(f"{float(row['e_hull']):.3f} eV/atom above the hull")
    return ", ".join(part for part in parts if part)


def _html(figure: Any, *, tools: bool = True) -> Any:
    config = {"displaylogo": False, "displayModeBar": tools}
    return _raw(figure.to_html(full_html=False, include_plotlyjs=False, config=config))


def _raw(text: str) -> Any:
    """Text that goes into the page as it is."""
    from markupsafe import Markup

    return Markup(text)


@functools.cache
def _template() -> Any:
    try:
        import jinja2
    except ModuleNotFoundError as error:
        raise InputError("report", "needs Jinja2", "pip install 'jaxcrys[evaluation]'") from error
    source = resources.files("jaxcrys.evaluation").joinpath("page.html").read_text("utf-8")
    return jinja2.Environment(autoescape=True).from_string(source)


def lines(record: Mapping[str, Any]) -> list[str]:
    """A record as lines of text.

    Example:
        >>> lines({"seed": 0, "test": {"name": "t", "crystals": 2}})
        ['seed: 0', 'test: name t, crystals 2']
    """
    return [f"{name}: {_told(value)}" for name, value in record.items()]


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_told(each)}" for name, each in value.items())
    return str(value)
