"""Metrics that a space group leaves unchanged, on the cell and on Wyckoff tangent spaces.

Fractional coordinates have no metric of their own: a rotation W by 120 degrees about hexagonal axes
changes the sum of their squares. Every crystal family has a metric M that all its rotations
preserve, Wᵀ M W = M; what is isotropic in it treats symmetry-equivalent directions alike.
"""

import numpy as np

from jaxcrys.core.typing import ArrayLike, Float, Int, namespace
from jaxcrys.geometry.lattice import FAMILIES
from jaxcrys.geometry.periodic import NEIGHBOUR_CELLS
from jaxcrys.symmetry.tables import load_tables, lookup
from jaxcrys.symmetry.wyckoff import free_mask, group_of

FAMILY_METRIC = np.tile(np.eye(3), (len(FAMILIES), 1, 1))
"""One metric of each family, shape [6, 3, 3]: that of a lattice with a = b = c = 1."""
FAMILY_METRIC[FAMILIES.index("hexagonal"), :2, :2] = [[1, -0.5], [-0.5, 1]]


def family_metric(group: Int[ArrayLike, "*b"]) -> Float[ArrayLike, "*b 3 3"]:
    """The unit metric M of the group's crystal family: Wᵀ M W = M for every rotation W.

    The identity, but for hexagonal axes, where a and b enclose 120 degrees. Families with more
    freedom have other invariant metrics; the identity is the simplest.

    Example:
        >>> family_metric(np.array(166))
        array([[ 1. , -0.5, 0. ], [-0.5, 1. , 0. ], [ 0. , 0. , 1. ]])
    """
    return lookup(FAMILY_METRIC, lookup(load_tables().group_family, group))


def tangent_gram(
    wyckoff: Int[ArrayLike, "*b"], metric: Float[ArrayLike, "*b 3 3"] | None = None
) -> Float[ArrayLike, "*b 3 3"]:
    """Gram matrix Aᵀ M A of a position's tangent basis, the columns of A.

    A step du of the free coordinates moves the representative, and every other atom of the orbit,
    by the length √(duᵀ Aᵀ M A du). Free coordinates that the position does not have stand alone
    with 1 on the diagonal, so that the matrix can be inverted and its determinant is that of the
    live part.

    Args:
        wyckoff: position ids.
        metric: M; the crystal family's unit metric if it is not given. With a crystal's own
            L Lᵀ (L the lattice matrix with vectors as rows) lengths are in Å.

    Example:
        >>> from jaxcrys.symmetry.wyckoff import position_id
        >>> tangent_gram(np.array(position_id(194, "k")))  # x, 2x, z
        array([[3., 0., 0.], [0., 1., 0.], [0., 0., 1.]])
    """
    xp = namespace(wyckoff, metric)
    if metric is None:
        metric = family_metric(group_of(wyckoff))
    tables = load_tables()
    basis = lookup(tables.row_linear, lookup(tables.position_first_row, wyckoff))
    basis = basis.astype(metric.dtype)
    image = (metric[..., :, :, None] * basis[..., None, :, :]).sum(-2)
    gram = (basis[..., :, :, None] * image[..., :, None, :]).sum(-3)
    alive = free_mask(wyckoff)
    both = alive[..., :, None] & alive[..., None, :]
    return xp.where(both, gram, xp.eye(3, dtype=metric.dtype))


def squared_distance(
    delta: Float[ArrayLike, "*#b 3"], gram: Float[ArrayLike, "*#b 3 3"]
) -> Float[ArrayLike, "*b"]:
    """Squared length of the shortest vector that differs from ``delta`` by integers.

    27 images are compared, which is exact for Minkowski-reduced Gram matrices as those of
    :func:`tangent_gram` in the unit metric are.

    Example:
        >>> hexagonal = family_metric(np.array(194))
        >>> round(float(squared_distance(np.array([0.5, -0.5, 0.0]), hexagonal)), 6)
        0.25
    """
    xp = namespace(delta, gram)
    near = delta - xp.round(delta)
    cells = xp.asarray(NEIGHBOUR_CELLS, near.dtype)
    # |d + n|² = |d|² + n (2 G d + G n); n = 0 is among the images.
    lowered = (gram * near[..., None, :]).sum(-1)
    image = (gram[..., None, :, :] * cells[:, None, :]).sum(-1) + 2 * lowered[..., None, :]
    return (near * lowered).sum(-1) + (cells * image).sum(-1).min(-1)
