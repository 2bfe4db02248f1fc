"""Who sees whom: the neighbours of each representative among all atoms of the infinite crystal.

Receivers are the representatives of the sites; senders are all atoms, each the image of a site's
representative under an operation and a lattice translation. A receiver keeps its nearest
neighbours. Each counts with a smooth weight that falls to zero at the cutoff, or at the first
neighbour left out where that is nearer: when a neighbour leaves or another takes its place, both
have weight zero, so whatever is computed from the graph is continuous in the crystal; and as
neighbours at equal distances have equal weights, it has the crystal's symmetry.

Arrays are dense: b crystals, s sites, e neighbours of each site, p atoms of the primitive cell.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.pytree import pytree, static
from jaxcrys.core.typing import ArrayLike, Bool, Float, Int
from jaxcrys.crystal.primitive import CellShape, PrimitiveCell, primitive_cell
from jaxcrys.crystal.types import Crystal
from jaxcrys.geometry.lattice import matrix_from_coefficients
from jaxcrys.geometry.reduction import reduce_lattice, unimodular_inverse
from jaxcrys.symmetry.centring import primitive_basis
from jaxcrys.symmetry.orbits import representative
from jaxcrys.symmetry.tables import load_tables, lookup


@pytree
class GraphShape:
    """Static sizes of an orbit graph.

    Attributes:
        atoms: slots for the atoms of the primitive cell.
        neighbours: most neighbours e of a site.
        reach: cells searched on each side, in units of reduced basis vectors.
    """

    atoms: int = static()
    neighbours: int = static(default=16)
    reach: int = static(default=1)


@pytree
class OrbitGraph:
    """The neighbours of each site.

    Attributes:
        atom: which atom of the primitive cell the neighbour is, up to a lattice translation.
        vector: from the receiver to the neighbour, Å.
        distance: its length, Å.
        weight: smooth weight from 1 at the receiver to 0 at the cutoff; 0 in the padding.
        cutoff: radius in Å at which the weight of a site's neighbours has fallen to 0.
        atom_site: the site whose image each atom of the primitive cell is.
        atom_row: table row of the operation that makes the image (``symmetry.tables``).
        atom_mask: which atoms exist.
        incomplete: sites of which neighbours may have been missed because the search did not reach
            far enough; 0 if the graph is complete.
    """

    atom: Int[ArrayLike, "*b s e"]
    vector: Float[ArrayLike, "*b s e 3"]
    distance: Float[ArrayLike, "*b s e"]
    weight: Float[ArrayLike, "*b s e"]
    cutoff: Float[ArrayLike, "*b s"]
    atom_site: Int[ArrayLike, "*b p"]
    atom_row: Int[ArrayLike, "*b p"]
    atom_mask: Bool[ArrayLike, "*b p"]
    incomplete: Int[ArrayLike, "*b"]


def orbit_graph(crystal: Crystal, shape: GraphShape, *, cutoff: float = 8.0) -> OrbitGraph:
    """Find the neighbours of each site, in jit, for a batch of crystals of different groups.

    All atoms of the primitive cell are tried in (2 reach + 1)³ cells of a reduced basis around the
    receiver, to which the nearest image of each atom has coordinates within ±½. So every neighbour
    nearer than reach + ½ times the smallest height of the reduced cell is found; sites that look
    further are counted in ``incomplete``.

    Args:
        crystal: one crystal or a batch.
        shape: static sizes; ``atoms`` must hold the primitive cell.
        cutoff: largest distance of a neighbour, Å.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> search = jax.jit(orbit_graph, static_argnames="shape")
        >>> graph = search(example_crystal(), shape=GraphShape(atoms=2, neighbours=6, reach=2))
        >>> bool(jnp.allclose(graph.distance[0], 2.82)), graph.atom[0].tolist()  # Na sees Cl
        (True, [1, 1, 1, 1, 1, 1])
    """
    crystal = jax.tree.map(jnp.asarray, crystal)
    cell = primitive_cell(crystal, CellShape(sites=0, atoms=shape.atoms, images=1))
    reduced, coordinates = _reduced_coordinates(crystal, cell)
    offsets = _offsets(shape.reach, coordinates.dtype)
    squared = _squared_distances(coordinates, reduced, offsets)
    squared = jnp.where(_candidates(crystal, cell, offsets), squared, jnp.inf)
    squared = squared.reshape(*squared.shape[:-2], -1)
    count = min(shape.neighbours + 1, squared.shape[-1])
    _, chosen = jax.lax.top_k(-jax.lax.stop_gradient(squared), count)
    atom, image = chosen // len(offsets), chosen % len(offsets)

    y = jnp.take_along_axis(coordinates, atom[..., None], -2) + offsets[image]
    vector = (y[..., :, None] * reduced[..., None, None, :, :]).sum(-2)
    exists = jnp.isfinite(jnp.take_along_axis(squared, chosen, -1))
    distance = _length(vector)
    beyond = jnp.where(exists, distance, jnp.inf)[..., shape.neighbours :].min(-1, initial=jnp.inf)
    radius = jnp.minimum(beyond, cutoff)
    keep = slice(shape.neighbours)
    weight = jnp.where(exists, envelope(distance / radius[..., None]), 0)[..., keep]

    return OrbitGraph(
        atom=atom[..., keep],
        vector=vector[..., keep, :],
        distance=distance[..., keep],
        weight=weight,
        cutoff=radius,
        atom_site=cell.site,
        atom_row=cell.row,
        atom_mask=cell.mask,
        incomplete=_incomplete(crystal, reduced, radius, shape.reach),
    )


def envelope(x: Float[ArrayLike, "*b"], *, order: int = 5) -> Float[ArrayLike, "*b"]:
    """Polynomial that falls from 1 at 0 to 0 at 1, with two continuous derivatives there.

    (Gasteiger et al. 2020, Directional message passing, equation 8.)

    Example:
        >>> envelope(jnp.array([0.0, 1.0, 2.0])).tolist()
        [1.0, 0.0, 0.0]
    """
    p = order
    inside = jnp.minimum(x, 1.0)
    value = (
        1
        - (p + 1) * (p + 2) / 2 * inside**p
        + p * (p + 2) * inside ** (p + 1)
        - p * (p + 1) / 2 * inside ** (p + 2)
    )
    return jnp.where(x < 1, value, 0)


def _reduced_coordinates(
    crystal: Crystal, cell: PrimitiveCell
) -> tuple[Float[ArrayLike, "*b 3 3"], Float[ArrayLike, "*b s p 3"]]:
    """A reduced basis of the lattice, and atoms less receivers in it, within ±½."""
    dtype = crystal.free.dtype
    basis = primitive_basis(crystal.group).astype(dtype)
    lattice = matrix_from_coefficients(crystal.lattice)
    reduced, transform = reduce_lattice((basis[..., None] * lattice[..., None, :, :]).sum(-2))
    back = jnp.asarray(np.linalg.inv(primitive_basis(np.arange(231))), dtype)[crystal.group]
    back = (back[..., None] * unimodular_inverse(transform)[..., None, :, :]).sum(-2)
    receivers = representative(crystal.wyckoff, crystal.free)
    delta = cell.frac[..., None, :, :] - receivers[..., :, None, :]
    y = (delta[..., None] * back[..., None, None, :, :]).sum(-2)
    return reduced, y - jnp.round(jax.lax.stop_gradient(y))


def _offsets(reach: int, dtype: np.dtype) -> Float[ArrayLike, "t 3"]:
    """Neighbouring cells, the own one first."""
    steps = range(-reach, reach + 1)
    cells = sorted(itertools.product(steps, repeat=3), key=lambda n: sum(i * i for i in n))
    return jnp.asarray(cells, dtype)


def _squared_distances(
    y: Float[ArrayLike, "*b s p 3"],
    reduced: Float[ArrayLike, "*b 3 3"],
    offsets: Float[ArrayLike, "t 3"],
) -> Float[ArrayLike, "*b s p t"]:
    """|y + n|² for all atoms and cells, to choose by: expanded, so that it is one product."""
    metric = (reduced[..., :, None, :] * reduced[..., None, :, :]).sum(-1)
    lowered = (y[..., :, None] * metric[..., None, None, :, :]).sum(-2)
    own = (lowered * y).sum(-1)
    cells = jnp.einsum("ti,...ij,tj->...t", offsets, metric, offsets, precision="highest")
    mixed = jnp.einsum("...i,ti->...t", lowered, offsets, precision="highest")
    return own[..., None] + 2 * mixed + cells[..., None, None, :]


def _candidates(
    crystal: Crystal, cell: PrimitiveCell, offsets: Float[ArrayLike, "t 3"]
) -> Bool[ArrayLike, "*b s p t"]:
    """Atoms that exist, less the receiver itself."""
    site = jnp.arange(crystal.wyckoff.shape[-1])
    first = lookup(load_tables().position_first_row, crystal.wyckoff)
    itself = (cell.site[..., None, :] == site[:, None]) & (
        cell.row[..., None, :] == first[..., :, None]
    )
    here = (offsets == 0).all(-1)
    pair = cell.mask[..., None, :] & (crystal.wyckoff > 0)[..., :, None]
    return pair[..., None] & ~(itself[..., None] & here)


def _length(vector: Float[ArrayLike, "*b 3"]) -> Float[ArrayLike, "*b"]:
    """Length, with derivative 0 at 0."""
    squared = (vector**2).sum(-1)
    apart = squared > 0
    return jnp.where(apart, jnp.sqrt(jnp.where(apart, squared, 1)), 0)


def _incomplete(
    crystal: Crystal,
    reduced: Float[ArrayLike, "*b 3 3"],
    radius: Float[ArrayLike, "*b s"],
    reach: int,
) -> Int[ArrayLike, "*b"]:
    first, second, third = (reduced[..., i, :] for i in range(3))
    normals = jnp.stack(
        [jnp.cross(second, third), jnp.cross(third, first), jnp.cross(first, second)], -2
    )
    volume = jnp.abs((first * normals[..., 0, :]).sum(-1))
    height = volume[..., None] / _length(normals)
    short = radius > (reach + 0.5) * height.min(-1)[..., None]
    return (short & (crystal.wyckoff > 0)).sum(-1)
