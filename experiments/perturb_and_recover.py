"""Do disturbed crystals relax back to what they were?

    python experiments/perturb_and_recover.py TEST --potential nequix-mp-1 [--num 500] [--noise 0.2]

What:     free coordinates of known crystals are moved by Gaussian noise of so many Å, isotropic in
          space, and free lattice coefficients by 0.05; they are relaxed with their symmetry, and
          compared with the originals by pymatgen's StructureMatcher (stol 0.5, ltol 0.3, angle 10)
          and by the energy. Only crystals with free coordinates are taken.
Data:     TEST is a prepared dataset.
Time:     about a second a crystal on two CPU cores.
Expected: see docs/results.md, 'Relaxation'.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

from jaxcrys.core.progress import TerminalProgress
from jaxcrys.core.pytree import take
from jaxcrys.crystal import Crystal, load_crystals, stack_crystals
from jaxcrys.crystal.convert import detect_group
from jaxcrys.crystal.disturb import disturb
from jaxcrys.evaluation import match_structures
from jaxcrys.potentials.library import load_potential
from jaxcrys.relaxation.relax import relax
from jaxcrys.relaxation.walk import WalkSettings
from jaxcrys.symmetry.subgroups import is_subgroup
from jaxcrys.symmetry.wyckoff import free_mask

LATTICE_NOISE = 0.05
SAME_ENERGY = 2e-3
"""eV/atom."""


def main() -> None:
    """Run the experiment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("test", type=Path)
    parser.add_argument("--potential", default="nequix-mp-1")
    parser.add_argument("--num", type=int, default=500)
    parser.add_argument("--noise", type=float, nargs="+", default=[0.1, 0.2, 0.3], help="Å")
    parser.add_argument("--minimiser", default="lbfgs")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    batch = load_crystals(given.test)
    movable = np.flatnonzero(np.asarray(free_mask(batch.wyckoff)).any((-1, -2)))
    chosen = movable[np.unique(np.linspace(0, len(movable) - 1, given.num).astype(int))]
    crystals = [take(batch, int(index)) for index in chosen]
    potential, settings = load_potential(given.potential), WalkSettings(minimiser=given.minimiser)
    known = relaxed(potential, crystals, settings)
    show("as they are", crystals, known, known)
    for noise in given.noise:
        random = np.random.default_rng(given.seed)
        disturbed = [
            disturb(crystal, random, atoms=noise, lattice=LATTICE_NOISE) for crystal in crystals
        ]
        before = match_structures(stack_crystals(disturbed), stack_crystals(crystals), workers=2)
        print(f"{noise} Å: {share(before)} match before")
        show(f"{noise} Å", crystals, relaxed(potential, disturbed, settings), known)


def relaxed(potential, crystals: list[Crystal], settings: WalkSettings):
    """Relax crystals, with a bar."""
    with TerminalProgress().bar("relaxing", total=len(crystals)) as bar:
        return relax(potential, crystals, settings, advance=lambda *_: bar.advance())


def show(name: str, crystals: list[Crystal], found, known) -> None:
    """Print what became of them."""
    ends = [one.crystal for one in found]
    matched = match_structures(stack_crystals(ends), stack_crystals(crystals), workers=2)
    same = [abs(a.energy - b.energy) < SAME_ENERGY for a, b in zip(found, known, strict=True)]
    kept = [
        int(end.group) == (group := detect_group(end, 1e-3)) or is_subgroup(int(end.group), group)
        for end in ends
    ]
    steps = np.array([one.steps for one in found])
    print(f"{name}: {share(matched)} match, energy as without noise {np.mean(same):.1%}, "
          f"group kept {np.mean(kept):.1%}, steps median {np.median(steps):.0f}, "
          f"mean {steps.mean():.1f}, {dict(Counter(one.outcome for one in found))}")  # fmt: skip


def share(matched: list[float | None]) -> str:
    """Share that matches, with its standard error."""
    rate = np.mean([value is not None for value in matched])
    return f"{rate:.1%} ± {np.sqrt(rate * (1 - rate) / len(matched)):.1%}"


if __name__ == "__main__":
    main()
