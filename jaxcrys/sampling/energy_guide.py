"""Sampling guided by energy: what a sampler is heading for is relaxed on the way.

A potential takes the crystals ahead a few steps down in energy. A crystal whose energy cannot be
told (elements not drawn yet, atoms on each other) goes on unguided. A guided step costs
``relaxation_steps + 1`` evaluations of energy and forces for each crystal.
"""

import dataclasses
from typing import Any

import jax
import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import take
from jaxcrys.core.typing import Int
from jaxcrys.crystal.packed import Capacity
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.crystal.types import Crystal
from jaxcrys.potentials.host import AnyPotential
from jaxcrys.relaxation.relax import EDGES, relax, standard_room
from jaxcrys.relaxation.walk import SOUND, WalkSettings

EDGES_EACH = 128
"""What a crystal has in the mean, within six Å and a skin."""

SMALLEST_ROOM = 512


@dataclasses.dataclass(frozen=True)
class EnergyGuide:
    """How energies guide a sampler (``sampling.guide``).

    Attributes:
        potential: gives energies and forces.
        relaxation_steps: by which the crystals ahead are relaxed each time.
        since: share of the sampler's steps that are not guided.
    """

    potential: AnyPotential
    relaxation_steps: int = 2
    since: float = 0.6

    def check(self) -> None:
        """See :class:`jaxcrys.sampling.guide.Guide`."""
        if self.relaxation_steps < 1:
            raise InputError("relaxation steps", f"must be at least 1, got {self.relaxation_steps}")

    def described(self) -> dict[str, Any]:
        """What results depend on, for records."""
        return {
            "potential": {"name": self.potential.name, "sha256": self.potential.digest},
            "relaxation_steps": self.relaxation_steps,
            "since": self.since,
        }

    def improve(
        self, crystals: Crystal, numbers: Int[np.ndarray, "b"], *, shape: CellShape
    ) -> Crystal:
        """The crystals a few steps down in energy."""
        del shape
        _, first, back = np.unique(numbers, return_index=True, return_inverse=True)
        single = [take(crystals, int(row)) for row in first]
        count = self.relaxation_steps
        settings = WalkSettings(steps=count, at_once=count + 1)
        found = relax(self.potential, single, settings, room=_room(len(single)))
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
