"""What a minimiser is: a pair of pure functions, for all packed crystals at once.

It sees slopes and energies in the scaled coordinates of ``relaxation.coordinates`` and says where
to go; it knows nothing of crystals or potentials. Each crystal walks for itself.
"""

from typing import Any, NamedTuple, Protocol

import jax

from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import Float
from jaxcrys.crystal.packed import Packed
from jaxcrys.relaxation.coordinates import Motion, Scale


@pytree
class Memory:
    """What a minimiser remembers from step to step.

    Attributes:
        sites: arrays with one row for each site.
        crystals: arrays with one row for each crystal.
    """

    sites: Any
    crystals: Any


class Init(Protocol):
    """Memory before the first step; rows of zeros but for a few."""

    def __call__(self, sites: int, crystals: int) -> Memory:
        """Return it for so many rows."""
        ...


class Step(Protocol):
    """Choose the next step of each crystal."""

    def __call__(
        self,
        memory: Memory,
        packed: Packed,
        scale: Scale,
        slope: Motion,
        energy: Float[jax.Array, "g"],
    ) -> tuple[Memory, Motion]:
        """Return what to remember, and the step from here."""
        ...


class Minimiser(NamedTuple):
    """A way downhill."""

    init: Init
    step: Step
