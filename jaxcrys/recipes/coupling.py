"""Which description of a crystal a random start is led to: the nearest of the equivalent ones.

The same crystal can be written with other origins, with another representative for each orbit, and
with its like sites in another order. A flow from random coordinates to one description among many
would have to guess which; led to the nearest, its paths are short and hardly cross. Nothing is
lost: the start stays uniform up to a shift along polar axes, to which the network is blind, and the
end is the same crystal.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.typing import ArrayLike, Bool, Float, Int
from jaxcrys.crystal.types import Crystal
from jaxcrys.geometry.lattice import matrix_from_coefficients
from jaxcrys.geometry.periodic import wrap
from jaxcrys.symmetry.asymmetric_unit import self_maps
from jaxcrys.symmetry.metric import tangent_gram
from jaxcrys.symmetry.normalisers import (
    description_row,
    num_descriptions,
    polar_axes,
    redescribe_sites,
    shift_origin,
)
from jaxcrys.symmetry.orbits import representative
from jaxcrys.symmetry.wyckoff import free_mask

DESCRIPTIONS = 12
"""Descriptions that keep the lattice, of which those that keep each site's position are tried; the
rare groups with more lose nothing but length of path."""

MAPS = 24
"""Representatives tried for each orbit."""


def couple(
    crystals: Crystal, start: Float[ArrayLike, "b s 3"]
) -> tuple[Float[ArrayLike, "b s 3"], Float[ArrayLike, "b s 3"]]:
    """Bring a random start and the data near each other.

    Args:
        crystals: the data, a batch.
        start: random free coordinates.

    Returns:
        The start, shifted along polar axes, and free coordinates of the same crystals near to it.
    """
    gram = _gram(crystals)
    start, data = _choose_origin(crystals, start, gram)
    return start, _choose_sites(crystals, start, data, gram)


def squared_way(
    crystals: Crystal, start: Float[ArrayLike, "b s 3"], end: Float[ArrayLike, "b s 3"]
) -> Float[ArrayLike, "b s"]:
    """Squared length in Å² of the way from start to end of each site's atoms; 0 for fixed sites.

    Example:
        >>> from jaxcrys.crystal import build_crystal, stack_crystals
        >>> crystal = build_crystal(1, [(6, "a", (0.0, 0.0, 0.0))], (3, 3, 3, 90, 90, 90))
        >>> batch = jax.tree.map(jnp.asarray, stack_crystals([crystal]))
        >>> round(float(squared_way(batch, batch.free, batch.free + 0.9)[0, 0]), 4)
        0.27
    """
    squared = _squared(end - start, _gram(crystals))
    return jnp.where(free_mask(crystals.wyckoff).any(-1), squared, 0)


def _gram(crystals: Crystal) -> Float[ArrayLike, "b s 3 3"]:
    lattice = matrix_from_coefficients(crystals.lattice)
    metric = (lattice[:, :, None, :] * lattice[:, None, :, :]).sum(-1)
    shape = (*crystals.wyckoff.shape, 3, 3)
    return tangent_gram(crystals.wyckoff, jnp.broadcast_to(metric[:, None], shape))


def _squared(
    delta: Float[ArrayLike, "*e 3"], gram: Float[ArrayLike, "*e 3 3"]
) -> Float[ArrayLike, "*e"]:
    delta = delta - jnp.round(delta)
    return ((delta[..., :, None] * gram).sum(-2) * delta).sum(-1)


def _choose_origin(
    crystals: Crystal, start: Float[ArrayLike, "b s 3"], gram: Float[ArrayLike, "b s 3 3"]
) -> tuple[Float[ArrayLike, "b s 3"], Float[ArrayLike, "b s 3"]]:
    """The description, and the shift along polar axes, with the shortest way."""
    live = free_mask(crystals.wyckoff)
    index = jnp.arange(DESCRIPTIONS)
    count = num_descriptions(crystals.group, axes=False)[:, None]
    row = description_row(crystals.group[:, None], jnp.where(index < count, index, 0))
    every = jnp.broadcast_to(crystals.wyckoff[:, None], (*row.shape, crystals.wyckoff.shape[-1]))
    data = jnp.broadcast_to(crystals.free[:, None], (*every.shape, 3))
    moved, data = redescribe_sites(every, data, row)
    keeps = (moved == every).all(-1)  # [b, d]

    fixed = _squared_to_nearest(crystals.wyckoff, start, data, gram)  # [b, d, s]
    fixed = jnp.where(jnp.any(live, -1)[:, None], fixed, 0).sum(-1)
    shifts = _polar_shifts(crystals, start, data)  # [b, d, j, 3], one for each site
    around = shift_origin(every[:, :, None], start[:, None, None], shifts)
    floating = _squared(data[:, :, None] - around, gram[:, None, None]).sum(-1)
    floating = jnp.where((crystals.wyckoff > 0)[:, None], floating, jnp.inf)
    polar = jnp.any(polar_axes(crystals.group), -1)
    cost = jnp.where(polar[:, None], floating.min(-1), fixed)
    best = jnp.where(keeps, cost, jnp.inf).argmin(-1)

    def chosen(values: ArrayLike) -> jax.Array:
        at = best.reshape(-1, *[1] * (values.ndim - 1))
        return jnp.take_along_axis(values, at, 1)[:, 0]

    site = chosen(floating).argmin(-1)[:, None, None]
    shift = jnp.take_along_axis(chosen(shifts), site, 1)[:, 0]
    return shift_origin(crystals.wyckoff, start, shift), chosen(data)


def _polar_shifts(
    crystals: Crystal, start: Float[ArrayLike, "b s 3"], data: Float[ArrayLike, "b d s 3"]
) -> Float[ArrayLike, "b d s 3"]:
    """Shifts along polar axes that bring one site of the start to its end."""
    every = jnp.broadcast_to(crystals.wyckoff[:, None], data.shape[:-1])
    way = representative(every, data) - representative(crystals.wyckoff, start)[:, None]
    return jnp.where(polar_axes(crystals.group)[:, None, None], way, 0)


def _squared_to_nearest(
    wyckoff: Int[ArrayLike, "b s"],
    start: Float[ArrayLike, "b s 3"],
    data: Float[ArrayLike, "b d s 3"],
    gram: Float[ArrayLike, "b s 3 3"],
) -> Float[ArrayLike, "b d s"]:
    """Squared length of the way from each site to the nearest representative of its end."""
    linear, shift, mask = self_maps(wyckoff, capacity=MAPS)
    images = jnp.einsum("bsoij,bdsj->bdsoi", linear.astype(data.dtype), data) + shift[:, None]
    length = _squared(images - start[:, None, :, None], gram[:, None, :, None])
    return jnp.where(mask[:, None], length, jnp.inf).min(-1)


def _choose_sites(
    crystals: Crystal,
    start: Float[ArrayLike, "b s 3"],
    data: Float[ArrayLike, "b s 3"],
    gram: Float[ArrayLike, "b s 3 3"],
) -> Float[ArrayLike, "b s 3"]:
    """Representatives and order of like sites, matched greedily: the nearest pair first."""
    linear, shift, mask = self_maps(crystals.wyckoff, capacity=MAPS)
    images = jnp.einsum("bsoij,bsj->bsoi", linear.astype(data.dtype), data) + shift
    # From site i of the start to representative o of site j of the data.
    way = images[:, None] - start[:, :, None, None]
    length = _squared(way, gram[:, :, None, None])
    length = jnp.where(mask[:, None], length, jnp.inf)
    nearest = length.argmin(-1)
    cost = jnp.where(_alike(crystals), length.min(-1), jnp.inf)
    partner = _greedy_matching(cost)
    which = jnp.take_along_axis(nearest, partner[..., None], -1)[..., 0]
    ends = jnp.take_along_axis(images, partner[:, :, None, None], 1)
    ends = jnp.take_along_axis(ends, which[:, :, None, None], 2)[:, :, 0]
    return jnp.where(free_mask(crystals.wyckoff), wrap(ends), 0)


def _alike(crystals: Crystal) -> Bool[ArrayLike, "b s s"]:
    """Sites of the same element on the same position."""
    kind = crystals.wyckoff * 1000 + crystals.species
    used = crystals.wyckoff > 0
    own = jnp.eye(kind.shape[-1], dtype=bool)
    return own | ((kind[:, :, None] == kind[:, None, :]) & used[:, :, None])


def _greedy_matching(cost: Float[ArrayLike, "b s s"]) -> Int[ArrayLike, "b s"]:
    """For each row a column of its own, the cheapest pairs taken first."""
    size = cost.shape[-1]

    def take_one(_: int, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        left, partner = state
        best = left.reshape(len(left), -1).argmin(-1)
        row, column = best // size, best % size
        rows, columns = jnp.arange(size) == row[:, None], jnp.arange(size) == column[:, None]
        partner = jnp.where(rows, column[:, None], partner)
        taken = rows[:, :, None] | columns[:, None, :]
        return jnp.where(taken, jnp.inf, left), partner

    # Infinite costs (unlike sites) must stay above those of pairs that are still open.
    start = jnp.minimum(cost, np.float32(1e30)), jnp.zeros(cost.shape[:2], jnp.int32)
    return jax.lax.fori_loop(0, size, take_one, start)[1]
