"""Trained models by name or place: what comes with the package, what was released, a run."""

from pathlib import Path

from jaxcrys.core.errors import InputError
from jaxcrys.recipes.model import Model
from jaxcrys.recipes.model_folder import is_model_folder, load_model_folder
from jaxcrys.recipes.release import SUFFIX, is_release, load_release
from jaxcrys.recipes.run_folder import config_path, load_run

MODELS = Path(__file__).parent / "models"
"""Folder of the models that come with the package: NAME.npz beside its card, NAME.md."""

IN_THE_BOX = "orbit-1"
"""The model that is used where none is asked for."""


def load_model(name: Path | str, *, checkpoint: str = "best") -> Model:
    """Load a trained model.

    Args:
        name: a folder made by training, a file or folder made by 'jaxcrys release', or the name of
            a model that comes with the package.
        checkpoint: of a run: ``best`` (lowest validation loss), ``latest``, or a step number.

    Raises:
        InputError: if there is no such model or checkpoint.
    """
    path = Path(name)
    if path.is_dir() and not is_model_folder(path):
        return load_run(path, checkpoint=checkpoint)
    if str(name) in names() and not path.exists():
        path = MODELS / f"{name}{SUFFIX}"
    if not path.is_dir() and (path.suffix != SUFFIX or not path.exists()):
        known = f"models that come with jaxcrys: {', '.join(names())}"
        raise InputError(str(name), "is no run and no model", known)
    if checkpoint != "best":
        raise InputError("--checkpoint", f"{path} holds one state, its best", "leave it out")
    return load_model_folder(path) if path.is_dir() else load_release(path)


def is_model(name: Path | str) -> bool:
    """Whether a model is meant, and not a dataset.

    Example:
        >>> is_model("crystals.csv")
        False
    """
    path = Path(name)
    if path.is_dir():
        return config_path(path).exists()  # of a run or a model
    return is_release(path) if path.exists() else str(name) in names()


def names() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(path.stem for path in MODELS.glob(f"*{SUFFIX}"))
