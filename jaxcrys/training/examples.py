"""Crystals to learn from, with what is known of them."""

import dataclasses
import hashlib
from collections.abc import Mapping

import jax
import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import ArrayLike, Float, Int
from jaxcrys.crystal.ragged import Ragged, to_ragged
from jaxcrys.crystal.types import Crystal

Columns = Mapping[str, Float[np.ndarray, "b"]]
"""Values of properties by name, NaN where not known."""

NOBODY = -1
"""Stands for an empty crystal in a batch."""

SURVEY = 100_000
"""Crystals that the data-dependent settings of a recipe are taken from."""


@pytree
class Examples:
    """A batch of crystals and their properties.

    Attributes:
        crystals: a batch.
        properties: a column for each property, NaN where not known; p may be 0.
    """

    crystals: Crystal
    properties: Float[ArrayLike, "b p"]


@dataclasses.dataclass(frozen=True)
class ExampleSet:
    """All examples, in the host's memory or on its disk.

    Attributes:
        crystals: without padding; may be memory-mapped.
        properties: a column for each property, float32, NaN where not known.
    """

    crystals: Ragged
    properties: Float[np.ndarray, "b p"]

    def __len__(self) -> int:
        """How many examples there are."""
        return len(self.crystals)

    def select(self, rows: Int[np.ndarray, "m"] | slice) -> "ExampleSet":
        """Some of them, in that order."""
        return ExampleSet(self.crystals.select(rows), self.properties[rows])

    def batch(self, members: Int[np.ndarray, "m"], sites: int = 0) -> Examples:
        """Some of them, padded, in 32-bit types; NOBODY gives an empty crystal: no group, no sites.

        Args:
            members: which ones.
            sites: slots for each; as many as the set was stored with by default.
        """
        rows = np.maximum(members, 0)
        crystals = self.crystals.batch(rows, sites)
        there = members != NOBODY

        def cleared(values: np.ndarray) -> np.ndarray:
            values = np.where(there.reshape(-1, *[1] * (values.ndim - 1)), values, 0)
            return values.astype(np.float32 if values.dtype.kind == "f" else np.int32)

        return Examples(jax.tree.map(cleared, crystals), cleared(self.properties[rows]))


def make_examples(crystals: Crystal | Ragged, columns: Columns, where: str) -> ExampleSet:
    """Crystals beside columns.

    Raises:
        InputError: if a column has another length.
    """
    ragged = crystals if isinstance(crystals, Ragged) else to_ragged(crystals)
    count = len(ragged)
    for name, column in columns.items():
        if np.shape(column) != (count,):
            raise InputError(
                f"{where}: {name}", f"has shape {np.shape(column)}, for {count} crystals"
            )
    values = np.array(list(columns.values()), np.float64).reshape(len(columns), count).T
    values = np.where(np.isfinite(values), values, np.nan)
    return ExampleSet(ragged, values.astype(np.float32))


def survey(crystals: Ragged, *, size: int = SURVEY) -> Crystal:
    """The crystals that a recipe is fitted to: all, or of many some evenly spaced ones.

    Among these are the first of each group, of each position and of each element, so that nothing
    that occurs in training is unheard of.
    """
    if len(crystals) <= size:
        rows = np.arange(len(crystals))
    else:
        spaced = np.linspace(0, len(crystals) - 1, size).astype(int)
        owner = np.repeat(np.arange(len(crystals)), crystals.count)
        places = crystals.places()
        kinds = (crystals.wyckoff[places], crystals.species[places])
        firsts = [owner[np.unique(kind, return_index=True)[1]] for kind in kinds]
        groups = np.unique(crystals.group, return_index=True)[1]
        rows = np.unique(np.concatenate([spaced, groups, *firsts]))
    return ExampleSet(crystals, np.zeros((len(crystals), 0), np.float32)).batch(rows).crystals


def describe_properties(names: tuple[str, ...], *sets: ExampleSet) -> dict[str, str]:
    """A hash of the values of each property, for the run's config."""
    return {
        name: hashlib.sha256(
            b"".join(np.ascontiguousarray(part.properties[:, i]).tobytes() for part in sets)
        ).hexdigest()
        for i, name in enumerate(names)
    }
