"""Guided sampling: the crystals that a sampler is heading for are made better on the way.

At each of the last steps the network says which crystals it is heading for. A guide makes others of
them, in their own free coordinates and lattice coefficients, and the sampler heads for what they
have become. Symmetry stays exact, as neither leaves the template.
"""

import functools
from typing import Any, Protocol

import jax
import numpy as np

from jaxcrys.core.compiling import quick_jit
from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import Int, Key
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.crystal.types import Crystal
from jaxcrys.recipes.base import Journey, get_recipe
from jaxcrys.recipes.model import Model
from jaxcrys.recipes.properties import Target


class Guide(Protocol):
    """What makes better crystals of those ahead."""

    @property
    def since(self) -> float:
        """Share of the sampler's steps that are not guided; the end of early ones is a blur."""
        ...

    def check(self) -> None:
        """Raise ``InputError`` for settings that cannot be used."""
        ...

    def described(self) -> dict[str, Any]:
        """What results depend on, for records."""
        ...

    def improve(
        self, crystals: Crystal, numbers: Int[np.ndarray, "b"], *, shape: CellShape
    ) -> Crystal:
        """Return better crystals in the same slots; NumPy arrays, host side.

        Rows of the same number are copies. What the guide cannot judge stays as it is.
        """
        ...


def check_guide(guide: Guide, model: Model) -> None:
    """Refuse what cannot guide, or cannot be guided.

    Raises:
        InputError: for a recipe without a journey, or senseless numbers.
    """
    if model.config.functions.journey is None:
        raise InputError(
            "--energy-guidance or --property-guidance",
            f"{model.config.recipe} heads for no crystal on its way",
            "take a run of orbit or orbit_flow, or judge what is drawn: --relax, jaxcrys estimate",
        )
    if not 0 <= guide.since < 1:
        raise InputError("--guided-since", f"must be at least 0 and less than 1, got {guide.since}")
    guide.check()


def sample_guided(
    model: Model,
    keys: Key[jax.Array, "b"],
    templates: Crystal,
    numbers: Int[np.ndarray, "b"],
    guide: Guide,
    *,
    shape: CellShape,
    target: Target | None = None,
) -> Crystal:
    """Draw crystals as the recipe's ``sample`` does, with a guide; host side.

    Args:
        model: the generator.
        keys: of each sample.
        templates: to fill.
        numbers: of the samples; rows with the same number are copies.
        guide: what makes better ones of those ahead.
        shape: which all templates fit.
        target: properties that are asked of each.
    """
    config = model.config.settings
    begin, aim, advance, arrive = _programs(model.config.recipe)
    steps = _journey(model.config.recipe).steps(config)
    way = begin(keys, templates, config=config)
    for index in range(steps):
        said, ahead = aim(
            model.params, templates, way, index, config=config, shape=shape, target=target
        )
        goal = None
        if index >= guide.since * steps:
            goal = guide.improve(jax.device_get(ahead), numbers, shape=shape)
        way = advance(keys, templates, way, index, said, goal, config=config)
    return arrive(templates, way, config=config)


def _journey(recipe: str) -> Journey:
    journey = get_recipe(recipe).journey
    assert journey is not None
    return journey


@functools.cache
def _programs(recipe: str) -> tuple:
    """The parts of the journey, compiled."""
    journey = _journey(recipe)
    return (
        quick_jit(journey.begin, "config"),
        quick_jit(journey.aim, "config", "shape"),
        quick_jit(journey.advance, "config"),
        quick_jit(journey.arrive, "config"),
    )
