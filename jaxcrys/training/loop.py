"""The training loop, in the order in which things happen."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np

from jaxcrys.core.checkpoint import CheckpointStore, open_checkpoints
from jaxcrys.core.errors import InputError
from jaxcrys.core.progress import Progress
from jaxcrys.core.pytree import take
from jaxcrys.core.rng import stream
from jaxcrys.core.settings import to_json
from jaxcrys.crystal.buckets import choose_shapes, join_crystals
from jaxcrys.crystal.types import Crystal
from jaxcrys.parallel.mesh import data_mesh, replicate
from jaxcrys.parallel.strategies import STRATEGIES
from jaxcrys.recipes.base import get_recipe, recipe_names
from jaxcrys.recipes.model import (
    ModelConfig,
    checkpoints_path,
    config_path,
    metrics_path,
    model_from_json,
    model_to_json,
)
from jaxcrys.training.batches import Batches
from jaxcrys.training.config import TrainingConfig, validate
from jaxcrys.training.examples import Columns, Examples, describe_properties, make_examples
from jaxcrys.training.metrics import MetricsFile, mean_metrics
from jaxcrys.training.start import start_run
from jaxcrys.training.state import Programs, TrainState, init_state, make_programs

T = TypeVar("T")


class TrainingFailed(RuntimeError):
    """Training cannot go on; what was saved before is kept."""


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """What a finished run reports."""

    steps: int
    loss: float
    best_step: int
    seconds: float


def train(
    run: Path | str,
    crystals: Crystal,
    validation: Crystal | None = None,
    *,
    recipe: str,
    settings: Any,
    config: TrainingConfig,
    properties: Columns | None = None,
    validation_properties: Columns | None = None,
    source: dict[str, Any] | None = None,
    devices: Sequence[jax.Device] | None = None,
    strategy: str = "sharded",
    progress: Progress | None = None,
) -> TrainingResult:
    """Train a recipe, or go on with a run that was interrupted.

    A run is resumed from its newest checkpoint and then continues exactly as if it had never
    stopped. On several devices the batch is split over all of them; the losses are those of one.

    Args:
        run: folder of the run; made if it does not exist.
        crystals: training set, NumPy arrays.
        validation: validation set; by default a part of ``crystals`` is held out.
        recipe: name of the recipe.
        settings: the recipe's config; its data-dependent part is taken from ``crystals``.
        config: how to train.
        properties: numbers known of the crystals, that the recipe shall learn to draw them for;
            NaN where not known.
        validation_properties: of the validation set; not known without them.
        source: what the crystals are (name, hash), kept in the run's config.
        devices: that share the work; all by default.
        strategy: how batches are laid over devices (``parallel.strategies``); the results are the
            same.
        progress: where to report.

    Raises:
        InputError: if the settings cannot be used, or differ from those the run was started with.
        TrainingFailed: if the loss is not finite; the last checkpoint is kept.
    """
    run = Path(run)
    progress = progress or Progress()
    validate(config)
    if strategy not in STRATEGIES:
        raise InputError("strategy", f"must be one of {', '.join(STRATEGIES)}, got {strategy!r}")
    get_recipe(recipe).validate(settings)
    columns = dict(properties or {})
    _check_conditions(recipe, columns)

    # The data, and the model that fits it.
    examples = make_examples(crystals, columns, "properties")
    if validation is None:
        examples, held = hold_out(examples, config)
    else:
        unknown = np.full(len(validation.group), np.nan)
        known = {name: (validation_properties or {}).get(name, unknown) for name in columns}
        held = make_examples(validation, known, "validation_properties")
    held = take(held, slice(config.validation_size))
    model = _fit_model(recipe, settings, tuple(columns), examples, held, config)
    data = (source or {}) | {"training": len(examples.crystals.group)}
    if columns:
        data["properties"] = describe_properties(tuple(columns), examples, held)
    described = {"model": model_to_json(model), "training": to_json(config), "data": data}
    described = start_run(run, described, examples.crystals)
    model = model_from_json(described["model"], str(config_path(run)))

    # State on the devices; programs, one for each cell shape.
    mesh = data_mesh(devices)
    state = replicate(mesh, init_state(model, config))
    parts = config.microbatches
    batches = Batches(examples, model, config, mesh, strategy=strategy, parts=parts)
    held_out = Batches(held, model, config, mesh, repeat=False)
    with open_checkpoints(checkpoints_path(run)) as store:
        store.tidy()
        state = _restore(store, state)
        first = int(state.step)
        log = MetricsFile(metrics_path(run), resume_step=first)
        started = time.monotonic()
        programs = make_programs(model, config, mesh, strategy)
        if first < config.steps:
            _compile(programs, state, batches, progress)
        window: list = []
        window_start = time.monotonic()
        with progress.bar("training", total=config.steps, done=first) as bar:
            for step in range(first, config.steps):
                shape, batch = batches.at(step)
                gradients, metrics = programs.gradient(state, batch, shape=shape)
                state = programs.update(state, gradients)
                window.append(metrics)
                done = step + 1
                last = done == config.steps
                if done % config.log_every == 0 or last:
                    means = _finite(mean_metrics(window), done, store)
                    per_step = (time.monotonic() - window_start) / len(window)
                    log.write(step=done, split="train", **means, seconds_per_step=per_step)
                    window, window_start = [], time.monotonic()
                    bar.note(f"loss {means['loss']:.4f}")
                if done % config.checkpoint_every == 0 or last:
                    means = _validate(programs.evaluate, state, held_out, config)
                    _finite(means, done, store)
                    log.write(step=done, split="validation", **means)
                    items = {"state": state, "ema": state.ema}
                    store.save(done, items, described, loss=means["loss"])
                    window_start = time.monotonic()
                bar.advance()
        best = store.best()
        latest = store.latest()
        if best is None or latest is None:
            raise TrainingFailed(f"{run} holds no checkpoint")
        return TrainingResult(
            steps=latest,
            loss=store.loss(best),
            best_step=best,
            seconds=time.monotonic() - started,
        )


def hold_out(crystals: T, config: TrainingConfig) -> tuple[T, T]:
    """Split off a twentieth for validation, at most ``validation_size``, chosen by the seed.

    Raises:
        InputError: if there are fewer than two crystals.
    """
    count = len(jax.tree.leaves(crystals)[0])
    if count < 2:
        raise InputError("dataset", f"needs at least 2 crystals, has {count}")
    order = np.random.default_rng(config.seed).permutation(count)
    held = min(max(1, count // 20), config.validation_size)
    return take(crystals, np.sort(order[held:])), take(crystals, np.sort(order[:held]))


def _check_conditions(recipe: str, columns: Columns) -> None:
    if columns and get_recipe(recipe).condition is None:
        able = [name for name in recipe_names() if get_recipe(name).condition is not None]
        raise InputError(
            "properties", f"{recipe} cannot draw crystals for them", f"use {' or '.join(able)}"
        )


def _fit_model(
    recipe: str,
    settings: Any,
    names: tuple[str, ...],
    examples: Examples,
    held: Examples,
    config: TrainingConfig,
) -> ModelConfig:
    both = join_crystals([examples.crystals, held.crystals])
    settings = get_recipe(recipe).fit(settings, examples.crystals)
    condition = get_recipe(recipe).condition
    if names and condition is not None:
        settings = condition(settings, names, np.asarray(examples.properties))
    return ModelConfig(
        recipe=recipe,
        settings=settings,
        shapes=choose_shapes(both, limit=config.max_shapes, cost=get_recipe(recipe).cost(settings)),
        sites=both.wyckoff.shape[-1],
    )


def _compile(programs: Programs, state: TrainState, batches: Batches, progress: Progress) -> None:
    """Compile the gradient for each cell shape ahead, so that step times are honest."""
    with progress.bar("compiling", total=batches.order.num_shapes) as bar:
        for shape, example in batches.one_of_each():
            jax.block_until_ready(programs.gradient(state, example, shape=shape))
            bar.advance()


def _validate(
    evaluate: Callable, state: TrainState, batches: Batches, config: TrainingConfig
) -> dict[str, float]:
    key = stream(jax.random.key(config.seed), "validation")
    results = []
    for step in batches.epoch():
        shape, batch = batches.at(step)
        results.append(evaluate(state.ema, jax.random.fold_in(key, step), batch, shape=shape))
    return mean_metrics(results)


def _restore(store: CheckpointStore, state: TrainState) -> TrainState:
    latest = store.latest()
    return state if latest is None else store.restore(latest, "state", state)


def _finite(means: dict[str, float], step: int, store: CheckpointStore) -> dict[str, float]:
    bad = [name for name, value in means.items() if not np.isfinite(value)]
    if bad:
        raise TrainingFailed(
            f"{', '.join(bad)} is not finite at step {step}; the last good checkpoint is that of "
            f"step {store.latest()}. A lower learning rate may help."
        )
    return means
