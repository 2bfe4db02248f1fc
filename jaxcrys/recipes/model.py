"""A model: the recipe's name and settings, cell shapes, templates, and trained parameters."""

import dataclasses
from pathlib import Path
from typing import Any

from jaxcrys.core.errors import InputError
from jaxcrys.core.settings import changed, from_json, to_json
from jaxcrys.crystal.primitive import CellShape
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
    """A trained generator, ready to sample.

    Attributes:
        config: what it is.
        params: its parameters.
        templates: crystals of its training set.
        step: of the training that the parameters are from.
        run: where it was loaded from.
    """

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
