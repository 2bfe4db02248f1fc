"""``jaxcrys hull``."""

import dataclasses
from pathlib import Path

import numpy as np

from jaxcrys.cli.arguments import Dataset
from jaxcrys.cli.console import Console
from jaxcrys.core.errors import InputError
from jaxcrys.core.progress import Progress
from jaxcrys.core.pytree import take
from jaxcrys.crystal.types import Crystal
from jaxcrys.data.dataset import load_dataset
from jaxcrys.data.pool import map_chunks
from jaxcrys.data.prepare import cores
from jaxcrys.data.properties import read_properties
from jaxcrys.potentials.host import AnyPotential
from jaxcrys.potentials.library import corrections_for, load_potential
from jaxcrys.relaxation.relax import relax
from jaxcrys.relaxation.walk import WalkSettings
from jaxcrys.stability.corrections import correction
from jaxcrys.stability.hull import Hull, Scale, save_hull
from jaxcrys.stability.sources import (
    entry_names,
    hull_of_energies,
    hull_of_entries,
    hull_of_labels,
)

AT_ONCE = 32
"""Crystals that a process is given."""


@dataclasses.dataclass(frozen=True)
class Command:
    """Make a convex hull of formation energies, by which 'jaxcrys relax --hull' judges crystals.

    It stands on the energies of one potential, and says so. From a dataset with formation energies
    these are the entries, and elemental references are fitted by which the potential's energies
    become formation energies. Otherwise the potential's own energies of the crystals are.

    Attributes:
        source: a dataset made by 'jaxcrys prepare', or JSON of pymatgen's entries.
        out: file to write.
        potential: nequix-mp-1, which is fetched once, a .nqx file, or ase:MODULE:CLASS.
        labels: the column with formation energies in eV/atom; 'none' takes the potential's own.
        corrections: MP2020 or none; by default what the potential is known to need.
        fit: of so many crystals, evenly spaced, the energies are computed for the references.
        workers: processes for the corrections; as many as there are cores by default.
    """

    source: Dataset
    out: Path
    potential: str = "nequix-mp-1"
    labels: str = "formation_energy_per_atom"
    corrections: str | None = None
    fit: int = 3000
    workers: int | None = None

    def run(self, console: Console) -> None:
        """Make it."""
        hull = self._made(console.progress)
        save_hull(self.out, hull)
        text = f"{len(hull.names)} entries, {len(hull.elements)} elements, {hull.source}"
        console.tell(text, entries=len(hull.names), left_out=hull.left_out)
        if hull.left_out:
            console.tell(f"{hull.left_out} crystals left out: no energy, or an element without one")
        console.tell(f"written to {self.out}", out=self.out)

    def _made(self, progress: Progress) -> Hull:
        if self.source.is_file():
            return hull_of_entries(self.source)
        if self.fit < 1:
            raise InputError("--fit", f"must be at least 1, got {self.fit}")
        potential = load_potential(self.potential)
        dataset = load_dataset(self.source)
        crystals = [take(dataset.crystals, i) for i in range(len(dataset.crystals.group))]
        ids = dataset.table["material_id" if "material_id" in dataset.table else "id"]
        names = entry_names(crystals, list(map(str, ids)))
        scale = Scale(
            potential.name, potential.digest, self.corrections or corrections_for(potential)
        )
        if self.labels == "none":
            energies = _energies(potential, crystals, scale, self.workers, progress)
            return hull_of_energies(
                crystals, names, energies, scale=scale, source=f"energies of {self.source}"
            )
        labels = read_properties(self.source, [self.labels])[self.labels]
        chosen = np.unique(np.linspace(0, len(crystals) - 1, self.fit).astype(int))
        energies = np.full(len(crystals), np.nan)
        energies[chosen] = _energies(
            potential, [crystals[i] for i in chosen], scale, self.workers, progress
        )
        source = f"{self.labels} of {self.source}, references fitted to {len(chosen)} crystals"
        return hull_of_labels(crystals, names, labels, energies, scale=scale, source=source)


def _energies(
    potential: AnyPotential,
    crystals: list[Crystal],
    scale: Scale,
    workers: int | None,
    progress: Progress,
) -> np.ndarray:
    """Energies of crystals as they are, corrected, eV per atom."""
    with progress.bar("energies", total=len(crystals)) as bar:
        as_they_are = WalkSettings(steps=0, at_once=1)
        found = relax(potential, crystals, as_they_are, advance=lambda *_: bar.advance())
    energies = np.array([one.energy for one in found])
    if scale.corrections == "none":
        return energies
    starts = range(0, len(crystals), AT_ONCE)
    chunks = ((start, crystals[start : start + AT_ONCE]) for start in starts)
    added = np.full(len(crystals), np.nan)
    with progress.bar("corrections", total=len(crystals)) as bar:
        for start, values in map_chunks(
            correction, chunks, workers=workers or cores(), lost=lambda _: float("nan")
        ):
            added[start : start + len(values)] = values
            bar.advance(len(values))
    return energies + added
