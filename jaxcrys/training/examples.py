"""Crystals to learn from, with what is known of them."""

import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import ArrayLike, Float
from jaxcrys.crystal.types import Crystal

Columns = Mapping[str, Float[np.ndarray, "b"]]
"""Values of properties by name, NaN where not known."""


@pytree
class Examples:
    """Crystals and their properties.

    Attributes:
        crystals: a batch.
        properties: a column for each property, NaN where not known; p may be 0.
    """

    crystals: Crystal
    properties: Float[ArrayLike, "b p"]


def make_examples(crystals: Crystal, columns: Columns, where: str) -> Examples:
    """Crystals beside columns, in the types of the device: 32-bit integers and floats.

    Raises:
        InputError: if a column has another length.
    """
    count = len(crystals.group)
    for name, column in columns.items():
        if np.shape(column) != (count,):
            raise InputError(
                f"{where}: {name}", f"has shape {np.shape(column)}, for {count} crystals"
            )
    values = np.array(list(columns.values()), np.float64).reshape(len(columns), count).T
    values = np.where(np.isfinite(values), values, np.nan)
    return jax.tree.map(_as_device_type, Examples(crystals, values))


def describe_properties(names: tuple[str, ...], *sets: Examples) -> dict[str, str]:
    """A hash of the values of each property, for the run's config."""
    return {
        name: hashlib.sha256(
            b"".join(np.ascontiguousarray(part.properties[:, i]).tobytes() for part in sets)
        ).hexdigest()
        for i, name in enumerate(names)
    }


def _as_device_type(leaf: Any) -> np.ndarray:
    leaf = np.asarray(leaf)
    return leaf.astype(np.float32 if leaf.dtype.kind == "f" else np.int32)
