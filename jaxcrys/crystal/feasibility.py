"""Take clashes away without leaving the symmetry: soft spheres in the crystal's own coordinates.

Atoms nearer than they may be repel each other,

    E = ½ Σ_atoms Σ_neighbours max(0, d_ij - r)²,    d_ij = ½ (0.7 Å + R_i + R_j) · (1 + margin),

with atomic radii R; LeMat-GenBench counts a structure as valid if no distance is below the same d
without the margin. E is descended in the free coordinates and the free lattice coefficients, so
space group and positions stay what they are; a crystal without clashes is left alone.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from jaxcrys.core.radii import ATOMIC_RADII
from jaxcrys.core.typing import ArrayLike, Float
from jaxcrys.crystal.expand import num_atoms
from jaxcrys.crystal.orbit_graph import GraphShape, OrbitGraph, orbit_graph
from jaxcrys.crystal.types import Crystal
from jaxcrys.geometry.lattice import matrix_from_coefficients
from jaxcrys.geometry.periodic import wrap
from jaxcrys.symmetry.groups import lattice_mask
from jaxcrys.symmetry.metric import tangent_gram
from jaxcrys.symmetry.tables import lookup
from jaxcrys.symmetry.wyckoff import free_mask, multiplicity

OFFSET = 0.7
"""Å; pairs of atoms may come as near as half the sum of this and their radii."""

MARGIN = 0.05
RATE = 0.3
_SWING = 10.0
"""Å²; how much a unit of a lattice coefficient moves neighbours, squared: scales its steps."""


def least_distance(
    first: ArrayLike, second: ArrayLike, *, margin: float = 0.0
) -> Float[ArrayLike, "*b"]:
    """How near atoms of two elements may come, Å.

    Example:
        >>> import numpy as np
        >>> float(np.round(least_distance(np.array(11), np.array(17)), 3))
        1.75
    """
    radii = lookup(ATOMIC_RADII, first) + lookup(ATOMIC_RADII, second)
    return (OFFSET + radii) / 2 * (1 + margin)


def clash_energy(
    crystal: Crystal, shape: GraphShape, *, margin: float = MARGIN
) -> Float[ArrayLike, "*b"]:
    """Energy of the clashes of each crystal, Å²; 0 if there are none. Differentiable, for jit.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> energy = jax.jit(clash_energy, static_argnames="shape")
        >>> float(energy(example_crystal(), shape=GraphShape(atoms=2)))
        0.0
    """
    graph = orbit_graph(crystal, shape)
    allowed = _allowed(crystal, graph, margin)
    overlap = jnp.where(graph.weight > 0, jnp.maximum(allowed - graph.distance, 0), 0)
    atoms = multiplicity(jnp.asarray(crystal.wyckoff))
    return 0.5 * (overlap**2 * atoms[..., None]).sum((-1, -2))


def _allowed(crystal: Crystal, graph: OrbitGraph, margin: float) -> Float[ArrayLike, "*b s e"]:
    site = jnp.take_along_axis(graph.atom_site[..., None, :], graph.atom, -1)
    species = jnp.asarray(crystal.species)
    sender = jnp.take_along_axis(species[..., None, :], site, -1)
    return least_distance(species[..., None], sender, margin=margin)


@functools.partial(jax.jit, static_argnames=("shape", "steps"))
def remove_clashes(crystal: Crystal, shape: GraphShape, *, steps: int = 50) -> Crystal:
    """Move atoms apart, and swell the cell where that does not help; for batches, in jit.

    Args:
        crystal: a batch of crystals of any groups.
        shape: static sizes of the graph; sixteen neighbours are enough.
        steps: steps of the descent.

    Returns:
        The crystals, with other free coordinates and lattice coefficients where atoms clashed.

    Example:
        >>> from jaxcrys.crystal import build_crystal, stack_crystals
        >>> close = build_crystal(99, [(22, "a", (0.0,)), (8, "a", (0.2,))], (4, 4, 4, 90, 90, 90))
        >>> apart = remove_clashes(stack_crystals([close]), GraphShape(atoms=2))
        >>> energy = jax.jit(clash_energy, static_argnames="shape")
        >>> float(energy(apart, shape=GraphShape(atoms=2))[0]) < 1e-4
        True
    """
    crystal = jax.tree.map(jnp.asarray, crystal)
    live, loose = free_mask(crystal.wyckoff), lattice_mask(crystal.group)
    atoms = jnp.maximum(multiplicity(crystal.wyckoff), 1)
    total = jnp.maximum(num_atoms(crystal), 1)

    def energy(free: jax.Array, lattice: jax.Array) -> jax.Array:
        moved = dataclasses.replace(crystal, free=free, lattice=lattice)
        return clash_energy(moved, shape).sum()

    def one_step(_: int, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        free, lattice = state
        slope, strain = jax.grad(energy, argnums=(0, 1))(free, lattice)
        slope = jnp.where(live, slope, 0) / atoms[..., None]
        step = jnp.linalg.solve(_gram(crystal, lattice), slope[..., None])[..., 0]
        free = jnp.where(live, wrap(free - RATE * step), 0)
        swell = jnp.where(loose, strain, 0) / (_SWING * total[..., None])
        return free, lattice - RATE * swell

    free, lattice = jax.lax.fori_loop(0, steps, one_step, (crystal.free, crystal.lattice))
    return dataclasses.replace(crystal, free=free, lattice=lattice)


def _gram(crystal: Crystal, lattice: Float[ArrayLike, "b 6"]) -> Float[ArrayLike, "b s 3 3"]:
    """Metric of the free coordinates, Å²: a step down its inverse is isotropic in space."""
    matrix = matrix_from_coefficients(lattice)
    metric = (matrix[..., :, None, :] * matrix[..., None, :, :]).sum(-1)
    shape = (*crystal.wyckoff.shape, 3, 3)
    return tangent_gram(crystal.wyckoff, jnp.broadcast_to(metric[..., None, :, :], shape))
