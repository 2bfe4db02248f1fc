"""How fast the symmetry engine is, beside pyxtal, spglib, moyopy and pymatgen.

    python benchmarks/symmetry.py DATASET [--crystals 200] [--batch 2000] [--sites 20]

DATASET is a prepared dataset. All rows of a table come from the same run and the same crystals;
compare them as ratios. Tables are read before the clock starts, ours and the peers'. "From atoms"
includes the symmetry search, which is spglib's or moyopy's in all rows.
"""

import argparse
import logging
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import moyopy
import numpy as np
import spglib
from pymatgen.analysis.prototypes import (
    get_protostructure_label_from_moyopy,
    get_protostructure_label_from_spglib,
)
from pyxtal import pyxtal
from pyxtal.symmetry import Group

from jaxcrys.core.pytree import take
from jaxcrys.crystal import Crystal, load_crystals, stack_crystals
from jaxcrys.crystal.canonical import canonical_form
from jaxcrys.crystal.convert import cell_and_labels, from_structure, to_structure
from jaxcrys.crystal.describe import formula, species_counts
from jaxcrys.crystal.equivalents import equivalents, random_equivalent
from jaxcrys.crystal.protostructure import protostructure_hash
from jaxcrys.crystal.subgroup import to_subgroup
from jaxcrys.data.library import Library, build_library
from jaxcrys.data.retrieval import build_retriever, retrieve
from jaxcrys.symmetry import (
    canonical_free,
    centring_count,
    maximal_subgroups,
    nearest_position,
    representative,
    site_symmetry_bits,
)
from jaxcrys.symmetry.oracles import choices, place, reachable_units, start

Row = tuple[str, Callable[[Any], object], Sequence[Any]]


def per_call(function: Callable[[Any], object], items: Sequence[Any]) -> float:
    """Mean seconds of a call, best of three rounds; the first round fills caches."""
    rounds = []
    for _ in range(4):
        begin = time.perf_counter()
        for item in items:
            function(item)
        rounds.append((time.perf_counter() - begin) / len(items))
    return min(rounds[1:])


def report(title: str, rows: Iterable[Row]) -> None:
    print(f"\n{title:<58} {'µs a call':>11} {'a second':>11}")
    for name, function, items in rows:
        seconds = per_call(function, items)
        print(f"   {name:<55} {1e6 * seconds:11,.1f} {1 / seconds:11,.0f}")


def describing(crystals: list[Crystal]) -> list[Row]:
    """One crystal at a time on the host."""
    return [
        ("protostructure hash", protostructure_hash, crystals),
        ("canonical form", canonical_form, crystals),
        ("all equivalent descriptions", equivalents, crystals),
        ("into the first maximal subgroup", lower, [c for c in crystals if int(c.group) > 1]),
    ]


def lower(crystal: Crystal) -> Crystal:
    return to_subgroup(crystal, maximal_subgroups(int(crystal.group))[0])


def from_atoms(crystals: list[Crystal]) -> list[Row]:
    """From a list of atoms to sites, labels and descriptions, here and elsewhere."""
    structures = [to_structure(crystal) for crystal in crystals]
    cells = [cell_and_labels(crystal)[0] for crystal in crystals]
    moyo = [moyopy.Cell(c.lattice.tolist(), c.frac.tolist(), c.numbers.tolist()) for c in cells]
    found = [moyopy.MoyoDataset(cell, symprec=0.01) for cell in moyo]
    return [
        ("sites and hash, spglib engine", hashed("spglib"), structures),
        ("sites and hash, moyopy engine", hashed("moyopy"), structures),
        ("pymatgen label, spglib", get_protostructure_label_from_spglib, structures),
        ("pymatgen label, moyopy", get_protostructure_label_from_moyopy, structures),
        ("pyxtal from_seed (sites only)", pyxtal_sites, structures),
        ("spglib get_symmetry_dataset", spglib_dataset, cells),
        ("moyopy MoyoDataset", moyo_dataset, moyo),
        ("moyopy normalizer_wyckoff_positions", moyo_sequences, found),
    ]


def hashed(engine: str) -> Callable[[Any], str]:
    return lambda s: protostructure_hash(from_structure(s, engine=engine))


def pyxtal_sites(structure: Any) -> Any:
    crystal = pyxtal()
    crystal.from_seed(structure, tol=0.01)
    return crystal


def spglib_dataset(cell: Any) -> Any:
    return spglib.get_symmetry_dataset(tuple(cell), symprec=0.01)


def moyo_dataset(cell: Any) -> Any:
    return moyopy.MoyoDataset(cell, symprec=0.01)


def moyo_sequences(dataset: Any) -> Any:
    return dataset.normalizer_wyckoff_positions()


def compositions(crystals: list[Crystal]) -> list[Row]:
    """The composition oracle on formulas and groups that go together."""
    cases = []
    for crystal in crystals:
        counts = species_counts(crystal)
        unit = int(np.gcd.reduce(list(counts.values())))
        cell = int(centring_count(np.asarray(crystal.group)))
        reduced = {element: count // unit for element, count in counts.items()}
        units = range(cell, max(unit, 4 * cell) + 1, cell)
        cases.append((reduced, int(crystal.group), units, list(counts.values())))
    states = [start(reduced, group, units) for reduced, group, units, _ in cases]
    # pyxtal loops over all combinations, for minutes where they are many: small cells only.
    small = [case for case in cases if sum(case[3]) <= 12]
    groups = {group: Group(group) for _, group, _, _ in small}
    return [
        ("which Z are reachable", lambda c: reachable_units(c[0], c[1], c[2]), cases),
        ("start of a choice", lambda c: start(c[0], c[1], c[2]), cases),
        ("one decision", choices, states),
        ("one whole decoding", decode, states),
        ("reachable Z, small cells", lambda c: reachable_units(c[0], c[1], c[2]), small),
        ("pyxtal check_compatible, small cells",
         lambda c: groups[c[1]].check_compatible(c[3]), small),
    ]  # fmt: skip


def decode(state: Any) -> Any:
    """Take the first choice until the composition is complete."""
    while True:
        options = choices(state)
        if options.may_stop:
            return state
        position, element = np.argwhere(options.mask)[0]
        state = place(state, int(position), int(element))


def in_jit(crystals: Crystal) -> list[Row]:
    """Batches in one call; the times are those of the batch."""
    batch = jax.tree.map(
        lambda a: jnp.asarray(a, jnp.float32 if a.dtype.kind == "f" else jnp.int32), crystals
    )
    key = jax.random.key(0)
    shuffle = jax.jit(random_equivalent)
    canonical = jax.jit(canonical_free)
    nearest = jax.jit(nearest_position)
    group = jnp.broadcast_to(batch.group[:, None], batch.wyckoff.shape)[:, :1]
    bits = site_symmetry_bits(batch.wyckoff[:, :1]).astype(jnp.float32)
    point = representative(batch.wyckoff, batch.free)[:, :1]
    wait = jax.block_until_ready
    return [
        ("random equivalent description", lambda _: wait(shuffle(key, batch)), [None]),
        ("sites into the asymmetric unit",
         lambda _: wait(canonical(batch.wyckoff, batch.free)), [None]),
        ("nearest legal position of one site each",
         lambda _: wait(nearest(group, bits, point)), [None]),
    ]  # fmt: skip


def retrieving(crystals: Crystal, library: Library, formulas: list[str]) -> list[Row]:
    retriever = build_retriever(crystals, library=library)
    return [
        (f"{k} candidate{'s' * (k > 1)} for a formula",
         lambda formula, k=k: retrieve(retriever, formula, k), formulas)
        for k in (1, 20)
    ]  # fmt: skip


def main() -> None:
    warnings.filterwarnings("ignore")
    logging.getLogger("moyo").setLevel(logging.ERROR)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--crystals", type=int, default=200, help="crystals taken one at a time")
    parser.add_argument("--batch", type=int, default=2000, help="crystals of a batch in jit")
    parser.add_argument("--sites", type=int, default=20, help="site slots of the batch")
    options = parser.parse_args()
    crystals = load_crystals(options.dataset / "crystals.npz")
    chosen = np.random.default_rng(0).permutation(len(crystals.group))
    single = [take(crystals, i) for i in chosen[: options.crystals]]
    print(f"{len(single)} crystals; jax {jax.__version__}, {jax.devices()[0].device_kind}")
    report("description of one crystal", describing(single))
    report("from atoms", from_atoms(single))
    report("composition oracle", compositions(single))
    begin = time.perf_counter()
    library = build_library(crystals)
    seconds = time.perf_counter() - begin
    print(f"\ntemplate library of {library.size} crystals: {len(library.templates)} templates, "
          f"{library.size / seconds:,.0f} crystals a second")  # fmt: skip
    report("retrieval", retrieving(crystals, library, list(map(formula, single))))
    batch = chosen[np.arange(options.batch) % len(chosen)]
    padded = stack_crystals([take(crystals, i) for i in batch], capacity=options.sites)
    report(f"batches of {options.batch}, padded to {options.sites} sites", in_jit(padded))


if __name__ == "__main__":
    main()
