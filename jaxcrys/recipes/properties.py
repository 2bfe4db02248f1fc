"""Numbers known of crystals, such as a band gap: fitted to the data, told in training, asked for.

Values stand in arrays [b, p], one column for each property, in the units of the data; NaN where a
value is not known, or not asked for.

To sample with guidance w (Ho & Salimans 2022, classifier-free) means to draw from scores

    s = s(asked) + w (s(asked) - s(nothing asked)),

which for w = 0 are those of the conditional model, and for w > 0 stress what sets it apart.
"""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import ArrayLike, Bool, Float, Key

LEVELS = 64
"""Steps between the quantiles that are kept of the training values."""

DIGITS = 5
"""Significant digits of what is fitted."""


@dataclasses.dataclass(frozen=True)
class Property:
    """A property, and what the training set says of it.

    Attributes:
        name: column of the dataset.
        mean: of the known values.
        scale: their standard deviation.
        quantiles: of the known values, at equal steps from the least to the largest.
    """

    name: str
    mean: float
    scale: float
    quantiles: tuple[float, ...]


@pytree
class Target:
    """What samples shall have.

    Attributes:
        values: of the properties, in the units of the data; NaN is left open.
        guidance: weight w; None is 0, at the cost of one network call in place of two.
    """

    values: Float[ArrayLike, "b p"]
    guidance: Float[ArrayLike, ""] | None = None


def fit_properties(names: Sequence[str], values: Float[np.ndarray, "b p"]) -> tuple[Property, ...]:
    """Mean, scale and quantiles of each property, of the values that are known.

    Raises:
        InputError: for a property of which no value is known, or which is the same everywhere.

    Example:
        >>> found, = fit_properties(["gap"], np.array([[0.0], [2.0], [np.nan]]))
        >>> found.mean, found.scale, found.quantiles[32]
        (1.0, 1.0, 1.0)
    """
    found = []
    for name, column in zip(names, np.asarray(values, np.float64).T, strict=True):
        known = column[np.isfinite(column)]
        if not len(known) or np.ptp(known) == 0:
            raise InputError(name, "has no two different values in the training set")
        mean, scale = _rounded(known.mean()), _rounded(known.std())
        quantiles = np.quantile(known, np.linspace(0, 1, LEVELS + 1))
        found.append(Property(name, mean, scale, tuple(map(_rounded, quantiles))))
    return tuple(found)


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def standardise(
    values: Float[ArrayLike, "b p"], properties: Sequence[Property]
) -> Float[jax.Array, "b p"]:
    """Distance from the mean in units of the scale; what is not known stays NaN."""
    mean = jnp.array([known.mean for known in properties])
    scale = jnp.array([known.scale for known in properties])
    return (jnp.asarray(values) - mean) / scale


def tell_some(
    key: Key[jax.Array, ""], values: Float[jax.Array, " p"], *, share: float, each: float
) -> Float[jax.Array, " p"]:
    """Hide values of one crystal in training: all of them with probability 1 - ``share``.

    Args:
        key: random.
        values: of one crystal.
        share: probability that any are told.
        each: probability of each that it is, where any are.

    Example:
        >>> tell_some(jax.random.key(0), jnp.array([1.5, 2.0]), share=1.0, each=1.0).tolist()
        [1.5, 2.0]
    """
    any_told, each_told = jax.random.split(key)
    told = jax.random.uniform(each_told, values.shape) < each
    return jnp.where(told & (jax.random.uniform(any_told) < share), values, jnp.nan)


def any_known(values: Float[ArrayLike, "b p"]) -> Bool[jax.Array, "b"]:
    """Whether anything is known of each crystal."""
    return (~jnp.isnan(jnp.asarray(values))).any(-1)
