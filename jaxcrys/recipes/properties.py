"""Numbers known of crystals, such as a band gap: fitted to the data, told in training, asked for.

Values stand in arrays [b, p], one column for each property, in the units of the data; NaN where a
value is not known, or not asked for.

To sample with guidance w (Ho & Salimans 2022, classifier-free) means to draw from scores

    s = s(asked) + w (s(asked) - s(nothing asked)),

which for w = 0 are those of the conditional model, and for w > 0 stress what sets it apart. The
network then reads every crystal twice, told of the target and not told: what it reads and says has
twice as many rows, the told ones first.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import pytree
from jaxcrys.core.rng import stream
from jaxcrys.core.typing import ArrayLike, Bool, Float, Key

LEVELS = 64
"""Steps between the quantiles that are kept of the training values."""

DIGITS = 5
"""Significant digits of what is fitted."""

T = TypeVar("T")


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
        guidance: weight w of each; None is 0, at the cost of one network call in place of two.
    """

    values: Float[ArrayLike, "b p"]
    guidance: Float[ArrayLike, "b"] | None = None


def validate_properties(config: Any) -> None:
    """Check what the settings of a recipe say of properties.

    Args:
        config: with the fields ``properties``, which the network can be told, ``properties_share``,
            of the training crystals of which any is told, and ``each_property_share``, of the known
            properties of these that is told.

    Raises:
        InputError: naming the setting that cannot be used.
    """
    for name in ("properties_share", "each_property_share"):
        if not 0 <= getattr(config, name) <= 1:
            raise InputError(name, f"must be 0 to 1, got {getattr(config, name)}")
    if len(config.properties) != config.network.properties:
        raise InputError(
            "network.properties", f"must be {len(config.properties)}, the number of properties"
        )


def condition(config: Any, names: Sequence[str], values: Float[np.ndarray, "b p"]) -> Any:
    """The settings of a recipe that learns properties, with what their values say of them."""
    network = dataclasses.replace(config.network, properties=len(names))
    return dataclasses.replace(config, network=network, properties=fit_properties(names, values))


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


def either(first: Sequence[Property], second: Sequence[Property]) -> tuple[Property, ...]:
    """Properties that are in one of two lists, each once: first those of the first."""
    names = {known.name for known in first}
    return (*first, *(known for known in second if known.name not in names))


def standardise(
    values: Float[ArrayLike, "b p"], properties: Sequence[Property]
) -> Float[jax.Array, "b p"]:
    """Distance from the mean in units of the scale; what is not known stays NaN."""
    mean = jnp.array([known.mean for known in properties])
    scale = jnp.array([known.scale for known in properties])
    return (jnp.asarray(values) - mean) / scale


def told_in_training(
    keys: Key[jax.Array, "b"], values: Float[ArrayLike, "b p"] | None, config: Any
) -> Float[jax.Array, "b p"]:
    """The values that training tells of each crystal; none where there are none.

    Args:
        keys: one for each crystal.
        values: that are known.
        config: settings of the recipe, as in :func:`validate_properties`.
    """
    if values is None:
        return jnp.full((len(keys), len(config.properties)), jnp.nan)

    def some(key: jax.Array, values: jax.Array) -> jax.Array:
        key = stream(key, "properties")
        return tell_some(
            key, values, share=config.properties_share, each=config.each_property_share
        )

    return jax.vmap(some)(keys, jnp.asarray(values))


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


def told_values(target: Target | None, config: Any) -> Float[jax.Array, "r p"] | None:
    """What the network is told in each of its readings, standardised; None if of nothing."""
    if target is None or not config.properties:
        return None
    values = standardise(target.values, config.properties)
    if target.guidance is None:
        return values
    return jnp.concatenate([values, jnp.full_like(values, jnp.nan)])


def for_each_reading(rows: T, guidance: Float[ArrayLike, "b"] | None) -> T:
    """Rows of what the network reads: twice under guidance, else as they are.

    Example:
        >>> for_each_reading(jnp.arange(2), jnp.ones(2)).tolist()
        [0, 1, 0, 1]
    """
    if guidance is None:
        return rows
    return jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf]), rows)


def guided(said: T, guidance: Float[ArrayLike, "b"] | None) -> T:
    """What the network says in its two readings as one: s(asked) + w (s(asked) - s(nothing)).

    Example:
        >>> guided(jnp.array([1.0, 2.0, 0.5, 2.0]), jnp.array([2.0, 2.0])).tolist()
        [2.0, 2.0]
    """
    if guidance is None:
        return said
    weight = jnp.asarray(guidance)

    def one(scores: jax.Array) -> jax.Array:
        told, untold = jnp.split(scores, 2)
        return told + weight.reshape(-1, *[1] * (told.ndim - 1)) * (told - untold)

    return jax.tree.map(one, said)
