"""Energies, forces and stresses: asymmetric unit, full cell, and CHGNet through ASE, in one run.

    python benchmarks/potential.py DATASET --potential nequix-mp-1 [--crystals 100] [--chgnet]

DATASET is a prepared dataset, of which evenly spaced crystals are taken. "Asymmetric unit" sums
over one neighbour of each kind that the site symmetry tells apart, "primitive cell" over all
neighbours of every atom: one program on two graphs, packed to rooms of one size, so that a
crystal's time is its share of the edges. Their energies must agree. Times leave compiling out,
which stands beside. CHGNet needs ``pip install chgnet``.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import numpy as np

from jaxcrys.core.pytree import take
from jaxcrys.crystal import Crystal, load_crystals, num_atoms
from jaxcrys.crystal.convert import to_structure
from jaxcrys.crystal.edges import Edges, find_edges
from jaxcrys.crystal.p1 import to_p1
from jaxcrys.crystal.packed import Capacity, fits, pack, room_for, together
from jaxcrys.potentials.base import Potential, predict
from jaxcrys.potentials.library import load_potential
from jaxcrys.relaxation.relax import standard_room

SIZES = (1, 8, 64, 512)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--potential", default="nequix-mp-1")
    parser.add_argument("--crystals", type=int, default=100)
    parser.add_argument("--chgnet", action="store_true")
    given = parser.parse_args()
    batch = load_crystals(given.dataset)
    chosen = np.unique(np.linspace(0, len(batch.group) - 1, given.crystals).astype(int))
    crystals = [take(batch, int(index)) for index in chosen]
    potential = load_potential(given.potential)
    cells = [to_p1(crystal) for crystal in crystals]
    atoms = np.array([len(cell.species) for cell in cells])
    print(f"{len(crystals)} crystals, {atoms.mean():.1f} atoms in the primitive cell in the mean")

    begin = time.perf_counter()
    few = [find_edges(crystal, potential.cutoff) for crystal in crystals]
    print(f"neighbours on the host: {(time.perf_counter() - begin) / len(crystals) * 1e3:.1f} ms")
    full = [find_edges(cell, potential.cutoff) for cell in cells]
    seen = sum(edges.alike.sum() for edges in few)
    counts = [sum(len(edges.receiver) for edges in some) for some in (few, full)]
    print(f"edges: {counts[0]} of one kind each, {seen} of representatives, {counts[1]} in cells")

    energies = {}
    for name, some, edges in (("asymmetric unit", crystals, few), ("primitive cell", cells, full)):
        energies[name], seconds = timed(potential, some, edges)
        print(f"{name}: {seconds / len(some) * 1e3:.1f} ms a crystal")
    conventional = np.array([int(num_atoms(crystal)) for crystal in crystals])
    apart = energies["asymmetric unit"] / conventional - energies["primitive cell"] / atoms
    print(f"largest difference of their energies: {np.abs(apart).max():.1e} eV/atom")
    by_size(potential, crystals, few)
    if given.chgnet:
        chgnet([to_structure(crystal).get_primitive_structure() for crystal in crystals])


def timed(
    potential: Potential, crystals: Sequence[Crystal], edges: Sequence[Edges]
) -> tuple[np.ndarray, float]:
    """Energies of all crystals in rooms of one size, and the seconds that it took."""
    program, room = jax.jit(predict), standard_room()
    rooms = list(packs(crystals, edges, room))
    first = time.perf_counter()
    jax.block_until_ready(program(potential, *rooms[0][1]))
    compiling = time.perf_counter() - first
    begin = time.perf_counter()
    energies = np.zeros(len(crystals))
    for numbers, arguments in rooms:
        energies[numbers] = np.asarray(program(potential, *arguments).energy)[: len(numbers)]
    seconds = time.perf_counter() - begin
    print(f"  {len(rooms)} times {room.edges} edges, compiling {compiling:.0f} s")
    return energies, seconds


def packs(crystals: Sequence[Crystal], edges: Sequence[Edges], room: Capacity):
    """Crystals in rooms, as many at a time as there is room for."""
    numbers, need = [], Capacity(0, 0, 0, 0)
    for index in range(len(crystals)):
        more = together(need, room_for([crystals[index]], [edges[index]]))
        if not fits(more, room):
            yield numbers, packed(crystals, edges, numbers, room)
            numbers, more = [], room_for([crystals[index]], [edges[index]])
        numbers, need = [*numbers, index], more
    yield numbers, packed(crystals, edges, numbers, room)


def packed(crystals: Sequence[Crystal], edges: Sequence[Edges], numbers: list[int], room: Capacity):
    """Some of the crystals, ready for the program."""
    return jax.device_put(pack([crystals[i] for i in numbers], [edges[i] for i in numbers], room))


def by_size(potential: Potential, crystals: Sequence[Crystal], edges: Sequence[Edges]) -> None:
    """Time a crystal when so many are computed together."""
    program = jax.jit(predict)
    for size in SIZES:
        numbers = [index % len(crystals) for index in range(size)]
        some, own = [crystals[i] for i in numbers], [edges[i] for i in numbers]
        arguments = jax.device_put(pack(some, own, room_for(some, own)))
        seconds = best(lambda arguments=arguments: jax.block_until_ready(
            program(potential, *arguments)))  # fmt: skip
        print(f"{size} together: {seconds / size * 1e3:.1f} ms a crystal")


def best(function: Callable[[], object]) -> float:
    """Seconds of a call, the best of two after the first."""
    function()
    rounds = []
    for _ in range(2):
        begin = time.perf_counter()
        function()
        rounds.append(time.perf_counter() - begin)
    return min(rounds)


def chgnet(structures: Sequence) -> None:
    """CHGNet's energies, forces and stresses of the primitive cells, one by one."""
    from chgnet.model import CHGNet

    model = CHGNet.load(verbose=False, use_device="cpu")
    for structure in structures[:3]:
        model.predict_structure(structure, task="efs")
    begin = time.perf_counter()
    for structure in structures:
        model.predict_structure(structure, task="efs")
    seconds = time.perf_counter() - begin
    print(f"CHGNet: {seconds / len(structures) * 1e3:.1f} ms a crystal")


if __name__ == "__main__":
    main()
