"""Interactive pictures of an evaluation, with plotly and pymatviz."""

import contextlib
import functools
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.crystal.convert import cell_and_labels, from_arrays, structure_from_raw
from jaxcrys.crystal.raw import RawCell
from jaxcrys.crystal.rejection import Rejection
from jaxcrys.evaluation.figures import SIZE, SYSTEM, Figure, number_of
from jaxcrys.evaluation.reference import Reference

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as Plot

Rows = Sequence[dict[str, Any]]

COLOURS = {"samples": "#2f6fb0", "test set": "#e08a1e", "training set": "#8a8a8a"}
DISTRIBUTIONS = {
    "density": "density, g/cm³",
    "num_elements": "elements",
    "sites": "occupied Wyckoff positions",
    "primitive_atoms": "atoms in the primitive cell",
}

HEIGHT = 320


def elements(rows: Rows) -> "Plot":
    """Periodic table: how many samples have each element."""
    counts = Counter(e for row in rows if not row["reason"] for e in row["elements"].split())
    figure = _pymatviz().ptable_heatmap(dict(counts), log=True, colorscale="viridis", fmt=".0f")
    figure.update_layout(width=None, height=540, autosize=True, margin={"t": 10, "b": 10})
    return figure


def groups(rows: Rows, test: Reference) -> "Plot":
    """Shares of space groups, of samples and of the test set."""
    found = np.array([row["group_0.1"] for row in rows if not row["reason"]], int)
    sets = {"samples": found, "test set": test.groups}
    bins = {"start": 0.5, "end": 230.5, "size": 1}
    return _histogram(sets, "space group at 0.1 Å", bins)


def distributions(rows: Rows, test: Reference, train: Reference) -> "dict[str, Plot]":
    """Numbers of the samples beside those of both sets."""
    good = [row for row in rows if not row["reason"]]
    figures = {}
    for name, label in DISTRIBUTIONS.items():
        sets = {
            "samples": np.array([row[name] for row in good if row["sites"]], float),
            "test set": test.column(name).astype(float),
            "training set": train.column(name).astype(float),
        }
        high = float(np.quantile(np.concatenate(list(sets.values())), 0.995))
        whole = name != "density"
        bins = {"start": -0.5 if whole else 0, "end": high + 1, "size": 1 if whole else high / 50}
        figures[name] = _histogram(sets, label, bins)
    return figures


def energies(rows: Rows) -> "Plot":
    """Energies above the hull before and after relaxation, and the usual cuts."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for column, label, colour in (
        ("e_hull_before", "as submitted", "#c8a15a"), ("e_hull", "relaxed", "#2f6fb0"),
    ):  # fmt: skip
        values = np.array([number_of(row.get(column)) for row in rows])
        values = np.clip(values[np.isfinite(values)], -0.5, 1.5)
        figure.add_histogram(x=values, name=label, marker_color=colour, opacity=0.65,
                             xbins={"start": -0.5, "end": 1.525, "size": 0.025})  # fmt: skip
    for cut in (0.0, 0.1):
        figure.add_vline(x=cut, line_dash="dot", line_color="#444")
    figure.update_layout(barmode="overlay")
    figure.update_xaxes(title="energy above the hull, eV/atom (beyond ±: at the rim)")
    return _styled(figure, "samples")


def breakdown(found: Sequence[Figure]) -> "Plot":
    """Shares by size and by crystal system (``figures.breakdown``)."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    figure = make_subplots(1, 2, shared_yaxes=True)
    for place, kind in enumerate((SIZE, SYSTEM), start=1):
        own = [each for each in found if each.section == kind]
        figure.add_trace(go.Bar(
            x=[each.name for each in own], y=[each.value for each in own],
            error_y={
                "type": "data", "array": [each.high - each.value for each in own],
                "arrayminus": [each.value - each.low for each in own], "color": "#555",
            },
            text=[f"n = {each.count}" for each in own],
            marker_color=COLOURS["samples"], showlegend=False,
        ), row=1, col=place)  # fmt: skip
    figure.update_xaxes(title="atoms in the primitive cell", col=1)
    figure.update_xaxes(title="crystal system at 0.1 Å", col=2)
    figure.update_yaxes(range=[0, 1.05])
    return _styled(figure, "share that is valid")


def view(row: Mapping[str, Any]) -> "Plot":
    """A crystal in three dimensions: its conventional cell, if it has one."""
    cell = RawCell(*map(np.array, row["cell"]))
    with contextlib.suppress(Rejection):
        cell = cell_and_labels(from_arrays(*cell))[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figure = _pymatviz().structure_3d(
            structure_from_raw(cell), show_bonds=False, site_labels=False
        )
    figure.update_layout(
        height=HEIGHT, margin={"l": 0, "r": 0, "t": 0, "b": 0}, showlegend=False, title=None
    )
    return figure


def _histogram(sets: Mapping[str, np.ndarray], label: str, bins: Mapping[str, float]) -> "Plot":
    import plotly.graph_objects as go

    figure = go.Figure()
    for name, values in sets.items():
        figure.add_histogram(
            x=values, name=name, histnorm="probability", xbins=dict(bins), opacity=0.6,
            marker_color=COLOURS[name],
        )  # fmt: skip
    figure.update_layout(barmode="overlay")
    figure.update_xaxes(title=label)
    return _styled(figure, "share")


def _styled(figure: "Plot", title: str, *, height: int = HEIGHT) -> "Plot":
    figure.update_layout(
        template="plotly_white", height=height, margin={"l": 50, "r": 15, "t": 20, "b": 45},
        legend={"orientation": "h", "y": 1.08}, title=None, autosize=True, width=None,
    )  # fmt: skip
    figure.update_layout(yaxis_title=title)
    return figure


@functools.cache
def _pymatviz() -> ModuleType:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pymatviz
    except ModuleNotFoundError as error:
        raise InputError(
            "report", "needs plotly and pymatviz", "pip install 'jaxcrys[evaluation]'"
        ) from error
    return pymatviz
