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

from jaxcrys.core.compiling import quick_jit
from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import take
from jaxcrys.core.rng import sample_keys
from jaxcrys.core.typing import ArrayLike, Float, Int, Key
from jaxcrys.crystal.expand import atomic_length, num_atoms
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.crystal.types import Crystal
from jaxcrys.parallel.blocks import in_blocks
from jaxcrys.recipes.base import get_recipe
from jaxcrys.recipes.coupling import couple, squared_way
from jaxcrys.recipes.model import Model
from jaxcrys.symmetry.wyckoff import multiplicity

DRAWS = 4
"""Disturbances of each candidate at each time that the misfit is averaged over."""


def scores(
    model: Model,
    crystals: Crystal,
    request: Int[np.ndarray, "m"],
    *,
    candidates: int,
    shape: CellShape,
    seed: int,
    same_elements: bool,
    batch_size: int,
) -> Float[np.ndarray, "m"]:
    """Score of each candidate; the largest is the best.

    Args:
        model: the generator that drew them.
        crystals: the candidates, those of a template one after another.
        request: number of the sample that each is for, from which disturbances are drawn.
        candidates: how many there are for each template.
        shape: static sizes of the crystals.
        seed: of the disturbances.
        same_elements: whether all candidates for a template have the same elements.
        batch_size: crystals that are looked at together.
    """
    error = _mean_misfit(model, crystals, request, shape, seed, batch_size)
    if not same_elements or candidates == 1:
        return -error
    return -(error + _mean_distance(crystals, candidates, batch_size))


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
    score: Float[np.ndarray, "m"], *, candidates: int, keep: int
) -> Int[np.ndarray, "n"]:
    """Rows of the ``keep`` best candidates of each template, by falling score.

    Example:
        >>> best_first(np.array([0.1, 0.3, 0.2, 0.9, 0.5, 0.7]), candidates=3, keep=2)
        array([1, 2, 3, 5])
    """
    score = score.reshape(-1, candidates)
    order = np.argsort(-score, axis=-1, kind="stable")[:, :keep]
    return (order + candidates * np.arange(len(score))[:, None]).reshape(-1)


def _mean_distance(crystals: Crystal, candidates: int, batch_size: int) -> Float[np.ndarray, "m"]:
    """How far each candidate is, in the mean, from the others for its template."""
    rows = np.arange(len(crystals.group)).reshape(-1, candidates)
    pairs = np.zeros((len(rows), candidates, candidates))
    own = np.arange(candidates)
    for step in range(1, candidates):
        others = take(crystals, np.roll(rows, -step, axis=-1).reshape(-1))
        apart = in_blocks(_distance, crystals, others, size=batch_size)
        pairs[:, own, (own + step) % candidates] = apart.reshape(rows.shape)
    nearest = np.minimum(pairs, np.swapaxes(pairs, -1, -2))
    return nearest.sum(-1).reshape(-1) / (candidates - 1)


def _distance(crystals: Crystal, others: Crystal) -> jax.Array:
    return distance(jax.tree.map(jnp.asarray, crystals), jax.tree.map(jnp.asarray, others))


def _mean_misfit(
    model: Model,
    crystals: Crystal,
    request: Int[np.ndarray, "m"],
    shape: CellShape,
    seed: int,
    batch_size: int,
) -> Float[np.ndarray, "m"]:
    """The recipe's misfit, a mean over a few disturbances of each crystal."""
    misfit = _misfit(model.config.recipe)
    settings = {"config": model.config.settings, "shape": shape}

    def mean(crystals: Crystal, request: np.ndarray) -> jax.Array:
        keys = sample_keys(seed, request)
        crystals = jax.tree.map(jnp.asarray, crystals)
        return sum(
            misfit(model.params, _folded(keys, draw), crystals, **settings)
            for draw in range(DRAWS)
        ) / DRAWS  # fmt: skip

    return in_blocks(mean, crystals, request, size=batch_size)


def _folded(keys: Key[jax.Array, "b"], number: int) -> Key[jax.Array, "b"]:
    return jax.vmap(jax.random.fold_in, (0, None))(keys, number)


@functools.cache
def _misfit(recipe: str):
    misfit = get_recipe(recipe).misfit
    if misfit is None:
        raise InputError("recipe", f"{recipe} has no measure by which candidates are ranked")
    return quick_jit(misfit, "config", "shape")
