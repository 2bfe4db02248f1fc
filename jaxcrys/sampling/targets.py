"""Properties that are asked for: the target of each sample, checked against the training data."""

import jax
import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.rng import sample_keys, stream
from jaxcrys.core.typing import Float, Int
from jaxcrys.recipes.model import Model
from jaxcrys.recipes.properties import Property, Target
from jaxcrys.sampling.wish import Wish, parse_properties

GUIDANCE = 1.0
"""Weight of the guidance where none is given."""

GRID = 1024
"""Points of the training distribution from which the target of a range is drawn."""


def target_of(model: Model, wish: Wish, index: Int[np.ndarray, "b"], *, seed: int) -> Target | None:
    """What some samples shall have; each target depends on (seed, its index) alone.

    Raises:
        InputError: for a property that the model was not trained with, or values far outside of
            what it has seen.
    """
    if wish.properties is None:
        return None
    known = model.config.functions.properties(model.config.settings)
    asked = parse_properties(wish.properties)
    names = [each.name for each in known]
    for name in asked:
        if name not in names:
            raise InputError(
                "--properties", f"{model.run} was not trained with {name!r}",
                f"it knows {', '.join(names)}" if names else "train with --properties",
            )  # fmt: skip
    keys = sample_keys(seed, index)
    values = np.full((len(index), len(known)), np.nan, np.float32)
    for column, each in enumerate(known):
        if each.name in asked:
            own = jax.vmap(stream, (0, None))(keys, f"asked {each.name}")
            uniform = np.asarray(jax.vmap(jax.random.uniform)(own))
            values[:, column] = within(each, *asked[each.name], uniform)
    guidance = GUIDANCE if wish.guidance is None else wish.guidance
    return Target(values, np.asarray(guidance, np.float32) if guidance else None)


def within(
    known: Property, low: float, high: float, uniform: Float[np.ndarray, "b"]
) -> Float[np.ndarray, "b"]:
    """Values of a property from a range, as the training set has them.

    Where it has hardly any there they are spread evenly.

    Args:
        known: the property.
        low: least value.
        high: largest value, the same for a single target.
        uniform: a random number for each sample.

    Raises:
        InputError: if the range lies outside of the training data, or a target by more than the
            scale of the property.

    Example:
        >>> gap = Property("gap", 1.0, 1.0, (0.0, 0.0, 0.0, 2.0, 4.0))
        >>> within(gap, 1.0, 4.0, np.array([0.0, 0.5, 0.99])).round(1).tolist()
        [1.0, 2.5, 4.0]
        >>> within(gap, 1.5, 1.5, np.array([0.3])).tolist()
        [1.5]
    """
    least, most = known.quantiles[0], known.quantiles[-1]
    margin = known.scale if low == high else 0.0
    if high < least - margin or low > most + margin:
        raise InputError(
            "--properties", f"{known.name} = {_written(low, high)} is outside of the training data",
            f"ask for {least:g} to {most:g}",
        )  # fmt: skip
    if low == high:
        return np.full(len(uniform), low)
    low, high = max(low, least), min(high, most)
    steps = np.linspace(0, 1, len(known.quantiles))
    seen = np.interp(np.linspace(0, 1, GRID), steps, known.quantiles)
    inside = seen[(seen >= low) & (seen <= high)]
    if len(inside) < 2:
        return low + uniform * (high - low)
    return np.interp(uniform, np.linspace(0, 1, len(inside)), inside)


def asked_columns(model: Model, target: Target | None) -> dict[str, Float[np.ndarray, "b"]]:
    """What was asked for, by name of the column in the table."""
    if target is None:
        return {}
    known = model.config.functions.properties(model.config.settings)
    columns = zip(known, np.asarray(target.values, np.float64).T, strict=True)
    return {f"asked_{each.name}": column for each, column in columns if np.isfinite(column).any()}


def _written(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:g}:{high:g}"
