"""Which of several candidates for one template to believe, without an energy.

Two signs, both in units of the atomic length, the cube root of the volume per atom:

* how far a candidate is, in the mean, from the others: a model draws what it thinks likely more
  often, and its errors scatter;
* its misfit, the recipe's own error in recovering the candidate from disturbed states of it.

The score is minus their sum, so that the candidate with the largest is the best. Where elements are
drawn the candidates are different compounds, and the misfit alone counts.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.pytree import take
from jaxcrys.core.rng import sample_keys
from jaxcrys.core.typing import ArrayLike, Float, Int
from jaxcrys.crystal.expand import atomic_length, num_atoms
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.crystal.types import Crystal
from jaxcrys.recipes.base import get_recipe
from jaxcrys.recipes.coupling import couple, squared_way
from jaxcrys.recipes.model import Model
from jaxcrys.symmetry.wyckoff import multiplicity

DRAWS = 4
"""Disturbances of each candidate at each time that the misfit is averaged over."""


def scores(
    model: Model,
    candidates: list[Crystal],
    index: Int[np.ndarray, "b"],
    *,
    shape: CellShape,
    seed: int,
    same_elements: bool,
) -> Float[np.ndarray, "k b"]:
    """Score of k candidates for each of b templates; the largest is the best.

    Args:
        model: the generator that drew them.
        candidates: k batches, of the same templates.
        index: numbers of the samples, from which the disturbances are drawn.
        shape: static sizes of the batches.
        seed: of the disturbances.
        same_elements: whether all candidates for a template have the same elements.
    """
    batches = [jax.tree.map(jnp.asarray, batch) for batch in candidates]
    error = np.stack([_mean_misfit(model, batch, index, shape, seed) for batch in batches])
    if not same_elements or len(batches) == 1:
        return -error
    pairs = np.zeros((len(batches), *error.shape))
    for one in range(len(batches)):
        for other in range(one):
            apart = np.minimum(
                distance(batches[one], batches[other]), distance(batches[other], batches[one])
            )
            pairs[one, other] = pairs[other, one] = apart
    return -(error + pairs.sum(1) / (len(batches) - 1))


@jax.jit
def distance(crystals: Crystal, others: Crystal) -> Float[ArrayLike, "b"]:
    """How far apart crystals of the same templates are: root mean square over atoms, and lattices.

    Coordinates are compared in the nearest of the descriptions that ``recipes.coupling`` tries, in
    atomic lengths; lattices by the norm of the difference of their coefficients, which are
    logarithms of lengths.

    Args:
        crystals: a batch.
        others: a batch of the same groups, positions and elements.

    Example:
        >>> from jaxcrys.crystal import example_crystal, stack_crystals
        >>> batch = jax.tree.map(jnp.asarray, stack_crystals([example_crystal()]))
        >>> distance(batch, batch).tolist()
        [0.0]
    """
    start, end = couple(crystals, others.free)
    squared = squared_way(crystals, start, end)
    atoms = multiplicity(crystals.wyckoff)
    mean = (squared * atoms).sum(-1) / jnp.maximum(num_atoms(crystals), 1)
    strain = ((crystals.lattice - others.lattice) ** 2).sum(-1)
    return jnp.sqrt(mean / atomic_length(crystals) ** 2 + strain)


def best_first(
    candidates: list[Crystal], score: Float[np.ndarray, "k b"], keep: int
) -> tuple[Crystal, Int[np.ndarray, "b m"]]:
    """The best candidates of each template, by falling score.

    Returns:
        crystals with a second batch axis m = ``keep``, and the numbers of the candidates.
    """
    order = np.argsort(-score, axis=0, kind="stable")[:keep].T
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves, 1), *candidates)
    rows = np.arange(len(order))[:, None]
    return take(stacked, (rows, order)), order


def _mean_misfit(
    model: Model, batch: Crystal, index: Int[np.ndarray, "b"], shape: CellShape, seed: int
) -> Float[np.ndarray, "b"]:
    misfit = _misfit(model.config.recipe)
    keys = sample_keys(seed, index)
    found = [
        misfit(
            model.params,
            jax.vmap(jax.random.fold_in, (0, None))(keys, draw),
            batch,
            config=model.config.settings,
            shape=shape,
        )
        for draw in range(DRAWS)
    ]
    return np.mean([np.asarray(part) for part in found], 0)


@functools.cache
def _misfit(recipe: str):
    return jax.jit(get_recipe(recipe).misfit, static_argnames=("config", "shape"))
