"""The wrapped normal density of period 1, its score, and the score's mean square.

δ is a displacement and σ the width of the normal distribution before wrapping, both in fractional
units. Narrow densities are summed over lattice images, wide ones as a Fourier series: each is
accurate to rounding where it is used, so that the score keeps its relative accuracy even where the
density is almost flat.
"""

import numpy as np

from jaxcrys.core.typing import ArrayLike, Float, namespace

SWITCH = 0.3
"""Width below which the density is summed over lattice images, above which as a Fourier series."""

IMAGES = range(-2, 3)
"""Lattice images; for widths up to SWITCH the others add less than 1e-14 of the density."""

HARMONICS = range(1, 6)
"""Fourier terms; for widths from SWITCH on the others add less than 1e-25 of the density."""

QUADRATURE_POINTS = 512
"""Points of the trapezoidal rule for E[score²], 21 or more for one width."""


def log_density(
    delta: Float[ArrayLike, "*event"], sigma: Float[ArrayLike, "*#event"] | float
) -> Float[ArrayLike, "*event"]:
    """Logarithm of the wrapped normal density p(δ | σ) of period 1.

    Narrow densities are the sum of normal densities over lattice images, p = Σ_n N(δ + n; σ), wide
    ones the same by Poisson summation, p = 1 + 2 Σ_m exp(-2π²m²σ²) cos 2πmδ.

    Args:
        delta: displacement in fractional units.
        sigma: width, a scalar or as ``delta``; any positive number.

    Example:
        >>> bool(abs(log_density(np.array(0.2), 1.0)) < 1e-8)
        True
    """
    xp = namespace(delta, sigma)
    delta = delta - xp.round(delta)
    narrow = _log_density_narrow(delta, xp.minimum(sigma, SWITCH))
    wide, _ = _fourier_sums(delta, xp.maximum(sigma, SWITCH))
    return xp.where(sigma < SWITCH, narrow, xp.log(wide))


def score(
    delta: Float[ArrayLike, "*event"], sigma: Float[ArrayLike, "*#event"] | float
) -> Float[ArrayLike, "*event"]:
    """Score ∂ log p(δ | σ) / ∂δ of the wrapped normal, arguments as :func:`log_density`.

    Where the density is narrow it is the normal distribution's -δ/σ² of the nearest image.

    Example:
        >>> round(float(score(np.array(1.01), 0.1)), 6)
        -1.0
    """
    xp = namespace(delta, sigma)
    delta = delta - xp.round(delta)
    narrow = _score_narrow(delta, xp.minimum(sigma, SWITCH))
    wide, slope = _fourier_sums(delta, xp.maximum(sigma, SWITCH))
    return xp.where(sigma < SWITCH, narrow, slope / wide)


def _image_weights(delta: ArrayLike, sigma: ArrayLike | float) -> list[ArrayLike]:
    """Density of each image n relative to the nearest, exp(-n (n + 2δ) / 2σ²) <= 1 for |δ| <= ½."""
    xp = namespace(delta, sigma)
    return [xp.exp(-n * (n + 2 * delta) / (2 * sigma**2)) for n in IMAGES]


def _log_density_narrow(delta: ArrayLike, sigma: ArrayLike | float) -> ArrayLike:
    xp = namespace(delta, sigma)
    total = sum(_image_weights(delta, sigma))
    normal = -((delta / sigma) ** 2) / 2 - xp.log(sigma) - float(np.log(2 * np.pi)) / 2
    return normal + xp.log(total)


def _score_narrow(delta: ArrayLike, sigma: ArrayLike | float) -> ArrayLike:
    weights = _image_weights(delta, sigma)
    shift = sum(n * weight for n, weight in zip(IMAGES, weights, strict=True)) / sum(weights)
    return -(delta + shift) / sigma**2


def _fourier_sums(delta: ArrayLike, sigma: ArrayLike | float) -> tuple[ArrayLike, ArrayLike]:
    """Density and its derivative as Fourier series."""
    xp = namespace(delta, sigma)
    density, slope = xp.ones_like(delta), xp.zeros_like(delta)
    for m in HARMONICS:
        amplitude = 2 * xp.exp(-2 * (np.pi * m) ** 2 * sigma**2)
        density = density + amplitude * xp.cos(2 * np.pi * m * delta)
        slope = slope - amplitude * 2 * np.pi * m * xp.sin(2 * np.pi * m * delta)
    return density, slope


def expected_squared_score(sigma: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t"]:
    """E[score²] = ∫ score(δ, σ)² p(δ | σ) dδ for each width, on the host in float64.

    The trapezoidal rule over one period, or over ±12 σ where that is less, converges exponentially:
    the error is below 1e-12 of the value.

    Example:
        >>> expected_squared_score(np.array([0.01]))
        array([10000.])
    """
    sigma = np.asarray(sigma, np.float64)
    half = np.minimum(0.5, 12 * sigma)[:, None]
    unit = np.arange(QUADRATURE_POINTS) * (2 / QUADRATURE_POINTS) - 1
    delta, width = half * unit, np.broadcast_to(sigma[:, None], (len(sigma), len(unit)))
    integrand = score(delta, width) ** 2 * np.exp(log_density(delta, width))
    return 2 * half[:, 0] * integrand.mean(-1)
