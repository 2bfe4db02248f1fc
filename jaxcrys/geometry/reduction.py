"""Minkowski-reduced bases: the shortest and least oblique basis vectors of a lattice.

A basis a, b, c is Minkowski-reduced if ``|a| <= |b| <= |c|``, no a x + b is shorter than b, and no
a x + b y + c shorter than c. In three dimensions its lengths are the successive minima of the
lattice, and the nearest lattice point to any point with coordinates within ±½ has coordinates
-1, 0 or 1.
"""

import itertools

import jax
import numpy as np

from jaxcrys.core.typing import ArrayLike, Bool, Float, namespace

MAX_STEPS = 50
"""Bound on the number of steps; each is one of Euclid's algorithm, so few cells need ten."""

_PLANE = np.array(list(itertools.product((-1, 0, 1), repeat=2)))


def reduce_lattice(
    matrix: Float[ArrayLike, "*b 3 3"],
) -> tuple[Float[ArrayLike, "*b 3 3"], Float[ArrayLike, "*b 3 3"]]:
    """A Minkowski-reduced basis of the lattice whose basis vectors are the rows of ``matrix``.

    Greedy reduction in the manner of Gauss: the vectors are sorted by length, the second is
    shortened by multiples of the first, the third by the nearest point of the plane lattice of the
    other two, until nothing gets shorter (Nguyen and Stehlé 2004, "Low-dimensional lattice basis
    reduction revisited"). The derivative is that of ``transform @ matrix`` with a constant
    transform.

    Returns:
        the reduced basis, and the integers of determinant ±1 (in the dtype of ``matrix``) with
        reduced = transform @ matrix. A cell without volume gives some such transform.

    Example:
        >>> import numpy as np
        >>> reduced, transform = reduce_lattice(np.array([[1.0, 0, 0], [7, 1, 0], [0, -9, 1]]))
        >>> np.abs(reduced)
        array([[1., 0., 0.], [0., 1., 0.], [0., 0., 1.]])
    """
    xp = namespace(matrix)
    if xp is np:
        transform = _transform_on_host(matrix)
    else:
        # Reverse-mode differentiation does not pass through a while loop, nor need it.
        transform = _transform_in_jit(jax.lax.stop_gradient(xp.asarray(matrix)))
    return _product(transform, matrix), transform


def unimodular_inverse(transform: Float[ArrayLike, "*b 3 3"]) -> Float[ArrayLike, "*b 3 3"]:
    """Inverse of an integer matrix of determinant ±1, in integers: adjugate times determinant.

    Example:
        >>> import numpy as np
        >>> unimodular_inverse(np.array([[1.0, 7, 0], [0, 1, 0], [0, 0, -1]]))
        array([[ 1., -7.,  0.], [ 0.,  1.,  0.], [ 0.,  0., -1.]])
    """
    xp = namespace(transform)
    first, second, third = (transform[..., i, :] for i in range(3))
    columns = [xp.cross(second, third), xp.cross(third, first), xp.cross(first, second)]
    determinant = (first * columns[0]).sum(-1)
    return determinant[..., None, None] * xp.stack(columns, -1) + 0


def _product(left: ArrayLike, right: ArrayLike) -> ArrayLike:
    """Product of small matrices in full precision on every device."""
    return (left[..., :, :, None] * right[..., None, :, :]).sum(-2)


def _transform_on_host(matrix: ArrayLike) -> ArrayLike:
    transform: ArrayLike = np.broadcast_to(np.eye(3, dtype=matrix.dtype), matrix.shape)
    for _ in range(MAX_STEPS):
        transform, shorter = _step(transform, matrix)
        if not shorter.any():
            break
    return transform


@jax.jit  # so that calls outside jit do not compile the loop anew each time
def _transform_in_jit(matrix: jax.Array) -> jax.Array:
    xp = jax.numpy

    def unfinished(state: tuple) -> jax.Array:
        _, shorter, count = state
        return shorter.any() & (count < MAX_STEPS)

    def body(state: tuple) -> tuple:
        transform, _, count = state
        return *_step(transform, matrix), count + 1

    identity = xp.broadcast_to(xp.eye(3, dtype=matrix.dtype), matrix.shape)
    start = (identity, xp.ones(matrix.shape[:-2], bool), 0)
    return jax.lax.while_loop(unfinished, body, start)[0]


def _step(
    transform: Float[ArrayLike, "*b 3 3"], matrix: Float[ArrayLike, "*b 3 3"]
) -> tuple[Float[ArrayLike, "*b 3 3"], Bool[ArrayLike, "*b"]]:
    """Sort the vectors, shorten the second and the third; and whether they did get shorter."""
    xp = namespace(matrix)
    before = _squared_lengths(_product(transform, matrix))
    order = xp.argsort(before, axis=-1)
    transform = xp.take_along_axis(transform, order[..., None], -2)
    transform = _shorten_second(transform, matrix)
    transform = _shorten_third(transform, matrix)
    after = _squared_lengths(_product(transform, matrix))
    # Rounding alone must not count: equally short vectors would be exchanged for ever.
    margin = 1 - 32 * xp.finfo(matrix.dtype).eps
    shorter = xp.sort(after, axis=-1) < margin * xp.sort(before, axis=-1)
    return transform, shorter.any(-1)


def _shorten_second(transform: ArrayLike, matrix: ArrayLike) -> ArrayLike:
    xp = namespace(matrix)
    a, b, _ = _rows(_product(transform, matrix))
    multiple = _rounded((a * b).sum(-1), (a * a).sum(-1))
    first, second, third = _rows(transform)
    return xp.stack([first, second - multiple[..., None] * first, third], -2)


def _shorten_third(transform: ArrayLike, matrix: ArrayLike) -> ArrayLike:
    xp = namespace(matrix)
    a, b, c = _rows(_product(transform, matrix))
    aa, ab, bb = (a * a).sum(-1), (a * b).sum(-1), (b * b).sum(-1)
    ac, bc = (a * c).sum(-1), (b * c).sum(-1)
    determinant = aa * bb - ab**2
    near = xp.stack([_rounded(ac * bb - bc * ab, determinant),
                     _rounded(bc * aa - ac * ab, determinant)], -1)  # fmt: skip
    multiples = near[..., None, :] + xp.asarray(_PLANE, matrix.dtype)
    first, second, third = (row[..., None, :] for row in _rows(transform))
    choices = third - multiples[..., :1] * first - multiples[..., 1:] * second
    lengths = _squared_lengths((choices[..., :, None] * matrix[..., None, :, :]).sum(-2))
    best = xp.argmin(lengths, axis=-1)[..., None, None]
    shortest = xp.take_along_axis(choices, best, -2)
    return xp.concatenate([transform[..., :2, :], shortest], -2)


def _rows(matrix: ArrayLike) -> tuple[ArrayLike, ArrayLike, ArrayLike]:
    return matrix[..., 0, :], matrix[..., 1, :], matrix[..., 2, :]


def _squared_lengths(vectors: ArrayLike) -> ArrayLike:
    return (vectors**2).sum(-1)


def _rounded(numerator: ArrayLike, denominator: ArrayLike) -> ArrayLike:
    """The integer nearest to the quotient; 0 where there is none."""
    xp = namespace(numerator)
    possible = denominator > 0
    return xp.where(possible, xp.round(numerator / xp.where(possible, denominator, 1)), 0)
