"""What recipes that fill templates share: which entries are free to change, and the whole loss."""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import ArrayLike, Bool, Float
from jaxcrys.crystal.expand import atomic_length
from jaxcrys.crystal.types import Crystal
from jaxcrys.geometry.lattice import matrix_from_coefficients
from jaxcrys.recipes.base import Metrics
from jaxcrys.symmetry.groups import lattice_mask
from jaxcrys.symmetry.tables import load_tables, lookup
from jaxcrys.symmetry.wyckoff import free_mask, multiplicity


@pytree
class Masks:
    """Which entries of each factor are free to change."""

    lattice: Bool[ArrayLike, "*b 6"]
    free: Bool[ArrayLike, "*b s 3"]
    species: Bool[ArrayLike, "*b s"]


def masks_of(crystals: Crystal) -> Masks:
    """The masks of the crystals' groups and positions; an empty crystal has nothing to change.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> masks = masks_of(example_crystal())
        >>> masks.lattice.tolist(), bool(masks.free.any()), masks.species.tolist()
        ([False, False, False, False, False, True], False, [True, True])
    """
    occupied = crystals.wyckoff > 0
    return Masks(
        lattice=lattice_mask(crystals.group) & occupied.any(-1, keepdims=True),
        free=free_mask(crystals.wyckoff),
        species=occupied,
    )


def in_slots(templates: Crystal, sites: int) -> Crystal:
    """Positions and elements in more slots or in fewer, of which those left out must be empty.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> templates = jax.tree.map(lambda x: jnp.asarray(x)[None], example_crystal())
        >>> in_slots(templates, 3).species.tolist()
        [[11, 17, 0]]
    """
    room = ((0, 0), (0, max(sites - templates.wyckoff.shape[-1], 0)))
    return dataclasses.replace(
        templates,
        wyckoff=jnp.pad(templates.wyckoff[:, :sites], room),
        species=jnp.pad(templates.species[:, :sites], room),
    )


def mean_over_atoms(values: Float[ArrayLike, "*b s"], crystals: Crystal) -> Float[ArrayLike, "*b"]:
    """Mean over the atoms of each crystal of what is known for each site.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> float(mean_over_atoms(jnp.array([1.0, 3.0]), example_crystal()))
        2.0
    """
    atoms = multiplicity(crystals.wyckoff)
    return (values * atoms).sum(-1) / jnp.maximum(atoms.sum(-1), 1)


def cartesian_changes(
    crystals: Crystal, changes: Float[ArrayLike, "b s 3"]
) -> Float[ArrayLike, "b s 3"]:
    """Changes of free coordinates as Cartesian vectors, in units of the atomic length.

    Example:
        >>> from jaxcrys.crystal import build_crystal, stack_crystals
        >>> crystal = build_crystal(1, [(6, "a", (0.0, 0.0, 0.0))], (2, 4, 8, 90, 90, 90))
        >>> batch = jax.tree.map(jnp.asarray, stack_crystals([crystal]))
        >>> changes = cartesian_changes(batch, jnp.full((1, 1, 3), 0.5))
        >>> [round(float(x), 3) for x in changes[0, 0]]  # the atomic length is 4 Å
        [0.25, 0.5, 1.0]
    """
    tables = load_tables()
    first = lookup(tables.position_first_row, crystals.wyckoff)
    linear = lookup(tables.row_linear, first).astype(changes.dtype)
    frac = (linear * changes[..., None, :]).sum(-1)
    lattice = matrix_from_coefficients(crystals.lattice)
    vectors = (frac[..., :, None] * lattice[:, None]).sum(-2)
    return vectors / atomic_length(crystals)[:, None, None]


def sum_and_count(
    values: Float[ArrayLike, "*b"], mask: Bool[ArrayLike, "*b"]
) -> tuple[Float[jax.Array, ""], Float[jax.Array, ""]]:
    """A mean as a metric: a sum and a count, so that it is exact over batches and devices.

    Example:
        >>> [x.item() for x in sum_and_count(jnp.array([1.0, 2.0, 9.0]), jnp.arange(3) < 2)]
        [3.0, 2.0]
    """
    values = jnp.where(mask, values, 0)
    return values.sum(), jnp.asarray(mask).sum().astype(values.dtype)


def weighted_loss(metrics: Metrics, weights: Mapping[str, float]) -> Float[jax.Array, ""]:
    """Sum of the means of the parts, each times its weight.

    Example:
        >>> float(weighted_loss({"free": (jnp.array(6.0), jnp.array(3.0))}, {"free": 0.5}))
        1.0
    """
    parts = [
        weights[name] * value / jnp.maximum(count, 1) for name, (value, count) in metrics.items()
    ]
    return jnp.asarray(sum(parts))
