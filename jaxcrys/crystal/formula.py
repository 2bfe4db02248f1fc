"""The formula of a crystal as arrays, for use in jit: elements and atoms of a formula unit."""

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.elements import SYMBOLS
from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import ArrayLike, Int
from jaxcrys.crystal.types import Crystal
from jaxcrys.symmetry.wyckoff import multiplicity


@pytree
class Formula:
    """The elements of a formula unit; all 0 where the formula is not known.

    Attributes:
        elements: atomic numbers, 0 in unused slots.
        amounts: atoms of each.
    """

    elements: Int[ArrayLike, "*b f"]
    amounts: Int[ArrayLike, "*b f"]


def formula_of(crystals: Crystal, *, slots: int) -> Formula:
    """The reduced formula of each crystal, the most frequent element first.

    Where a crystal has more elements than there are slots, the formula counts as not known.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> formula = formula_of(example_crystal(), slots=3)  # rock salt
        >>> formula.elements.tolist(), formula.amounts.tolist()
        ([11, 17, 0], [1, 1, 0])
    """
    numbers = jnp.arange(1, len(SYMBOLS))
    species = jnp.asarray(crystals.species)
    atoms = multiplicity(jnp.asarray(crystals.wyckoff))
    counts = jnp.where(species[..., None, :] == numbers[:, None], atoms[..., None, :], 0).sum(-1)
    amounts, which = jax.lax.top_k(counts, slots)
    present = amounts > 0
    divisor = functools.reduce(jnp.gcd, [amounts[..., slot] for slot in range(slots)])
    fits = ((counts > 0).sum(-1) <= slots)[..., None]
    return Formula(
        elements=jnp.where(present & fits, which + 1, 0),
        amounts=jnp.where(fits, amounts // jnp.maximum(divisor, 1)[..., None], 0),
    )


def formula_arrays(counts: Mapping[int, int], *, slots: int) -> Formula:
    """One formula, as :func:`formula_of` would read it.

    Raises:
        InputError: if it has more elements than there are slots.

    Example:
        >>> formula_arrays({22: 2, 8: 4}, slots=3).amounts.tolist()
        [2, 1, 0]
    """
    if len(counts) > slots:
        raise InputError("formula", f"has {len(counts)} elements, the model reads at most {slots}")
    divisor = int(np.gcd.reduce(list(counts.values())))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    padding = [(0, 0)] * (slots - len(ordered))
    elements, amounts = np.array([*ordered, *padding], np.int32).T
    return Formula(elements=elements, amounts=amounts // divisor)
