"""How long it takes to write out the atoms of a crystal, here and with three peers.

    python benchmarks/expand.py [FOLDER] [--sites 20] [--atoms 80] [--peers 200]

FOLDER is a prepared dataset, with a ``crystals.npz``; without one, crystals are drawn at random
from the tables. All rows of a table come from the same run and the same crystals. The peers are
given what makes them fastest: their groups or operations are read before the clock starts. (Not
pymatgen's, which reads its group in each call of ``from_spacegroup``.) A count is wrong where a
crystal gets another number of atoms than the multiplicities of its sites add up to.
"""

import argparse
import functools
import resource
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.pytree import take
from jaxcrys.crystal import Crystal, expand, load_crystals, num_atoms
from jaxcrys.geometry import matrix_from_coefficients
from jaxcrys.symmetry import load_tables, multiplicity, positions_of, representative
from jaxcrys.symmetry.groups import constrain_lattice

BATCHES = (1, 10, 100, 1000, 2000, 10_000, 100_000)


def random_crystals(count: int, sites: int, atoms: int) -> Crystal:
    """Crystals of any group with up to eight sites, as many as fit into the atoms."""
    rng = np.random.default_rng(0)
    group = rng.integers(1, 231, count)
    wyckoff = np.zeros((count, sites), int)
    for row, number in zip(wyckoff, group, strict=True):
        ids = np.array(positions_of(int(number)))
        for slot in range(rng.integers(1, min(8, sites) + 1)):
            fitting = ids[multiplicity(ids) <= atoms - multiplicity(row).sum()]
            row[slot] = rng.choice(fitting) if len(fitting) else 0
    kept = wyckoff.any(1)  # some groups have no position of so few atoms
    k = rng.normal(0, 0.2, (count, 6)) + np.array([0, 0, 0, 0, 0, 3])
    crystals = Crystal(
        group=group,
        wyckoff=wyckoff,
        species=np.where(wyckoff > 0, rng.integers(1, 95, wyckoff.shape), 0),
        free=rng.random((count, sites, 3)),
        lattice=constrain_lattice(k, group),
    )
    return take(crystals, kept)


def load(folder: Path, sites: int, atoms: int) -> Crystal:
    """The crystals of a dataset that fit, padded to the sites."""
    crystals = load_crystals(folder / "crystals.npz")
    used = (crystals.wyckoff > 0).sum(-1)
    crystals = take(crystals, (used <= sites) & (num_atoms(crystals) <= atoms))
    order = np.argsort(crystals.wyckoff == 0, axis=-1, kind="stable")[:, :sites]
    room = max(sites - order.shape[1], 0)
    site_fields = {
        name: np.pad(
            np.take_along_axis(array, order.reshape(*order.shape, *[1] * (array.ndim - 2)), 1),
            [(0, 0), (0, room)] + [(0, 0)] * (array.ndim - 2),
        )
        for name in ("wyckoff", "species", "free")
        for array in [getattr(crystals, name)]
    }
    return Crystal(group=crystals.group, lattice=crystals.lattice, **site_fields)


def on_device(crystals: Crystal) -> Crystal:
    return jax.tree.map(
        lambda a: jnp.asarray(a, jnp.float32 if a.dtype.kind == "f" else jnp.int32), crystals
    )


def peak_memory() -> float:
    """The most memory this process ever held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def seconds(function: Callable[[], object], least: float = 0.3) -> tuple[float, float]:
    """Shortest and median time of a call, over repeats that take ``least`` seconds together."""
    function()
    times = []
    while sum(times) < least or len(times) < 3:
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times), float(np.median(times))


def report_jaxcrys(crystals: Crystal, atoms: int) -> None:
    print(f"\n{'jaxcrys batch':>14} {'best µs':>9} {'median µs':>10} {'compile s':>10} {'MB':>7}"
          "  wrong counts")  # fmt: skip
    function = jax.jit(functools.partial(expand, capacity=atoms))
    for batch in BATCHES:
        chosen = take(crystals, np.arange(batch) % len(crystals.group))
        device = jax.block_until_ready(on_device(chosen))
        before = peak_memory()
        start = time.perf_counter()
        cells = jax.block_until_ready(function(device))
        compile_time = time.perf_counter() - start
        right = np.asarray(cells.mask.sum(-1) + cells.overflow) == num_atoms(chosen)
        wrong = (~right | np.asarray(cells.overflow > 0)).sum()
        del cells
        best, median = seconds(lambda: jax.block_until_ready(function(device)))  # noqa: B023
        grown = peak_memory() - before
        print(f"{batch:14,} {1e6 * best / batch:9.2f} {1e6 * median / batch:10.2f}"
              f" {compile_time:10.2f} {grown:7.0f}  {wrong} of {batch}")  # fmt: skip


def pyxtal_peer(crystals: list[dict]) -> Callable[[dict], int]:
    from pyxtal.symmetry import Group

    groups = {c["group"]: Group(c["group"]) for c in crystals}

    def count(crystal: dict) -> int:
        group = groups[crystal["group"]]
        sites = zip(crystal["letters"], crystal["points"], strict=True)
        return sum(len(group.get_wyckoff_position(letter).apply_ops(x)) for letter, x in sites)

    return count


def pymatgen_peer(crystals: list[dict]) -> Callable[[dict], int]:
    from pymatgen.core import Lattice, Structure

    del crystals

    def count(crystal: dict) -> int:
        lattice = Lattice(crystal["matrix"])
        return len(Structure.from_spacegroup(
            crystal["group"], lattice, crystal["species"], crystal["points"]))  # fmt: skip

    return count


def spglib_peer(crystals: list[dict]) -> Callable[[dict], int]:
    import spglib

    hall = load_tables().group_hall_number
    operations = {}
    for number in {c["group"] for c in crystals}:
        found = spglib.get_symmetry_from_database(int(hall[number]))
        assert found is not None
        operations[number] = found["rotations"], found["translations"]

    def count(crystal: dict) -> int:
        rotations, translations = operations[crystal["group"]]
        atoms = 0
        for point in crystal["points"]:
            images = (rotations @ point + translations) % 1
            atoms += len(np.unique(np.rint(images * 1e6).astype(int) % 1_000_000, axis=0))
        return atoms

    return count


PEERS = {
    "pyxtal, groups cached": pyxtal_peer,
    "pymatgen from_spacegroup": pymatgen_peer,
    "spglib operations, numpy": spglib_peer,
}


def as_peers_take_them(crystals: Crystal) -> list[dict]:
    """Each crystal as its group, letters, representatives, elements and lattice matrix."""
    letters, result = load_tables().position_letter, []
    for index in range(len(crystals.group)):
        one = take(crystals, index)
        used = one.wyckoff > 0
        result.append({
            "group": int(one.group),
            "letters": [str(letters[i]) for i in one.wyckoff[used]],
            "points": representative(one.wyckoff[used], one.free[used]),
            "species": one.species[used].tolist(),
            "matrix": matrix_from_coefficients(one.lattice),
            "atoms": int(multiplicity(one.wyckoff).sum()),
        })  # fmt: skip
    return result


def report_peers(crystals: Crystal, atoms: int) -> None:
    given = as_peers_take_them(crystals)
    print(f"\n{'on one crystal after another':>28} {'µs per crystal':>15}  wrong counts")
    one_by_one = [take(crystals, i) for i in range(len(given))]
    best, _ = seconds(lambda: [expand(c, capacity=atoms) for c in one_by_one])
    wrong = sum(int(expand(c, capacity=atoms).mask.sum()) != g["atoms"]
                for c, g in zip(one_by_one, given, strict=True))  # fmt: skip
    rows = [("jaxcrys, numpy", best, wrong, "")]
    for name, make in PEERS.items():
        count = make(given)
        bad = [c["group"] for c in given if count(c) != c["atoms"]]
        best, _ = seconds(lambda: [count(c) for c in given])  # noqa: B023
        groups = f", in groups {', '.join(map(str, sorted(set(bad))))}" if bad else ""
        rows.append((name, best, len(bad), groups))
    for name, best, wrong, groups in rows:
        print(f"{name:>28} {1e6 * best / len(given):15,.0f}  {wrong} of {len(given)}{groups}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--sites", type=int, default=20, help="site slots; 20 hold MP-20")
    parser.add_argument("--atoms", type=int, default=80, help="atom slots; 80 hold MP-20")
    parser.add_argument("--peers", type=int, default=200, help="crystals for the peers, 0 for none")
    options = parser.parse_args()
    if options.folder:
        crystals = load(options.folder, options.sites, options.atoms)
    else:
        crystals = random_crystals(4000, options.sites, options.atoms)
    used = (crystals.wyckoff > 0).sum(-1)
    print(f"{len(crystals.group)} crystals of {len(np.unique(crystals.group))} groups, "
          f"{used.mean():.1f} sites and {num_atoms(crystals).mean():.1f} atoms on average, "
          f"padded to {options.sites} and {options.atoms}; jax {jax.__version__}, "
          f"{jax.devices()[0].device_kind}")  # fmt: skip
    report_jaxcrys(crystals, options.atoms)
    if options.peers:
        chosen = np.random.default_rng(0).permutation(len(crystals.group))[: options.peers]
        report_peers(take(crystals, chosen), options.atoms)


if __name__ == "__main__":
    main()
