"""Structure prediction with the true template: train on some crystals, predict others.

    python experiments/structure_prediction.py --train TRAIN.csv.gz [MORE ...] --val VAL.csv.gz
        --test TEST.csv.gz --out runs/csp [--config experiments/configs/mix_20/orbit_flow.yaml]
        [--num 1000] [--candidates 1] [--settings '{"flow": {"steps": 50}}'] [--name 50_steps]
        [--untrained]

What:     prepares the files, trains a recipe with the elements given, predicts lattice and
          coordinates of evenly spaced test crystals from their space group, Wyckoff positions and
          elements, and scores the predictions with pymatgen's StructureMatcher (stol 0.5, ltol 0.3,
          angle 10), by free coordinates and by crystal system. With ``--candidates`` k, k are drawn
          for each: 'one draw' is the first of them, 'chosen' the one with the best score (no energy
          and no reference is looked at), 'best' the one nearest to the reference. With
          ``--untrained`` the same network before training is scored too.
Data:     mix_20 (8,719 + 1,000 crystals), binary and ternary test crystals of MP-20.
Time:     on one CPU core: 35 minutes of training (16,000 steps of 128); 20 candidates for 1,000
          crystals take 5 minutes to draw, and 8 to score. ``diffcsp_pp.yaml`` of
          ``configs/mix_20`` takes an hour on two cores, ``diffcsp_pp_half_hour.yaml`` half an hour
          on one, and each 6 minutes for 500 draws.
Expected: with ``--checkpoint latest``, 1,000 crystals, 20 candidates: one draw 71.4 % (RMSE
          0.071), chosen 78.7 % (0.059), best 93.0 % (0.058). DiffCSP++, one draw, 500 crystals:
          61.4 % (0.102) after half an hour, 69.6 % (0.089) after the hour. Trained on mix_20 and
          lemat_sample (``configs/mix_20/orbit_flow_lemat.yaml``), best checkpoint, 500 crystals:
          68.6 % (0.063), 75.6 % (0.054), 95.4 % (0.059). Figures of other training sets are not
          comparable.

Each part can be interrupted; the same command goes on with it.
"""

import argparse
import dataclasses
import json
from pathlib import Path

import jax

from jaxcrys.cli.console import Console
from jaxcrys.cli.train import Command as Train
from jaxcrys.cli.train import defaults
from jaxcrys.core.files import write_json
from jaxcrys.core.progress import TerminalProgress
from jaxcrys.core.rng import stream
from jaxcrys.crystal import load_crystals, save_crystals
from jaxcrys.data.prepare import prepare
from jaxcrys.evaluation.true_template import evenly_spaced, score, store_of, templates_of
from jaxcrys.recipes.library import load_model
from jaxcrys.recipes.model import Model, with_settings
from jaxcrys.sampling.draw import Draws
from jaxcrys.sampling.generate import draw

CONFIG = Path(__file__).parent / "configs" / "mix_20" / "orbit_flow.yaml"


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
    command = dataclasses.replace(command, data=out / "train", val=out / "val", out=out / "run")
    command.run(Console())

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
        store = store_of(out / f".{label}.work", contestant, references, draws)
        drawn = draw(
            contestant, templates_of(references), draws,
            batch_size=128, store=store, progress=progress,
        )  # fmt: skip
        save_crystals(out / f"predicted_{label}.npz", drawn.crystals)
        result = score(drawn, references, arguments.candidates)
        print(name, json.dumps(result, indent=2), flush=True)
        write_json(out / f"results_{label}.json", result)
        store.discard()


def untrained(model: Model) -> Model:
    """The same model before its first training step."""
    key = stream(jax.random.key(0), "untrained")
    params = model.config.functions.init(key, model.config.settings)
    return dataclasses.replace(model, params=params, step=0)


if __name__ == "__main__":
    main()
