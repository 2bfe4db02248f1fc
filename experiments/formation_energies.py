"""Are a potential's energies fit for formation energies and the hull?

    python experiments/formation_energies.py TRAIN TEST --potential nequix-mp-1 [--num 1000]

What:     the potential's energies of crystals as they are in TRAIN, with and without the MP2020
          corrections, give elemental references by least squares; with these the formation energies
          of TEST are compared with its labels, and energies above the hull of TRAIN's labels tell
          which crystals the labels say are on the hull (area under the ROC curve).
Data:     TRAIN and TEST are datasets with the columns formation_energy_per_atom and e_above_hull.
Time:     30 to 60 ms a crystal on two CPU cores, and 10 for its correction.
Expected: mix_20 (--fit 2000) and 1,000 of mp_20_biternary/test, Nequix-MP-1: mean absolute error
          66.1 meV/atom raw and 10.3 with the corrections; area under the curve 0.66 and 0.70.
"""

import argparse
from pathlib import Path

import numpy as np

from jaxcrys.core.progress import TerminalProgress
from jaxcrys.core.pytree import take
from jaxcrys.crystal import Crystal, load_crystals
from jaxcrys.data.pool import map_chunks
from jaxcrys.data.properties import read_properties
from jaxcrys.potentials.base import Potential
from jaxcrys.potentials.library import load_potential
from jaxcrys.relaxation.relax import relax
from jaxcrys.relaxation.walk import WalkSettings
from jaxcrys.stability.corrections import correction
from jaxcrys.stability.hull import Scale, above_hull
from jaxcrys.stability.references import formation_energy, shares
from jaxcrys.stability.sources import hull_of_labels

LABELS = ("formation_energy_per_atom", "e_above_hull")
ON_HULL = 1e-3
"""eV/atom; labels below this are on the hull."""


def main() -> None:
    """Run the experiment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--potential", default="nequix-mp-1")
    parser.add_argument("--fit", type=int, default=3000, help="crystals of TRAIN for references")
    parser.add_argument("--num", type=int, default=1000, help="crystals of TEST")
    given = parser.parse_args()
    potential = load_potential(given.potential)
    train, labels = labelled(given.train, None)
    fitted = np.unique(np.linspace(0, len(train) - 1, given.fit).astype(int))
    known, added = np.full(len(train), np.nan), np.zeros(len(train))
    known[fitted], added[fitted] = energies(potential, [train[i] for i in fitted])
    test, truth = labelled(given.test, given.num)
    own, more = energies(potential, test)
    for name, use in (("raw", 0), ("MP2020", 1)):
        hull = hull_of_labels(
            train, list(map(str, range(len(train)))), labels[LABELS[0]], known + use * added,
            scale=Scale(potential.name, potential.digest, name), source=str(given.train),
        )  # fmt: skip
        compositions = [shares(crystal) for crystal in test]
        formed = np.array([
            formation_energy(composition, energy, hull.references)
            for composition, energy in zip(compositions, own + use * more, strict=True)
        ])  # fmt: skip
        above = np.array([
            above_hull(hull, composition, energy).energy
            for composition, energy in zip(compositions, formed, strict=True)
        ])  # fmt: skip
        error = np.abs(formed - truth[LABELS[0]])
        ok, corrected = np.isfinite(error), np.abs(more) > 0
        print(f"{name}: {ok.sum()} of {len(test)} crystals, {len(hull.names)} entries of the hull")
        for kind, some in (("all", ok), ("corrected", ok & corrected), ("others", ok & ~corrected)):
            print(f"  {kind}: mean absolute error {1e3 * error[some].mean():.1f} meV/atom, "
                  f"median {1e3 * np.median(error[some]):.1f}")  # fmt: skip
        stable = truth[LABELS[1]] < ON_HULL
        print(f"  on the hull ({stable[ok].mean():.1%}): "
              f"area under the curve {area(-above[ok], stable[ok]):.3f}")  # fmt: skip


def labelled(folder: Path, count: int | None) -> tuple[list[Crystal], dict[str, np.ndarray]]:
    """Evenly spaced crystals of a dataset, and their labels."""
    batch, labels = load_crystals(folder), read_properties(folder, LABELS)
    total = len(batch.group)
    chosen = np.unique(np.linspace(0, total - 1, count or total).astype(int))
    crystals = [take(batch, int(index)) for index in chosen]
    return crystals, {name: values[chosen] for name, values in labels.items()}


def energies(potential: Potential, crystals: list[Crystal]) -> tuple[np.ndarray, np.ndarray]:
    """Energies as they are, and corrections, eV per atom."""
    with TerminalProgress().bar("energies", total=len(crystals)) as bar:
        found = relax(
            potential, crystals, WalkSettings(steps=0, at_once=1), advance=lambda *_: bar.advance()
        )
    chunks = [(start, crystals[start : start + 32]) for start in range(0, len(crystals), 32)]
    added = [
        value
        for _, values in map_chunks(correction, chunks, workers=2, lost=lambda _: float("nan"))
        for value in values
    ]
    return np.array([one.energy for one in found]), np.array(added)


def area(score: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve: how often a positive has the higher score."""
    order = np.argsort(np.argsort(score)) + 1
    count = positive.sum()
    return float((order[positive].sum() - count * (count + 1) / 2) / (count * (len(score) - count)))


if __name__ == "__main__":
    main()
