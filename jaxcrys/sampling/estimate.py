"""Numbers of crystals by a trained regressor, and how likely they are what is wanted."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ndtr

from jaxcrys.core.compiling import quick_jit
from jaxcrys.core.errors import InputError
from jaxcrys.core.progress import Progress
from jaxcrys.core.pytree import take
from jaxcrys.core.typing import Bool, Float
from jaxcrys.crystal.buckets import fit_sites
from jaxcrys.crystal.types import Crystal
from jaxcrys.parallel.blocks import in_blocks
from jaxcrys.recipes.base import Estimate, get_recipe
from jaxcrys.recipes.model import Model
from jaxcrys.sampling.draw import make_batches


class Estimated(NamedTuple):
    """A number of each crystal.

    Attributes:
        mean: the estimate, in the units of the training data.
        spread: its standard deviation.
    """

    mean: Float[np.ndarray, "b"]
    spread: Float[np.ndarray, "b"]


def check_estimates(model: Model, where: str = "--run") -> None:
    """Refuse a model that estimates nothing.

    Raises:
        InputError: naming what makes one that does.
    """
    if model.config.functions.estimate is None:
        raise InputError(
            where, f"{model.run} is of {model.config.recipe}, which estimates no numbers",
            "make a run that does: jaxcrys fit",
        )  # fmt: skip


def targets_of(model: Model) -> list[str]:
    """Names of what a model estimates."""
    check_estimates(model)
    return [target.name for target in model.config.settings.targets]


def estimate(
    model: Model,
    crystals: Crystal,
    *,
    batch_size: int = 256,
    progress: Progress | None = None,
) -> dict[str, Estimated]:
    """Estimate what the model knows to estimate, for crystals of any groups and sizes.

    Args:
        model: made by ``jaxcrys fit``.
        crystals: a batch, NumPy arrays.
        batch_size: crystals at a time, fewer of large ones.
        progress: told how far it is.

    Returns:
        What is estimated, by the names of :func:`targets_of`.

    Raises:
        InputError: if the model is a generator.
    """
    names = targets_of(model)
    count = len(crystals.group)
    mean, spread = np.zeros((2, count, len(names)))
    program = _program(model.config.recipe)
    with (progress or Progress()).bar("estimating", total=count) as bar:
        for batch in make_batches(model, crystals, batch_size=batch_size):
            rows = fit_sites(take(crystals, batch.indices), batch.shape.sites)

            def run(rows: Crystal, shape=batch.shape) -> Estimate:
                rows = jax.tree.map(_narrow, rows)
                return program(model.params, rows, config=model.config.settings, shape=shape)

            found = in_blocks(run, rows, size=batch.rows)
            mean[batch.indices], spread[batch.indices] = found.mean, found.spread
            bar.advance(len(batch.indices))
    return {name: Estimated(mean[:, i], spread[:, i]) for i, name in enumerate(names)}


def probability_within(estimated: Estimated, low: float, high: float) -> Float[np.ndarray, "b"]:
    """Probability that normally distributed numbers lie between two values.

    A single value stands for one spread to either side of it, so that what is sure to be near comes
    before what may be anywhere.

    Example:
        >>> probability_within(Estimated(np.zeros(1), np.ones(1)), -1.0, 1.0).round(3).tolist()
        [0.683]
    """
    mean, spread = estimated
    if low == high:
        margin = np.median(spread)
        low, high = low - margin, high + margin
    return ndtr((high - mean) / spread) - ndtr((low - mean) / spread)


def known_elements(model: Model, crystals: Crystal) -> Bool[np.ndarray, "b"]:
    """Whether all elements of each crystal occur in the training set of the model."""
    seen = np.unique(model.templates.species)
    return np.asarray(np.isin(crystals.species, [0, *seen]).all(-1))


def _narrow(values: np.ndarray) -> jax.Array:
    return jnp.asarray(values, jnp.float32 if values.dtype.kind == "f" else jnp.int32)


@functools.cache
def _program(recipe: str) -> Callable[..., Estimate]:
    function = get_recipe(recipe).estimate
    assert function is not None
    return quick_jit(function, "config", "shape")
