"""Structure prediction from the formula alone: space group, Z and template are open.

    python experiments/formulas.py --run RUN --test TEST [--num 1000] [--k 1 5 20] --out DIR
        [--templates-from RUN] [--drawn 64] [--retrieved 20] [--candidates 4] [--settings JSON]
        [--relax nequix-mp-1]

What:     gives the formula of each test crystal to ``jaxcrys.sampling.predict`` and looks whether
          one of the k best structures has the true template (the same protostructure), and whether
          one matches the true crystal (StructureMatcher, stol 0.5, ltol 0.3, angle 10): the share,
          its standard error and the mean of the smallest RMSE, of all pairs and of those in which
          both crystals are valid. Beside it, for the same crystals, retrieval alone: the known
          crystals with the most similar elements, with their own geometry. With --relax the
          predictions are relaxed as well, and ordered by their energy.
Data:     RUN is a run of orbit (``jaxcrys join``), or one of a recipe of geometry beside
          --templates-from; with --drawn 0 the templates are only those of the training set.
Expected: see docs/results.md, 'Structure prediction from the formula alone'.

An interrupted call goes on where it stopped.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from jaxcrys.cli.relax import relax_folder
from jaxcrys.cli.train import json_object
from jaxcrys.core.files import write_json
from jaxcrys.core.progress import TerminalProgress
from jaxcrys.core.pytree import take
from jaxcrys.crystal import Crystal, load_crystals, stack_crystals
from jaxcrys.crystal.describe import formula
from jaxcrys.crystal.protostructure import protostructure_hash
from jaxcrys.data.crystal_set import read_rows
from jaxcrys.data.prepare import prepare
from jaxcrys.data.retrieval import build_retriever, retrieve
from jaxcrys.evaluation import composition_valid, match_rate, match_structures, structure_valid
from jaxcrys.recipes.library import load_model
from jaxcrys.recipes.model import with_settings
from jaxcrys.sampling.predict import Prediction, predict
from jaxcrys.sampling.proposals import Sources
from jaxcrys.sampling.template_model import largest_cell


def main() -> None:
    """Run the experiment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True, help="dataset, or a file to prepare")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--templates-from", type=Path)
    parser.add_argument("--num", type=int, default=1000)
    parser.add_argument("--k", type=int, nargs="+", default=[1, 5, 20])
    parser.add_argument("--drawn", type=int, default=64)
    parser.add_argument("--retrieved", type=int, default=20)
    parser.add_argument("--candidates", type=int, default=4)
    parser.add_argument("--max-atoms", type=int, help="by default as in the training set")
    parser.add_argument("--draw-all", action="store_true", help="known templates' geometry too")
    parser.add_argument("--settings", default="{}", help="JSON of changes for sampling")
    parser.add_argument("--checkpoint", default="best")
    parser.add_argument("--no-baseline", action="store_true")
    parser.add_argument("--relax", help="a potential")
    given = parser.parse_args()
    progress = TerminalProgress()

    test = given.test
    if not test.is_dir():
        test = prepare(test, given.out / "test", progress=progress).folder
    references = load_crystals(test)
    rows = np.linspace(0, len(references.group) - 1, given.num).astype(int)
    references = take(references, rows)
    formulas = [formula(take(references, row)) for row in range(given.num)]
    model = load_model(given.run, checkpoint=given.checkpoint)
    results: dict[str, Any] = {"count": given.num, "trained on": len(model.templates.group)}
    if not given.no_baseline:
        known = nearest(model.templates, formulas, max(given.k))
        results["retrieval alone"] = score(*known, references, given.k)
        print("retrieval alone", json.dumps(results["retrieval alone"], indent=2), flush=True)

    settings = Prediction(
        keep=max(given.k),
        candidates=given.candidates,
        parents=not given.draw_all,
        sources=Sources(given.drawn, given.retrieved, given.max_atoms or largest_cell(model)),
    )
    predict(
        with_settings(model, json_object(given.settings, "--settings")),
        given.out / "predicted", formulas,
        templates=load_model(given.templates_from) if given.templates_from else None,
        settings=settings, batch_size=128, progress=progress,
    )  # fmt: skip
    table = read_rows(given.out / "predicted")
    owner = np.array([int(row["request"]) for row in table])
    results["predicted"] = score(load_crystals(given.out / "predicted"), owner, references, given.k)
    print("predicted", json.dumps(results["predicted"], indent=2), flush=True)
    if given.relax:
        relaxed = given.out / "relaxed"
        table = relax_folder(
            given.out / "predicted", relaxed, potential=given.relax, progress=progress
        )
        crystals = load_crystals(relaxed)
        by_energy = np.lexsort(([int(row["energy_rank"]) for row in table], owner))
        for name, order in (("score", np.arange(len(table))), ("energy", by_energy)):
            found = score(take(crystals, order), owner[order], references, given.k)
            results[f"relaxed, by {name}"] = found
            print(f"relaxed, by {name}", json.dumps(found, indent=2), flush=True)
    write_json(given.out / "results.json", results)


def nearest(training: Crystal, formulas: list[str], k: int) -> tuple[Crystal, np.ndarray]:
    """The k nearest known crystals for each formula that has any, and whose they are."""
    retriever = build_retriever(training)
    found, owner = [], []
    for number, name in enumerate(formulas):
        try:
            candidates = retrieve(retriever, name, k)
        except ValueError:
            continue
        found += [candidate.crystal for candidate in candidates]
        owner += [number] * len(candidates)
    return stack_crystals(found), np.array(owner)


def score(
    predicted: Crystal, owner: np.ndarray, references: Crystal, ks: list[int]
) -> dict[str, Any]:
    """Shares at k of true templates and of matches; predictions of one formula stand together.

    Args:
        predicted: the best first for each formula.
        owner: number of the reference of each.
        references: the true crystals.
        ks: numbers of predictions that count.
    """
    count = len(references.group)
    rmse = match_structures(predicted, take(references, owner), workers=os.cpu_count() or 1)
    error = np.array([np.inf if value is None else value for value in rmse])
    truth = [protostructure_hash(take(references, row)) for row in range(count)]
    same = np.array([protostructure_hash(take(predicted, i)) == truth[o]
                     for i, o in enumerate(owner)])  # fmt: skip
    real = np.array([
        structure_valid(take(references, row)) and composition_valid(take(references, row))
        for row in range(count)
    ])  # fmt: skip
    valid = real[owner] & [structure_valid(take(predicted, i)) for i in range(len(owner))]
    results = {}
    for k in ks:
        first = [np.flatnonzero(owner == row)[:k] for row in range(count)]
        results[f"k={k}"] = {
            "true template": round(float(np.mean([same[rows].any() for rows in first])), 4),
            "match rate, s.e., RMSE": rate([error[rows].min(initial=np.inf) for rows in first]),
            "valid pairs": rate(
                [np.where(valid[rows], error[rows], np.inf).min(initial=np.inf) for rows in first]
            ),
        }
    return results


def rate(rmse: list[float]) -> list[float | None]:
    """Match rate, its standard error, and RMSE of the matches."""
    share, error = match_rate([value if np.isfinite(value) else None for value in rmse])
    deviation = float(np.sqrt(share * (1 - share) / len(rmse)))
    return [None if np.isnan(x) else round(x, 4) for x in (share, deviation, error)]


if __name__ == "__main__":
    main()
