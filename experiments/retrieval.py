"""Structure prediction without a model: known crystals with their elements replaced.

    python experiments/retrieval.py TRAIN TEST [--metric pettifor] [--k 1 5 20] [--limit 1000]

What:     takes the formula of each test crystal (nothing else of it), looks up the k best
          candidates (``jaxcrys.data.retrieval``) and scores them with pymatgen's StructureMatcher
          (stol 0.5, ltol 0.3, angle 10): the share of test crystals that one of the k matches, its
          binomial standard error, and the mean of the smallest RMSE. Beside it, the most common
          template of the same anonymised formula, with its best assignment of the elements. Pairs
          are not filtered by validity.
Data:     TRAIN and TEST are dataset folders or files that ``jaxcrys prepare`` reads.
Time:     1 to 3 ms a formula, 5 to 10 for the matcher on each candidate, beside other work: on
          one CPU core a minute or two for --k 1, 15 minutes for --k 1 5 20.
Expected: trained on mix_20 (8,719 crystals), on the 5,118 binary and ternary test crystals of
          MP-20: 55.6 ± 0.7 % (RMSE 0.027), 78.9 ± 0.6 % (0.033) and 86.3 ± 0.5 % (0.039) with 1, 5
          and 20 candidates; most common template 31.3 ± 0.6 % (0.025). The metric was chosen on
          mix_20/val: pettifor 59.1 ± 1.6 %, properties 58.1, substitution 56.2, most common
          template 32.4. Figures of other training sets are not comparable.

Where a formula occurs in the training set the first candidate is the crystal known there, while the
test crystal is nearly always another polymorph (529 formulas, 40 with the same template): hence the
low rate in the line 'formula of train' at k = 1.

Results are printed, and written as JSON where ``--out`` says.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.files import write_json
from jaxcrys.core.pytree import take
from jaxcrys.crystal import Crystal, load_crystals, stack_crystals
from jaxcrys.crystal.describe import formula
from jaxcrys.data.element_similarity import METRICS
from jaxcrys.data.library import rows_with_formula
from jaxcrys.data.prepare import prepare
from jaxcrys.data.retrieval import Candidate, Order, Retriever, build_retriever, retrieve
from jaxcrys.evaluation import match_rate, match_structures
from jaxcrys.symmetry import degrees_of_freedom

BINS = ((0, 0), (1, 2), (3, 5), (6, 8), (9, 200))
"""Free coordinates, for results by difficulty."""


def main() -> None:
    """Run the experiment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--metric", nargs="+", default=["pettifor"], choices=list(METRICS))
    parser.add_argument("--k", type=int, nargs="+", default=[1])
    parser.add_argument("--limit", type=int, help="test crystals, evenly spaced; all by default")
    parser.add_argument("--out", type=Path, help="where to write the results")
    given = parser.parse_args()

    train, references = load(given.train), load(given.test)
    if given.limit and given.limit < len(references.group):
        chosen = np.linspace(0, len(references.group) - 1, given.limit).astype(int)
        references = take(references, chosen)
    results: dict[str, Any] = {"train": f"{given.train.name}, {len(train.group)} crystals"}
    begin = time.perf_counter()
    retriever = build_retriever(train)
    results["seconds to build"] = round(time.perf_counter() - begin, 2)
    known = [len(rows_with_formula(retriever.library, f)) > 0 for f in formulas(references)]
    for metric in given.metric:
        retriever = build_retriever(train, metric=metric, library=retriever.library)
        results[metric] = evaluate(retriever, references, np.array(known), given.k, "distance")
        show(metric, results[metric])
    common = evaluate(retriever, references, np.array(known), [1], "count")
    results["most common template"] = common
    show("most common template", common)
    if given.out:
        write_json(given.out, results)


def show(name: str, result: dict[str, Any]) -> None:
    """Print one result, a line each."""
    print(name)
    for key, value in result.items():
        lines = value.items() if isinstance(value, dict) else ()
        print(f"  {key}: {'' if lines else value}")
        for part, numbers in lines:
            print(f"    {part}: {numbers}", flush=True)


def load(path: Path) -> Crystal:
    """The crystals of a dataset folder, or of a file that is made into one first."""
    if path.is_dir():
        return load_crystals(path)
    with tempfile.TemporaryDirectory() as scratch:
        return load_crystals(prepare(path, Path(scratch) / "dataset").folder)


def formulas(crystals: Crystal) -> list[str]:
    """Reduced formula of each crystal."""
    return [formula(take(crystals, row)) for row in range(len(crystals.group))]


def evaluate(
    retriever: Retriever,
    references: Crystal,
    known: np.ndarray,
    ks: Sequence[int],
    order: Order,
) -> dict[str, Any]:
    """Match rates of the k best candidates, and how long it took to find them.

    Args:
        retriever: the training set.
        references: test crystals.
        known: whether their formulas occur in the training set.
        ks: numbers of candidates.
        order: of the candidates.
    """
    begin = time.perf_counter()
    found = [candidates(retriever, name, max(ks), order) for name in formulas(references)]
    seconds = time.perf_counter() - begin
    rmse = match(found, references)
    dof = np.asarray(degrees_of_freedom(references.wyckoff)).sum(-1)
    result: dict[str, Any] = {
        "without a candidate": float(np.mean([not some for some in found])),
        "ms for each formula": round(1e3 * seconds / len(found), 2),
    }
    for k in ks:
        best = [min((v for v in row[:k] if v is not None), default=None) for row in rmse]
        parts = {"all": known | ~known, "new formula": ~known, "formula of train": known}
        parts |= {f"{a} to {b} free coordinates": (dof >= a) & (dof <= b) for a, b in BINS}
        result[f"k={k} (count, match rate, standard error, RMSE)"] = {
            name: summary([best[i] for i in np.flatnonzero(rows)])
            for name, rows in parts.items()
            if rows.any()
        }
    return result


def candidates(retriever: Retriever, name: str, k: int, order: Order) -> list[Candidate]:
    """Candidates for a formula, none if the training set has nothing like it."""
    try:
        return retrieve(retriever, name, k, order=order)
    except InputError:
        return []


def match(found: list[list[Candidate]], references: Crystal) -> list[list[float | None]]:
    """RMSE of each candidate against its reference."""
    owner = [row for row, some in enumerate(found) for _ in some]
    if not owner:
        return [[] for _ in found]
    predicted = stack_crystals([candidate.crystal for some in found for candidate in some])
    values = iter(match_structures(predicted, take(references, np.array(owner))))
    return [[next(values) for _ in some] for some in found]


def summary(rmse: list[float | None]) -> list[Any]:
    """Count, match rate, its binomial standard error, and mean RMSE of the matches."""
    rate, error = match_rate(rmse)
    deviation = float(np.sqrt(rate * (1 - rate) / len(rmse)))
    values = [len(rmse), rate, deviation, error]
    return [None if np.isnan(value) else round(value, 4) for value in values]


if __name__ == "__main__":
    main()
