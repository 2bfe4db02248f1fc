r"""Three descriptions of a lattice: coefficients k, matrix, and lengths with angles.

The rows of a lattice matrix L are the vectors a, b, c in Å. Its symmetric polar factor
S = (L Lᵀ)^½ describes the same lattice in another orientation, and

    S = exp(Σ_i k_i B_i)

with six symmetric matrices B_i that are orthonormal in the Frobenius product. So every k in R⁶ is
a lattice of positive volume exp(√3 k₆), and the lattices that a crystal family allows form a flat
subspace: some k_i are free, the others have a fixed value (DiffCSP++, Jiao et al. 2024, section
4.1; the normalisation of the basis is that of its public code).

Functions take NumPy arrays (float64 on the host) or JAX arrays, with any leading dimensions.
"""

import numpy as np

from jaxcrys.core.typing import ArrayLike, Float, namespace

BASIS = np.array(
    [
        [[0, 1, 0], [1, 0, 0], [0, 0, 0]],
        [[0, 0, 1], [0, 0, 0], [1, 0, 0]],
        [[0, 0, 0], [0, 0, 1], [0, 1, 0]],
        [[1, 0, 0], [0, -1, 0], [0, 0, 0]],
        [[1, 0, 0], [0, 1, 0], [0, 0, -2]],
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    ]
) / np.sqrt([2, 2, 2, 2, 6, 3]).reshape(6, 1, 1)
"""The matrices B_1 … B_6, shape [6, 3, 3]."""

FAMILIES = ("triclinic", "monoclinic", "orthorhombic", "tetragonal", "hexagonal", "cubic")
"""The six crystal families, in the order of the space group numbers (rhombohedral groups are
described on hexagonal axes and belong to the hexagonal family)."""

FAMILY_MASK = np.array(
    [
        [1, 1, 1, 1, 1, 1],
        [0, 1, 0, 1, 1, 1],
        [0, 0, 0, 1, 1, 1],
        [0, 0, 0, 0, 1, 1],
        [0, 0, 0, 0, 1, 1],
        [0, 0, 0, 0, 0, 1],
    ],
    bool,
)
"""Which coefficients are free in each family, shape [6, 6]."""

FAMILY_FIXED = np.zeros((6, 6))
FAMILY_FIXED[4, 0] = -np.sqrt(2) * np.log(3) / 4
"""The value of the coefficients that are not free: zero, but for the angle of 120 degrees."""

_SQUARINGS = 4
_TAYLOR_ORDER = 9


def _product(left: ArrayLike, right: ArrayLike) -> ArrayLike:
    """Product of small matrices in full precision on every device."""
    return (left[..., :, :, None] * right[..., None, :, :]).sum(-2)


def _combine(k: ArrayLike, basis: np.ndarray) -> ArrayLike:
    xp = namespace(k)
    basis = xp.asarray(basis, k.dtype)
    return (k[..., :, None, None] * basis).sum(-3)


def matrix_from_coefficients(k: Float[ArrayLike, "*b 6"]) -> Float[ArrayLike, "*b 3 3"]:
    """The symmetric lattice matrix S = exp(Σ k_i B_i), in Å.

    The exponential is a Taylor series with scaling and squaring: unlike an eigendecomposition it
    has finite derivatives at the degenerate eigenvalues of uniaxial and cubic lattices.

    Example:
        >>> import numpy as np
        >>> np.round(matrix_from_coefficients(np.array([0, 0, 0, 0, 0, np.sqrt(3) * np.log(4)])), 9)
        array([[4., 0., 0.], [0., 4., 0.], [0., 0., 4.]])
    """
    xp = namespace(k)
    shape = _combine(k[..., :5], BASIS[:5]) / 2**_SQUARINGS
    one = xp.eye(3, dtype=k.dtype)
    result = one + shape / _TAYLOR_ORDER
    for order in range(_TAYLOR_ORDER - 1, 0, -1):
        result = one + _product(shape, result) / order
    for _ in range(_SQUARINGS):
        result = _product(result, result)
    scale = xp.exp(k[..., 5] / np.asarray(np.sqrt(3), k.dtype))
    return scale[..., None, None] * result


def coefficients_from_matrix(matrix: Float[ArrayLike, "*b 3 3"]) -> Float[ArrayLike, "*b 6"]:
    """The coefficients k of a lattice matrix in any orientation; inverse of the above.

    Meant for the host: derivatives are undefined where eigenvalues of L Lᵀ coincide.

    Example:
        >>> import numpy as np
        >>> bool(np.allclose(coefficients_from_matrix(np.eye(3)), 0))
        True
    """
    xp = namespace(matrix)
    metric = _product(matrix, xp.swapaxes(matrix, -1, -2))
    values, vectors = xp.linalg.eigh(metric)
    log_factor = _product(vectors * (0.5 * xp.log(values))[..., None, :],
                          xp.swapaxes(vectors, -1, -2))  # fmt: skip
    basis = xp.asarray(BASIS, matrix.dtype)
    return (log_factor[..., None, :, :] * basis).sum((-1, -2))


def parameters_from_matrix(matrix: Float[ArrayLike, "*b 3 3"]) -> Float[ArrayLike, "*b 6"]:
    """Lengths a, b, c in Å and angles alpha, beta, gamma in degrees.

    Example:
        >>> import numpy as np
        >>> parameters_from_matrix(2 * np.eye(3))
        array([ 2.,  2.,  2., 90., 90., 90.])
    """
    xp = namespace(matrix)
    lengths = xp.sqrt((matrix**2).sum(-1))
    unit = matrix / lengths[..., None]
    opposite = (xp.roll(unit, -1, -2) * xp.roll(unit, -2, -2)).sum(-1)
    angles = xp.degrees(xp.arccos(xp.clip(opposite, -1, 1)))
    return xp.concatenate([lengths, angles], -1)


def matrix_from_parameters(parameters: Float[ArrayLike, "*b 6"]) -> Float[ArrayLike, "*b 3 3"]:
    """Lattice matrix with a along x and b in the xy plane, from lengths (Å) and angles (degrees).

    Angles that no lattice has give NaN.

    Example:
        >>> import numpy as np
        >>> np.round(matrix_from_parameters(np.array([1.0, 1, 2, 90, 90, 120])), 6)
        array([[ 1. , 0. , 0. ], [-0.5 , 0.866025, 0. ], [ 0. , 0. , 2. ]])
    """
    xp = namespace(parameters)
    lengths = parameters[..., :3]
    # Angles such as 90 and 120 degrees must give their exact cosines, else symmetry is lost.
    digits = 15 if parameters.dtype == np.float64 else 7
    cosines = xp.round(xp.sin(xp.radians(90 - parameters[..., 3:])), digits)
    alpha, beta, gamma = cosines[..., 0], cosines[..., 1], cosines[..., 2]
    zero, one = xp.zeros_like(alpha), xp.ones_like(alpha)
    sine = xp.sqrt(1 - gamma**2)
    height = (alpha - beta * gamma) / sine
    rows = xp.stack(
        [
            xp.stack([one, zero, zero], -1),
            xp.stack([gamma, sine, zero], -1),
            xp.stack([beta, height, xp.sqrt(1 - beta**2 - height**2)], -1),
        ],
        -2,
    )
    return lengths[..., None] * rows


def volume(matrix: Float[ArrayLike, "*b 3 3"]) -> Float[ArrayLike, "*b"]:
    """Volume of the cell in Å^3 (positive for right-handed vectors).

    Example:
        >>> import numpy as np
        >>> float(volume(2 * np.eye(3)))
        8.0
    """
    xp = namespace(matrix)
    return (matrix[..., 0, :] * xp.cross(matrix[..., 1, :], matrix[..., 2, :])).sum(-1)
