"""The training loop, in the order in which things happen."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxcrys.core.checkpoint import CheckpointStore, open_checkpoints
from jaxcrys.core.errors import InputError
from jaxcrys.core.progress import Progress
from jaxcrys.core.rng import stream
from jaxcrys.core.settings import to_json
from jaxcrys.crystal.ragged import Ragged
from jaxcrys.crystal.types import Crystal
from jaxcrys.parallel.distributed import agree, first_then_others, is_first, wait_for_all
from jaxcrys.parallel.mesh import data_mesh, replicate
from jaxcrys.parallel.strategies import STRATEGIES
from jaxcrys.recipes.model import Model, ModelConfig, model_from_json, model_to_json
from jaxcrys.recipes.run_folder import checkpoints_path, config_path, metrics_path
from jaxcrys.training.batches import Batches
from jaxcrys.training.config import TrainingConfig, validate
from jaxcrys.training.examples import Columns, ExampleSet, describe_properties
from jaxcrys.training.metrics import MetricsFile, Window, mean_metrics
from jaxcrys.training.setup import (
    check_recipe,
    described_init,
    example_sets,
    first_params,
    fit_model,
)
from jaxcrys.training.start import start_run
from jaxcrys.training.state import Programs, TrainState, init_state, make_programs
from jaxcrys.training.stopping import Stopping, stops_on_sigterm

WINDOW = "window"
"""Record of a checkpoint: metrics that are still to be logged."""


FORMAT = 2
"""Of the checkpoints of a run; one of another format is not gone on with."""


class TrainingFailed(RuntimeError):
    """Training cannot go on; what was saved before is kept."""


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """What a run reports.

    Attributes:
        steps: done so far.
        finished: whether these are all; else the run was asked to stop.
        loss: the lowest on the validation set; NaN before the first validation.
        best_step: where it was found.
        seconds: that this call took.
    """

    steps: int
    finished: bool
    loss: float
    best_step: int
    seconds: float


def train(
    run: Path | str,
    crystals: Crystal | Ragged,
    validation: Crystal | Ragged | None = None,
    *,
    recipe: str,
    settings: Any,
    config: TrainingConfig,
    properties: Columns | None = None,
    validation_properties: Columns | None = None,
    source: dict[str, Any] | None = None,
    init: Model | None = None,
    devices: Sequence[jax.Device] | None = None,
    strategy: str = "sharded",
    progress: Progress | None = None,
) -> TrainingResult:
    """Train a recipe, or go on with a run that was interrupted.

    A run is resumed from its newest checkpoint and then continues exactly as if it had never
    stopped. On several devices the batch is split over all of them; the losses are those of one.

    SIGTERM ends it after the step under way, with a checkpoint. Of several processes
    (``parallel.distributed``) each calls this with the same arguments; the first one writes.

    Args:
        run: folder of the run; made if it does not exist.
        crystals: training set; it may be memory-mapped.
        validation: validation set; by default a part of ``crystals`` is held out.
        recipe: name of the recipe.
        settings: the recipe's config; its data-dependent part is taken from ``crystals``.
        config: how to train.
        properties: numbers known of the crystals, that the recipe shall learn to draw them for;
            NaN where not known.
        validation_properties: of the validation set; not known without them.
        source: what the crystals are (name, hash), kept in the run's config.
        init: a model of the same recipe and size, whose parameters are the first ones; what is
            taken from the data is taken from ``crystals``.
        devices: that share the work; all by default.
        strategy: how batches are laid over devices (``parallel.strategies``); the results are the
            same.
        progress: where to report.

    Raises:
        InputError: if the settings cannot be used, or differ from those the run was started with.
        TrainingFailed: if the loss is not finite; the last checkpoint is kept.
    """
    run = Path(run)
    progress = progress if progress is not None and is_first() else Progress()
    validate(config)
    if strategy not in STRATEGIES:
        raise InputError("strategy", f"must be one of {', '.join(STRATEGIES)}, got {strategy!r}")
    columns = dict(properties or {})
    check_recipe(recipe, settings, columns)

    # The data, and the model that fits it.
    examples, held = example_sets(crystals, validation, columns, validation_properties, config)
    fitted = fit_model(recipe, settings, tuple(columns), examples, held, config)
    params = None if init is None else first_params(init, fitted)
    data = (source or {}) | described_init(init)
    described = _describe(fitted, config, examples, held, tuple(columns), data)
    described = first_then_others(lambda: start_run(run, described, examples.crystals))
    model = model_from_json(described["model"], str(config_path(run)))

    # State on the devices; programs, one for each cell shape.
    mesh = data_mesh(devices)
    own = STRATEGIES[strategy].state_mesh(mesh)
    parts = config.microbatches
    batches = Batches(examples, model, config, mesh, strategy=strategy, parts=parts)
    held_out = Batches(held, model, config, own, repeat=False)
    with open_checkpoints(checkpoints_path(run)) as store, stops_on_sigterm() as stopping:
        state = init_state(model, config, params)
        state, window = _resume(store, jax.device_get(state), progress)
        first = int(state.step)
        state = replicate(own, state)
        log = MetricsFile(metrics_path(run), resume_step=first) if is_first() else None
        started = time.monotonic()
        programs = make_programs(model, config, mesh, strategy)
        last = first
        if first < config.steps:
            _compile(programs, state, batches, stopping, progress)
            loop = _Loop(config, described, programs, held_out, store, log, window, stopping)
            last = loop.run(state, batches, progress)
        store.wait()
        wait_for_all("saved")
        store.reload()
        return _result(run, store, last, config, time.monotonic() - started)


@dataclasses.dataclass
class _Loop:
    """What the steps of a run share.

    Attributes:
        config: how to train.
        described: the run's config, kept in every checkpoint.
        programs: compiled.
        held_out: batches to validate on.
        store: where checkpoints go.
        log: where metrics go; None in all processes but the first.
        window: metrics since the last line of the log.
        stopping: whether to stop early.
    """

    config: TrainingConfig
    described: dict[str, Any]
    programs: Programs
    held_out: Batches
    store: CheckpointStore
    log: MetricsFile | None
    window: Window
    stopping: Stopping

    def run(self, state: TrainState, batches: Batches, progress: Progress) -> int:
        """Take the steps that are left; returns the number of the last."""
        first, steps = int(state.step), self.config.steps
        with progress.bar("training", total=steps, done=first) as bar:
            for done, (shape, batch) in enumerate(batches.stream(first, steps), first + 1):
                gradients, metrics = self.programs.gradient(state, batch, shape=shape)
                state = self.programs.update(state, gradients)
                self.window.add(metrics)
                stop = self.stopping.after(done)
                if done % self.config.log_every == 0 or done == steps:
                    means, seconds = self.window.close()
                    self._finite(means, done)
                    self._log(step=done, split="train", **means, seconds_per_step=seconds)
                    bar.note(f"loss {means['loss']:.4f}")
                if done % self.config.checkpoint_every == 0 or done == steps:
                    means = validate_on(self.held_out, self.programs.evaluate, state, self.config)
                    self._finite(means, done)
                    self._log(step=done, split="validation", **means)
                    self._save(done, state, means["loss"])
                    self.window.restart()
                elif stop:
                    self._save(done, state, None)
                bar.advance()
                if stop:
                    return done
        return steps

    def _log(self, **values: Any) -> None:
        if self.log is not None:
            self.log.write(**values)

    def _save(self, step: int, state: TrainState, loss: float | None) -> None:
        """Keep the state, and the metrics that are not logged yet."""
        waiting = self.window.fetch()
        if waiting:
            self._finite(mean_metrics(waiting), step)
        if is_first():
            items = {"state": state, "ema": state.ema}
            self.store.save(step, items, self.described, loss=loss, records={WINDOW: waiting})

    def _finite(self, means: dict[str, float], step: int) -> None:
        bad = [name for name, value in means.items() if not np.isfinite(value)]
        if bad:
            raise TrainingFailed(
                f"{', '.join(bad)} is not finite at step {step}; the last good checkpoint is that "
                f"of step {self.store.latest()}. A lower learning rate may help."
            )


def validate_on(
    batches: Batches, evaluate: Callable, state: TrainState, config: TrainingConfig
) -> dict[str, float]:
    """Mean metrics of the averaged parameters on held-out crystals, under fixed noise."""
    key = stream(jax.random.key(config.seed), "validation")
    results = []
    for step in batches.epoch():
        shape, batch = batches.at(step)
        results.append(evaluate(state.ema, jax.random.fold_in(key, step), batch, shape=shape))
    return mean_metrics(results)


def _describe(
    model: ModelConfig,
    config: TrainingConfig,
    examples: ExampleSet,
    held: ExampleSet,
    names: tuple[str, ...],
    source: dict[str, Any],
) -> dict[str, Any]:
    data = source | {"training": len(examples)}
    if names:
        data["properties"] = describe_properties(names, examples, held)
    return {
        "format": FORMAT,
        "model": model_to_json(model),
        "training": to_json(config),
        "data": data,
    }


def _compile(
    programs: Programs,
    state: TrainState,
    batches: Batches,
    stopping: Stopping,
    progress: Progress,
) -> None:
    """Compile the gradient for each cell shape ahead, so that step times are honest.

    Who is to stop has no time for it.
    """
    with progress.bar("compiling", total=batches.order.num_shapes) as bar:
        for shape, example in batches.one_of_each():
            jax.block_until_ready(programs.gradient(state, example, shape=shape))
            bar.advance()
            if stopping.asked:
                break


def _resume(
    store: CheckpointStore, state: TrainState, progress: Progress
) -> tuple[TrainState, Window]:
    """The newest checkpoint that is whole, or the state given; a damaged one is set aside."""
    step = first_then_others(lambda: _newest_whole(store, state, progress))
    store.reload()
    step = agree(step)
    if step == 0:
        return state, Window()
    return store.restore(step, "state", state), Window(store.read(step, WINDOW))


def _newest_whole(store: CheckpointStore, state: TrainState, progress: Progress) -> int:
    if not is_first():
        return 0
    store.tidy()
    while (step := store.latest()) is not None:
        try:
            store.restore(step, "state", state)
            store.restore(step, "ema", state.ema)
            store.read(step, WINDOW)
            return step
        except InputError as error:
            progress.say(f"{error}\nit was moved to {store.set_aside(step)}")
    return 0


def _result(
    run: Path, store: CheckpointStore, last: int, config: TrainingConfig, seconds: float
) -> TrainingResult:
    best, latest = store.best(), store.latest()
    if latest is None:
        raise TrainingFailed(f"{run} holds no checkpoint")
    return TrainingResult(
        steps=latest,
        finished=last >= config.steps,
        loss=float("nan") if best is None else store.loss(best),
        best_step=latest if best is None else best,
        seconds=seconds,
    )
