"""More crystals than there are: elements replaced by similar ones, the cell scaled to suit.

Structure types outlive substitutions of similar elements, which is why retrieval of known crystals
predicts new ones so well (``data.retrieval``). A network that sees such crystals in training learns
the same from few data. Each element of a crystal is replaced, on all of its sites, by one drawn
with probability ∝ exp(-d² / 2τ²), where d is the distance on the modified Pettifor scale
(``data.element_similarity``); the volume follows the sum of atomic volumes. Replacements that would
make two elements one are not made.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.typing import ArrayLike, Float, Int, Key
from jaxcrys.crystal.types import Crystal
from jaxcrys.data.element_similarity import element_distances
from jaxcrys.recipes.lattice_prior import LatticePrior, expected_size
from jaxcrys.symmetry.tables import lookup

SPREAD = 0.25
"""τ: about four steps on the scale."""

HEAVIEST = 94
"""Heavier elements neither replace others nor are replaced: hardly any crystal has them."""


@functools.cache
def replacement_logits() -> Float[np.ndarray, "z z"]:
    """Log-probabilities, up to a constant, of each element to be replaced by each other.

    Example:
        >>> logits = replacement_logits()
        >>> bool(logits[11, 19] > logits[11, 17])  # sodium rather by potassium than by chlorine
        True
    """
    logits = -((element_distances() / SPREAD) ** 2) / 2
    fixed = np.arange(len(logits)) > HEAVIEST
    fixed[0] = True
    stays = np.eye(len(logits), dtype=bool)
    banned = (fixed[:, None] | fixed) & ~stays
    return np.where(banned, -1e9, logits).astype(np.float32)


def substitute(
    key: Key[jax.Array, ""], crystal: Crystal, prior: LatticePrior, share: Float[ArrayLike, ""]
) -> Crystal:
    """Replace the elements of a crystal, with probability ``share``; for vmap over crystals.

    Args:
        key: random.
        crystal: a single one.
        prior: holds the atomic volumes.
        share: how often anything is replaced at all.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> crystal = jax.tree.map(jnp.asarray, example_crystal())
        >>> same = substitute(jax.random.key(0), crystal, LatticePrior(), 0.0)
        >>> same.species.tolist()
        [11, 17]
    """
    species = substitute_species(key, jnp.asarray(crystal.species), share)
    changed = dataclasses.replace(crystal, species=species)
    swell = expected_size(changed, prior) - expected_size(crystal, prior)
    return dataclasses.replace(changed, lattice=crystal.lattice + swell)


def substitute_species(
    key: Key[jax.Array, ""], species: Int[jax.Array, " s"], share: Float[ArrayLike, ""]
) -> Int[jax.Array, " s"]:
    """Other elements for the sites of one template, with probability ``share``.

    Example:
        >>> substitute_species(jax.random.key(0), jnp.array([11, 17, 0]), 0.0).tolist()
        [11, 17, 0]
    """
    use, draw = jax.random.split(key)

    def replacement(element: jax.Array) -> jax.Array:
        # One key for each element, so that all of its sites get the same one.
        logits = lookup(replacement_logits(), element)
        return jax.random.categorical(jax.random.fold_in(draw, element), logits)

    new = jax.vmap(replacement)(species).astype(species.dtype)
    merged = ((species[:, None] != species) & (new[:, None] == new)).any()
    chosen = (jax.random.uniform(use) < share) & ~merged
    return jnp.where(chosen, new, species)
