"""A trained model in one small file, to give away: no pickle, nothing but arrays and text.

The file is a compressed ``.npz``: ``model`` holds the config as JSON, ``card`` what there is to
know about the model, ``params/...`` the averaged parameters by their names, ``templates/...`` the
crystals that it was trained on, in single precision.
"""

import json
import zipfile
from pathlib import Path

import numpy as np

from jaxcrys.core.array_file import read_arrays
from jaxcrys.core.errors import InputError
from jaxcrys.core.files import atomic_path
from jaxcrys.crystal.storage import from_arrays, to_arrays
from jaxcrys.recipes.model import Model
from jaxcrys.recipes.portable import describe_model, named_arrays, read_description, read_model

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
    arrays = {"model": _text(json.dumps(describe_model(model))), "card": _text(card)}
    arrays |= {_PARAMS + name: leaf for name, leaf in named_arrays(model.params).items()}
    arrays |= {_TEMPLATES + name: leaf for name, leaf in template_arrays(model).items()}
    with atomic_path(path) as partial, partial.open("wb") as handle:
        np.savez_compressed(handle, allow_pickle=False, **arrays)


def load_release(path: Path) -> Model:
    """Read a model from what :func:`save_release` wrote.

    Raises:
        InputError: if the file is missing, damaged, of another kind, or of another version.
    """
    arrays = _read(path)
    described = read_description(_of_text(arrays["model"]), path)
    try:
        templates = from_arrays(_under(_TEMPLATES, arrays)).batch()
    except (KeyError, ValueError) as error:
        raise InputError(str(path), f"holds no templates ({error})", "fetch it again") from error
    return read_model(described, _under(_PARAMS, arrays), templates, path)


def template_arrays(model: Model) -> dict[str, np.ndarray]:
    """The crystals that a model was trained on, in single precision."""
    return {
        name: values.astype(np.float32) if values.dtype.kind == "f" else values
        for name, values in to_arrays(model.templates).items()
    }


def _under(start: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(start): a for name, a in arrays.items() if name.startswith(start)}


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


def _text(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8)


def _of_text(array: np.ndarray) -> str:
    return array.tobytes().decode()
