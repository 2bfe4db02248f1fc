"""A run on disk: what training writes, and sampling reads.

RUN/config.json      what was trained, on what, and how
RUN/templates.npz    groups, positions and elements of the training set
RUN/metrics.jsonl    one line for each log
RUN/checkpoints/     orbax checkpoints with the config inside
"""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxcrys.core.checkpoint import open_checkpoints
from jaxcrys.core.errors import InputError
from jaxcrys.core.files import write_json
from jaxcrys.crystal.ragged import Ragged
from jaxcrys.crystal.storage import load_crystals, save_crystals
from jaxcrys.crystal.types import Crystal
from jaxcrys.recipes.base import Params
from jaxcrys.recipes.model import Model, ModelConfig, model_from_json


def config_path(run: Path) -> Path:
    """Where a run keeps its config."""
    return run / "config.json"


def checkpoints_path(run: Path) -> Path:
    """Where a run keeps its checkpoints."""
    return run / "checkpoints"


def metrics_path(run: Path) -> Path:
    """Where a run logs its metrics."""
    return run / "metrics.jsonl"


def read_run_config(run: Path) -> dict[str, Any]:
    """The JSON config of a run.

    Raises:
        InputError: if there is no run at that path.
    """
    try:
        return json.loads(config_path(run).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(
            str(run), "is not a training run (it has no config.json)", "make one: jaxcrys train"
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(str(config_path(run)), f"is not a readable config ({error})") from error


def write_run(run: Path, config: dict[str, Any], training_set: Crystal | Ragged) -> None:
    """Start a run folder: the templates, then the config that makes it a run."""
    save_crystals(run / "templates.npz", training_set)
    write_json(config_path(run), config)


def load_run(run: Path, *, checkpoint: str = "best") -> Model:
    """Load a checkpoint of a run.

    Args:
        run: a folder made by training.
        checkpoint: ``best`` (lowest validation loss), ``latest``, or a step number.

    Raises:
        InputError: if there is no run or no such checkpoint.
    """
    values = read_run_config(run)
    config = model_from_json(values.get("model", {}), str(config_path(run)))
    with open_checkpoints(checkpoints_path(run)) as store:
        named = {"best": store.best(), "latest": store.latest()}
        step = named[checkpoint] if checkpoint in named else int(checkpoint)
        if step is None and named["latest"] is not None:
            hint = f"let the training go on, or take checkpoint 'latest', of step {named['latest']}"
            raise InputError(str(run), "was stopped before its first validation", hint)
        if step is None:
            raise InputError(str(run), "has no checkpoint yet", "let the training go on")
        params = store.restore(step, "ema", parameters_like(config))
    return Model(
        config=config,
        params=jax.tree.map(jnp.asarray, params),
        templates=load_crystals(run / "templates.npz"),
        step=step,
        run=run,
    )


def parameters_like(config: ModelConfig) -> Params:
    """Shapes and types of the parameters of a model."""
    return jax.eval_shape(lambda: config.functions.init(jax.random.key(0), config.settings))
