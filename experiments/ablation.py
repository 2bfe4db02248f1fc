"""What does each part of a model do? Trainings that differ in one thing each, in one table.

    python experiments/ablation.py TRAIN --val VAL --out runs/ablation [--num 200] [--steps 4000]
        [--variants experiments/configs/ablations/orbit_flow.yaml]

What:     trains each variant of the file on the same crystals, with the same number of steps and
          the same seed, and prints for each, with the difference from the first: loss and its parts
          on VAL after the last step, parameters, median seconds of a step, and for structure
          prediction match rate and RMSE (StructureMatcher, stol 0.5, ltol 0.3, angle 10) of one
          draw for each of so many evenly spaced crystals of VAL. One variant is the first with
          another seed: differences not larger than its own are noise. Losses can be compared where
          their weights are the same, their parts where what the network is to say is the same.
Data:     TRAIN and VAL are datasets of 'jaxcrys prepare'.
Time:     of the nine variants of the orbit flow as it is on mix_20 about 35 minutes each on one CPU
          core: not run. With 60 steps of 16 crystals, one cell shape and 40 predictions 1.5 minutes
          of a core each, most of it compiling.
Expected: not known at full length. After these 60 steps on 300 crystals of mix_20 the loss of most
          lies within 0.07 of the first's 1.85, and another seed changes it by 0.16: so few steps
          tell nothing. Only CSPNet stands out, with an error of the coordinates of 2.86 where the
          orbit network has 0.48 to 0.71.

Each variant is a run in a folder of OUT; its figures lie beside it. An interrupted call goes on
where it stopped, and a variant that is added later is trained alone.
"""

import argparse
import dataclasses
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxcrys.cli.config_file import read_config
from jaxcrys.cli.console import Console
from jaxcrys.cli.on_hardware import refusals
from jaxcrys.cli.train import Command as Train
from jaxcrys.cli.train import defaults, describe_sources, recipe_settings
from jaxcrys.core.errors import InputError
from jaxcrys.core.files import write_json
from jaxcrys.core.progress import TerminalProgress
from jaxcrys.core.settings import changed, to_json
from jaxcrys.crystal import Crystal, load_crystals
from jaxcrys.evaluation.true_template import errors, evenly_spaced, rate, store_of, templates_of
from jaxcrys.recipes import get_recipe
from jaxcrys.recipes.library import load_model
from jaxcrys.recipes.model import Model
from jaxcrys.recipes.run_folder import metrics_path
from jaxcrys.sampling.draw import Draws
from jaxcrys.sampling.generate import draw
from jaxcrys.training.config import validate
from jaxcrys.training.loop import TrainingFailed
from jaxcrys.training.metrics import read_metrics

VARIANTS = Path(__file__).parent / "configs" / "ablations" / "orbit_flow.yaml"
CHANGES = ("settings", "training")
"""What a variant may change."""

Figures = dict[str, Any]
"""By name: a number, or None where there is none."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the experiment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, metavar="TRAIN")
    parser.add_argument("--val", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--variants", type=Path, default=VARIANTS)
    parser.add_argument("--num", type=int, default=200, help="validation crystals to predict")
    parser.add_argument("--steps", type=int, help="of each training, in place of the config's")
    given = parser.parse_args(arguments)
    with refusals():
        found = {
            name: measured(
                dataclasses.replace(
                    command, data=given.data, val=given.val, out=given.out / folder_name(name)
                ),
                given.num,
            )
            for name, command in read_variants(given.variants, steps=given.steps).items()
        }
    print(table(found))


def read_variants(path: Path, *, steps: int | None = None) -> dict[str, Train]:
    """The trainings that a file describes, all of them checked.

    Args:
        path: a file with the ``config`` that all share, from where the file lies, and by name the
            ``variants``, each with its changes of ``settings`` and ``training``.
        steps: of all of them, in place of the config's.

    Raises:
        InputError: naming what cannot be used.
    """
    values = read_config(path)
    config, variants = values.pop("config", None), values.pop("variants", None)
    if values:
        unknown = next(iter(values))
        raise InputError(str(path), f"has no option {unknown!r}", "known: config, variants")
    if not isinstance(config, str) or not isinstance(variants, dict) or not variants:
        raise InputError(str(path), "needs a config, and variants by name")
    base = defaults(["--config", str(path.parent / config)])
    found = {
        name: _variant(base, changes or {}, steps, f"{path}: {name}")
        for name, changes in variants.items()
    }
    if len({folder_name(name) for name in found} - {""}) < len(found):
        raise InputError(f"{path}: variants", "each needs a name for a folder of its own")
    return found


def _variant(base: Train, changes: Any, steps: int | None, where: str) -> Train:
    if not isinstance(changes, dict):
        raise InputError(where, f"must be changes by name, got {changes!r}")
    for name, part in changes.items():
        if name not in CHANGES:
            raise InputError(where, f"changes {name!r}", f"known: {', '.join(CHANGES)}")
        if not isinstance(part, dict):
            raise InputError(f"{where}: {name}", f"must be named settings, got {part!r}")
    settings = recipe_settings(base.recipe, base.preset, base.settings, base.species)
    settings = changed(settings, changes.get("settings", {}), f"{where}: settings")
    training = changed(base.training, changes.get("training", {}), f"{where}: training")
    if steps is not None:
        training = dataclasses.replace(training, steps=steps)
    try:
        get_recipe(base.recipe).validate(settings)
        validate(training)
    except InputError as error:
        raise InputError(where, str(error)) from error
    return dataclasses.replace(base, settings=json.dumps(to_json(settings)), training=training)


def folder_name(variant: str) -> str:
    """A name for a folder.

    Example:
        >>> folder_name("16 neighbours")
        '16_neighbours'
    """
    return re.sub(r"\W+", "_", variant)


def measured(command: Train, num: int) -> Figures:
    """Train a variant, and take its figures; what was done before is not done again."""
    asked = {
        "data": describe_sources(command.data, command.val),
        "settings": json.loads(command.settings),
        "training": to_json(command.training),
        "num": num,
    }
    kept = command.out.with_name(f"{command.out.name}.json")
    if kept.exists():
        stored = json.loads(kept.read_text(encoding="utf-8"))
        if stored["asked"] == asked:
            return stored["figures"]
    try:
        command.run(Console())
    except TrainingFailed as error:
        print(f"{command.out}: {error}", file=sys.stderr)
        return {}
    model = load_model(command.out, checkpoint="latest")
    if model.step < command.training.steps:
        sys.exit("stopped; the same command goes on from here")
    references = evenly_spaced(load_crystals(command.val), num)
    figures = of_training(command.out, model) | of_predictions(command.out, model, references)
    write_json(kept, {"asked": asked, "figures": figures})
    return figures


def of_training(run: Path, model: Model) -> Figures:
    """Losses on the validation set after the last step, size, and seconds of a step."""
    lines = read_metrics(metrics_path(run))
    last = [line for line in lines if line["split"] == "validation"][-1]
    losses = {name: value for name, value in last.items() if name not in ("step", "split")}
    seconds = [line["seconds_per_step"] for line in lines if line["split"] == "train"]
    return losses | {
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(model.params)),
        "s/step": float(np.median(seconds)),
    }


def of_predictions(run: Path, model: Model, references: Crystal) -> Figures:
    """Match rate and RMSE of one draw each, if the model predicts structures."""
    functions = model.config.functions
    if functions.sample is None or functions.generates_species(model.config.settings):
        return {}
    store = store_of(run.with_name(f".{run.name}.work"), model, references, Draws())
    drawn = draw(
        model, templates_of(references), Draws(),
        batch_size=128, store=store, progress=TerminalProgress(),
    )  # fmt: skip
    matched, rmse = rate(errors(drawn.crystals, references))
    store.discard()
    return {"match rate": matched, "RMSE": rmse}


def table(found: dict[str, Figures]) -> str:
    """A row for each variant: its figures, and how they differ from those of the first.

    Example:
        >>> print(table({"as it is": {"loss": 0.5}, "wider": {"loss": 0.4}}))
        variant              loss
        as it is           0.5000
        wider      0.4000 -0.1000
    """
    first = next(iter(found.values()))
    names = list(dict.fromkeys(name for figures in found.values() for name in figures))
    rows = [["variant", *names]]
    for variant, figures in found.items():
        compared = {} if figures is first else first
        rows.append([variant, *(cell(figures.get(n), compared.get(n)) for n in names)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    )


def cell(value: float | None, compared: float | None) -> str:
    """A figure, and its difference from another.

    Example:
        >>> cell(1500, 1000), cell(0.25, None), cell(None, 0.5)
        ('1,500 +500', '0.2500', '-')
    """
    if value is None:
        return "-"
    digits = "," if isinstance(value, int) else ",.4f"
    return f"{value:{digits}}" + ("" if compared is None else f" {value - compared:+{digits}}")


if __name__ == "__main__":
    main()
