"""A trained model in one small file, to give away: no pickle, nothing but arrays and text.

The file is a compressed ``.npz``: ``model`` holds the config as JSON, ``card`` what there is to
know about the model, ``params/...`` the averaged parameters by their names, ``templates/...`` the
crystals that it was trained on, in single precision.
"""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.array_file import read_arrays
from jaxcrys.core.errors import InputError
from jaxcrys.core.files import atomic_path
from jaxcrys.core.pytree import tree_hash
from jaxcrys.core.untrusted import bound
from jaxcrys.crystal.storage import from_arrays, to_arrays
from jaxcrys.recipes.base import Params
from jaxcrys.recipes.model import Model, ModelConfig, model_from_json, model_to_json
from jaxcrys.recipes.run_folder import parameters_like

SUFFIX = ".npz"

MOST_OF_A_SETTING = 100_000
"""Layers, channels, steps: larger numbers would take forever before they are found out."""

_PARAMS, _TEMPLATES = "params/", "templates/"


def save_release(path: Path | str, model: Model, *, card: str = "") -> None:
    """Write a model into one file, atomically; the same model gives the same bytes.

    Args:
        path: the file, ``*.npz``.
        model: what to write.
        card: Markdown: on what it was trained, under which licence, how good it is, its limits.

    Raises:
        InputError: if the name does not end in ``.npz``.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise InputError(str(path), f"must end in {SUFFIX}")
    described = {
        "model": model_to_json(model.config), "step": model.step, "sha256": tree_hash(model.params)
    }  # fmt: skip
    arrays = {"model": _text(json.dumps(described)), "card": _text(card)}
    for name, leaf in _named(model.params):
        arrays[_PARAMS + name] = np.asarray(leaf)
    for name, values in to_arrays(model.templates).items():
        single = values.astype(np.float32) if values.dtype.kind == "f" else values
        arrays[_TEMPLATES + name] = single
    with atomic_path(path) as partial, partial.open("wb") as handle:
        np.savez_compressed(handle, allow_pickle=False, **arrays)


def load_release(path: Path) -> Model:
    """Read a model from what :func:`save_release` wrote.

    Raises:
        InputError: if the file is missing, damaged, of another kind, or of another version.
    """
    arrays = _read(path)
    values = _described(arrays["model"], path)
    config = _config(values["model"], path)
    params = _parameters(arrays, parameters_like(config), path)
    if tree_hash(params) != values["sha256"]:
        raise InputError(str(path), "holds other parameters than were written", "fetch it again")
    templates = {
        name.removeprefix(_TEMPLATES): array
        for name, array in arrays.items()
        if name.startswith(_TEMPLATES)
    }
    try:
        crystals = from_arrays(templates).batch()
    except (KeyError, ValueError) as error:
        raise InputError(str(path), f"holds no templates ({error})", "fetch it again") from error
    return Model(
        config=config,
        params=jax.tree.map(jnp.asarray, params),
        templates=crystals,
        step=values["step"],
        run=path,
    )


def _described(text: np.ndarray, path: Path) -> dict[str, Any]:
    """What the file says of the model, of the types that are written."""
    try:
        values = json.loads(_of_text(text))
        known = {name: values[name] for name in ("model", "step", "sha256")}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(str(path), f"does not describe a model ({error})") from error
    if not isinstance(known["model"], dict) or type(known["step"]) is not int:
        raise InputError(str(path), "does not describe a model")
    return known


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


def is_release(path: Path) -> bool:
    """Whether a file holds a released model."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return {"model.npy", "card.npy"} <= set(archive.namelist())


def read_card(path: Path) -> str:
    """The card of a released model.

    Raises:
        InputError: as :func:`load_release` does.
    """
    return _of_text(_read(path)["card"])


def _read(path: Path) -> dict[str, np.ndarray]:
    arrays = read_arrays(path, "model")
    if not {"model", "card"} <= set(arrays):
        raise InputError(str(path), "is no released model", "make one: jaxcrys release RUN")
    return arrays


def _parameters(arrays: dict[str, np.ndarray], like: Params, path: Path) -> Params:
    """The parameters in the structure of ``like``; none may be missing or have another shape."""
    found = []
    for name, leaf in _named(like):
        array = arrays.get(_PARAMS + name)
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


def _text(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8)


def _of_text(array: np.ndarray) -> str:
    return array.tobytes().decode()
