"""Draw crystals from a trained model, batch by batch."""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.pytree import take
from jaxcrys.core.rng import sample_keys
from jaxcrys.core.typing import Float, Int
from jaxcrys.crystal.buckets import assign_shapes, choose_shapes, fit_sites, fitting_shapes
from jaxcrys.crystal.feasibility import remove_clashes
from jaxcrys.crystal.orbit_graph import GraphShape
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.crystal.types import Crystal
from jaxcrys.recipes.base import get_recipe
from jaxcrys.recipes.model import Model
from jaxcrys.sampling.rank import best_first, scores

LARGER_SHAPES = 4
"""For templates that are larger than what the model was trained on."""


class Batch(NamedTuple):
    """Samples that are drawn together: their indices and the cell shape they fit."""

    indices: Int[np.ndarray, "b"]
    shape: CellShape


@dataclasses.dataclass(frozen=True)
class Draws:
    """How often and how each sample is drawn.

    Attributes:
        seed: of all random numbers.
        candidates: draws for each template, to choose from (``sampling.rank``).
        keep: how many of them are kept, the best first.
        clash_steps: steps by which atoms that are too near each other are moved apart.
    """

    seed: int = 0
    candidates: int = 1
    keep: int = 1
    clash_steps: int = 0


class Drawn(NamedTuple):
    """What was drawn for a batch, ``keep`` rows for each sample.

    Attributes:
        crystals: as NumPy arrays.
        request: number of the sample.
        candidate: which of its candidates it is.
        score: by which it was chosen.
    """

    crystals: Crystal
    request: Int[np.ndarray, "m"]
    candidate: Int[np.ndarray, "m"]
    score: Float[np.ndarray, "m"]


def make_batches(model: Model, templates: Crystal, *, batch_size: int) -> list[Batch]:
    """Cut samples into batches of one cell shape each.

    The shape of a sample follows from its template alone. Templates larger than anything the model
    was trained on get a few shapes of their own.
    """
    shapes = model.config.shapes
    cost = model.config.functions.cost(model.config.settings)
    too_large = ~fitting_shapes(templates, shapes).any(-1)
    if too_large.any():
        shapes = (
            *shapes,
            *choose_shapes(take(templates, too_large), limit=LARGER_SHAPES, cost=cost),
        )
    index = assign_shapes(templates, shapes)
    return [
        Batch(members[start : start + batch_size], shapes[which])
        for which in np.unique(index)
        for members in [np.flatnonzero(index == which)]
        for start in range(0, len(members), batch_size)
    ]


def draw_batch(
    model: Model, templates: Crystal, batch: Batch, draws: Draws, *, batch_size: int
) -> Drawn:
    """Draw one batch.

    It is filled up to ``batch_size`` with copies of its last sample, so that one program serves
    all batches of a shape and a sample does not depend on how many others there are.
    """
    filled = np.pad(batch.indices, (0, batch_size - len(batch.indices)), mode="edge")
    given = fit_sites(take(templates, filled), batch.shape.sites)
    given = jax.tree.map(jnp.asarray, given)
    keys = sample_keys(draws.seed, filled)
    sampler = _sampler(model.config.recipe, draws.clash_steps)

    def draw(candidate: int) -> Crystal:
        own = jax.vmap(jax.random.fold_in, (0, None))(keys, candidate) if candidate else keys
        settings = {"config": model.config.settings, "shape": batch.shape}
        return jax.device_get(sampler(model.params, own, given, **settings))

    candidates = [draw(number) for number in range(draws.candidates)]
    score = np.zeros((1, len(filled)))
    if draws.candidates > 1:
        open_sites = (templates.wyckoff > 0) & (templates.species == 0)
        score = scores(
            model, candidates, filled,
            shape=batch.shape, seed=draws.seed, same_elements=not open_sites.any(),
        )  # fmt: skip
    ranked, number = best_first(candidates, score, draws.keep)
    count, slots = len(batch.indices), templates.wyckoff.shape[-1]
    flat = jax.tree.map(lambda leaf: leaf[:count].reshape(-1, *leaf.shape[2:]), ranked)
    return Drawn(
        crystals=fit_sites(flat, slots),
        request=np.repeat(batch.indices, draws.keep),
        candidate=number[:count].reshape(-1),
        score=np.take_along_axis(score.T, number, 1)[:count].reshape(-1),
    )


@functools.cache
def _sampler(recipe: str, clash_steps: int) -> Callable[..., Crystal]:
    """One program from the start to the finished crystals."""

    def sample(params, keys, templates, *, config, shape):
        drawn = get_recipe(recipe).sample(params, keys, templates, config=config, shape=shape)
        if not clash_steps:
            return drawn
        return remove_clashes(drawn, GraphShape(atoms=shape.atoms), steps=clash_steps)

    return jax.jit(sample, static_argnames=("config", "shape"))
