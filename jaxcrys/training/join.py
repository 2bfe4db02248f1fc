"""One run of ``orbit`` from a run of each half: templates and geometry."""

from pathlib import Path

from jaxcrys.core.checkpoint import open_checkpoints
from jaxcrys.core.errors import InputError
from jaxcrys.core.files import atomic_path
from jaxcrys.crystal.types import Crystal
from jaxcrys.recipes import orbit
from jaxcrys.recipes.calibration import calibrate
from jaxcrys.recipes.model import Model, ModelConfig, model_to_json
from jaxcrys.recipes.run_folder import checkpoints_path, load_run, write_run

RECIPE = "orbit"


def join(
    templates: Path | str,
    geometry: Path | str,
    out: Path | str,
    *,
    validation: Crystal | None = None,
    checkpoint: str = "best",
) -> Model:
    """Put a run of ``wyformer`` and one of ``orbit_flow`` together.

    Args:
        templates: the run that draws groups, positions and elements.
        geometry: the run that draws coordinates and lattice, for elements that are given.
        out: folder of the new run; its training set is that of the geometry.
        validation: crystals that neither has seen, on which the temperatures of the first are set.
        checkpoint: which of each: best, latest, or a step.

    Raises:
        InputError: if a run is of another recipe, or ``out`` exists.
    """
    first = load_run(Path(templates), checkpoint=checkpoint)
    second = load_run(Path(geometry), checkpoint=checkpoint)
    for half, recipe in zip((first, second), ("wyformer", "orbit_flow"), strict=True):
        if half.config.recipe != recipe:
            raise InputError(str(half.run), f"is a run of {half.config.recipe}, not of {recipe}")
    out = Path(out)
    if out.exists():
        raise InputError(str(out), "exists", "choose another --out")
    drawing = first.config.settings
    if validation is not None:
        drawing = calibrate(first.params, validation, config=drawing)
    config = ModelConfig(
        recipe=RECIPE,
        settings=orbit.Config(templates=drawing, geometry=second.config.settings),
        shapes=second.config.shapes,
        sites=max(first.config.sites, second.config.sites),
    )
    described = {
        "model": model_to_json(config),
        "joined": {
            name: {"run": str(half.run), "step": half.step}
            for name, half in zip(("templates", "geometry"), (first, second), strict=True)
        },
    }
    params = {"templates": first.params, "geometry": second.params}
    loss = sum(_loss(half) for half in (first, second))
    with atomic_path(out) as partial:
        partial.mkdir(parents=True)
        write_run(partial, described, second.templates)
        with open_checkpoints(checkpoints_path(partial)) as store:
            store.save(second.step, {"ema": params}, described, loss=loss)
    return load_run(out)


def _loss(model: Model) -> float:
    with open_checkpoints(checkpoints_path(model.run)) as store:
        return store.loss(model.step)
