"""The figures of an evaluation: from the table of samples, each with what it is and how sure.

Every share is one of all samples that were submitted, whatever became of them.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxcrys.evaluation.bootstrap import Interval, interval, mean_interval
from jaxcrys.evaluation.distributions import (
    chi_squared,
    covered,
    jensen_shannon,
    shares_apart,
    wasserstein,
)
from jaxcrys.evaluation.examine import SYMPRECS
from jaxcrys.evaluation.reference import Reference
from jaxcrys.symmetry.subgroups import is_subgroup

Rows = Sequence[dict[str, Any]]

DRAWS_OF_DISTANCES = 200
"""For statistics that take long."""


class Figure(NamedTuple):
    """One number of the report.

    Attributes:
        section: where it stands.
        name: what it is called.
        value: what it is; ``low`` and ``high`` enclose it with 95 % confidence.
        low: see there.
        high: see there.
        count: of samples that it stands on.
        meaning: in words.
        beside: the same of real crystals, where that says something.
    """

    section: str
    name: str
    value: float
    low: float
    high: float
    count: int
    meaning: str
    beside: float | None = None


VALIDITY = {
    "readable": "the sample holds atoms in a cell that a crystal can have",
    "structure_valid": "no two atoms nearer than 0.5 Å, volume above 0.1 Å³ (CDVAE)",
    "composition_valid": "smact's classic rules: oxidation states of 2014, neutral, Pauling test, "
    "metals and elements always (CDVAE; about 90 % of real crystals pass)",
    "valid": "structure and composition",
    "smact_valid": "smact's own function with the defaults of the version in use",
    "lemat_distance": "no distance under (0.7 Å + R₁ + R₂)/2 with atomic radii R (LeMat-GenBench)",
    "lemat_charge": "metallic, or oxidation states that balance (LeMat-GenBench)",
    "lemat_plausible": "density, atoms per volume and lengths as of crystals (LeMat-GenBench)",
    "lemat_valid": "all three of LeMat-GenBench",
}


def share(rows: Rows, name: str, section: str, meaning: str, beside: Rows | None = None) -> Figure:
    """The share of samples for which a column is true."""
    found = mean_interval(truth(rows, name))
    other = float(truth(beside, name).mean()) if beside else None
    return Figure(section, name, *found, len(rows), meaning, other)


def truth(rows: Rows, name: str) -> np.ndarray:
    """A column as 1 and 0; what is missing is 0."""
    return np.array([float(bool(row.get(name))) for row in rows])


def number_of(value: Any) -> float:
    """A value of a table, NaN where there is none.

    Example:
        >>> number_of("0.5"), number_of("")
        (0.5, nan)
    """
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan


def validity(rows: Rows, real: Rows) -> list[Figure]:
    """Shares of valid samples, and beside them those of real crystals."""
    return [
        share(rows, name, "Validity", meaning, real or None) for name, meaning in VALIDITY.items()
    ]


SIZE = "Valid, by atoms in the primitive cell"
SYSTEM = "Valid, by crystal system"
SIZES = ((1, 4), (5, 8), (9, 12), (13, 16), (17, 20), (21, 10_000))
SYSTEMS = {
    "triclinic": 2, "monoclinic": 15, "orthorhombic": 74, "tetragonal": 142, "trigonal": 167,
    "hexagonal": 194, "cubic": 230,
}  # fmt: skip
"""Last group of each crystal system."""


def breakdown(rows: Rows) -> list[Figure]:
    """Shares of readable samples that are valid, by size and by crystal system at 0.1 Å."""
    good = [row for row in rows if not row["reason"]]
    kinds = {
        (SIZE, f"{low}–{high}" if high < 10_000 else f"> {low - 1}"): [
            row for row in good if low <= row["primitive_atoms"] <= high
        ]
        for low, high in SIZES
    }
    for name in SYSTEMS:
        kinds[SYSTEM, name] = [row for row in good if _system(row["group_0.1"]) == name]
    return [
        Figure(section, name, *mean_interval(truth(own, "valid")), len(own),
               "of the samples with so many atoms" if section == SIZE else "of those of the system")
        for (section, name), own in kinds.items() if own
    ]  # fmt: skip


def _system(group: int) -> str | None:
    """Name of the system of a group, None for none."""
    return next((name for name, last in SYSTEMS.items() if 0 < group <= last), None)


def symmetry(rows: Rows) -> list[Figure]:
    """Whether groups are what was asked for, and how many have none."""
    figures = []
    asked = [row for row in rows if row["asked"]]
    for symprec in SYMPRECS:
        column = f"group_{symprec}"
        figures.append(_share_of(
            "Symmetry", f"P1 at {symprec} Å", rows, lambda row, c=column: row.get(c) == 1,
            f"spglib finds no symmetry at {symprec} Å",
        ))  # fmt: skip
        if asked:
            figures.append(_share_of(
                "Symmetry", f"as asked at {symprec} Å", asked,
                lambda row, c=column: row.get(c) == row["asked"],
                f"spglib finds the group that was asked for at {symprec} Å",
            ))  # fmt: skip
            figures.append(_share_of(
                "Symmetry", f"as asked or more at {symprec} Å", asked,
                lambda row, c=column: _holds(row["asked"], row.get(c, 0)),
                "or a supergroup of it",
            ))  # fmt: skip
    return figures


def distributions(
    rows: Rows, train: Reference, test: Reference, sampled: Sequence[int]
) -> list[Figure]:
    """Distances of distributions from those of the test set.

    Args:
        rows: of the samples.
        train: training set.
        test: test set.
        sampled: rows of the training set, as many as there are samples: the noise floor.
    """
    good = [row for row in rows if not row["reason"]]
    figures = []
    for name, unit in (
        ("density", "g/cm³"), ("num_elements", ""), ("sites", "orbits"),
        ("primitive_atoms", "in the primitive cell"),
    ):  # fmt: skip
        known = [row for row in good if name in ("density", "num_elements") or row["sites"]]
        values = np.array([row[name] for row in known], float)
        expected = test.column(name)
        found = interval(lambda drawn, v=values, e=expected: wasserstein(v[drawn], e), len(values),
                         draws=DRAWS_OF_DISTANCES, positive=True)  # fmt: skip
        floor = wasserstein(train.column(name)[sampled], expected)
        meaning = f"Wasserstein distance from the test set {unit}".rstrip()
        figures.append(_distance(f"W({name})", found, len(known), meaning, floor))
    groups = np.array([row["group_0.1"] for row in good], int)
    for name, distance, meaning in (
        ("χ²(groups)", chi_squared, "Σ (p - q)²/q over the space groups of the test set"),
        ("JS(groups)", jensen_shannon, "Jensen-Shannon divergence of space groups, bits"),
    ):
        found = interval(lambda drawn, d=distance: d(groups[drawn].tolist(), test.groups.tolist()),
                         len(groups), draws=DRAWS_OF_DISTANCES, positive=True)  # fmt: skip
        floor = distance(train.groups[sampled].tolist(), test.groups.tolist())
        figures.append(_distance(name, found, len(good), meaning, floor))
    elements = [row["elements"].split() for row in good]
    expected = test.elements()
    found = interval(
        lambda drawn: shares_apart(Counter(e for i in drawn for e in elements[i]), expected),
        len(elements), draws=DRAWS_OF_DISTANCES, positive=True,
    )  # fmt: skip
    meaning = "half the summed difference of the elements' shares"
    figures.append(_distance("elements", found, len(good), meaning, None))
    return figures


def coverage(rows: Rows, real: Rows, cutoffs: tuple[float, float]) -> list[Figure]:
    """COV-R and COV-P, of the samples and test crystals whose fingerprints were asked for."""
    these, those = _prints(rows), _prints(real)
    precise = np.zeros(len(rows))
    precise[: len(these[0])] = covered(these, those, cutoffs)  # what has none counts as far
    recalled = covered(those, these, cutoffs)
    near = f"fingerprints nearer than {cutoffs[0]} (structure) and {cutoffs[1]} (composition)"
    size = f"; {len(rows)} samples against {len(real)} test crystals"
    return [
        Figure("Distributions", "COV-R", *mean_interval(recalled), len(recalled),
               f"test crystals with a sample near: {near}{size}"),
        Figure("Distributions", "COV-P", *mean_interval(precise), len(precise),
               f"samples with a test crystal near: {near}{size}"),
    ]  # fmt: skip


NEW = {
    "unique_hash": "no earlier sample has the same protostructure (canonical hash)",
    "unique": "no earlier sample that was kept matches it (StructureMatcher 0.2/0.3/5)",
    "unique_strict": "likewise with ltol 0.1, as in LeMat-GenBench",
    "unique_disordered": "likewise, similar elements counted as one, as in MatterGen",
    "novel_hash": "no training crystal has the same protostructure",
    "novel": "no training crystal of the formula matches it (StructureMatcher 0.2/0.3/5)",
    "novel_strict": "likewise with ltol 0.1",
    "novel_disordered": "likewise, similar elements counted as one",
    "novel_template": "no training crystal has its prototype (group and positions, no elements)",
    "unique_novel": "unique and novel by the StructureMatcher",
}


def newness(rows: Rows) -> list[Figure]:
    """Uniqueness, novelty, and how far the two ways of telling agree."""
    figures = [
        share(rows, name, "Uniqueness and novelty", meaning) for name, meaning in NEW.items()
    ]
    templates = {row["prototype"] for row in rows if row.get("prototype")}
    new = {row["prototype"] for row in rows if row.get("novel_template")}
    for name, kinds, meaning in (
        ("templates", templates, "different prototypes, as a share of the samples"),
        ("new templates", new, "of them not in the training set"),
    ):
        value = len(kinds) / len(rows) if rows else float("nan")
        figures.append(Figure("Uniqueness and novelty", name, value, np.nan, np.nan, len(rows),
                              f"{meaning} ({len(kinds)})"))  # fmt: skip
    good = [row for row in rows if not row["reason"]]
    for kind in ("unique", "novel"):
        figures.append(_share_of(
            "Uniqueness and novelty", f"hash and matcher agree: {kind}", good,
            lambda row, k=kind: row[k] == row[f"{k}_hash"],
            "both ways of telling say the same of a sample",
        ))  # fmt: skip
    return figures


def _prints(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Fingerprints of the rows that have them."""
    having = [row for row in rows if "structure_fingerprint" in row]
    names = ("structure_fingerprint", "composition_fingerprint")
    first, second = (np.array([row[name] for row in having], float) for name in names)
    return first.reshape(len(having), -1), second.reshape(len(having), -1)


def _share_of(
    section: str,
    name: str,
    rows: Rows,
    holds: Callable[[dict[str, Any]], bool],
    meaning: str,
) -> Figure:
    values = np.array([float(bool(holds(row))) for row in rows])
    return Figure(section, name, *mean_interval(values), len(rows), meaning)


def _distance(name: str, found: Interval, count: int, meaning: str, floor: float | None) -> Figure:
    return Figure("Distributions", name, *found, count, meaning, floor)


def _holds(asked: int, found: int) -> bool:
    return found == asked or (found > 0 and is_subgroup(asked, found))
