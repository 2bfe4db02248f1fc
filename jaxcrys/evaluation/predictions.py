"""Structure prediction: match rates and their kin, of predictions for known crystals.

A prediction matches if the StructureMatcher (stol 0.5, ltol 0.3, 10 degrees) superposes it on the
true crystal; of the first k predictions the one with the smallest RMSE counts. METRe and cRMSE
(Martirossyan et al. 2025) pool all predictions of a formula: the share of references that any of
them matches, and their mean RMSE with ``stol`` for those that none does.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.crystal.raw import RawCell
from jaxcrys.evaluation.bootstrap import interval, mean_interval
from jaxcrys.evaluation.figures import Figure
from jaxcrys.evaluation.matching import MatchSettings, match_cells

Rows = Sequence[dict[str, Any]]

TRIES = (1, 5, 20)
PUBLISHED = MatchSettings()
SECTION = "Structure prediction"
HUNG = "hung"
SIZES = ((1, 5), (6, 10), (11, 20), (21, 10_000))
FREEDOM = ((0, 2), (3, 5), (6, 10), (11, 10_000))


def assign(rows: Rows, references: Rows, by: str) -> list[tuple[int, int]]:
    """Pairs (prediction, reference), predictions in their order, the best first.

    Args:
        rows: predictions.
        references: true crystals.
        by: ``formula``, or ``rows``: blocks of as many predictions as there are references, each
            in their order.

    Raises:
        InputError: if blocks do not fit.
    """
    if by == "rows":
        if len(rows) % len(references):
            raise InputError(
                "--csp rows", f"{len(rows)} predictions are no multiple of {len(references)}",
                "give as many for each reference, or --csp formula",
            )  # fmt: skip
        return [(index, index % len(references)) for index in range(len(rows))]
    own: dict[str, list[int]] = defaultdict(list)
    for index, reference in enumerate(references):
        own[reference["formula"]].append(index)
    return [
        (index, reference)
        for index, row in enumerate(rows)
        for reference in own.get(row.get("formula", ""), [])
    ]


def error(pair: tuple[list[Any], list[Any]]) -> float | None:
    """RMSE of a prediction, None if it does not match."""
    first, second = (RawCell(*map(np.array, cell)) for cell in pair)
    return match_cells(first, second, PUBLISHED)


def hangs(pair: tuple[list[Any], list[Any]]) -> str:
    """The result of a pair on which the matcher hangs."""
    del pair
    return HUNG


def figures(
    rows: Rows,
    references: Rows,
    pairs: Sequence[tuple[int, int]],
    errors: Sequence[float | None],
    tries: Sequence[int] = TRIES,
) -> list[Figure]:
    """All figures of structure prediction.

    Args:
        rows: predictions, as ``evaluation.examine`` makes them.
        references: true crystals, likewise.
        pairs: of :func:`assign`.
        errors: of each pair.
        tries: numbers k of predictions that count.
    """
    order: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for (row, reference), value in zip(pairs, errors, strict=True):
        order[reference].append((row, np.inf if value is None else float(value)))
    count, found = len(references), []
    sound = [bool(row.get("valid")) for row in rows]
    real = [bool(row.get("valid")) for row in references]

    def best(k: int, filtered: bool) -> np.ndarray:
        return np.array([
            min((e for row, e in order[i][:k] if not filtered or (sound[row] and real[i])),
                default=np.inf)
            for i in range(count)
        ])  # fmt: skip

    for k in tries:
        for filtered, which in ((False, "all"), (True, "valid pairs")):
            errors_k = best(k, filtered)
            found += _rates(f"k = {k}, {which}", errors_k)
    everything = best(10**9, False)
    pooled = np.where(np.isfinite(everything), everything, PUBLISHED.stol)
    found += [
        Figure(SECTION, "METRe", *mean_interval(np.isfinite(everything).astype(float)), count,
               "references that any prediction of their formula matches"),
        Figure(SECTION, "cRMSE", *mean_interval(pooled), count,
               f"mean of their RMSE, {PUBLISHED.stol} for those that none matches"),
    ]  # fmt: skip
    found += _groups(rows, references, order)
    return found + _breakdown(references, best(1, False))


def _rates(name: str, errors: np.ndarray) -> list[Figure]:
    matched = np.isfinite(errors)
    values = errors[matched]
    mean = interval(lambda drawn: float(values[drawn].mean()), len(values))
    return [
        Figure(SECTION, f"match rate, {name}", *mean_interval(matched.astype(float)), len(errors),
               "of all references"),
        Figure(SECTION, f"RMSE, {name}", *mean, len(values), "of the matches, in (V/N)^⅓"),
    ]  # fmt: skip


def _groups(
    rows: Rows, references: Rows, order: dict[int, list[tuple[int, float]]]
) -> list[Figure]:
    """Whether the first prediction has the space group of the true crystal."""
    same = [
        bool(order[i]) and rows[order[i][0][0]].get("group_0.1") == reference["group_0.1"]
        for i, reference in enumerate(references)
    ]
    return [Figure(SECTION, "space group, k = 1", *mean_interval(np.array(same, float)), len(same),
                   "the first prediction has the group of the reference, at 0.1 Å")]  # fmt: skip


def _breakdown(references: Rows, errors: np.ndarray) -> list[Figure]:
    """Match rate of the first prediction by degrees of freedom and by size."""
    matched, found = np.isfinite(errors).astype(float), []
    for column, bins in (("dof", FREEDOM), ("primitive_atoms", SIZES)):
        values = np.array([row[column] for row in references])
        for low, high in bins:
            own = matched[(values >= low) & (values <= high)]
            if len(own):
                label = f"{low} to {high}" if high < 10_000 else f"{low} or more"
                found.append(Figure(
                    SECTION, f"match rate, k = 1, {column} {label}", *mean_interval(own), len(own),
                    "of the references with so many",
                ))  # fmt: skip
    return found
