"""New crystals of several models, beside each other and beside real ones.

    python experiments/compare.py --train TRAIN --test TEST --out DIR --num 5000
        orbit=RUN symmcd=RUN wyckoffdiff=RUN+GEOMETRY_RUN ...

What:     draws crystals from each run (of a run of templates with a run of geometry after a plus
          sign) and compares them with the test set, beside a sample of the training set of the same
          size, which is the noise floor: share of P1; χ² of the groups' shares, Σ (p - q)²/q over
          the groups of the test set; templates and crystals (protostructures) that are different
          from each other and new to the training set; Wasserstein distances of the numbers of
          sites, elements and atoms and of the density; half the summed difference of the shares of
          the elements; legal templates; crystals without a distance under 0.5 Å, or under the limit
          of LeMat-GenBench; compositions that smact's classic rules accept; the group as asked
          at 0.001 Å; seconds for a thousand, compiling included.
Data:     TRAIN and TEST are datasets, or files that are prepared first.
          Needs ``pip install '.[experiments]'``.
Expected: see docs/results.md, 'Crystals from nothing'.

An interrupted call goes on where it stopped, and does not tell the time of what it had begun.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import wasserstein_distance

from jaxcrys.core.errors import InputError
from jaxcrys.core.files import write_json
from jaxcrys.core.progress import TerminalProgress
from jaxcrys.core.pytree import take
from jaxcrys.crystal import Crystal, load_crystals, validate
from jaxcrys.crystal.describe import describe
from jaxcrys.crystal.primitive import num_primitive_atoms
from jaxcrys.crystal.protostructure import protostructure_hash, prototype_label
from jaxcrys.data.crystal_set import read_rows
from jaxcrys.data.prepare import prepare
from jaxcrys.evaluation import composition_valid, distances_plausible, structure_valid
from jaxcrys.recipes.library import load_model
from jaxcrys.sampling.generate import generate
from jaxcrys.sampling.plan import Request
from jaxcrys.sampling.report import exact
from jaxcrys.sampling.wish import Wish
from jaxcrys.symmetry import degrees_of_freedom, positions_of


def main() -> None:
    """Run the experiment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", help="NAME=RUN or NAME=TEMPLATES+GEOMETRY")
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--num", type=int, default=5000)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--clash-steps", type=int, default=0)
    given = parser.parse_args()
    training, test = (load(path, given.out) for path in (given.train, given.test))
    known = Known(training)
    chosen = np.random.default_rng(0).permutation(len(training.group))[: given.num]
    results = {"training sample": compare(take(training, chosen), test, known)}
    show("training sample", results)
    for entry in given.runs:
        name, _, runs = entry.partition("=")
        templates, _, geometry = runs.partition("+")
        wish = Wish(templates_from=Path(templates)) if geometry else Wish()
        folder = given.out / f"{name}_{given.num}"
        fresh = not (folder.exists() or folder.with_name(f".{folder.name}.work").exists())
        begin = time.monotonic()
        generate(
            load_model(geometry or templates), folder, Request(wish, given.num),
            batch_size=given.batch_size, clash_steps=given.clash_steps,
            progress=TerminalProgress(),
        )  # fmt: skip
        timed = given.out / f"{name}_{given.num}_seconds.json"
        if fresh:
            write_json(timed, time.monotonic() - begin)
        results[name] = compare(load_crystals(folder), test, known)
        asked = [row["group"] == row["group_0.001"] for row in read_rows(folder)]
        results[name]["group as asked"] = round(float(np.mean(asked)), 4)
        if timed.exists():  # not known of a call that was interrupted
            seconds = json.loads(timed.read_text(encoding="utf-8"))
            results[name]["seconds for 1,000"] = round(1000 * seconds / given.num, 1)
        show(name, results)
    write_json(given.out / f"results_{given.num}.json", results)


def show(name: str, results: dict[str, Any]) -> None:
    """Print one result."""
    print(name, json.dumps(results[name], indent=2), flush=True)


def load(path: Path, out: Path) -> Crystal:
    """The crystals of a dataset, or of a file that is made into one first."""
    if path.is_dir():
        return load_crystals(path)
    return load_crystals(prepare(path, out / path.parent.name, progress=TerminalProgress()).folder)


class Known:
    """What the training set has: templates, and protostructures."""

    def __init__(self, training: Crystal) -> None:
        rows = range(len(training.group))
        self.templates = {prototype_label(take(training, row)) for row in rows}
        self.crystals = {protostructure_hash(take(training, row)) for row in rows}


def compare(crystals: Crystal, test: Crystal, known: Known) -> dict[str, float]:
    """Shares of a set of crystals, and its distances from the test set."""
    crystals = exact(crystals)
    rows = [take(crystals, row) for row in range(len(crystals.group))]
    count = len(rows)
    templates, hashes = zip(
        *((prototype_label(c), protostructure_hash(c)) for c in rows), strict=True
    )
    shaped = np.array([has_cell(crystal) for crystal in rows])
    described = [describe(c) for c, fine in zip(rows, shaped, strict=True) if fine]
    real = [describe(take(exact(test), row)) for row in range(len(test.group))]
    valid = [fine and structure_valid(c) for c, fine in zip(rows, shaped, strict=True)]
    plausible = [fine and distances_plausible(c) for c, fine in zip(rows, shaped, strict=True)]
    values = {
        "count": count,
        "P1": np.mean(crystals.group == 1),
        "chi2 of groups": chi_squared(crystals.group, test.group),
        "different templates": len(set(templates)) / count,
        "new templates": len(set(templates) - known.templates) / len(set(templates)),
        "samples with a new template": np.mean([t not in known.templates for t in templates]),
        "different crystals": len(set(hashes)) / count,
        "new crystals": len(set(hashes) - known.crystals) / len(set(hashes)),
        "legal": np.mean([is_legal(crystal) for crystal in rows]),
        "distances over 0.5 Å": np.mean(valid),
        "distances plausible": np.mean(plausible),
        "compositions valid": np.mean([composition_valid(crystal) for crystal in rows]),
        "distance of sites": wasserstein_distance(sites_of(crystals), sites_of(test)),
        "distance of elements": wasserstein_distance(elements_of(crystals), elements_of(test)),
        "distance of atoms": wasserstein_distance(
            num_primitive_atoms(crystals), num_primitive_atoms(test)
        ),
        "distance of density": wasserstein_distance(
            [row["density"] for row in described], [row["density"] for row in real]
        ),
        "difference of elements' shares": np.abs(shares(crystals) - shares(test)).sum() / 2,
    }
    return {name: round(float(value), 4) for name, value in values.items()}


def has_cell(crystal: Crystal) -> bool:
    """Whether a crystal has a unit cell."""
    try:
        validate(crystal)
    except InputError:
        return False
    return True


def is_legal(crystal: Crystal) -> bool:
    """Whether the template is one: positions of the group, none without freedom twice."""
    used = crystal.wyckoff[crystal.wyckoff > 0].tolist()
    own = set(used) <= set(positions_of(int(crystal.group)))
    once = all(used.count(w) == 1 or degrees_of_freedom(np.array(w)) > 0 for w in used)
    return bool(used) and own and once


def chi_squared(found: np.ndarray, reference: np.ndarray) -> float:
    """Σ (p - q)²/q over the groups of the reference; p is scaled to them."""
    p, q = (np.bincount(groups, minlength=231) / len(groups) for groups in (found, reference))
    there = q > 0
    p = p[there] / p[there].sum()
    return float(((p - q[there]) ** 2 / q[there]).sum())


def sites_of(crystals: Crystal) -> np.ndarray:
    """Number of sites of each crystal."""
    return (crystals.wyckoff > 0).sum(-1)


def elements_of(crystals: Crystal) -> np.ndarray:
    """Number of elements of each crystal."""
    return np.array([len(set(row[row > 0].tolist())) for row in crystals.species])


def shares(crystals: Crystal) -> np.ndarray:
    """Share of the crystals' sites that each element holds."""
    species = crystals.species[crystals.wyckoff > 0]
    return np.bincount(species, minlength=119) / len(species)


if __name__ == "__main__":
    main()
