"""A trained model in one small file, to give away: no pickle, nothing but arrays and text.

The file is a compressed ``.npz``: ``model`` holds the config as JSON, ``card`` what there is to
know about the model, ``params/...`` the averaged parameters by their names, ``templates/...`` the
crystals that it was trained on, in single precision.
"""

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.files import atomic_path
from jaxcrys.core.pytree import tree_hash
from jaxcrys.crystal.storage import from_arrays, to_arrays
from jaxcrys.recipes.base import Params
from jaxcrys.recipes.model import Model, model_from_json, model_to_json
from jaxcrys.recipes.run_folder import parameters_like

SUFFIX = ".npz"

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
    values = json.loads(_of_text(arrays["model"]))
    config = model_from_json(values["model"], str(path))
    params = _parameters(arrays, parameters_like(config), path)
    if tree_hash(params) != values["sha256"]:
        raise InputError(str(path), "holds other parameters than were written", "fetch it again")
    templates = {
        name.removeprefix(_TEMPLATES): array
        for name, array in arrays.items()
        if name.startswith(_TEMPLATES)
    }
    return Model(
        config=config,
        params=jax.tree.map(jnp.asarray, params),
        templates=from_arrays(templates).batch(),
        step=values["step"],
        run=path,
    )


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
    try:
        with open(path, "rb") as handle, np.lib.npyio.NpzFile(handle, allow_pickle=False) as stored:
            arrays = dict(stored)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(str(path), f"is not a readable model ({error})") from error
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
