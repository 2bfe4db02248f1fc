"""Crystals of which a random part is fixed: is it there in every one?

    python experiments/constraints.py --run RUN --like DATASET --out DIR [--requests 200] [--num 50]

What:     each request takes a random crystal of a dataset and asks for a random part of what it is:
          space group (or three to choose from), some sites with or without elements, formula,
          chemical system, elements that must occur, numbers of atoms and of sites, lattice. The
          crystals that come out are checked part by part, composition and lattice with pymatgen.
Data:     RUN is a run of orbit; DATASET any, by preference one that it was not trained on.
Expected: every part of every request in all crystals: 10,000 of 10,000, with 200 requests of 50.

An interrupted call goes on where it stopped.
"""

import argparse
import collections
import json
from pathlib import Path

import numpy as np
from pymatgen.core import Composition, Structure

from jaxcrys.core.elements import SYMBOLS
from jaxcrys.core.files import write_json
from jaxcrys.core.progress import TerminalProgress
from jaxcrys.core.pytree import take
from jaxcrys.crystal import Crystal, load_crystals
from jaxcrys.crystal.convert import to_structure
from jaxcrys.crystal.describe import formula
from jaxcrys.crystal.primitive import num_primitive_atoms
from jaxcrys.geometry.lattice import matrix_from_coefficients
from jaxcrys.recipes.library import load_model
from jaxcrys.sampling.generate import generate
from jaxcrys.sampling.plan import Request
from jaxcrys.sampling.wish import Wish
from jaxcrys.symmetry import position_label


def main() -> None:
    """Run the experiment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--like", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--num", type=int, default=50, help="crystals of each request")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    model, examples = load_model(given.run), load_crystals(given.like)
    examples = take(examples, (examples.wyckoff > 0).sum(-1) <= model.config.sites)
    random = np.random.default_rng(given.seed)
    rows = random.choice(len(examples.group), given.requests, replace=False)
    wishes = [random_wish(random, take(examples, row)) for row in rows]
    generate(
        model, given.out / "crystals", *(Request(wish, given.num) for wish in wishes),
        batch_size=128, progress=TerminalProgress(),
    )  # fmt: skip
    crystals = load_crystals(given.out / "crystals")
    asked, kept, whole = collections.Counter(), collections.Counter(), 0
    for index in range(len(crystals.group)):
        parts = check(wishes[index // given.num], take(crystals, index))
        whole += all(parts.values())
        for part, fine in parts.items():
            asked[part] += 1
            kept[part] += fine
    result = {part: {"crystals": asked[part], "kept": kept[part]} for part in sorted(asked)}
    result["all"] = {"crystals": len(crystals.group), "kept": whole, "requests": given.requests}
    print(json.dumps(result, indent=2))
    write_json(given.out / "results.json", result)


def random_wish(random: np.random.Generator, crystal: Crystal) -> Wish:
    """A random part of what a crystal is, so that it can be met."""
    occupied = np.flatnonzero(crystal.wyckoff > 0)
    elements = sorted({SYMBOLS[z] for z in crystal.species[occupied]})
    atoms, group = int(num_primitive_atoms(crystal)), int(crystal.group)
    wish: dict[str, str] = {}
    if random.random() < 0.3:
        sites = random.permutation(occupied)[: random.integers(1, len(occupied) + 1)]
        whole = bool(random.random() < 0.7)
        labels = [position_label(int(crystal.wyckoff[i])) for i in sites]
        symbols = [f" {SYMBOLS[crystal.species[i]]}" if whole else "" for i in sites]
        texts = [label + symbol for label, symbol in zip(labels, symbols, strict=True)]
        wish["template"] = f"{group}: {', '.join(texts)}, ..."
        if whole and random.random() < 0.4:
            wish["formula"] = formula(crystal)
    elif random.random() < 0.5:
        others = [int(g) for g in random.choice(np.arange(1, 231), 2, replace=False) if g != group]
        wish["groups"] = ",".join(map(str, [group, *others][: random.integers(1, 4)]))
    if "template" not in wish and random.random() < 0.3:
        wish["formula"] = formula(crystal)
    if "formula" not in wish:
        if random.random() < 0.4:
            wish["chemical_system"] = "-".join(elements)
        if random.random() < 0.4:
            wish["elements_required"] = str(random.choice(elements))
        if random.random() < 0.3:
            wish["sites"] = f"{len(occupied)}-{len(occupied) + int(random.integers(0, 3))}"
    if random.random() < 0.4:
        wish["atoms"] = str(random.choice([f"{atoms}", f"{max(atoms - 3, 1)}-{atoms + 4}"]))
    if random.random() < 0.3:
        wish["lattice"] = ",".join(f"{x:.4f}" for x in parameters(crystal))
    return Wish(**wish)


def parameters(crystal: Crystal) -> tuple[float, ...]:
    """Lattice parameters of the conventional cell."""
    matrix = np.asarray(matrix_from_coefficients(np.asarray(crystal.lattice, float)))
    return Structure(matrix, ["H"], [[0, 0, 0]]).lattice.parameters


def check(wish: Wish, crystal: Crystal) -> dict[str, bool]:
    """Which parts of a wish a crystal has."""
    structure = to_structure(crystal)
    elements = {str(element) for element in structure.composition.elements}
    occupied = crystal.wyckoff > 0
    parts: dict[str, bool] = {}
    if wish.groups:
        parts["groups"] = str(int(crystal.group)) in wish.groups.split(",")
    if wish.template:
        group, _, rest = wish.template.partition(":")
        wanted = [entry.split() for entry in rest.split(",")[:-1]]
        have = [
            [position_label(int(w)), SYMBOLS[z]]
            for w, z in zip(crystal.wyckoff[occupied], crystal.species[occupied], strict=True)
        ]
        begins = [site[: len(words)] for words, site in zip(wanted, have, strict=False)]
        parts["template"] = int(crystal.group) == int(group) and begins == wanted
    if wish.formula:
        found = structure.composition.reduced_composition
        parts["formula"] = found == Composition(wish.formula).reduced_composition
    if wish.chemical_system:
        parts["chemical system"] = elements <= set(wish.chemical_system.split("-"))
    if wish.elements_required:
        parts["elements required"] = elements >= set(wish.elements_required.split("-"))
    for name, text, value in (
        ("sites", wish.sites, int(occupied.sum())),
        ("atoms", wish.atoms, int(num_primitive_atoms(crystal))),
    ):
        if text:
            low, _, high = text.partition("-")
            parts[name] = int(low) <= value <= int(high or low)
    if wish.lattice:
        wanted = [float(x) for x in wish.lattice.split(",")]
        parts["lattice"] = bool(np.allclose(parameters(crystal), wanted, rtol=1e-4))
    return parts


if __name__ == "__main__":
    main()
