"""What a potential is: a function from who sees whom to the energy of each site.

Everything else follows by differentiation. With the energy E of the conventional cell, the
multiplicity m_i of site i, its representative at r_i = S A_i u_i and a strain ε of space:

    force on one atom      F_i = -(1/m_i) S A_i (A_iᵀ S S A_i)⁻¹ ∂E/∂u_i
    stress                 σ   = (1/V) ∂E/∂ε, its part that the crystal's lattice can follow

The forces on atoms of a symmetric crystal lie in the tangent spaces of their Wyckoff positions, and
its stress in the space of its lattice: the slopes in the free coordinates hold all of both.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxcrys.core.pytree import pytree, static
from jaxcrys.core.typing import ArrayLike, Bool, Float, Int
from jaxcrys.crystal.packed import Packed, edge_vectors
from jaxcrys.geometry.lattice import BASIS, matrix_from_coefficients, volume
from jaxcrys.symmetry.groups import lattice_mask
from jaxcrys.symmetry.metric import tangent_gram
from jaxcrys.symmetry.tables import load_tables, lookup
from jaxcrys.symmetry.wyckoff import free_mask


@pytree
class Slopes:
    """Energies of packed crystals and their slopes in the crystal's own coordinates.

    Attributes:
        energy: of the conventional cell, eV.
        free: ∂E/∂u of each site, eV.
        lattice: ∂E/∂k of each crystal, eV.
        strain: ∂E/∂ε of each crystal, eV, that part of it that its lattice can follow.
    """

    energy: Float[jax.Array, "g"]
    free: Float[jax.Array, "n 3"]
    lattice: Float[jax.Array, "g 6"]
    strain: Float[jax.Array, "g 3 3"]


@pytree
class Potential:
    """An interatomic potential for whole programs in JAX.

    Attributes:
        params: its numbers.
        site_energies: pure function (params, packed, vectors) -> energy of one atom of each site,
            eV; ``vectors`` are those of the edges, Å. Padded sites may give anything finite.
        cutoff: Å; edges must hold every pair nearer than this, and longer ones count nothing.
        name: of the potential.
        digest: SHA-256 of its weights.
        elements: atomic numbers that it knows.
    """

    params: Any
    site_energies: Callable[[Any, Packed, jax.Array], jax.Array] = static()
    cutoff: float = static()
    name: str = static()
    digest: str = static()
    elements: tuple[int, ...] = static()

    def slopes(
        self,
        packed: Packed,
        free: Float[jax.Array, "n 3"],
        lattice: Float[jax.Array, "g 6"],
        active: Bool[jax.Array, "g"],
    ) -> Slopes:
        """Energies and their slopes, in one pass forwards and one backwards. Pure, for jit.

        Args:
            packed: crystals and edges.
            free: free coordinates.
            lattice: lattice coefficients.
            active: crystals that are asked for; the others may have any values.
        """
        del active

        def total(*variables: jax.Array) -> tuple[jax.Array, jax.Array]:
            each = energies(self, packed, *variables)
            return each.sum(), each

        none = jnp.zeros((len(packed.group), 3, 3), free.dtype)
        by, each = jax.grad(total, argnums=(0, 1, 2), has_aux=True)(free, lattice, none)
        by_free, by_lattice, by_strain = by
        return Slopes(
            energy=each,
            free=jnp.where(free_mask(packed.wyckoff), by_free, 0),
            lattice=jnp.where(lattice_mask(packed.group), by_lattice, 0),
            strain=of_lattice(by_strain, packed.group),
        )


@pytree
class Prediction:
    """What a potential says of packed crystals (g crystals, n sites).

    Attributes:
        energy: of the conventional cell, eV.
        forces: on the representative of each site, eV/Å, along the axes of the symmetric lattice
            matrix; those on its images are turned as they are.
        stress: Cauchy stress, eV/Å³, positive where the crystal would like to shrink.
    """

    energy: Float[jax.Array, "g"]
    forces: Float[jax.Array, "n 3"]
    stress: Float[jax.Array, "g 3 3"]


def energies(
    potential: Potential,
    packed: Packed,
    free: Float[jax.Array, "n 3"],
    lattice: Float[jax.Array, "g 6"],
    strain: Float[jax.Array, "g 3 3"] | None = None,
) -> Float[jax.Array, "g"]:
    """Energy of each conventional cell, eV; 0 in the padding. Pure, for jit.

    Args:
        potential: the potential.
        packed: crystals and edges.
        free: free coordinates.
        lattice: lattice coefficients.
        strain: ε, by which space is stretched: r → r (1 + ε).
    """
    vectors = edge_vectors(packed, free, lattice)
    if strain is not None:
        own = strain[packed.crystal[packed.receiver]]
        vectors = vectors + (vectors[..., None] * own).sum(-2)
    # Edges of the padding reach beyond every cutoff.
    far = jnp.asarray([2 * potential.cutoff, 0.0, 0.0], vectors.dtype)
    vectors = jnp.where((packed.alike > 0)[:, None], vectors, far)
    each = potential.site_energies(potential.params, packed, vectors) * packed.atoms
    each = jnp.where(packed.wyckoff > 0, each, 0)
    return jax.ops.segment_sum(each, packed.crystal, num_segments=len(packed.group))


def predict(
    potential: Potential,
    packed: Packed,
    free: Float[jax.Array, "n 3"],
    lattice: Float[jax.Array, "g 6"],
) -> Prediction:
    """Energies, forces and stresses of packed crystals. Pure, for jit."""
    found = potential.slopes(packed, free, lattice, jnp.ones(len(packed.group), bool))
    size = volume(matrix_from_coefficients(lattice))
    return Prediction(
        energy=found.energy,
        forces=cartesian_forces(packed, lattice, found.free),
        stress=found.strain / size[:, None, None],
    )


def cartesian_forces(
    packed: Packed, lattice: Float[jax.Array, "g 6"], slope: Float[jax.Array, "n 3"]
) -> Float[jax.Array, "n 3"]:
    """Forces on the representatives from the slopes in their free coordinates, eV/Å."""
    matrix = matrix_from_coefficients(lattice)[packed.crystal]
    step = jnp.linalg.solve(gram(packed, lattice), slope[..., None])[..., 0]
    tables = load_tables()
    tangent = lookup(tables.row_linear, lookup(tables.position_first_row, packed.wyckoff))
    moved = (tangent.astype(slope.dtype) * step[..., None, :]).sum(-1)
    forces = (moved[..., None] * matrix).sum(-2) / jnp.maximum(packed.atoms, 1)[:, None]
    return jnp.where((packed.wyckoff > 0)[:, None], -forces, 0)


def gram(packed: Packed, lattice: Float[jax.Array, "g 6"]) -> Float[jax.Array, "n 3 3"]:
    """Metric of the free coordinates of each site, Å² (``symmetry.metric``)."""
    matrix = matrix_from_coefficients(lattice)
    metric = (matrix[..., :, None, :] * matrix[..., None, :, :]).sum(-1)
    return jnp.asarray(tangent_gram(packed.wyckoff, metric[packed.crystal]))


def of_lattice(
    tensor: Float[jax.Array, "g 3 3"], group: Int[ArrayLike, "g"]
) -> Float[jax.Array, "g 3 3"]:
    """The part of symmetric tensors that the groups leave unchanged.

    The matrices of the lattice's own coefficients span it (``geometry.lattice``) and are
    orthonormal. Sums over representatives have other parts as well, which cancel in the sum over
    all atoms.
    """
    basis = jnp.asarray(BASIS, tensor.dtype)
    shares = (tensor[..., None, :, :] * basis).sum((-1, -2))
    shares = jnp.where(lattice_mask(group), shares, 0)
    return (shares[..., None, None] * basis).sum(-3)
