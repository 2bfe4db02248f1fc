"""Draw crystals from a trained model, batch by batch."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.pytree import take
from jaxcrys.core.rng import sample_keys
from jaxcrys.core.typing import Int
from jaxcrys.crystal.buckets import assign_shapes, choose_shapes, fit_sites, fitting_shapes
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.crystal.types import Crystal
from jaxcrys.recipes.base import get_recipe
from jaxcrys.recipes.model import Model


class Batch(NamedTuple):
    """Samples that are drawn together: their indices and the cell shape they fit."""

    indices: Int[np.ndarray, "b"]
    shape: CellShape


def make_batches(model: Model, templates: Crystal, *, batch_size: int) -> list[Batch]:
    """Cut samples into batches of one cell shape each.

    The shape of a sample follows from its template alone. Templates larger than anything the model
    was trained on share one shape of their own.
    """
    shapes = model.config.shapes
    too_large = ~fitting_shapes(templates, shapes).any(-1)
    if too_large.any():
        shapes = (
            *shapes,
            *choose_shapes(take(templates, too_large), limit=1, cost=model.config.functions.cost),
        )
    index = assign_shapes(templates, shapes)
    return [
        Batch(members[start : start + batch_size], shapes[which])
        for which in np.unique(index)
        for members in [np.flatnonzero(index == which)]
        for start in range(0, len(members), batch_size)
    ]


def draw_batch(
    model: Model, templates: Crystal, batch: Batch, *, seed: int, batch_size: int
) -> Crystal:
    """Draw one batch, as NumPy arrays.

    It is filled up to ``batch_size`` with copies of its last sample, so that one program serves
    all batches of a shape and a sample does not depend on how many others there are.
    """
    filled = np.pad(batch.indices, (0, batch_size - len(batch.indices)), mode="edge")
    given = fit_sites(take(templates, filled), batch.shape.sites)
    given = jax.tree.map(jnp.asarray, given)
    drawn = _sampler(model.config.recipe)(
        model.params,
        sample_keys(seed, filled),
        given,
        config=model.config.settings,
        shape=batch.shape,
    )
    return take(
        fit_sites(jax.device_get(drawn), templates.wyckoff.shape[-1]), slice(len(batch.indices))
    )


@functools.cache
def _sampler(recipe: str) -> Callable[..., Crystal]:
    return jax.jit(get_recipe(recipe).sample, static_argnames=("config", "shape"))
