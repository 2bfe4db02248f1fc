"""Structure prediction with the true template, trained on mix_20.

    python experiments/csp_mix20.py TRAIN.csv.gz VAL.csv.gz TEST.csv.gz --out runs/csp
        [--config configs/orbit_flow_mix20.json] [--num 500] [--candidates 1]
        [--settings '{"steps": 50}'] [--name 50_steps] [--untrained]

What:     prepares the three files, trains a recipe with the elements given, predicts lattice and
          coordinates of evenly spaced test crystals from their space group, Wyckoff positions and
          elements, and scores the predictions with pymatgen's StructureMatcher (stol 0.5, ltol 0.3,
          angle 10); of several candidates the best counts. With ``--untrained`` the same network
          before training is scored too.
Data:     mix_20 (8,719 + 1,000 crystals), binary and ternary test crystals of MP-20.
Time:     on 2 CPU cores, beside other work. ``configs/csp_mix20.json`` (DiffCSP++, 0.32 M
          parameters): 61 minutes of training, 6 to 9 for each set of 500 predictions.
          ``configs/orbit_flow_mix20.json`` (0.45 M): 45 minutes, and 1 to 2.
Expected: 500 crystals, one candidate. DiffCSP++: match rate 69.6 %, RMSE 0.089, of valid pairs only
          64.0 % (untrained 23.6 % and 22.4 %). Orbit flow, 20 steps: 69.6 %, 0.074, of valid
          pairs 64.2 %. Figures of other training sets are not comparable.

Each part can be interrupted; the same command goes on with it.
"""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxcrys.cli.train import Command as Train
from jaxcrys.cli.train import defaults
from jaxcrys.core.files import write_json
from jaxcrys.core.progress import TerminalProgress
from jaxcrys.core.pytree import take
from jaxcrys.core.rng import stream
from jaxcrys.crystal import Crystal, load_crystals, save_crystals
from jaxcrys.data.prepare import prepare
from jaxcrys.evaluation import composition_valid, match_rate, match_structures, structure_valid
from jaxcrys.geometry.lattice import FAMILIES
from jaxcrys.recipes.model import Model, load_model
from jaxcrys.sampling.generate import generate
from jaxcrys.sampling.wish import Wish
from jaxcrys.symmetry import crystal_family, degrees_of_freedom

CONFIG = Path(__file__).parent / "configs" / "csp_mix20.json"
BINS = ((0, 0), (1, 2), (3, 5), (6, 10), (11, 20), (21, 10_000))
"""Free coordinates, for results by difficulty."""


def main() -> None:
    """Run the experiment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs=3, metavar="FILE", help="train, val, test")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--num", type=int, default=500, help="test crystals")
    parser.add_argument("--candidates", type=int, default=1, help="predictions of each")
    parser.add_argument("--settings", default="{}", help="JSON of changes for sampling")
    parser.add_argument("--name", default="trained", help="of these predictions")
    parser.add_argument("--untrained", action="store_true", help="score the untrained network too")
    arguments = parser.parse_args()
    out, progress = arguments.out, TerminalProgress()

    datasets = [out / name for name in ("train", "val", "test")]
    for file, dataset in zip(arguments.files, datasets, strict=True):
        prepare(file, dataset, progress=progress)

    command: Train = defaults(["--config", str(arguments.config)])
    dataclasses.replace(command, data=datasets[0], val=datasets[1], out=out / "run").run()

    references = evenly_spaced(load_crystals(datasets[2]), arguments.num)
    file = out / f"references_{arguments.num}.npz"
    save_crystals(file, references)
    model = changed(load_model(out / "run"), json.loads(arguments.settings))
    contestants = {arguments.name: model}
    if arguments.untrained:
        contestants["untrained"] = untrained(model)
    for name, contestant in contestants.items():
        candidates = []
        for seed in range(arguments.candidates):
            folder = out / f"predicted_{name}_{arguments.num}_{seed}"
            wish = Wish(templates_from=file)
            generate(
                contestant, folder, num=arguments.num, wish=wish, seed=seed, progress=progress,
                batch_size=128,
            )  # fmt: skip
            candidates.append(load_crystals(folder))
        result = score(candidates, references)
        print(name, json.dumps(result, indent=2), flush=True)
        write_json(out / f"results_{name}_{arguments.num}_{arguments.candidates}.json", result)


def changed(model: Model, changes: dict[str, Any]) -> Model:
    """The model with other settings of its sampler."""
    settings = dataclasses.replace(model.config.settings, **changes)
    return dataclasses.replace(model, config=dataclasses.replace(model.config, settings=settings))


def evenly_spaced(crystals: Crystal, count: int) -> Crystal:
    """``count`` crystals spread over the whole set."""
    return take(crystals, np.linspace(0, len(crystals.group) - 1, count).astype(int))


def untrained(model: Model) -> Model:
    """The same model before its first training step."""
    key = stream(jax.random.key(0), "untrained")
    params = model.config.functions.init(key, model.config.settings)
    return dataclasses.replace(model, params=params, step=0)


def score(candidates: Sequence[Crystal], references: Crystal) -> dict[str, Any]:
    """Match rate and RMSE of the best candidates: of all pairs, of valid ones, and by kind."""
    rmse = [match_structures(predicted, references) for predicted in candidates]
    best = [
        min((r for r in each if r is not None), default=None) for each in zip(*rmse, strict=True)
    ]
    first = candidates[0]
    valid = [structure_valid(take(first, i)) for i in range(len(best))]
    both = [
        valid[i]
        and structure_valid(take(references, i))
        and composition_valid(take(references, i))  # predictions have the same composition
        for i in range(len(best))
    ]
    dof = np.asarray(degrees_of_freedom(np.asarray(references.wyckoff))).sum(-1)
    by_dof = {
        f"{low}-{min(high, int(dof.max()))}": (dof >= low) & (dof <= high) for low, high in BINS
    }
    family = np.array([crystal_family(int(group)) for group in references.group])
    by_family = {name: family == name for name in FAMILIES}
    return {
        "count": len(best),
        "candidates": len(candidates),
        "first": rounded(match_rate(rmse[0])),
        "best": rounded(match_rate(best)),
        "first, valid pairs": rounded(match_rate(rmse[0], both)),
        "best, valid pairs": rounded(match_rate(best, both)),
        "first candidates valid": sum(valid),
        "by free coordinates (count, match rate, RMSE)": in_parts(best, by_dof),
        "by crystal family": in_parts(best, by_family),
    }


def in_parts(rmse: list[float | None], parts: dict[str, np.ndarray]) -> dict[str, list]:
    """Count, match rate and RMSE of each part that has members."""
    return {
        name: [int(members.sum()), *rounded(match_rate([rmse[i] for i in np.flatnonzero(members)]))]
        for name, members in parts.items()
        if members.any()
    }


def rounded(result: tuple[float, float]) -> list[float | None]:
    """Four decimals, and None for the RMSE of no match, as JSON wants it."""
    return [None if np.isnan(value) else round(value, 4) for value in result]


if __name__ == "__main__":
    main()
