"""Templates as occupations: how many sites of each element each Wyckoff position of a group holds.

A position without free coordinates is one orbit of points, so it is empty or holds one site; a
position with free coordinates holds any number of sites of each element (Ekström Kelvinius et al.
2025, WyckoffDiff). The order of the sites, which means nothing, is gone.
"""

import jax
import jax.numpy as jnp

from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import ArrayLike, Bool, Int
from jaxcrys.symmetry.wyckoff import (
    MAX_POSITIONS,
    degrees_of_freedom,
    local_index,
    position_at,
    position_slots,
)

ELEMENTS = 119
"""Entries by atomic number; 0 is no element."""


@pytree
class Slots:
    """Occupation of the positions of a group, by local index; 0 where there is no such position.

    Attributes:
        element: atomic number on each position without free coordinates; 0 is empty.
        count: number of sites of each element on each position with free coordinates.
    """

    element: Int[jax.Array, "*b 27"]
    count: Int[jax.Array, "*b 27 119"]


def slot_kinds(
    group: Int[ArrayLike, "*b"],
) -> tuple[Bool[jax.Array, "*b 27"], Bool[jax.Array, "*b 27"]]:
    """Which slots are positions without, and which are positions with free coordinates.

    Example:
        >>> fixed, free = slot_kinds(jnp.array(2))  # eight inversion centres, a general position
        >>> int(fixed.sum()), int(free.sum())
        (8, 1)
    """
    slots = jnp.asarray(position_slots(group))
    moves = jnp.asarray(degrees_of_freedom(slots)) > 0
    return (slots > 0) & ~moves, (slots > 0) & moves


def occupation(
    wyckoff: Int[ArrayLike, "*b s"], species: Int[ArrayLike, "*b s"]
) -> Int[jax.Array, "*b 27 119"]:
    """Number of sites of each element on each position."""
    # Sums of ones are exact in float32, where products of matrices are fast.
    places = jax.nn.one_hot(local_index(jnp.asarray(wyckoff)), MAX_POSITIONS)
    elements = jax.nn.one_hot(species, ELEMENTS)
    return jnp.einsum("...sp,...sz->...pz", places, elements).astype(jnp.int32)


def to_slots(
    group: Int[ArrayLike, "*b"], wyckoff: Int[ArrayLike, "*b s"], species: Int[ArrayLike, "*b s"]
) -> Slots:
    """Read the occupation off the sites of a template.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> salt = example_crystal()
        >>> slots = to_slots(*map(jnp.asarray, (salt.group, salt.wyckoff, salt.species)))
        >>> slots.element[:2].tolist(), int(slots.count.sum())
        ([11, 17], 0)
    """
    sites = occupation(wyckoff, species)
    fixed, free = slot_kinds(jnp.asarray(group))
    return Slots(
        element=jnp.where(fixed, sites.argmax(-1), 0).astype(jnp.int32),
        count=jnp.where(free[..., None], sites, 0),
    )


def sites_by_slot(slots: Slots) -> Int[jax.Array, "*b 27 119"]:
    """Number of sites of each element on each position, with or without free coordinates."""
    single = jax.nn.one_hot(slots.element, ELEMENTS, dtype=jnp.int32)
    return slots.count + single.at[..., 0].set(0)


def num_sites(slots: Slots) -> Int[jax.Array, "*b"]:
    """Number of sites.

    Example:
        >>> nothing = Slots(jnp.zeros(27, jnp.int32), jnp.zeros((27, 119), jnp.int32))
        >>> int(num_sites(nothing))
        0
    """
    return sites_by_slot(slots).sum((-1, -2))


def from_slots(
    group: Int[ArrayLike, "*b"], slots: Slots, *, sites: int
) -> tuple[Int[jax.Array, "*b s"], Int[jax.Array, "*b s"]]:
    """Write the sites out, by position and then by atomic number; 0 where there are no more.

    Args:
        group: space groups.
        slots: their occupations.
        sites: number of entries, static. Further sites are left out.

    Returns:
        Wyckoff positions and species.

    Example:
        >>> nothing = Slots(jnp.zeros(27, jnp.int32), jnp.zeros((27, 119), jnp.int32))
        >>> carbon = Slots(nothing.element, nothing.count.at[0, 6].set(2))
        >>> [part.tolist() for part in from_slots(jnp.array(1), carbon, sites=3)]
        [[1, 1, 0], [6, 6, 0]]
    """
    numbers = sites_by_slot(slots)
    upto = jnp.cumsum(numbers.reshape(*numbers.shape[:-2], -1), -1)
    place = jnp.arange(sites)
    # The entry of a site is the number of entries whose sites all come before it.
    before = (upto[..., None, :] <= place[:, None]).sum(-1)
    exists = place < upto[..., -1:]
    wyckoff = position_at(jnp.asarray(group)[..., None], before // ELEMENTS)
    return jnp.where(exists, wyckoff, 0), jnp.where(exists, before % ELEMENTS, 0)
