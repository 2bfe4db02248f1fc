"""Energies and relaxations: asymmetric unit, full cell, and other calculators through ASE.

    python benchmarks/potential.py DATASET --potential nequix-mp-1 [--crystals 100]
        [--peers chgnet nequix] [--relax 100]

DATASET is a prepared dataset, of which evenly spaced crystals are taken. "Asymmetric unit" sums
over one neighbour of each kind that the site symmetry tells apart, "primitive cell" over all
neighbours of every atom: one program on two graphs, in rooms of 4,096 edges each. Their energies
must agree. Times are of energy, forces and stress with everything on the host, neighbours included,
but for compiling, which stands beside.

With --relax so many of the crystals are moved by 0.1 Å within their symmetry, their lattices by
0.05, and relaxed until no force is above 0.05 eV/Å: by us, and by the peers with ASE's FIRE and
FrechetCellFilter, which holds the same limit also against the cell's own forces.

Peers need ``pip install chgnet nequix``; each is a calculator of ASE with its own potential.
"""

import argparse
import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from ase.calculators.calculator import Calculator

from jaxcrys.core.pytree import take
from jaxcrys.crystal import Crystal, load_crystals
from jaxcrys.crystal.convert import to_atoms
from jaxcrys.crystal.disturb import disturb
from jaxcrys.crystal.edges import find_edges
from jaxcrys.crystal.p1 import to_p1
from jaxcrys.potentials.base import Potential
from jaxcrys.potentials.library import load_potential
from jaxcrys.relaxation.relax import Relaxed, relax, standard_room
from jaxcrys.relaxation.walk import WalkSettings

SIZES = (1, 8, 64, 512)
AS_IT_IS = WalkSettings(steps=0, at_once=1)
RELAXED = WalkSettings(force=0.05, stress=0.003)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--potential", default="nequix-mp-1")
    parser.add_argument("--crystals", type=int, default=100)
    parser.add_argument("--relax", type=int, default=0)
    parser.add_argument("--peers", nargs="*", default=[], choices=list(PEERS))
    given = parser.parse_args()
    batch = load_crystals(given.dataset)
    chosen = np.unique(np.linspace(0, len(batch.group) - 1, given.crystals).astype(int))
    crystals = [take(batch, int(index)) for index in chosen]
    potential = load_potential(given.potential)
    assert isinstance(potential, Potential)
    graphs(potential, crystals)
    by_size(potential, crystals)
    peers = {name: PEERS[name](given.potential) for name in given.peers}
    for name, calculator in peers.items():
        peer_energies(name, calculator, [to_p1(crystal) for crystal in crystals])
    if given.relax:
        relaxations(potential, crystals[: given.relax], peers)


def graphs(potential: Potential, crystals: Sequence[Crystal]) -> None:
    """Compare the energies, and the time they take, of asymmetric units and of whole cells."""
    cells = [to_p1(crystal) for crystal in crystals]
    atoms = np.array([len(cell.species) for cell in cells])
    print(f"{len(crystals)} crystals, {atoms.mean():.1f} atoms in the primitive cell in the mean")
    few, full = (
        [find_edges(one, potential.cutoff) for one in some] for some in (crystals, cells)
    )  # fmt: skip
    counts = [sum(len(edges.receiver) for edges in some) for some in (few, full)]
    seen = sum(edges.alike.sum() for edges in few)
    print(f"edges: {counts[0]} of one kind each, {seen} of representatives, {counts[1]} in cells")
    energies = {}
    for name, some in (("asymmetric unit", crystals), ("primitive cell", cells)):
        done, seconds, compiling = timed(potential, some, AS_IT_IS)
        energies[name] = np.array([one.energy for one in done])
        print(f"{name}: {rate(seconds, len(some))}, compiling {compiling:.0f} s")
    apart = np.abs(energies["asymmetric unit"] - energies["primitive cell"])
    print(f"energies differ by {apart.max():.1e} eV/atom at most, {apart.mean():.1e} in the mean")


def by_size(potential: Potential, crystals: Sequence[Crystal]) -> None:
    """Time a crystal when so many are computed together, in rooms as ``relax`` chooses them."""
    for size in SIZES:
        some = [crystals[index % len(crystals)] for index in range(size)]
        first = seconds_of(lambda some=some: relax(potential, some, AS_IT_IS))
        seconds = min(seconds_of(lambda some=some: relax(potential, some, AS_IT_IS))
                      for _ in range(3 if size < 100 else 1))  # fmt: skip
        print(f"{size} together: {rate(seconds, size)}, {first - seconds:.0f} s more at first")


def relaxations(
    potential: Potential, crystals: Sequence[Crystal], peers: dict[str, Calculator]
) -> None:
    """Relax disturbed crystals in all ways."""
    random = np.random.default_rng(0)
    moved = [disturb(crystal, random, atoms=0.1, lattice=0.05) for crystal in crystals]
    print(f"{len(moved)} crystals, disturbed")
    cells, energies = [to_p1(crystal) for crystal in moved], {}
    for name, some, minimiser in (
        ("asymmetric unit, L-BFGS", moved, "lbfgs"),
        ("asymmetric unit, FIRE", moved, "fire"),
        ("primitive cell, L-BFGS", cells, "lbfgs"),
    ):
        settings = dataclasses.replace(RELAXED, minimiser=minimiser)
        done, seconds, _ = timed(potential, some, settings)
        energies[name] = np.array([one.energy for one in done])
        share = np.mean([one.outcome == "converged" for one in done])
        steps = np.array([one.steps for one in done])
        print(f"{name}: {rate(seconds, len(some))}, {steps.mean():.1f} steps, {share:.0%} converge")
    reference = energies["asymmetric unit, L-BFGS"]
    for name, calculator in peers.items():
        energies[name] = peer_relaxations(name, calculator, cells)
    for name, values in energies.items():
        apart = values - reference
        print(f"{name} minus asymmetric unit, L-BFGS: median {np.nanmedian(apart) * 1e3:+.2f}, "
              f"mean {np.nanmean(np.abs(apart)) * 1e3:.2f} meV/atom without sign, "
              f"{np.mean(np.abs(apart) < 2e-3):.0%} within 2")  # fmt: skip


def timed(
    potential: Potential, crystals: Sequence[Crystal], settings: WalkSettings
) -> tuple[list[Relaxed], float, float]:
    """Results, seconds that they took, and seconds that compiling took before."""
    room = standard_room()
    compiling = seconds_of(lambda: relax(potential, crystals[:1], settings, room=room))
    begin = time.perf_counter()
    done = relax(potential, crystals, settings, room=room)
    return done, time.perf_counter() - begin, compiling


def peer_energies(name: str, calculator: Calculator, cells: Sequence[Crystal]) -> None:
    """Time a calculator, cell by cell, each for the first and for the second time."""
    first, second = [], []
    for cell in cells:
        atoms = to_atoms(cell)
        atoms.calc = calculator
        for times in (first, second):
            calculator.reset()
            times.append(seconds_of(lambda atoms=atoms: (atoms.get_forces(), atoms.get_stress())))
    ms = [np.mean(times) * 1e3 for times in (first, second)]
    print(f"{name}, primitive cell: {ms[0]:.0f} ms a crystal, {ms[1]:.0f} when seen before")


def peer_relaxations(name: str, calculator: Calculator, cells: Sequence[Crystal]) -> np.ndarray:
    """Energies that ASE relaxes to with a calculator, eV per atom."""
    from ase.filters import FrechetCellFilter
    from ase.optimize import FIRE

    energies, steps, begin = [], [], time.perf_counter()
    for cell in cells:
        atoms = to_atoms(cell)
        atoms.calc = calculator
        minimiser = FIRE(FrechetCellFilter(atoms), logfile=None)
        minimiser.run(fmax=RELAXED.force, steps=RELAXED.steps)
        energies.append(atoms.get_potential_energy() / len(atoms))
        steps.append(minimiser.nsteps)
    seconds = time.perf_counter() - begin
    print(f"{name}, ASE's FIRE: {rate(seconds, len(cells))}, {np.mean(steps):.1f} steps")
    return np.array(energies)


def rate(seconds: float, count: int) -> str:
    """Time of one, and how many in a second."""
    return f"{seconds / count * 1e3:.1f} ms a crystal ({count / seconds:.2f} a second)"


def seconds_of(function: Callable[[], object]) -> float:
    """Seconds of a call."""
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def _chgnet(_: str) -> Calculator:
    from chgnet.model import CHGNet
    from chgnet.model.dynamics import CHGNetCalculator

    return CHGNetCalculator(CHGNet.load(verbose=False, use_device="cpu"), use_device="cpu")


def _nequix(name: str) -> Calculator:
    from nequix.calculator import NequixCalculator

    if Path(name).exists():
        return NequixCalculator(model_path=name, use_kernel=False)
    return NequixCalculator(name, use_kernel=False)


PEERS = {"chgnet": _chgnet, "nequix": _nequix}


if __name__ == "__main__":
    main()
