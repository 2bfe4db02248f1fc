"""From an uncertain description of a site to a position that its group has, and a point on it.

A row x = A u + t of an orbit sweeps a *flat*, a point, line or plane of the crystal, as u varies.
The point of a flat, or of one of its lattice translates, that is nearest to p in the metric G is

    u = (Aᵀ G A)⁻¹ Aᵀ G (p - t - n)

with the integer vector n for which it is shortest. All rows share u, so this u is at once the free
coordinates of the orbit. Rows with the same flat need to be tried only once: 5,725 of 14,433, and
of no group more than 193.
"""

import functools
from typing import NamedTuple

import numpy as np

from jaxcrys.core.typing import ArrayLike, Bool, Float, Int, namespace
from jaxcrys.geometry.periodic import NEIGHBOUR_CELLS, wrap
from jaxcrys.symmetry.metric import family_metric
from jaxcrys.symmetry.symmetry_bits import site_elements
from jaxcrys.symmetry.tables import NUM_GROUPS, TRANSLATION_UNIT, load_tables, lookup
from jaxcrys.symmetry.wyckoff import (
    free_mask,
    general_position,
    group_of,
    position_slots,
)

MAX_FLATS = 193
"""Flats of all positions of one group, at most: No. 228."""

MAX_FLATS_OF_POSITION = 48
"""Flats of one position, at most."""


class _Flats(NamedTuple):
    """The different flats of all positions, position by position.

    Attributes:
        row: a table row that sweeps it, [5725].
        position: id of its position, [5725].
        first: index of the first flat of each position, [1733].
        first_of_group: index of the first flat of each group, [232].
    """

    row: np.ndarray
    position: np.ndarray
    first: np.ndarray
    first_of_group: np.ndarray


@functools.cache
def _flats() -> _Flats:
    """Find the rows that sweep a flat that no earlier row of the position does.

    With an integer left inverse L of A, a point x lies on the flat of (A, t) or a translate of it
    if (1 - A L)(x - t) is an integer vector. L of a row is that of the representative after the
    inverse of the operation that made the row.
    """
    tables = load_tables()
    linear, shift = (a.astype(np.int32) for a in (tables.row_linear, tables.row_translation))
    rows = []
    for wyckoff in range(1, len(tables.position_group)):
        first = tables.position_first_row[wyckoff]
        row = np.arange(first, first + tables.position_multiplicity[wyckoff])
        general = general_position(group_of(np.array(wyckoff)))
        made_by = linear[tables.position_first_row[general] + tables.row_operation[row]]
        undo = np.rint(np.linalg.inv(made_by)).astype(np.int32)
        left_inverse = tables.position_left_inverse[wyckoff] @ undo
        across = np.eye(3, dtype=np.int32) - linear[row] @ left_inverse
        parallel = (np.einsum("rij,sjk->rsik", across, linear[row]) == 0).all((2, 3))
        apart = np.einsum("rij,rsj->rsi", across, shift[row] - shift[row][:, None])
        same = parallel & (apart % TRANSLATION_UNIT == 0).all(-1)
        rows.append(row[same.argmax(1) == np.arange(len(row))])
    counts = np.array([0, *map(len, rows)])
    position = np.repeat(np.arange(len(counts)), counts)
    group = tables.position_group[position]
    result = _Flats(
        row=np.concatenate(rows).astype(np.int32),
        position=position.astype(np.int32),
        first=np.searchsorted(position, np.arange(len(counts) + 1)).astype(np.int32),
        first_of_group=np.searchsorted(group, np.arange(NUM_GROUPS + 2)).astype(np.int32),
    )
    for array in result:
        array.setflags(write=False)
    return result


@functools.cache
def _first_alike() -> np.ndarray:
    """The first position of the group with the same bits as each position, [1732]."""
    group, elements = load_tables().position_group, site_elements()
    first: dict[tuple[int, bytes], int] = {}
    keys = zip(group.tolist(), map(bytes, elements), strict=True)
    result = np.array([first.setdefault(key, i) for i, key in enumerate(keys)], np.int32)
    result.setflags(write=False)
    return result


def _product(left: ArrayLike, right: ArrayLike) -> ArrayLike:
    """Product of small matrices in full precision on every device."""
    return (left[..., :, :, None] * right[..., None, :, :]).sum(-2)


def _inverse(matrix: ArrayLike) -> ArrayLike:
    """Inverse of symmetric 3x3 matrices: cross products of the rows over the determinant."""
    xp = namespace(matrix)
    a, b, c = (matrix[..., i, :] for i in range(3))
    adjugate = xp.stack([xp.cross(b, c), xp.cross(c, a), xp.cross(a, b)], -2)
    return adjugate / (a * adjugate[..., 0, :]).sum(-1)[..., None, None]


def _project(
    row: Int[ArrayLike, "*b"], frac: Float[ArrayLike, "*#b 3"], metric: Float[ArrayLike, "*#b 3 3"]
) -> tuple[Float[ArrayLike, "*b 3"], Float[ArrayLike, "*b"]]:
    """Free coordinates of the nearest point of a row's flat, and its squared distance."""
    xp = namespace(row, frac, metric)
    tables = load_tables()
    metric = metric.astype(frac.dtype)
    linear = lookup(tables.row_linear, row).astype(frac.dtype)
    shift = lookup(tables.row_translation, row).astype(frac.dtype) / TRANSLATION_UNIT
    dead = xp.eye(3, dtype=frac.dtype) * (linear == 0).all(-2)[..., None, :]
    weighted = _product(xp.swapaxes(linear, -1, -2), metric)
    solve = _product(_inverse(_product(weighted, linear) + dead), weighted)
    across = xp.eye(3, dtype=frac.dtype) - _product(linear, solve)
    apart = frac - shift
    cells = xp.asarray(NEIGHBOUR_CELLS, frac.dtype)
    apart = (apart - xp.round(apart))[..., None, :] + cells
    normal = (across[..., None, :, :] * apart[..., None, :]).sum(-1)
    squared = (normal * (metric[..., None, :, :] * normal[..., None, :]).sum(-1)).sum(-1)
    nearest = xp.argmin(squared, -1)[..., None]
    apart = xp.take_along_axis(apart, nearest[..., None], -2)
    return (solve * apart).sum(-1), xp.take_along_axis(squared, nearest, -1)[..., 0]


def _closest_flat(
    flat: Int[ArrayLike, "*b f"],
    mask: Bool[ArrayLike, "*b f"],
    frac: Float[ArrayLike, "*b 3"],
    metric: Float[ArrayLike, "*b 3 3"],
) -> tuple[Int[ArrayLike, "*b"], Float[ArrayLike, "*b 3"], Float[ArrayLike, "*b"]]:
    """The nearest of the masked flats, the free coordinates on it and the squared distance."""
    xp = namespace(flat, mask, frac, metric)
    row = lookup(_flats().row, flat)
    _, squared = _project(row, frac[..., None, :], metric[..., None, :, :])
    nearest = xp.argmin(xp.where(mask, squared, xp.inf), -1)[..., None]
    # The coordinates are computed again, for one flat, rather than kept for all.
    free, squared = _project(xp.take_along_axis(row, nearest, -1)[..., 0], frac, metric)
    return xp.take_along_axis(flat, nearest, -1)[..., 0], wrap(free), squared


def nearest_free(
    wyckoff: Int[ArrayLike, "*b"],
    frac: Float[ArrayLike, "*b 3"],
    metric: Float[ArrayLike, "*b 3 3"] | None = None,
) -> tuple[Float[ArrayLike, "*b 3"], Float[ArrayLike, "*b"]]:
    """Project a point onto the orbit of a position.

    Lattice translates by 27 cells are tried: enough for the default metrics and for reduced cells.
    In very oblique ones the distance may come out too long, never too short.

    Args:
        wyckoff: the position; 0 for an empty slot.
        frac: fractional coordinates of any point.
        metric: L Lᵀ of a lattice with vectors as rows of L; by default :func:`family_metric`.

    Returns:
        The free coordinates, in [0, 1), of the orbit that comes nearest to the point, and the
        distance from the point to the nearest atom of this orbit, in the metric's unit of length
        (Å for a metric in Å^2). Both are 0 in an empty slot.

    Example:
        >>> from jaxcrys.symmetry.wyckoff import position_id
        >>> site = np.array(position_id(221, "e"))  # x, 0, 0 and five others
        >>> free, distance = nearest_free(site, np.array([0.5, 0.5, 0.3]) - 0.48)
        >>> np.round(free, 3).tolist(), round(float(distance), 3)
        ([0.82, 0.0, 0.0], 0.028)
    """
    xp = namespace(wyckoff, frac, metric)
    frac = xp.asarray(frac)
    metric = family_metric(group_of(wyckoff)) if metric is None else metric
    flats = _flats()
    first, end = lookup(flats.first, wyckoff), lookup(flats.first[1:], wyckoff)
    flat = first[..., None] + xp.arange(MAX_FLATS_OF_POSITION)
    mask = flat < end[..., None]
    _, free, squared = _closest_flat(xp.where(mask, flat, 0), mask, frac, metric)
    exists = wyckoff > 0
    alive = exists[..., None] & free_mask(wyckoff)
    return xp.where(alive, free, 0), xp.where(exists, xp.sqrt(xp.maximum(squared, 0)), 0)


def nearest_position(
    group: Int[ArrayLike, "*b"],
    bits: Float[ArrayLike, "*b 15 13"],
    frac: Float[ArrayLike, "*b 3"],
    metric: Float[ArrayLike, "*b 3 3"] | None = None,
    *,
    allowed: Bool[ArrayLike, "*b 27"] | None = None,
) -> tuple[Int[ArrayLike, "*b"], Float[ArrayLike, "*b 3"]]:
    """Decode soft site-symmetry bits and a point to a position and a point on it (SymmCD).

    Of the positions of the group the one whose bits are nearest in L2 is taken, the first of equals
    by letter; of those with the same bits the one whose orbit comes nearest to the point, onto
    which the point is then projected.

    Every site is compared with all 193 flats that a group may have, each in 27 cells: under jit
    that takes 85 kB per site in float32 (XLA on a CPU), on NumPy in float64 about ten times as
    much. Larger batches than memory allows go through ``jax.lax.map`` with a ``batch_size``.

    Args:
        group: space group number; 0 for an empty slot.
        bits: any weights of the elements on the axes, as :func:`site_symmetry_bits`.
        frac: fractional coordinates of any point.
        metric: L Lᵀ of a lattice with vectors as rows of L; by default :func:`family_metric`.
        allowed: which of :func:`position_slots` may be chosen, for instance because a position
            without free coordinates can be occupied only once; by default all.

    Returns:
        The position, and free coordinates in [0, 1) as in :func:`nearest_free`; both are 0 where
        there is no group or nothing is allowed.

    Example:
        >>> from jaxcrys.symmetry.symmetry_bits import site_symmetry_bits
        >>> from jaxcrys.symmetry.wyckoff import position_id, position_label
        >>> bits = site_symmetry_bits(np.array(position_id(225, "a")))  # those of 4b as well
        >>> found, free = nearest_position(np.array(225), 0.3 * bits, np.array([0.4, 0.1, 0.0]))
        >>> position_label(int(found)), free.tolist()
        ('4b', [0.0, 0.0, 0.0])
    """
    xp = namespace(group, bits, frac, metric, allowed)
    frac = xp.asarray(frac)
    metric = family_metric(group) if metric is None else metric
    slots = position_slots(group)
    possible = (slots > 0) if allowed is None else (slots > 0) & allowed
    alike = lookup(_first_alike(), slots)
    chosen = xp.argmax(xp.where(possible, _overlap(slots, bits), -xp.inf), -1)[..., None]
    possible = possible & (alike == xp.take_along_axis(alike, chosen, -1))

    flats = _flats()
    first, end = lookup(flats.first_of_group, group), lookup(flats.first_of_group[1:], group)
    flat = first[..., None] + xp.arange(MAX_FLATS)
    mask = flat < end[..., None]
    flat = xp.where(mask, flat, 0)
    slot = xp.where(mask, lookup(flats.position, flat) - slots[..., :1], 0)
    mask = mask & xp.take_along_axis(possible, slot, -1)
    flat, free, _ = _closest_flat(flat, mask, frac, metric)
    exists = mask.any(-1)
    wyckoff = xp.where(exists, lookup(flats.position, flat), 0)
    return wyckoff, xp.where(free_mask(wyckoff), free, 0)


def _overlap(slots: Int[ArrayLike, "*b p"], bits: Float[ArrayLike, "*b 15 13"]) -> ArrayLike:
    """Sum of the weights of a position's elements: nearest in L2 is where it is largest.

    Each position has 15 ones, so |bits - b|² = |bits|² + 15 - 2 Σ_axis bits[axis, element].
    """
    xp = namespace(slots, bits)
    elements = xp.swapaxes(lookup(site_elements(), slots), -1, -2)
    return xp.take_along_axis(xp.asarray(bits), elements, -1).sum(-2)
