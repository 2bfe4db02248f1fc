"""The wrapped normal density on the torus of a site's free coordinates, isotropic in a metric.

    q(u | u0) = Σ_n N(u - u0 + n; 0, σ² G⁻¹),   n over all integers

where G is the Gram matrix of the position's tangent basis (``symmetry.tangent_gram``): the noise
moves the site by a distance of width σ, in the units of the metric, alike in all directions that
its Wyckoff position leaves free. An operation of the space group is an isometry of the metric, so
it takes q(u | u0) to itself; a density isotropic in fractional coordinates (:mod:`.wrapped_density`
in each of them) is changed by the trigonal and hexagonal rotations.

The sum runs over IMAGES in each direction, about the image within ±½. The nearest that is left out
lies 3.5 away in one coordinate, whose standard deviation is σ √(G⁻¹)_ii <= σ √(4/3) (hexagonal
axes; 1 or less elsewhere): up to σ = ½ that is six deviations, and the density is exact to 1e-7 of
the uniform one, which is 1. Wider noise, which is all but uniform, is not meant.

Events have any shape ``[*e, 3]``. What ``mask`` leaves out does not count: its images are taken
once, its coordinates are not read, its score is 0.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.typing import ArrayLike, Bool, Float, Int, Key, namespace
from jaxcrys.geometry.lattice import volume
from jaxcrys.geometry.periodic import wrap

IMAGES = np.array(list(itertools.product(range(-3, 4), repeat=3)))
"""Lattice images of the sum, shape [343, 3]."""

Sigma = Float[ArrayLike, "*#e"] | float


def log_density(
    delta: Float[ArrayLike, "*e 3"],
    gram: Float[ArrayLike, "*e 3 3"],
    sigma: Sigma,
    mask: Bool[ArrayLike, "*e 3"],
) -> Float[ArrayLike, "*e"]:
    """Logarithm of q(u | u0), a density over the free coordinates that ``mask`` leaves.

    Args:
        delta: displacement u - u0 of the free coordinates; only its value modulo 1 matters.
        gram: Gram matrix G.
        sigma: width in the units of the metric, positive, at most ½ (see above).
        mask: which free coordinates exist.

    Example:
        >>> delta, mask = np.array([0.0, 0.25, 0.0]), np.array([True, True, False])
        >>> float(np.round(log_density(delta, np.eye(3), 0.1, mask), 6))  # -(0.25 / 0.1)² / 2 - …
        -0.357707
    """
    xp = namespace(delta, gram, sigma, mask)
    delta, gram, sigma = _prepared(delta, gram, sigma, mask)
    exponent, _ = _exponents(delta, gram, sigma, mask)
    dof = mask.sum(-1).astype(delta.dtype)
    scale = dof * (xp.log(sigma) + float(np.log(2 * np.pi)) / 2)
    return _log_sum(exponent) + xp.log(volume(gram)) / 2 - scale  # volume is the determinant


def score(
    delta: Float[ArrayLike, "*e 3"],
    gram: Float[ArrayLike, "*e 3 3"],
    sigma: Sigma,
    mask: Bool[ArrayLike, "*e 3"],
) -> Float[ArrayLike, "*e 3"]:
    """Score ∂ log q(u | u0) / ∂u, arguments as :func:`log_density`.

    It is -G times the mean image of the displacement, over σ²: a covector, which G⁻¹ turns into the
    displacement of the free coordinates that it asks for.

    Example:
        >>> delta, mask = np.array([0.99, 0.0, 0.0]), np.ones(3, bool)
        >>> np.round(score(delta, np.eye(3), 0.1, mask), 6) + 0
        array([1., 0., 0.])
    """
    delta, gram, sigma = _prepared(delta, gram, sigma, mask)
    exponent, images = _exponents(delta, gram, sigma, mask)
    mean = (_weights(exponent)[..., None] * images).sum(-2)
    return -_times(gram, mean) / sigma[..., None] ** 2


def sample(
    key: Key[jax.Array, ""],
    u0: Float[ArrayLike, "*e 3"],
    gram: Float[ArrayLike, "*e 3 3"],
    sigma: Sigma,
    mask: Bool[ArrayLike, "*e 3"],
) -> Float[jax.Array, "*e 3"]:
    """Draw u from q(u | u0): u0 + σ C⁻ᵀ z mod 1 with z ~ N(0, 1) and G = C Cᵀ (Cholesky).

    Returns:
        u in [0, 1), which equals ``u0`` where ``mask`` is False.

    Example:
        >>> u0, mask = jnp.array([0.5, 0.5, 7.0]), jnp.array([True, True, False])
        >>> u = sample(jax.random.key(0), u0, jnp.eye(3), 0.1, mask)
        >>> float(u[2]), bool((abs(u[:2] - 0.5) < 0.5).all())
        (7.0, True)
    """
    u0, mask = jnp.asarray(u0), jnp.asarray(mask)
    centre, gram, sigma = _prepared(u0, jnp.asarray(gram), sigma, mask)
    z = jax.random.normal(key, u0.shape, u0.dtype)[..., None]
    factor = jnp.broadcast_to(jnp.linalg.cholesky(gram), (*u0.shape, 3))
    noise = jax.scipy.linalg.solve_triangular(factor, z, lower=True, trans="T")[..., 0]
    return jnp.where(mask, wrap(centre + sigma[..., None] * noise), u0)


def orbit_log_density(
    u: Float[ArrayLike, "*e 3"],
    u0: Float[ArrayLike, "*e 3"],
    maps: tuple[Int[ArrayLike, "*e o 3 3"], Float[ArrayLike, "*e o 3"], Bool[ArrayLike, "*e o"]],
    gram: Float[ArrayLike, "*e 3 3"],
    sigma: Sigma,
    mask: Bool[ArrayLike, "*e 3"],
) -> Float[ArrayLike, "*e"]:
    """Logarithm of the space-group wrapped normal q_G(u | u0) = Σ_h q(u | h u0).

    The sum over the self-maps h u = M u + m of the position makes the density the same for all
    free coordinates that describe the same atoms, in u and in u0. Its integral is 1 over the
    asymmetric unit, and the number of maps over the torus (Chang et al. 2025, SGEquiDiff, whose
    density is isotropic in fractional coordinates). Each map costs as much as :func:`log_density`.

    Args:
        u: free coordinates.
        u0: free coordinates of the centre.
        maps: M, m and which slots are used, of ``symmetry.asymmetric_unit.self_maps``.
        gram: Gram matrix G.
        sigma: width in the units of the metric, positive, at most ½.
        mask: which free coordinates exist.

    Example:
        >>> inversion = np.array([np.eye(3), -np.eye(3)]), np.zeros((2, 3)), np.ones(2, bool)
        >>> u, u0 = np.array([0.1, 0.2, 0.3]), np.array([0.8, 0.8, 0.8])
        >>> one, two = (orbit_log_density(s * u, u0, inversion, np.eye(3), 0.2, np.ones(3, bool))
        ...             for s in (1, -1))
        >>> bool(np.isclose(one, two))
        True
    """
    log_density_of_each, _, _ = _over_maps(u, u0, maps, gram, sigma, mask)
    return _log_sum(log_density_of_each)


def orbit_score(
    u: Float[ArrayLike, "*e 3"],
    u0: Float[ArrayLike, "*e 3"],
    maps: tuple[Int[ArrayLike, "*e o 3 3"], Float[ArrayLike, "*e o 3"], Bool[ArrayLike, "*e o"]],
    gram: Float[ArrayLike, "*e 3 3"],
    sigma: Sigma,
    mask: Bool[ArrayLike, "*e 3"],
) -> Float[ArrayLike, "*e 3"]:
    """Score ∂ log q_G(u | u0) / ∂u, arguments as :func:`orbit_log_density`."""
    log_density_of_each, delta, where = _over_maps(u, u0, maps, gram, sigma, mask)
    weights = _weights(log_density_of_each)
    return (weights[..., None] * score(delta, *where)).sum(-2)


def _over_maps(
    u: ArrayLike,
    u0: ArrayLike,
    maps: tuple[ArrayLike, ArrayLike, ArrayLike],
    gram: ArrayLike,
    sigma: Sigma,
    mask: ArrayLike,
) -> tuple[ArrayLike, ArrayLike, tuple[ArrayLike, Sigma, ArrayLike]]:
    """The log q(u | h u0) of each map h, its displacement u - h u0, and its G, σ and mask."""
    xp = namespace(u, u0, gram, sigma, mask)
    linear, translation, used = maps
    u, u0 = xp.where(mask, u, 0), xp.where(mask, u0, 0)
    centres = _times(linear.astype(u.dtype), u0[..., None, :]) + translation.astype(u.dtype)
    delta = u[..., None, :] - centres
    sigma = xp.asarray(sigma, u.dtype)
    where = gram[..., None, :, :], sigma[..., None] if sigma.ndim else sigma, mask[..., None, :]
    # The first map counts even in an empty slot, whose density is 1.
    first = xp.arange(used.shape[-1]).reshape((1,) * (used.ndim - 1) + (-1,)) == 0
    return xp.where(used | first, log_density(delta, *where), -xp.inf), delta, where


def _prepared(
    delta: ArrayLike, gram: ArrayLike, sigma: Sigma, mask: ArrayLike
) -> tuple[ArrayLike, ArrayLike, ArrayLike]:
    """In one dtype, with 0 and the identity where nothing is free; σ over the events."""
    xp = namespace(delta, gram, sigma, mask)
    both = mask[..., :, None] & mask[..., None, :]
    one = xp.eye(3, dtype=delta.dtype).reshape((1,) * (gram.ndim - 2) + (3, 3))
    sigma = xp.asarray(sigma, delta.dtype)
    sigma = sigma if sigma.ndim else sigma.reshape((1,) * (delta.ndim - 1))
    return xp.where(mask, delta, 0), xp.where(both, xp.asarray(gram, delta.dtype), one), sigma


def _exponents(
    delta: ArrayLike, gram: ArrayLike, sigma: ArrayLike, mask: ArrayLike
) -> tuple[ArrayLike, ArrayLike]:
    """Exponents of the summands [*e, i], -inf for those not counted, and displacements [*e, i, 3].

    Which image is nearest in the metric is left to the sum, which is taken relative to its largest
    summand: about hexagonal axes it need not be the one within ±½.
    """
    xp = namespace(delta, gram, sigma, mask)
    cells = xp.asarray(IMAGES, delta.dtype).reshape((1,) * (delta.ndim - 1) + IMAGES.shape)
    images = (delta - xp.round(delta))[..., None, :] + cells
    squared = (images * _times(gram[..., None, :, :], images)).sum(-1)
    counted = ((cells == 0) | mask[..., None, :]).all(-1)
    return xp.where(counted, -squared / (2 * sigma[..., None] ** 2), -xp.inf), images


def _log_sum(exponent: Float[ArrayLike, "*e i"]) -> Float[ArrayLike, "*e"]:
    xp = namespace(exponent)
    largest = exponent.max(-1)
    return largest + xp.log(xp.exp(exponent - largest[..., None]).sum(-1))


def _weights(exponent: Float[ArrayLike, "*e i"]) -> Float[ArrayLike, "*e i"]:
    """Share of each summand in the sum."""
    xp = namespace(exponent)
    summands = xp.exp(exponent - exponent.max(-1, keepdims=True))
    return summands / summands.sum(-1, keepdims=True)


def _times(
    matrix: Float[ArrayLike, "*#e 3 3"], vector: Float[ArrayLike, "*#e 3"]
) -> Float[ArrayLike, "*e 3"]:
    return (matrix * vector[..., None, :]).sum(-1)
