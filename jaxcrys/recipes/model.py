"""A run on disk: the recipe's name and settings, cell shapes, templates, and trained parameters.

RUN/config.json      what was trained, on what, and how
RUN/templates.npz    groups, positions and elements of the training set
RUN/metrics.jsonl    one line for each log
RUN/checkpoints/     orbax checkpoints with the config inside
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxcrys.core.checkpoint import open_checkpoints
from jaxcrys.core.errors import InputError
from jaxcrys.core.files import write_json
from jaxcrys.core.settings import changed, from_json, to_json
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.crystal.storage import load_crystals, save_crystals
from jaxcrys.crystal.types import Crystal
from jaxcrys.recipes.base import Params, Recipe, get_recipe

SCHEMA = 3


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Everything about a model but its parameters.

    Attributes:
        recipe: name of the recipe.
        settings: the recipe's own config.
        shapes: cell shapes that programs are compiled for.
        sites: site slots of the crystals.
    """

    recipe: str
    settings: Any
    shapes: tuple[CellShape, ...]
    sites: int

    @property
    def functions(self) -> Recipe:
        """The functions of the recipe."""
        return get_recipe(self.recipe)


@dataclasses.dataclass(frozen=True)
class Model:
    """A trained generator, ready to sample."""

    config: ModelConfig
    params: Params
    templates: Crystal
    step: int
    run: Path


def with_settings(model: Model, changes: dict[str, Any]) -> Model:
    """The model with other settings, say of its sampler.

    Raises:
        InputError: for settings that do not exist or cannot be used.
    """
    settings = changed(model.config.settings, changes)
    model.config.functions.validate(settings)
    return dataclasses.replace(model, config=dataclasses.replace(model.config, settings=settings))


def model_to_json(config: ModelConfig) -> dict[str, Any]:
    """Plain values of a model's config."""
    return {
        "schema": SCHEMA,
        "recipe": config.recipe,
        "settings": to_json(config.settings),
        "shapes": [to_json(shape) for shape in config.shapes],
        "sites": config.sites,
    }


def model_from_json(values: dict[str, Any], where: str = "config") -> ModelConfig:
    """Inverse of :func:`model_to_json`.

    Raises:
        InputError: if the values are of another schema or do not fit the recipe's config.
    """
    if values.get("schema") != SCHEMA:
        raise InputError(
            where, f"has schema {values.get('schema')}, this jaxcrys reads {SCHEMA}",
            "train again, or use the jaxcrys version that made it",
        )  # fmt: skip
    missing = {"recipe", "settings", "shapes", "sites"} - set(values)
    if missing:
        raise InputError(where, f"lacks {', '.join(sorted(missing))}", "it is not jaxcrys's config")
    recipe = get_recipe(values["recipe"])
    return ModelConfig(
        recipe=values["recipe"],
        settings=from_json(recipe.config, values["settings"], f"{where}.settings"),
        shapes=tuple(from_json(CellShape, shape, f"{where}.shapes") for shape in values["shapes"]),
        sites=values["sites"],
    )


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


def write_run(run: Path, config: dict[str, Any], training_set: Crystal) -> None:
    """Start a run folder: the templates, then the config that makes it a run."""
    save_crystals(run / "templates.npz", training_set)
    write_json(config_path(run), config)


def load_model(run: Path | str, *, checkpoint: str = "best") -> Model:
    """Load a trained model.

    Args:
        run: a folder made by training.
        checkpoint: ``best`` (lowest validation loss), ``latest``, or a step number.

    Raises:
        InputError: if there is no run or no such checkpoint.
    """
    run = Path(run)
    values = read_run_config(run)
    config = model_from_json(values.get("model", {}), str(config_path(run)))
    like = jax.eval_shape(lambda: config.functions.init(jax.random.key(0), config.settings))
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device), like)
    with open_checkpoints(checkpoints_path(run)) as store:
        named = {"best": store.best(), "latest": store.latest()}
        step = named[checkpoint] if checkpoint in named else int(checkpoint)
        if step is None:
            raise InputError(str(run), "has no checkpoint yet", "let the training go on")
        params = store.restore(step, "ema", like)
    return Model(
        config=config,
        params=jax.tree.map(jnp.asarray, params),
        templates=load_crystals(run / "templates.npz"),
        step=step,
        run=run,
    )
