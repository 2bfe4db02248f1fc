"""Stable, unique and novel: from the energies above the hull, before and after relaxation."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxcrys.evaluation.bootstrap import interval, mean_interval
from jaxcrys.evaluation.distributions import wasserstein
from jaxcrys.evaluation.figures import DRAWS_OF_DISTANCES, Figure, number_of, share, truth

Rows = Sequence[dict[str, Any]]

CUTS = (0.0, 0.08, 0.1)
"""eV/atom: on the hull, MP-20's own limit, and the usual one for metastable."""

SECTION = "Stability"


def stability(rows: Rows) -> list[Figure]:
    """Shares of stable samples at each cut; S.U.N. of all that were submitted.

    The rows have ``e_hull`` and ``e_hull_before`` in eV/atom, missing where there is none, beside
    what ``evaluation.examine`` and novelty made of them.
    """
    figures = []
    for column, when in (("e_hull_before", "as submitted"), ("e_hull", "relaxed")):
        energies = np.array([number_of(row.get(column)) for row in rows])
        known = _finite(rows, column)
        found = interval(lambda drawn, k=known: float(np.median(k[drawn])), len(known))
        figures.append(Figure(SECTION, f"median e_hull, {when}", *found, len(known),
                              "eV/atom above the hull, where known"))  # fmt: skip
        new = truth(rows, "unique_novel") > 0
        symmetric = np.array([row.get("group_0.1", 0) > 1 for row in rows])
        for cut in CUTS:
            low = energies <= cut
            for name, holds, meaning in (
                ("stable", low, "at most so far above the hull"),
                ("S.U.N.", low & new, "stable, unique and novel"),
                ("S.S.U.N.", low & new & symmetric, "and with more symmetry than P1"),
            ):
                figures.append(Figure(
                    SECTION, f"{name} at {cut} eV/atom, {when}",
                    *mean_interval(holds.astype(float)), len(rows), meaning,
                ))  # fmt: skip
        between = (energies > 0) & (energies <= CUTS[-1]) & new
        figures.append(Figure(
            SECTION, f"M.S.U.N., {when}", *mean_interval(between.astype(float)), len(rows),
            f"unique and novel, above the hull by more than 0 and at most {CUTS[-1]} eV/atom",
        ))  # fmt: skip
    return [*figures, *_relaxation(rows)]


def energy_distances(rows: Rows, real: Rows) -> list[Figure]:
    """Wasserstein distances of energies from those of real crystals, by the same potential.

    Args:
        rows: with ``energy`` and ``energy_before`` in eV/atom, and ``e_form`` and
            ``e_form_before`` where a hull has references for them.
        real: of test crystals as they are, with ``energy_before`` and ``e_form_before``.
    """
    figures = []
    for column, kind in (("energy", "energy"), ("e_form", "formation energy")):
        expected = _finite(real, f"{column}_before")
        for suffix, when in (("_before", "as submitted"), ("", "relaxed")):
            values = _finite(rows, column + suffix)
            if not len(values) or not len(expected):
                continue
            found = interval(lambda drawn, v=values, e=expected: wasserstein(v[drawn], e),
                             len(values), draws=DRAWS_OF_DISTANCES, positive=True)  # fmt: skip
            figures.append(Figure(
                SECTION, f"W({kind}), {when}", *found, len(values),
                f"Wasserstein distance in eV/atom from {len(expected)} test crystals as they are",
            ))  # fmt: skip
    return figures


def _finite(rows: Rows, column: str) -> np.ndarray:
    values = np.array([number_of(row.get(column)) for row in rows])
    return values[np.isfinite(values)]


def _relaxation(rows: Rows) -> list[Figure]:
    """What relaxing did."""
    moved = _finite(rows, "rmsd")
    found = interval(lambda drawn: float(np.mean(moved[drawn])), len(moved))
    figures = [
        share(rows, "converged", SECTION, "the relaxation converged"),
        Figure(SECTION, "RMSD, Å", *found, len(moved), "by which relaxing moved atoms"),
    ]
    released = [row for row in rows if row.get("group_released")]
    if released:
        kept = [row["group_released"] == row["group_before"] for row in released]
        figures.append(Figure(
            SECTION, "group kept", *mean_interval(np.array(kept, float)), len(released),
            "the group at 0.1 Å is the same after relaxing without symmetry",
        ))  # fmt: skip
    return figures
