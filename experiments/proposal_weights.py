"""The weights by which proposed templates are scored, fitted to crystals the model has not seen.

    python experiments/proposal_weights.py --run RUN --val DATASET [--num 400] [--out FILE.json]

What:     proposes templates for the formulas of validation crystals (``sampling.proposals``) and
          fits the three weights of the score, so that the true template is most likely among those
          proposed (a conditional logit: softmax of the scores). Prints the weights, and in how many
          the true template is among the first 1, 5 and 20: by the fitted score, cross-validated in
          five folds, by the likelihood alone, and by the similarity of the elements alone.
Data:     RUN is a run of orbit or wyformer; DATASET was not trained on.
Expected: see docs/results.md, 'Structure prediction from the formula alone'.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from jaxcrys.core.files import write_json
from jaxcrys.core.pytree import take
from jaxcrys.crystal import load_crystals
from jaxcrys.crystal.describe import formula
from jaxcrys.crystal.protostructure import protostructure_hash
from jaxcrys.data.retrieval import build_retriever
from jaxcrys.recipes.library import load_model
from jaxcrys.sampling.proposals import Proposals, Sources, propose
from jaxcrys.sampling.template_model import largest_cell

FOLDS = 5
KS = (1, 5, 20)
LITTLE = 1e-3
"""Weight of the squared weights, which keeps the fit finite."""


def main() -> None:
    """Run the experiment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--val", type=Path, required=True)
    parser.add_argument("--num", type=int, default=400)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    model, crystals = load_model(given.run), load_crystals(given.val)
    chosen = np.linspace(0, len(crystals.group) - 1, given.num).astype(int)
    rows = [take(crystals, row) for row in chosen]
    found = propose(
        model, build_retriever(model.templates), [formula(row) for row in rows],
        sources=Sources(max_atoms=largest_cell(model)), seed=0,
    )  # fmt: skip
    truth = np.array([protostructure_hash(row) for row in rows])
    right = np.array(found.label) == truth[found.request]
    x = features(found)
    folds = np.random.default_rng(0).integers(0, FOLDS, given.num)[found.request]
    score = np.zeros(len(right))
    for fold in range(FOLDS):
        score[folds == fold] = x[folds == fold] @ fit(x, right, found.request, folds != fold)
    weights = fit(x, right, found.request, np.ones(len(right), bool))
    result = {
        "weights": dict(
            zip(("log_prob", "distance", "unknown"), weights.round(3).tolist(), strict=True)
        ),
        "true template proposed": round(len(set(found.request[right])) / given.num, 4),
        "fitted score": among(score, right, found.request, given.num),
        "likelihood alone": among(found.log_prob, right, found.request, given.num),
        "similarity alone": among(-found.distance, right, found.request, given.num),
    }
    print(json.dumps(result, indent=2))
    if given.out:
        write_json(given.out, result)


def features(found: Proposals) -> np.ndarray:
    """What the weights multiply: the log-probability, minus √d, and minus one if not retrieved."""
    known = np.isfinite(found.distance)
    near = np.sqrt(np.where(known, found.distance, 0))
    return np.stack([found.log_prob, -near, -(~known).astype(float)], -1)


def fit(x: np.ndarray, right: np.ndarray, request: np.ndarray, use: np.ndarray) -> np.ndarray:
    """Weights under which the true templates are likeliest."""
    groups = [
        np.flatnonzero((request == number) & use)
        for number in np.unique(request[use & right])
    ]  # fmt: skip

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        total, slope = LITTLE * weights @ weights, 2 * LITTLE * weights
        for rows in groups:
            scores = x[rows] @ weights
            share = np.exp(scores - scores.max())
            share /= share.sum()
            wanted = share * right[rows]
            total -= np.log(wanted.sum()) / len(groups)
            slope += (share - wanted / wanted.sum()) @ x[rows] / len(groups)
        return float(total), slope

    return minimize(loss, np.zeros(x.shape[1]), jac=True).x


def among(
    score: np.ndarray, right: np.ndarray, request: np.ndarray, count: int
) -> dict[str, float]:
    """Share of formulas whose true template is among the first 1, 5, 20."""
    order = np.lexsort((-score, request))
    place = np.arange(len(order)) - np.searchsorted(request[order], request[order])
    first = np.full(count, np.inf)
    np.minimum.at(first, request[order], np.where(right[order], place, np.inf))
    return {f"k={k}": round(float((first < k).mean()), 4) for k in KS}


if __name__ == "__main__":
    main()
