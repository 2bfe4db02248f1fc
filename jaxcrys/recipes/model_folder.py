"""A trained model as a folder, in the form in which model hubs hold them: no pickle.

FOLDER/README.md            the card: what it is, data, licence, figures, limits
FOLDER/config.json          recipe, settings, cell shapes, step, hash of the parameters
FOLDER/model.safetensors    the averaged parameters by name
FOLDER/templates.npz        crystals that it was trained on, in single precision

The card begins with what hubs read of it (library, tags, licence); a card that has such a beginning
already is left as it is.
"""

import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from jaxcrys.core.array_file import MOST_BYTES, read_arrays
from jaxcrys.core.errors import InputError
from jaxcrys.core.files import atomic_path
from jaxcrys.core.untrusted import bound, too_much
from jaxcrys.crystal.storage import from_arrays
from jaxcrys.recipes.model import Model
from jaxcrys.recipes.portable import describe_model, named_arrays, read_description, read_model
from jaxcrys.recipes.release import template_arrays

CARD, CONFIG, WEIGHTS, TEMPLATES = "README.md", "config.json", "model.safetensors", "templates.npz"

FRONT_MATTER = """\
---
library_name: jaxcrys
tags: [crystals, materials, generative, {recipe}]
---

"""


def save_model_folder(folder: Path, model: Model, *, card: str = "") -> None:
    """Write a model into a new folder, atomically; the same model gives the same bytes.

    Args:
        folder: that does not exist.
        model: what to write.
        card: Markdown, with or without what hubs read at its beginning.

    Raises:
        InputError: if the folder exists.
    """
    if folder.exists():
        raise InputError(str(folder), "exists", "choose another --out")
    recipe = model.config.recipe
    if not card.startswith("---\n"):
        card = FRONT_MATTER.format(recipe=recipe) + (card or f"# A model of the recipe {recipe}\n")
    with atomic_path(folder) as partial:
        partial.mkdir()
        (partial / CARD).write_text(card, encoding="utf-8")
        described = json.dumps(describe_model(model), indent=1) + "\n"
        (partial / CONFIG).write_text(described, encoding="utf-8")
        (partial / WEIGHTS).write_bytes(save(named_arrays(model.params)))
        with (partial / TEMPLATES).open("wb") as handle:
            np.savez_compressed(handle, allow_pickle=False, **template_arrays(model))


def load_model_folder(folder: Path) -> Model:
    """Read a model from what :func:`save_model_folder` wrote.

    Raises:
        InputError: if a file is missing, damaged, or of another version.
    """
    try:
        described = read_description((folder / CONFIG).read_bytes(), folder / CONFIG)
        if (folder / WEIGHTS).stat().st_size > bound(MOST_BYTES):
            raise too_much(folder / WEIGHTS, f"has more than {bound(MOST_BYTES)} bytes")
        arrays = load((folder / WEIGHTS).read_bytes())
    except (OSError, SafetensorError) as error:
        raise InputError(str(folder), f"is not a readable model ({error})") from error
    stored = folder / TEMPLATES
    try:
        templates = from_arrays(read_arrays(stored, "set of templates")).batch()
    except (KeyError, ValueError) as error:
        raise InputError(str(stored), f"holds no templates ({error})", "fetch it again") from error
    return read_model(described, arrays, templates, folder)


def is_model_folder(path: Path) -> bool:
    """Whether a folder holds a model in this form."""
    return (path / WEIGHTS).is_file() and (path / CONFIG).is_file()
