"""Points and distances in periodic space."""

import itertools

import numpy as np

from jaxcrys.core.typing import ArrayLike, Bool, Float, namespace
from jaxcrys.geometry.reduction import reduce_lattice, unimodular_inverse

NEIGHBOUR_CELLS = np.array(list(itertools.product((-1, 0, 1), repeat=3)))
"""The 27 cells around and including the origin, shape [27, 3]: enough in a reduced basis."""


def wrap(x: Float[ArrayLike, "*b"]) -> Float[ArrayLike, "*b"]:
    """Map fractional coordinates to [0, 1), never to 1 itself.

    Example:
        >>> import numpy as np
        >>> wrap(np.array([1.25, -0.25, -1e-20]))
        array([0.25, 0.75, 0.  ])
    """
    xp = namespace(x)
    wrapped = x - xp.floor(x)
    return xp.where(wrapped >= 1, xp.zeros_like(wrapped), wrapped)


def nearest_image(
    delta: Float[ArrayLike, "*#b 3"], matrix: Float[ArrayLike, "*#b 3 3"]
) -> Float[ArrayLike, "*b 3"]:
    """The shortest of the vectors that differ from ``delta`` by a lattice vector, for every cell.

    Both are fractional coordinates in the basis ``matrix``; times ``matrix`` they are in Å. Only
    integers are taken off, so the slope is one. Of equally short vectors one is returned.

    Example:
        >>> import numpy as np
        >>> hexagonal = np.array([[1.0, 0, 0], [-0.5, 0.75**0.5, 0], [0, 0, 1]])
        >>> nearest_image(np.array([0.4, 0.9, 1.0]), hexagonal)
        array([ 0.4, -0.1,  0. ])
        >>> nearest_image(np.array([0.45, -0.4, 0.0]), hexagonal)  # rounding leaves it as it is
        array([-0.55, -0.4 ,  0.  ])
    """
    xp = namespace(delta, matrix)
    reduced, transform = reduce_lattice(matrix)
    near = _rounded_off(_change_basis(delta, unimodular_inverse(transform)))
    best = xp.argmin(_squared_lengths(near, reduced), axis=-1)
    nearest = near + xp.asarray(NEIGHBOUR_CELLS, near.dtype)[best]
    return delta - xp.round(delta - _change_basis(nearest, transform))


def pairwise_distances(
    frac: Float[ArrayLike, "*b n 3"], matrix: Float[ArrayLike, "*b 3 3"]
) -> Float[ArrayLike, "*b n n"]:
    """Shortest distances in Å between atoms; on the diagonal, between an atom and its own image.

    Exact for every cell, however oblique: images in the 27 cells around the origin are compared in
    a Minkowski-reduced basis of the lattice, in which no others can be nearest.

    Example:
        >>> import numpy as np
        >>> pairwise_distances(np.array([[0.0, 0, 0], [0.5, 0, 0]]), 3 * np.eye(3))
        array([[3. , 1.5], [1.5, 3. ]])
    """
    xp = namespace(frac, matrix)
    reduced, transform = reduce_lattice(matrix)
    frac = _change_basis(frac, unimodular_inverse(transform)[..., None, :, :])
    near = _rounded_off(frac[..., None, :, :] - frac[..., :, None, :])
    squared = _squared_lengths(near, reduced[..., None, None, :, :])
    itself = xp.eye(frac.shape[-2], dtype=bool)[..., None] & (NEIGHBOUR_CELLS == 0).all(-1)
    nearest = xp.where(itself, xp.inf, squared).min(-1)
    # Padding atoms coincide: the root must not be taken at 0, where its derivative is infinite.
    apart = nearest > 0
    return xp.where(apart, xp.sqrt(xp.where(apart, nearest, 1)), 0)


def shortest_distance(
    frac: Float[ArrayLike, "*b n 3"],
    matrix: Float[ArrayLike, "*b 3 3"],
    mask: Bool[ArrayLike, "*b n"],
) -> Float[ArrayLike, "*b"]:
    """The shortest distance in Å between two atoms of the infinite crystal.

    Example:
        >>> import numpy as np
        >>> float(shortest_distance(np.zeros((1, 3)), 3 * np.eye(3), np.array([True])))
        3.0
    """
    xp = namespace(frac, matrix, mask)
    pair = mask[..., None, :] & mask[..., :, None]
    return xp.where(pair, pairwise_distances(frac, matrix), xp.inf).min((-1, -2))


def _change_basis(
    frac: Float[ArrayLike, "*#b 3"], transform: Float[ArrayLike, "*#b 3 3"]
) -> Float[ArrayLike, "*b 3"]:
    """Row vectors times a matrix."""
    x, y, z = (frac[..., i, None] * transform[..., i, :] for i in range(3))
    return x + y + z


def _rounded_off(frac: Float[ArrayLike, "*b"]) -> Float[ArrayLike, "*b"]:
    """Within ±½ of zero, modulo 1."""
    return frac - namespace(frac).round(frac)


def _squared_lengths(
    frac: Float[ArrayLike, "*#b 3"], matrix: Float[ArrayLike, "*#b 3 3"]
) -> Float[ArrayLike, "*b 27"]:
    """Squared lengths of a vector in the cells around the origin.

    By components: NumPy takes three times as long for a sum along an axis of length three.
    """
    vector = _change_basis(frac, matrix)
    cells = namespace(frac, matrix).asarray(NEIGHBOUR_CELLS, vector.dtype)
    shifts = _change_basis(cells, matrix[..., None, :, :])
    x, y, z = (vector[..., i, None] + shifts[..., i] for i in range(3))
    return x * x + y * y + z * z
