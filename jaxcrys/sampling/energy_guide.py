"""Sampling guided by energy: what a flow is heading for is relaxed on the way.

At each of the last steps the network says which crystals it is heading for. A potential takes them
a few steps down in energy, in their own free coordinates and lattice coefficients, and the flow
heads for what they have become. Symmetry stays exact, as neither leaves the template; a crystal
whose energy cannot be told (elements not drawn yet, atoms on each other) goes on unguided.

A guided step costs ``relaxation_steps + 1`` evaluations of energy and forces for each crystal.
"""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import take
from jaxcrys.core.typing import Int, Key
from jaxcrys.crystal.packed import Capacity
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.crystal.types import Crystal
from jaxcrys.potentials.host import AnyPotential
from jaxcrys.recipes.base import Journey, get_recipe
from jaxcrys.recipes.model import Model
from jaxcrys.recipes.properties import Target
from jaxcrys.relaxation.relax import EDGES, relax, standard_room
from jaxcrys.relaxation.walk import SOUND, WalkSettings

EDGES_EACH = 128
"""What a crystal has in the mean, within six Å and a skin."""

SMALLEST_ROOM = 512


@dataclasses.dataclass(frozen=True)
class EnergyGuide:
    """How energies guide a sampler.

    Attributes:
        potential: gives energies and forces.
        relaxation_steps: by which the crystals ahead are relaxed each time.
        since: share of the sampler's steps that are not guided; the end of early ones is a blur.
    """

    potential: AnyPotential
    relaxation_steps: int = 2
    since: float = 0.6

    def described(self) -> dict[str, Any]:
        """What results depend on, for records."""
        return {
            "potential": {"name": self.potential.name, "sha256": self.potential.digest},
            "relaxation_steps": self.relaxation_steps,
            "since": self.since,
        }


def check_guide(guide: EnergyGuide, model: Model) -> None:
    """Refuse what cannot guide, or cannot be guided.

    Raises:
        InputError: for a recipe without a journey, or senseless numbers.
    """
    if model.config.functions.journey is None:
        raise InputError(
            "--energy-guidance", f"{model.config.recipe} heads for no crystal on its way",
            "take a run of orbit or orbit_flow, or relax what is drawn: --relax",
        )  # fmt: skip
    if guide.relaxation_steps < 1:
        raise InputError("relaxation steps", f"must be at least 1, got {guide.relaxation_steps}")
    if not 0 <= guide.since < 1:
        raise InputError("--guided-since", f"must be at least 0 and less than 1, got {guide.since}")


def sample_guided(
    model: Model,
    keys: Key[jax.Array, "b"],
    templates: Crystal,
    numbers: Int[np.ndarray, "b"],
    guide: EnergyGuide,
    *,
    shape: CellShape,
    target: Target | None = None,
) -> Crystal:
    """Draw crystals as the recipe's ``sample`` does, guided by energy; host side.

    Args:
        model: the generator.
        keys: of each sample.
        templates: to fill.
        numbers: of the samples; rows with the same number are copies, guided once.
        guide: how.
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
        guided = index >= guide.since * steps
        goal = _lower(guide, jax.device_get(ahead), numbers) if guided else None
        way = advance(keys, templates, way, index, said, goal, config=config)
    return arrive(templates, way, config=config)


def _lower(guide: EnergyGuide, crystals: Crystal, numbers: np.ndarray) -> Crystal:
    """The crystals a few steps down in energy."""
    _, first, back = np.unique(numbers, return_index=True, return_inverse=True)
    single = [take(crystals, int(row)) for row in first]
    count = guide.relaxation_steps
    settings = WalkSettings(steps=count, at_once=count + 1)
    found = relax(guide.potential, single, settings, room=_room(len(single)))
    lower = [
        _in_place(one.crystal, before) if one.outcome in SOUND else before
        for one, before in zip(found, single, strict=True)
    ]
    return take(jax.tree.map(lambda *rows: np.stack(rows), *lower), back)


def _room(count: int) -> Capacity:
    """One of few sizes, the same at all steps: each has a program of its own."""
    edges = 1 << (EDGES_EACH * count - 1).bit_length()
    return standard_room(min(max(edges, SMALLEST_ROOM), EDGES))


def _in_place(after: Crystal, before: Crystal) -> Crystal:
    """A relaxed crystal in the slots that it had before."""
    used = np.asarray(before.wyckoff) > 0
    free = np.zeros_like(before.free)
    free[used] = after.free
    return dataclasses.replace(before, free=free, lattice=after.lattice.astype(free.dtype))


def _journey(recipe: str) -> Journey:
    journey = get_recipe(recipe).journey
    assert journey is not None
    return journey


@functools.cache
def _programs(recipe: str) -> tuple:
    """The parts of the journey, compiled."""
    journey = _journey(recipe)
    return (
        jax.jit(journey.begin, static_argnames="config"),
        jax.jit(journey.aim, static_argnames=("config", "shape")),
        jax.jit(journey.advance, static_argnames="config"),
        jax.jit(journey.arrive, static_argnames="config"),
    )
