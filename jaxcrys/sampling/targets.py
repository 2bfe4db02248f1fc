"""Properties that are asked for: the target of each sample, checked against the training data."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.rng import sample_keys, stream
from jaxcrys.core.typing import Float, Int
from jaxcrys.recipes.model import Model
from jaxcrys.recipes.properties import Property, Target, either
from jaxcrys.sampling.wish import Wish, parse_properties

GUIDANCE = 1.0
"""Weight of the guidance where none is given."""

GRID = 1024
"""Points of the training distribution from which the target of a range is drawn."""


class Asked(NamedTuple):
    """The targets of some samples.

    Attributes:
        values: of each property that is asked for, by its name; NaN where it is not.
        guidance: weight by which they are stressed.
    """

    values: dict[str, Float[np.ndarray, "b"]]
    guidance: Float[np.ndarray, "b"]


def asked_of(
    models: Sequence[Model], wish: Wish, index: Int[np.ndarray, "b"], *, seed: int
) -> Asked | None:
    """What some samples shall have; each target depends on (seed, its index) alone.

    Args:
        models: those that draw them; each property must be known to one, which says how it is
            distributed.
        wish: what is asked for.
        index: numbers of the samples.
        seed: of the targets that are drawn from a range.

    Raises:
        InputError: for a property that no model was trained with, or values far outside of what it
            has seen.
    """
    if wish.properties is None:
        return None
    known = {each.name: each for model in reversed(models) for each in properties_of(model)}
    keys = sample_keys(seed, index)
    values = {}
    for name, limits in parse_properties(wish.properties).items():
        if name not in known:
            runs = " or ".join(str(model.run) for model in models)
            raise InputError(
                "--properties", f"{runs} was not trained with {name!r}",
                f"it knows {', '.join(known)}" if known else "train with --properties",
            )  # fmt: skip
        own = jax.vmap(stream, (0, None))(keys, f"asked {name}")
        uniform = np.asarray(jax.vmap(jax.random.uniform)(own))
        values[name] = within(known[name], *limits, uniform).astype(np.float32)
    guidance = GUIDANCE if wish.guidance is None else wish.guidance
    return Asked(values, np.full(len(index), guidance, np.float32))


def join_asked(parts: Sequence[tuple[Asked | None, int]]) -> Asked:
    """Targets of several sets of samples, each with its number of samples, one after another."""
    names = dict.fromkeys(name for asked, _ in parts if asked for name in asked.values)

    def column(name: str) -> Float[np.ndarray, "b"]:
        own = [asked.values.get(name) if asked else None for asked, _ in parts]
        return np.concatenate([
            np.full(count, np.nan, np.float32) if values is None else values
            for values, (_, count) in zip(own, parts, strict=True)
        ])  # fmt: skip

    weights = [asked.guidance if asked else np.zeros(count, np.float32) for asked, count in parts]
    return Asked({name: column(name) for name in names}, np.concatenate(weights))


def properties_of(model: Model) -> tuple[Property, ...]:
    """The properties that a model can be asked for, in the order of its targets."""
    functions, settings = model.config.functions, model.config.settings
    return either(functions.template_properties(settings), functions.geometry_properties(settings))


def target_of(model: Model, asked: Asked | None) -> Target | None:
    """What is asked of one model: the properties that it knows; None if there are none."""
    names = [known.name for known in properties_of(model)]
    if asked is None or not set(names) & set(asked.values):
        return None
    unknown = np.full(len(asked.guidance), np.nan, np.float32)
    values = [asked.values.get(name, unknown) for name in names]
    return Target(np.stack(values, -1), asked.guidance if asked.guidance.any() else None)


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


def _written(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:g}:{high:g}"
