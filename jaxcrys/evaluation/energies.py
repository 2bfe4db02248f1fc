"""Energies of samples, as they were submitted and relaxed in their own symmetry."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxcrys.core.progress import Progress
from jaxcrys.crystal.build import stack_crystals
from jaxcrys.crystal.convert import from_arrays
from jaxcrys.crystal.rejection import Rejection
from jaxcrys.potentials.host import AnyPotential
from jaxcrys.sampling.relaxed import Columns, relax_set

TOLERANCE = 1e-3
"""Å, by which a sample's atoms are moved at most where its symmetry is looked for."""

COLUMNS = (
    "outcome", "steps", "energy_before", "energy", "e_form", "e_hull_before", "e_hull",
    "decomposes_to", "missing_elements", "rmsd", "group_before", "group_released",
)  # fmt: skip
"""Columns of a relaxation that the table of an evaluation has."""


def relaxed_energies(
    potential: AnyPotential,
    rows: Sequence[dict[str, Any]],
    folder: Path,
    *,
    judged: Columns,
    judge: Mapping[str, Any],
    release: bool = False,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Further columns of each row: what relaxing made of it; none for what has no cell.

    Args:
        potential: gives energies and forces.
        rows: of samples, as ``evaluation.examine`` makes them.
        folder: to keep what is finished; named after all that the rows depend on.
        judged: makes columns of a crystal and its energy (``stability.judge``).
        judge: what that depends on, for the record.
        release: relax once more without symmetry.
        progress: told how far it is.
    """
    able, crystals = [], []
    for index, row in enumerate(rows):
        if row["reason"]:
            continue
        try:
            crystals.append(from_arrays(*map(np.array, row["cell"]), symprec=TOLERANCE))
        except Rejection:
            continue
        able.append(index)
    more: list[dict[str, Any]] = [{} for _ in rows]
    if not able:
        return more
    done = relax_set(
        potential, stack_crystals(crystals), folder / "relaxed", source=folder.name,
        release=release, judged=judged, judge=judge, progress=progress,
    )  # fmt: skip
    for index, row in zip(able, done, strict=True):
        converged = row.get("release_outcome", row["outcome"]) == "converged"
        known = {name: row[name] for name in COLUMNS if name in row}
        more[index] = known | {"converged": converged}
    return more
