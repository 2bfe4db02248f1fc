"""``jaxcrys fit``."""

import csv
import dataclasses
from pathlib import Path

import numpy as np

from jaxcrys.cli import train as training_command
from jaxcrys.cli.arguments import Dataset
from jaxcrys.cli.console import Console
from jaxcrys.core.files import atomic_path, write_json
from jaxcrys.core.progress import Progress
from jaxcrys.crystal.storage import map_crystals
from jaxcrys.data.properties import read_properties
from jaxcrys.evaluation.regression import Regression, regression
from jaxcrys.recipes.library import load_model
from jaxcrys.sampling.estimate import Estimated, estimate
from jaxcrys.training import TrainingConfig
from jaxcrys.training.examples import ExampleSet, make_examples
from jaxcrys.training.setup import example_sets

RECIPE = "regressor"
TRAINING = TrainingConfig(steps=5000, batch_size=64, checkpoint_every=500)


@dataclasses.dataclass(frozen=True)
class Command:
    """Learn to estimate columns of a dataset, such as a band gap, with an uncertainty for each.

    Trains an ensemble of orbit networks, then compares it with crystals that it has not seen: how
    large its errors are, and how honest the uncertainty is. The run goes to 'jaxcrys estimate',
    which judges other crystals, and to 'jaxcrys generate --property-guidance'. The same command
    goes on where it was interrupted.

    Attributes:
        data: dataset folder, made by 'jaxcrys prepare'.
        target: columns of the dataset, such as band_gap,formation_energy_per_atom; values may be
            missing.
        out: folder of the run.
        val: dataset by which the best state is chosen; by default a twentieth of DATA is held out.
        test: dataset that the result is compared with; by default that of --val or what was held
            out, by which the state was chosen, which flatters it a little.
        preset: size: tiny, small or base.
        settings: JSON object of settings that differ from the preset, such as '{"members": 8}'.
        training: how to train.
    """

    data: Dataset
    target: str
    out: Path
    val: Path | None = None
    test: Path | None = None
    preset: str = "small"
    settings: str = "{}"
    training: TrainingConfig = TRAINING

    def run(self, console: Console) -> None:
        """Train, and compare."""
        names = [name.strip() for name in self.target.split(",")]
        held = self._held_out(names)  # refuses what cannot be used before anything is computed
        training_command.Command(
            data=self.data, out=self.out, val=self.val, recipe=RECIPE, preset=self.preset,
            settings=self.settings, properties=self.target, training=self.training,
        ).run(console)  # fmt: skip
        if console.result.get("finished"):
            figures = compare(self.out, held, console.progress)
            console.tell(report(figures), figures=figures)

    def _held_out(self, names: list[str]) -> ExampleSet:
        """What the result is compared with."""
        if self.test is not None:
            columns = read_properties(self.test, names)
            return make_examples(map_crystals(self.test), columns, str(self.test))
        validation = map_crystals(self.val) if self.val else None
        known = read_properties(self.val, names) if self.val else None
        columns = read_properties(self.data, names)
        return example_sets(map_crystals(self.data), validation, columns, known, self.training)[1]


def compare(run: Path, held: ExampleSet, progress: Progress) -> dict[str, Regression]:
    """Compare a run with known values; writes ``test.json`` and ``test.csv`` into its folder."""
    model = load_model(run)
    targets = model.config.settings.targets
    crystals = held.batch(np.arange(len(held))).crystals
    found = estimate(model, crystals, progress=progress)
    figures, columns = {}, {}
    for i, target in enumerate(targets):
        known, estimated = held.properties[:, i].astype(float), found[target.name]
        figures[target.name] = regression(known, *estimated, training_mean=target.mean)
        columns |= estimate_columns(target.name, estimated) | {target.name: known}
    write_json(run / "test.json", {name: found._asdict() for name, found in figures.items()})
    with atomic_path(run / "test.csv") as partial, partial.open("w", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["row", *columns])
        rows = zip(*columns.values(), strict=True)
        writer.writerows([i, *map("{:.6g}".format, row)] for i, row in enumerate(rows))
    return figures


def estimate_columns(name: str, estimated: Estimated) -> dict[str, np.ndarray]:
    """How estimates of a property are called in tables."""
    return {f"estimated_{name}": estimated.mean, f"estimated_{name}_spread": estimated.spread}


def report(figures: dict[str, Regression]) -> str:
    """The figures in a few lines."""
    return "\n".join(
        f"{name}: mean absolute error {found.mae:.4g} (the mean alone {found.baseline:.4g}), "
        f"R² {found.r2:.3f}, of {found.count} crystals; within one and two spreads "
        f"{found.within_1:.1%} and {found.within_2:.1%} (honest: 68.3% and 95.4%), "
        f"rank correlation of spread and error {found.sharpness:.2f}"
        for name, found in figures.items()
    )
