"""What is written of a model that is given away: a description in JSON, and arrays by name.

It is read from files of others, so nothing in it is believed: settings are checked before a network
is made of them, and parameters must be those that were written.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import tree_hash
from jaxcrys.core.untrusted import bound
from jaxcrys.crystal.types import Crystal
from jaxcrys.recipes.base import Params
from jaxcrys.recipes.model import Model, ModelConfig, model_from_json, model_to_json
from jaxcrys.recipes.run_folder import parameters_like

MOST_OF_A_SETTING = 100_000
"""Layers, channels, steps: larger numbers would take forever before they are found out."""


class Description(NamedTuple):
    """What is said of a model.

    Attributes:
        config: recipe, settings and cell shapes.
        step: of the training.
        sha256: of the parameters.
    """

    config: ModelConfig
    step: int
    sha256: str


def describe_model(model: Model) -> dict[str, Any]:
    """Plain values that :func:`read_description` reads."""
    sha256 = tree_hash(model.params)
    return {"model": model_to_json(model.config), "step": model.step, "sha256": sha256}


def read_description(text: str | bytes, path: Path) -> Description:
    """What a file says of its model.

    Raises:
        InputError: if it is no description, or one of a network that no memory could hold.
    """
    try:
        values = json.loads(text)
        known = {name: values[name] for name in ("model", "step", "sha256")}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(str(path), f"does not describe a model ({error})") from error
    if not isinstance(known["model"], dict) or type(known["step"]) is not int:
        raise InputError(str(path), "does not describe a model")
    return Description(_config(known["model"], path), known["step"], known["sha256"])


def named_arrays(params: Params) -> dict[str, np.ndarray]:
    """Parameters by their places in the tree, as ``params/layer_0/kernel``."""
    return {name: np.asarray(leaf) for name, leaf in _named(params)}


def read_model(
    described: Description, arrays: Mapping[str, np.ndarray], templates: Crystal, path: Path
) -> Model:
    """A model of its description and :func:`named_arrays`.

    Raises:
        InputError: if parameters are missing, of another shape, or not those that were written.
    """
    params = _parameters(arrays, parameters_like(described.config), path)
    if tree_hash(params) != described.sha256:
        raise InputError(str(path), "holds other parameters than were written", "fetch it again")
    return Model(
        config=described.config,
        params=jax.tree.map(jnp.asarray, params),
        templates=templates,
        step=described.step,
        run=path,
    )


def _config(values: dict[str, Any], path: Path) -> ModelConfig:
    """The config, with no number that would make a network larger than any memory."""
    largest = max(_whole_numbers(values), default=0)
    if largest > bound(MOST_OF_A_SETTING):
        raise InputError(str(path), f"has a setting of {largest}, more than {MOST_OF_A_SETTING}")
    try:
        config = model_from_json(values, str(path))
        config.functions.validate(config.settings)
    except (TypeError, KeyError, AttributeError) as error:
        raise InputError(str(path), f"does not describe a model ({error})") from error
    return config


def _whole_numbers(value: Any) -> Iterator[int]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _whole_numbers(each)
    elif isinstance(value, int):
        yield abs(value)


def _parameters(arrays: Mapping[str, np.ndarray], like: Params, path: Path) -> Params:
    """The parameters in the structure of ``like``; none may be missing or have another shape."""
    found = []
    for name, leaf in _named(like):
        array = arrays.get(name)
        if array is None or (array.shape, array.dtype) != (leaf.shape, leaf.dtype):
            has = "none" if array is None else f"{array.dtype}{list(array.shape)}"
            raise InputError(
                str(path), f"has {has} for the parameter {name}, {leaf.dtype}{list(leaf.shape)}",
                "it is of another version of jaxcrys, or damaged",
            )  # fmt: skip
        found.append(array)
    return jax.tree.unflatten(jax.tree.structure(like), found)


def _named(params: Params) -> list[tuple[str, Any]]:
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return [(jax.tree_util.keystr(path, simple=True, separator="/"), leaf) for path, leaf in leaves]
