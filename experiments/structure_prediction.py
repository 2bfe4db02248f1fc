"""Structure prediction with the true template: train on some crystals, predict others.

    python experiments/structure_prediction.py --train TRAIN.csv.gz [MORE ...] --val VAL.csv.gz
        --test TEST.csv.gz --out runs/csp [--config configs/orbit_flow_mix20.json] [--num 1000]
        [--candidates 1] [--settings '{"flow": {"steps": 50}}'] [--name 50_steps] [--untrained]

What:     prepares the files, trains a recipe with the elements given, predicts lattice and
          coordinates of evenly spaced test crystals from their space group, Wyckoff positions and
          elements, and scores the predictions with pymatgen's StructureMatcher (stol 0.5, ltol 0.3,
          angle 10), by free coordinates and by crystal system. With ``--candidates`` k, k are drawn
          for each: 'one draw' is the first of them, 'chosen' the one with the best score (no energy
          and no reference is looked at), 'best' the one nearest to the reference. With
          ``--untrained`` the same network before training is scored too.
Data:     mix_20 (8,719 + 1,000 crystals), binary and ternary test crystals of MP-20.
Time:     on one CPU core: 35 minutes of training (16,000 steps of 128); 20 candidates for 1,000
          crystals take 5 minutes to draw, and 8 to score. ``configs/diffcsp_pp_mix20.json`` takes
          an hour on two cores, ``diffcsp_pp_mix20_half_hour.json`` half an hour on one, and each
          6 minutes for 500 draws.
Expected: with ``--checkpoint latest``, 1,000 crystals, 20 candidates: one draw 71.4 % (RMSE
          0.071), chosen 78.7 % (0.059), best 93.0 % (0.058). DiffCSP++, one draw, 500 crystals:
          61.4 % (0.102) after half an hour, 69.6 % (0.089) after the hour. Trained on mix_20 and
          lemat_sample (``configs/orbit_flow_mix20_lemat.json``), best checkpoint, 500 crystals:
          68.6 % (0.063), 75.6 % (0.054), 95.4 % (0.059). Figures of other training sets are not
          comparable.

Each part can be interrupted; the same command goes on with it.
"""

import argparse
import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxcrys.cli.train import Command as Train
from jaxcrys.cli.train import defaults
from jaxcrys.core.chunks import ChunkStore
from jaxcrys.core.files import write_json
from jaxcrys.core.progress import TerminalProgress
from jaxcrys.core.pytree import take
from jaxcrys.core.rng import stream
from jaxcrys.crystal import Crystal, load_crystals, save_crystals
from jaxcrys.data.prepare import prepare
from jaxcrys.evaluation import composition_valid, match_rate, match_structures, structure_valid
from jaxcrys.recipes.library import load_model
from jaxcrys.recipes.model import Model, model_to_json, with_settings
from jaxcrys.sampling.draw import Drawn, Draws
from jaxcrys.sampling.generate import draw
from jaxcrys.symmetry import crystal_system, degrees_of_freedom

CONFIG = Path(__file__).parent / "configs" / "orbit_flow_mix20.json"
BINS = ((0, 0), (1, 2), (3, 5), (6, 10), (11, 20), (21, 10_000))
"""Free coordinates, for results by difficulty."""
SYSTEMS = (
    "triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic"
)  # fmt: skip


def main() -> None:
    """Run the experiment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=Path, nargs="+", required=True)
    parser.add_argument("--val", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--num", type=int, default=500, help="test crystals")
    parser.add_argument("--candidates", type=int, default=1, help="predictions of each")
    parser.add_argument("--settings", default="{}", help="JSON of changes for sampling")
    parser.add_argument("--clash-steps", type=int, default=0, help="to move atoms apart")
    parser.add_argument("--checkpoint", default="best", help="best, latest or a step")
    parser.add_argument("--name", default="trained", help="of these predictions")
    parser.add_argument("--untrained", action="store_true", help="score the untrained network too")
    arguments = parser.parse_args()
    out, progress = arguments.out, TerminalProgress()

    test = out / arguments.test.parent.name
    prepare(arguments.train, out / "train", progress=progress)
    prepare(arguments.val, out / "val", progress=progress)
    prepare(arguments.test, test, progress=progress)
    command: Train = defaults(["--config", str(arguments.config)])
    dataclasses.replace(command, data=out / "train", val=out / "val", out=out / "run").run()

    references = evenly_spaced(load_crystals(test), arguments.num)
    model = load_model(out / "run", checkpoint=arguments.checkpoint)
    contestants = {arguments.name: with_settings(model, json.loads(arguments.settings))}
    if arguments.untrained:
        contestants["untrained"] = untrained(model)
    for name, contestant in contestants.items():
        label = f"{name}_{test.name}_{arguments.num}_{arguments.candidates}"
        draws = Draws(
            candidates=arguments.candidates, keep=arguments.candidates,
            clash_steps=arguments.clash_steps,
        )  # fmt: skip
        identity = json.dumps(model_to_json(contestant.config)) + parameter_hash(contestant)
        key = hashlib.sha256(identity.encode()).hexdigest()
        store = ChunkStore(out / f".{label}.work", key)
        drawn = draw(
            contestant, templates(references), draws,
            batch_size=128, store=store, progress=progress,
        )  # fmt: skip
        save_crystals(out / f"predicted_{label}.npz", drawn.crystals)
        result = score(drawn, references, arguments.candidates)
        print(name, json.dumps(result, indent=2), flush=True)
        write_json(out / f"results_{label}.json", result)
        store.discard()


def evenly_spaced(crystals: Crystal, count: int) -> Crystal:
    """``count`` crystals spread over the whole set."""
    return take(crystals, np.linspace(0, len(crystals.group) - 1, count).astype(int))


def templates(references: Crystal) -> Crystal:
    """What a model is told of the test crystals: no coordinates and no lattice."""
    return dataclasses.replace(
        references,
        free=np.zeros_like(references.free),
        lattice=np.zeros_like(references.lattice),
    )


def untrained(model: Model) -> Model:
    """The same model before its first training step."""
    key = stream(jax.random.key(0), "untrained")
    params = model.config.functions.init(key, model.config.settings)
    return dataclasses.replace(model, params=params, step=0)


def score(drawn: Drawn, references: Crystal, candidates: int) -> dict[str, Any]:
    """Match rates and RMSE: of one draw, of the chosen one, and of the best of all candidates."""
    predicted = drawn.crystals
    repeated = take(references, np.repeat(np.arange(len(references.group)), candidates))
    found = match_structures(predicted, repeated, workers=os.cpu_count() or 1)
    rmse = np.array([np.inf if value is None else value for value in found])
    rmse = rmse.reshape(-1, candidates)
    rows = np.arange(len(rmse))
    picks = {
        "one draw": (drawn.candidate.reshape(rmse.shape) == 0).argmax(-1),
        "chosen": np.zeros(len(rmse), int),
        "best": rmse.argmin(-1),
    }
    return {"count": len(rmse), "candidates": candidates} | {
        name: outcome(rmse[rows, pick], take(predicted, rows * candidates + pick), references)
        for name, pick in picks.items()
        if candidates > 1 or name == "one draw"
    }


def outcome(rmse: np.ndarray, predicted: Crystal, references: Crystal) -> dict[str, Any]:
    """Match rate and RMSE of one prediction each: of all, of valid pairs, and by kind."""
    count = len(rmse)
    valid = np.array([structure_valid(take(predicted, i)) for i in range(count)])
    both = valid & [
        structure_valid(take(references, i)) and composition_valid(take(references, i))
        for i in range(count)  # predictions have the same composition
    ]
    dof = np.asarray(degrees_of_freedom(np.asarray(references.wyckoff))).sum(-1)
    system = np.array([crystal_system(int(group)) for group in references.group])
    return {
        "match rate, RMSE": rate(rmse),
        "match rate, RMSE of valid pairs": rate(np.where(both, rmse, np.inf)),
        "standard error": round(float(np.isfinite(rmse).std() / np.sqrt(count)), 4),
        "structures valid": int(valid.sum()),
        "by free coordinates (count, match rate, RMSE)": in_parts(
            rmse, {f"{low}-{min(high, int(dof.max()))}": (dof >= low) & (dof <= high)
                   for low, high in BINS}
        ),
        "by crystal system": in_parts(rmse, {name: system == name for name in SYSTEMS}),
    }  # fmt: skip


def in_parts(rmse: np.ndarray, parts: dict[str, np.ndarray]) -> dict[str, list]:
    """Count, match rate and RMSE of each part that has members."""
    return {
        name: [int(members.sum()), *rate(rmse[members])]
        for name, members in parts.items()
        if members.any()
    }


def rate(rmse: np.ndarray) -> list[float | None]:
    """Match rate and RMSE with four decimals; None for the RMSE of no match, as JSON wants it."""
    found = match_rate([value if np.isfinite(value) else None for value in rmse])
    return [None if np.isnan(value) else round(value, 4) for value in found]


if __name__ == "__main__":
    main()
