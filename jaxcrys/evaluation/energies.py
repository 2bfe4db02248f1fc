"""Energies of samples, as they were submitted and relaxed in their own symmetry."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxcrys.core.progress import Progress
from jaxcrys.crystal.build import stack_crystals
from jaxcrys.crystal.convert import from_arrays
from jaxcrys.crystal.rejection import Rejection
from jaxcrys.crystal.types import Crystal
from jaxcrys.potentials.host import AnyPotential
from jaxcrys.relaxation.relax import relax
from jaxcrys.relaxation.walk import WalkSettings
from jaxcrys.sampling.relaxed import Columns, relax_set

TOLERANCE = 1e-3
"""Å, by which a sample's atoms are moved at most where its symmetry is looked for."""

COLUMNS = (
    "outcome", "steps", "energy_before", "energy", "e_form_before", "e_form", "e_hull_before",
    "e_hull", "decomposes_to", "missing_elements", "rmsd", "group_before", "group_released",
)  # fmt: skip
"""Columns of a relaxation that the table of an evaluation has."""

Rows = Sequence[dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Energies:
    """A potential, and what judges its energies.

    Attributes:
        potential: gives energies and forces.
        judged: makes columns of a crystal and its energy (``stability.judge``).
        judge: what that depends on, for the record.
        folder: keeps what is finished; named after all that the rows depend on.
        release: relax once more without symmetry.
        progress: told how far it is.
    """

    potential: AnyPotential
    judged: Columns
    judge: Mapping[str, Any]
    folder: Path
    release: bool = False
    progress: Progress = dataclasses.field(default_factory=Progress)

    def relaxed(self, rows: Rows) -> list[dict[str, Any]]:
        """Further columns of each row: what relaxing made of it; none for what has no cell."""
        able, crystals = _crystals(rows)
        more: list[dict[str, Any]] = [{} for _ in rows]
        if not able:
            return more
        done = relax_set(
            self.potential, stack_crystals(crystals), self.folder / "relaxed",
            source=self.folder.name, release=self.release, judged=self.judged, judge=self.judge,
            progress=self.progress,
        )  # fmt: skip
        for index, row in zip(able, done, strict=True):
            converged = row.get("release_outcome", row["outcome"]) == "converged"
            known = {name: row[name] for name in COLUMNS if name in row}
            more[index] = known | {"converged": converged}
        return more

    def as_they_are(self, rows: Rows) -> list[dict[str, Any]]:
        """Further columns of each row: ``energy_before``, ``e_form_before``; none without them."""
        able, crystals = _crystals(rows)
        more: list[dict[str, Any]] = [{} for _ in rows]
        with self.progress.bar("energies of test crystals", total=len(crystals)) as bar:
            found = relax(
                self.potential, crystals, WalkSettings(steps=0),
                advance=lambda index, done: bar.advance(),
            )  # fmt: skip
        for index, crystal, one in zip(able, crystals, found, strict=True):
            if np.isfinite(one.start_energy):
                judged = self.judged(crystal, one.start_energy)
                more[index] = {
                    "energy_before": one.start_energy,
                    "e_form_before": judged.get("e_form", ""),
                }
        return more


def _crystals(rows: Rows) -> tuple[list[int], list[Crystal]]:
    """Which rows are crystals, and these in their own symmetry."""
    able, crystals = [], []
    for index, row in enumerate(rows):
        if row["reason"]:
            continue
        try:
            crystals.append(from_arrays(*map(np.array, row["cell"]), symprec=TOLERANCE))
        except Rejection:
            continue
        able.append(index)
    return able, crystals
