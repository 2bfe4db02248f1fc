"""What a run is made of before its first step: the examples, and the model that fits them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import tree_hash
from jaxcrys.core.typing import Int
from jaxcrys.crystal.buckets import choose_shapes
from jaxcrys.crystal.ragged import Ragged
from jaxcrys.crystal.types import Crystal
from jaxcrys.recipes.base import Params, get_recipe, recipe_names
from jaxcrys.recipes.model import Model, ModelConfig
from jaxcrys.recipes.run_folder import parameters_like
from jaxcrys.training.config import TrainingConfig
from jaxcrys.training.examples import Columns, ExampleSet, make_examples, survey


def check_recipe(recipe: str, settings: Any, columns: Columns) -> None:
    """Refuse settings that the recipe cannot use, and properties that it cannot learn.

    Raises:
        InputError: saying which recipe can.
    """
    get_recipe(recipe).validate(settings)
    if not columns and get_recipe(recipe).makes == "numbers":
        raise InputError("--properties", f"names nothing for {recipe} to learn", "name a column")
    if columns and get_recipe(recipe).condition is None:
        recipes = {name: get_recipe(name) for name in recipe_names() if name != recipe}
        able = [name for name, one in recipes.items() if one.condition and one.makes != "numbers"]
        raise InputError(
            "properties", f"{recipe} cannot draw crystals for them", f"use {' or '.join(able)}"
        )


def example_sets(
    crystals: Crystal | Ragged,
    validation: Crystal | Ragged | None,
    columns: Columns,
    validation_columns: Columns | None,
    config: TrainingConfig,
) -> tuple[ExampleSet, ExampleSet]:
    """Examples to train on, and some that are held out.

    Raises:
        InputError: if there are too few, or a column does not fit.
    """
    examples = make_examples(crystals, columns, "properties")
    if validation is None:
        training, held = hold_out(len(examples), config)
        return examples.select(training), examples.select(held)
    others = make_examples(validation, {}, "validation")
    unknown = np.full(len(others), np.nan)
    known = {name: (validation_columns or {}).get(name, unknown) for name in columns}
    held_out = make_examples(others.crystals, known, "validation_properties")
    return examples, held_out.select(slice(config.validation_size))


def hold_out(
    count: int, config: TrainingConfig
) -> tuple[Int[np.ndarray, "t"], Int[np.ndarray, "v"]]:
    """Split off a twentieth for validation, at most ``validation_size``, chosen by the seed.

    Returns:
        rows to train on, and rows held out.

    Raises:
        InputError: if there are fewer than two crystals.
    """
    if count < 2:
        raise InputError("dataset", f"needs at least 2 crystals, has {count}")
    order = np.random.default_rng(config.seed).permutation(count)
    held = min(max(1, count // 20), config.validation_size)
    return np.sort(order[held:]), np.sort(order[:held])


def fit_model(
    recipe: str,
    settings: Any,
    names: tuple[str, ...],
    examples: ExampleSet,
    held: ExampleSet,
    config: TrainingConfig,
) -> ModelConfig:
    """The recipe with what it takes from the data, and cell shapes that hold all crystals."""
    functions = get_recipe(recipe)
    settings = functions.fit(settings, survey(examples.crystals))
    if names and functions.condition is not None:
        settings = functions.condition(settings, names, np.asarray(examples.properties))
    both = examples.crystals, held.crystals
    return ModelConfig(
        recipe=recipe,
        settings=settings,
        shapes=choose_shapes(*both, limit=config.max_shapes, cost=functions.cost(settings)),
        sites=max(part.sites for part in both),
    )


def described_init(init: Model | None) -> dict[str, Any]:
    """What the run's config says of the model that the first parameters are from."""
    return {} if init is None else {"init": tree_hash(init.params)}


def first_params(init: Model, model: ModelConfig) -> Params:
    """The parameters of a model, to start another from.

    Raises:
        InputError: if the other is of another recipe or size.
    """
    if init.config.recipe != model.recipe:
        raise InputError("--init", f"{init.run} is of {init.config.recipe}, not of {model.recipe}")
    sizes = [
        jax.tree.map(lambda leaf: leaf.shape, p) for p in (init.params, parameters_like(model))
    ]
    if sizes[0] != sizes[1]:
        raise InputError(
            "--init", f"{init.run} has a network of another size", "give the settings it has"
        )
    return jax.tree.map(jnp.asarray, init.params)
