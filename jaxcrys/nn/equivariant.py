"""The mathematics of equivariant messages on orbit graphs, as pure functions without parameters.

Irreducible representations, spherical harmonics and couplings are e3nn's (Geiger and Smidt 2022),
all of parity (-1)^l. Degree 1 has the components x, y, z.
"""

import functools

import e3nn_jax as e3nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import ArrayLike, Bool, Float
from jaxcrys.crystal.orbit_graph import OrbitGraph
from jaxcrys.symmetry.rotations import cartesian_rotations, rotation_index

NARROWEST = 0.5
"""Centre of the narrowest radial function, Å."""


@pytree
class Images:
    """How the atoms of the primitive cells come from the sites.

    Attributes:
        source: 1 where an atom (p) is an image of a site (s), else 0.
        exists: which atoms there are.
        rotation: number of the Cartesian rotation that makes each atom.
    """

    source: Float[ArrayLike, "b p s"]
    exists: Bool[ArrayLike, "b p"]
    rotation: ArrayLike


def images_of(graph: OrbitGraph, *, num_sites: int) -> Images:
    """The images in a graph."""
    source = (graph.atom_site[..., None] == jnp.arange(num_sites)) & graph.atom_mask[..., None]
    return Images(
        source=source.astype(graph.vector.dtype),
        exists=graph.atom_mask,
        rotation=rotation_index(graph.atom_row),
    )


@functools.cache
def coupling(first: int, second: int, out: int) -> Float[np.ndarray, "i j o"]:
    """Clebsch-Gordan coefficients, scaled so that variances of order one stay so.

    Example:
        >>> coupling(1, 1, 0).shape
        (3, 3, 1)
    """
    return np.asarray(e3nn.clebsch_gordan(first, second, out)) * np.sqrt(2 * out + 1)


def edge_basis(
    graph: OrbitGraph, *, radial: int, widest: float, degree: int
) -> dict[int, Float[jax.Array, "b s n m p"]]:
    """G[n, l, p] = Σ w R_n(r) Y_l(r̂) over the edges from a site to the images of an atom p.

    The n radial functions are Gaussians of the distance, with centres up to ``widest`` Å, w the
    weights of the edges. At distance 0 there is no direction, and only l = 0 counts.

    Returns:
        By degree l, arrays with m = 2l+1 components.
    """
    centres = jnp.linspace(NARROWEST, widest, radial, dtype=graph.distance.dtype)
    width = (widest - NARROWEST) / max(radial - 1, 1)
    bumps = jnp.exp(-(((graph.distance[..., None] - centres) / width) ** 2) / 2)
    values = bumps * graph.weight[..., None]
    num_atoms = graph.atom_mask.shape[-1]
    target = (graph.atom[..., None] == jnp.arange(num_atoms)).astype(values.dtype)
    apart = (graph.distance > 0)[..., None]
    direction = jnp.where(apart, graph.vector, jnp.asarray([0.0, 0.0, 1.0], values.dtype))
    result = {}
    for k in range(degree + 1):
        irreps = e3nn.Irreps([(1, (k, (-1) ** k))])
        harmonics = e3nn.spherical_harmonics(
            irreps, direction, normalize=True, normalization="component"
        ).array
        if k:
            harmonics = jnp.where(apart, harmonics, 0)
        weighted = (values[..., :, None] * harmonics[..., None, :]).reshape(*values.shape[:-1], -1)
        gathered = jnp.einsum("bsex,bsep->bsxp", weighted, target)
        result[k] = gathered.reshape(*gathered.shape[:2], radial, 2 * k + 1, num_atoms)
    return result


def rms_norm(values: Float[ArrayLike, "*b m c"]) -> Float[ArrayLike, "*b m c"]:
    """Divide by the root mean square over components and channels; small values stay small."""
    square = (values**2).mean((-1, -2), keepdims=True)
    return values * jax.lax.rsqrt(square + 1e-3)


def invariant_norm(values: Float[ArrayLike, "*b m c"]) -> Float[ArrayLike, "*b c"]:
    """Length of each channel, with finite derivatives at 0."""
    return jnp.sqrt((values**2).sum(-2) + 1e-6)


def crystal_mean(
    tensor: Float[ArrayLike, "b s 3 3"], images: Images, mask: Bool[ArrayLike, "b p"]
) -> Float[ArrayLike, "b 3 3"]:
    """Mean over all atoms of a Cartesian tensor known at the representatives: R T Rᵀ at each."""
    rotation = jnp.asarray(cartesian_rotations(), tensor.dtype)[images.rotation]
    copied = jnp.einsum("bps,bsij->bpij", images.source.astype(tensor.dtype), tensor)
    turned = jnp.einsum("bpik,bpkl,bpjl->bij", rotation, copied, rotation)
    return turned / jnp.maximum(mask.sum(-1), 1)[..., None, None]
