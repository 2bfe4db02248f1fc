"""Is the hash of a crystal the same however the crystal is described? Does it tell crystals apart?

    python experiments/canonical_hash.py CSV [--limit N] [--pairs 2000] [--seed 0] [--list]

CSV has a ``cif`` column, such as ``../shared/data/mp_20_biternary/val.csv.gz``. Each crystal is
read as it is and in disguise: with a random origin, random axes (an integer matrix with entries -1,
0, 1 and a determinant of 1 to 3, so often a supercell), a random orientation, as its mirror image
or not. Both go through spglib and are hashed. Then the crystal as read, whose symmetry is exact
now, is turned into a random equivalent description, disguised, and read again with a fine
tolerance.

Then pairs of crystals of the same composition are compared with pymatgen's StructureMatcher: all
there are in the file, and pairs of the same anonymised formula, with the elements of the one put in
place of those of the other. Those of equal hash should match, those that match should have equal
hashes. A hash knows no coordinates and a matcher has tolerances, so both fall short of 100 %.

Expect 40 ms a crystal and 15 ms a pair.
"""

import argparse
import itertools
import time
import warnings
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from jaxcrys.crystal import Crystal, num_atoms
from jaxcrys.crystal.convert import from_structure, to_structure
from jaxcrys.crystal.describe import formula, species_counts
from jaxcrys.crystal.equivalents import redescribe
from jaxcrys.crystal.protostructure import protostructure_hash, protostructure_label
from jaxcrys.symmetry.normalisers import num_descriptions

MOST_ATOMS = 160
FINE = 0.01


def main() -> None:
    """Run both parts and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("csv", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--list", action="store_true", help="list each disagreement")
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    warnings.filterwarnings("ignore", "Issues encountered")  # pymatgen rounds coordinates
    cifs = pd.read_csv(options.csv)["cif"][: options.limit]
    crystals = invariance(cifs, random)
    agreement(crystals, options.pairs, random, options.list)


def invariance(cifs: pd.Series, random: np.random.Generator) -> list[Crystal]:
    """Part one: hashes of crystals in disguise. Returns the crystals."""
    start = time.perf_counter()
    crystals, changed, changed_exact = [], [], []
    for index, cif in enumerate(cifs):
        structure = Structure.from_str(cif, "cif")
        crystal = from_structure(structure)
        crystals.append(crystal)
        mirrored = structure.copy()
        if random.integers(2):
            mirrored.lattice = Lattice(structure.lattice.matrix * [1, 1, -1])
        found = from_structure(disguise(mirrored, random))
        if protostructure_hash(found) != protostructure_hash(crystal):
            changed.append(difference(index, crystal, found))
        count = num_descriptions(np.asarray(crystal.group), mirror=True)
        moved = redescribe(crystal, random.integers(count), shift=random.random(3))
        found = from_structure(disguise(to_structure(moved), random), symprec=FINE)
        if protostructure_hash(found) != protostructure_hash(crystal):
            changed_exact.append(difference(index, crystal, found))
    seconds = time.perf_counter() - start
    total = len(crystals)
    for name, failures in (("as published, symprec 0.1", changed),
                           (f"made exact, symprec {FINE}", changed_exact)):  # fmt: skip
        kept = total - len(failures)
        print(f"same hash, {name}: {kept} of {total} ({100 * kept / total:.2f} %)")
        print("".join(f"   {failure}\n" for failure in failures), end="")
    print(f"{seconds:.0f} s for {total} crystals")
    return crystals


def difference(index: int, crystal: Crystal, found: Crystal) -> str:
    """One line that says what changed."""
    return f"row {index}: {protostructure_label(crystal)} became {protostructure_label(found)}"


def disguise(structure: Structure, random: np.random.Generator) -> Structure:
    """The same atoms with other origin, axes and orientation."""
    moved = structure.copy()
    moved.translate_sites(range(len(moved)), random.random(3))
    moved.make_supercell(random_axes(MOST_ATOMS // len(moved), random))
    rotation = np.linalg.qr(random.normal(size=(3, 3)))[0]
    rotation *= np.sign(np.linalg.det(rotation))
    return Structure(Lattice(moved.lattice.matrix @ rotation), moved.species, moved.frac_coords)


def random_axes(most: int, random: np.random.Generator) -> np.ndarray:
    """An integer matrix of small positive determinant."""
    while True:
        axes = random.integers(-1, 2, (3, 3))
        if 1 <= round(np.linalg.det(axes)) <= max(1, min(most, 3)):
            return axes


def agreement(
    crystals: list[Crystal], limit: int, random: np.random.Generator, verbose: bool
) -> None:
    """Part two: hashes against StructureMatcher on pairs of the same composition."""
    natural = pairs_by(list(map(formula, crystals)))
    natural = [natural[i] for i in random.permutation(len(natural))[:limit]]
    alike = pairs_by([str(sorted(amounts(crystal).values())) for crystal in crystals])
    chosen = random.permutation(len(alike))[: limit - len(natural)]
    compare("in the file", [(crystals[i], crystals[j]) for i, j in natural], verbose)
    compare("by substitution",
            [(crystals[i], substitute(crystals[j], crystals[i], random))
             for i, j in (alike[k] for k in chosen)], verbose)  # fmt: skip


def pairs_by(keys: list[str]) -> list[tuple[int, int]]:
    """All pairs of rows with equal keys."""
    rows: dict[str, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        rows[key].append(index)
    return [pair for group in rows.values() for pair in itertools.combinations(group, 2)]


def amounts(crystal: Crystal) -> dict[int, int]:
    """Atoms of each element in a formula unit."""
    counts = species_counts(crystal)
    divisor = np.gcd.reduce(list(counts.values()))
    return {element: int(count // divisor) for element, count in counts.items()}


def substitute(crystal: Crystal, model: Crystal, random: np.random.Generator) -> Crystal:
    """A crystal with the elements of another of the same anonymised formula."""
    new = {}
    own, others = amounts(crystal), amounts(model)
    for amount in set(own.values()):
        olds = [element for element, count in own.items() if count == amount]
        news = [element for element, count in others.items() if count == amount]
        new.update(zip(olds, random.permutation(news).tolist(), strict=True))
    species = np.array([new.get(element, 0) for element in crystal.species.tolist()])
    return Crystal(crystal.group, crystal.wyckoff, species, crystal.free, crystal.lattice)


def compare(name: str, pairs: list[tuple[Crystal, Crystal]], verbose: bool) -> None:
    """Print how hashes and matches go together."""
    matcher = StructureMatcher()
    counts: Counter[tuple[bool, bool]] = Counter()
    other_group = same_group = 0
    for one, two in pairs:
        equal = protostructure_hash(one) == protostructure_hash(two)
        match = bool(matcher.fit(to_structure(one), to_structure(two)))
        counts[equal, match] += 1
        if match and not equal:
            other_group += int(one.group != two.group)
            same_group += int(one.group == two.group)
        if verbose and match != equal:
            kind = "match, other hash" if match else "equal hash, no match"
            print(f"   {kind}: {protostructure_label(one)} and {protostructure_label(two)}, "
                  f"{num_atoms(one)} and {num_atoms(two)} atoms")  # fmt: skip
    both = counts[True, True]
    equal, match = both + counts[True, False], both + counts[False, True]
    print(f"{len(pairs)} pairs of equal composition {name}")
    print(f"   equal hash: {equal}, of which {both} match")
    print(f"   match: {match}, of which {both} have equal hashes; of the others "
          f"{other_group} are in different groups, {same_group} in the same")  # fmt: skip
    print(f"   neither: {counts[False, False]}")


if __name__ == "__main__":
    main()
