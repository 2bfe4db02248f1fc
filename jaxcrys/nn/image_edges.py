"""Edges between sites through the symmetry images of the sender that lie nearest to the receiver.

Where only representatives are seen, two sites that touch may look far apart: the neighbour is an
image of the other. Of each pair the nearest images are taken, by the Cartesian length of the
fractional difference wrapped into [-½, ½).
"""

import jax
import jax.numpy as jnp

from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import ArrayLike, Bool, Float, Int
from jaxcrys.symmetry.orbits import expand_orbits

MOST_ATOMS = 192
"""Of an orbit in a conventional cell."""


@pytree
class ImageEdges:
    """Edges of each receiver p, the k images of the first sender first.

    Attributes:
        difference: fractional difference from the receiver to each image, 0 in the padding.
        mask: which edges exist; an orbit of few atoms has fewer than k.
    """

    difference: Float[ArrayLike, "*b p q 3"]
    mask: Bool[ArrayLike, "*b p q"]


def nearest_images(
    wyckoff: Int[ArrayLike, "*b s"],
    free: Float[ArrayLike, "*b s 3"],
    matrix: Float[ArrayLike, "*b 3 3"],
    *,
    count: int,
) -> ImageEdges:
    """The nearest images of every site, seen from the representative of every site.

    Args:
        wyckoff: positions, 0 in empty slots, which have no edges.
        free: their coordinates.
        matrix: cell vectors as rows.
        count: images k of each pair.

    Returns:
        Edges of s receivers from q = s · k images. A site's own first image is itself.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> crystal = example_crystal()  # rock salt: Na at 4a, Cl at 4b
        >>> edges = nearest_images(crystal.wyckoff, crystal.free, 5.64 * jnp.eye(3), count=2)
        >>> jnp.linalg.norm(edges.difference[0], axis=-1).round(3).tolist()
        [0.0, 0.7070000171661377, 0.5, 0.5]
    """
    orbits = expand_orbits(
        jnp.asarray(wyckoff)[..., None], jnp.asarray(free)[..., None, :], capacity=MOST_ATOMS
    )
    receiver = orbits.frac[..., :, None, None, 0, :]
    difference = orbits.frac[..., None, :, :, :] - receiver
    difference = difference - jnp.round(difference)
    vectors = jnp.einsum(
        "...psmi,...ij->...psmj", difference, jnp.asarray(matrix), precision="highest"
    )
    exists = orbits.mask[..., None, :, :] & (jnp.asarray(wyckoff) > 0)[..., :, None, None]
    distance = jnp.where(exists, (vectors**2).sum(-1), jnp.inf)
    nearest, which = jax.lax.top_k(-distance, count)
    chosen = jnp.take_along_axis(difference, which[..., None], -2)
    mask = nearest > -jnp.inf
    difference = jnp.where(mask[..., None], chosen, 0)
    pairs = difference.shape[:-3]
    return ImageEdges(difference.reshape(*pairs, -1, 3), mask.reshape(*pairs, -1))
