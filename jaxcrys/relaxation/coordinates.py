"""The crystal's own coordinates, scaled so that a step in any of them moves atoms alike.

With the Gram matrix G = C Cᵀ of the tangent basis of a site of multiplicity m, n atoms in the cell
and a length ℓ,

    y = √m Cᵀ u        so that |dy|² is the sum over the atoms of the squares of their moves in Å,
    z = √n ℓ k         as a unit of a lattice coefficient moves neighbours at distance ℓ by about ℓ.

In these coordinates the slopes are those of all atoms of the full cell; a minimiser walks as it
would there, in the space of what the symmetry allows, with a vector as long as that.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import Bool, Float
from jaxcrys.crystal.packed import Packed
from jaxcrys.potentials.base import gram

SWING = 3.0
"""ℓ in Å."""


@pytree
class Motion:
    """A vector of scaled coordinates of packed crystals: a step, a slope, a velocity.

    Attributes:
        sites: of the free coordinates, Å; 0 where nothing is free.
        crystals: of the lattice coefficients, Å.
    """

    sites: Float[jax.Array, "n 3"]
    crystals: Float[jax.Array, "g 6"]


@pytree
class Scale:
    """How scaled coordinates belong to the crystals' own; fixed while a minimiser walks.

    Attributes:
        root: C of each site, Å, lower triangular.
        weight: √m of each site.
        swing: √n ℓ of each crystal, Å.
    """

    root: Float[jax.Array, "n 3 3"]
    weight: Float[jax.Array, "n"]
    swing: Float[jax.Array, "g"]


def scale_of(packed: Packed, lattice: Float[jax.Array, "g 6"]) -> Scale:
    """The scale at some lattice."""
    atoms = packed.atoms.astype(lattice.dtype)
    total = jax.ops.segment_sum(atoms, packed.crystal, num_segments=len(packed.group))
    return Scale(
        root=jnp.linalg.cholesky(gram(packed, lattice)),
        weight=jnp.sqrt(jnp.maximum(atoms, 1)),
        swing=SWING * jnp.sqrt(jnp.maximum(total, 1)),
    )


def scaled_slope(
    scale: Scale, free: Float[jax.Array, "n 3"], lattice: Float[jax.Array, "g 6"]
) -> Motion:
    """Slopes in the scaled coordinates from those in u and k."""
    sites = jax.scipy.linalg.solve_triangular(scale.root, free[..., None], lower=True)[..., 0]
    return Motion(sites=sites / scale.weight[:, None], crystals=lattice / scale.swing[:, None])


def own_step(scale: Scale, step: Motion) -> tuple[Float[jax.Array, "n 3"], Float[jax.Array, "g 6"]]:
    """Changes of u and k that a step in the scaled coordinates makes."""
    free = jax.scipy.linalg.solve_triangular(
        scale.root, step.sites[..., None], lower=True, trans="T"
    )[..., 0]
    return free / scale.weight[:, None], step.crystals / scale.swing[:, None]


def dot(packed: Packed, left: Motion, right: Motion) -> Float[jax.Array, "g"]:
    """Scalar product of each crystal's parts."""
    sites = (left.sites * right.sites).sum(-1)
    sites = jax.ops.segment_sum(sites, packed.crystal, num_segments=len(packed.group))
    return sites + (left.crystals * right.crystals).sum(-1)


def times(packed: Packed, factor: Float[jax.Array, "g"], motion: Motion) -> Motion:
    """Each crystal's part times its own factor."""
    return Motion(
        sites=motion.sites * factor[packed.crystal][:, None],
        crystals=motion.crystals * factor[:, None],
    )


def chosen(packed: Packed, condition: Bool[jax.Array, "g"], yes: Any, no: Any = None) -> Any:
    """For each crystal the rows of one or of the other.

    Args:
        packed: the crystals.
        condition: whether to take those of ``yes``.
        yes: a tree whose ``sites`` have a row for each site, and ``crystals`` for each crystal.
        no: likewise; zeros if it is None.
    """
    own = dataclasses.replace(
        jax.tree.map(lambda _: False, yes),
        sites=jax.tree.map(lambda _: condition[packed.crystal], yes.sites),
        crystals=jax.tree.map(lambda _: condition, yes.crystals),
    )
    no = jax.tree.map(jnp.zeros_like, yes) if no is None else no

    def pick(condition: jax.Array, yes: jax.Array, no: jax.Array) -> jax.Array:
        return jnp.where(condition.reshape(-1, *[1] * (yes.ndim - 1)), yes, no)

    return jax.tree.map(pick, own, yes, no)


def longest_move(packed: Packed, scale: Scale, step: Motion) -> Float[jax.Array, "g"]:
    """How far a step moves the atom that it moves most, Å, the cell's own change counted beside."""
    sites = jnp.linalg.norm(step.sites, axis=-1) / scale.weight
    own = jax.ops.segment_max(sites, packed.crystal, num_segments=len(packed.group))
    cell = jnp.linalg.norm(step.crystals, axis=-1) / scale.swing * SWING
    return jnp.maximum(jnp.maximum(own, 0), cell)
