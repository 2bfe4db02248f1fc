"""Equivalent descriptions: the changes of origin and axes that leave a space group as it is.

A *description* is an affine change of coordinates x' = P x + p, an element of the group's affine
normaliser modulo the group itself (International Tables A, chapter 3.5). It turns one set of
coordinates of a crystal into another, equally good one in the same standard setting: sites move to
other Wyckoff positions, free coordinates change as u' = M u + m, and the rows of the lattice matrix
become P⁻ᵀ L. Where the group has no improper operation, descriptions of negative handedness turn a
crystal into its mirror image; for the 22 groups in enantiomorphic pairs that image lies in the
partner group.

Descriptions of a group are numbered from 0, the identity: first those that keep every metric of the
crystal family (the Euclidean normaliser of a general lattice), then those that exchange axes (such
as a, b, c in Pmmm), then those of the mirror image in the same order. Along polar axes any shift of
the origin is allowed besides. Monoclinic and triclinic groups have infinitely many bases; of these
one stands for all that treat the Wyckoff positions alike (``tools/make_normaliser_tables.py``).
"""

import functools
from typing import NamedTuple

import numpy as np

from jaxcrys.core.typing import ArrayLike, Bool, Float, Int, namespace
from jaxcrys.geometry.periodic import wrap
from jaxcrys.symmetry.tables import TRANSLATION_UNIT, check_group, load_tables, lookup, read_table
from jaxcrys.symmetry.wyckoff import (
    free_mask,
    local_index,
    positions_of,
)


class Normalisers(NamedTuple):
    """All descriptions of all groups, as read-only NumPy arrays.

    Attributes:
        description_target: group in which the description is; the group's own but for mirror images
            of the 22 groups in enantiomorphic pairs, [d].
        description_linear: P, integer of determinant ±1, [d, 3, 3].
        description_shift: p in 1/24, 0 along polar axes, [d, 3].
        description_handedness: -1 where the result is the mirror image, [d].
        description_keeps_metric: whether P keeps every metric of the family, [d].
        description_first_map: where the maps of its positions begin, letter a first, [d].
        map_wyckoff: id of the position onto which one is mapped, [w].
        map_linear: M of the free coordinates, [w, 3, 3].
        map_translation: m in 1/24, [w, 3].
        group_first: first description of each group, [231].
        group_count: how many there are, [231].
        group_enantiomorph: the partner of a group in an enantiomorphic pair, else 0, [231].
        group_polar: axes along which the origin is arbitrary, [231, 3].
    """

    description_target: np.ndarray
    description_linear: np.ndarray
    description_shift: np.ndarray
    description_handedness: np.ndarray
    description_keeps_metric: np.ndarray
    description_first_map: np.ndarray
    map_wyckoff: np.ndarray
    map_linear: np.ndarray
    map_translation: np.ndarray
    group_first: np.ndarray
    group_count: np.ndarray
    group_enantiomorph: np.ndarray
    group_polar: np.ndarray


@functools.cache
def load_normalisers() -> Normalisers:
    """Read the table once, on first use.

    Example:
        >>> load_normalisers().description_linear.shape
        (3530, 3, 3)
    """
    return Normalisers(**read_table("normalisers.npz"))


def num_descriptions(
    group: Int[ArrayLike, "*b"], *, axes: bool = True, mirror: bool = False
) -> Int[ArrayLike, "*b"]:
    """How many descriptions there are; the first so many numbers name them.

    Args:
        group: space group number.
        axes: count those that exchange axes too. Without them the lattice stays as it is.
        mirror: count those of the mirror image too; only together with ``axes``.

    Example:
        >>> group = np.array([16, 47, 225])
        >>> num_descriptions(group, axes=False), num_descriptions(group)
        (array([8, 8, 2]), array([48, 48,  2]))
        >>> num_descriptions(group, mirror=True)
        array([96, 48,  2])
    """
    return lookup(_counts()[int(axes) + int(axes and mirror)], group)


@functools.cache
def _counts() -> Int[np.ndarray, "3 231"]:
    """Descriptions that keep the metric, those of the crystal itself, and all."""
    table = load_normalisers()
    group = np.repeat(np.arange(len(table.group_count)), table.group_count)
    proper = table.description_handedness > 0
    kept = proper & table.description_keeps_metric
    size = len(table.group_count)
    kinds = (kept, proper, np.ones_like(proper))
    return np.stack([np.bincount(group[kind], minlength=size) for kind in kinds])


def polar_axes(group: Int[ArrayLike, "*b"]) -> Bool[ArrayLike, "*b 3"]:
    """Axes along which the group leaves the choice of the origin free.

    Example:
        >>> polar_axes(np.array(99))
        array([False, False,  True])
    """
    return lookup(load_normalisers().group_polar, group)


def enantiomorph(group: Int[ArrayLike, "*b"]) -> Int[ArrayLike, "*b"]:
    """The group of the mirror image: the partner of one of the 22, else the group itself.

    Example:
        >>> enantiomorph(np.array([152, 225]))
        array([154, 225])
    """
    xp = namespace(group)
    partner = lookup(load_normalisers().group_enantiomorph, group)
    return xp.where(partner > 0, partner, group)


def description_row(
    group: Int[ArrayLike, "*b"], index: Int[ArrayLike, "*b"]
) -> Int[ArrayLike, "*b"]:
    """Row of the table of a group's description number ``index``."""
    return lookup(load_normalisers().group_first, group) + index


def redescribe_sites(
    wyckoff: Int[ArrayLike, "*b s"],
    free: Float[ArrayLike, "*b s 3"],
    row: Int[ArrayLike, "*b"],
) -> tuple[Int[ArrayLike, "*b s"], Float[ArrayLike, "*b s 3"]]:
    """Positions and free coordinates of sites in another description.

    Pure, in jit, for batches of different groups.

    Args:
        wyckoff: position ids, 0 in empty slots, of the group to which the description belongs.
        free: free coordinates.
        row: row of the table, from :func:`description_row`.

    Returns:
        Position ids and wrapped free coordinates; empty slots stay empty.

    Example:
        >>> from jaxcrys.symmetry import position_id, position_label
        >>> sites = np.array([position_id(225, "a"), position_id(225, "c")])
        >>> moved, _ = redescribe_sites(sites, np.zeros((2, 3)), description_row(225, 1))
        >>> [position_label(i) for i in moved]
        ['4b', '8c']
    """
    xp = namespace(wyckoff, free, row)
    table = load_normalisers()
    used = wyckoff > 0
    index = xp.maximum(local_index(wyckoff), 0)
    place = lookup(table.description_first_map, row)[..., None] + index
    moved = xp.where(used, lookup(table.map_wyckoff, place), 0)
    free = xp.asarray(free)
    linear = lookup(table.map_linear, place).astype(free.dtype)
    shift = lookup(table.map_translation, place).astype(free.dtype) / TRANSLATION_UNIT
    changed = wrap((linear * free[..., None, :]).sum(-1) + shift)
    return moved, xp.where(free_mask(moved), changed, 0)


def shift_origin(
    wyckoff: Int[ArrayLike, "*b s"],
    free: Float[ArrayLike, "*b s 3"],
    shift: Float[ArrayLike, "*b 3"],
) -> Float[ArrayLike, "*b s 3"]:
    """Free coordinates after a shift x' = x + t along polar axes.

    Args:
        wyckoff: position ids.
        free: free coordinates.
        shift: t, fractional; must be 0 along axes that are not polar (:func:`polar_axes`).

    Example:
        >>> from jaxcrys.symmetry import position_id
        >>> sites = np.array([position_id(99, "a")])
        >>> shift_origin(sites, np.array([[0.25, 0, 0]]), np.array([0, 0, 0.5]))
        array([[0.75, 0.  , 0.  ]])
    """
    xp = namespace(wyckoff, free, shift)
    free = xp.asarray(free)
    inverse = lookup(load_tables().position_left_inverse, wyckoff).astype(free.dtype)
    moved = wrap(free + (inverse * shift[..., None, None, :]).sum(-1))
    return xp.where(free_mask(wyckoff), moved, 0)


@functools.cache
def position_permutations(group: int, *, mirror: bool = True) -> Int[np.ndarray, "g w"]:
    """The different ways in which the descriptions of a group permute its positions.

    Args:
        group: space group number.
        mirror: whether descriptions of the mirror image count.

    Returns:
        Index of the position (letter a is 0) onto which each is mapped; the identity first. The
        rows form a group. Mirror images that lie in the enantiomorphic partner are left out.

    Example:
        >>> position_permutations(221)[:, :4]
        array([[0, 1, 2, 3], [1, 0, 3, 2]])
    """
    table = load_normalisers()
    ids = np.asarray(positions_of(check_group(group)))
    first = table.group_first[group]
    rows = first + np.arange(int(num_descriptions(np.asarray(group), mirror=mirror)))
    rows = rows[table.description_target[rows] == group]
    maps = table.description_first_map[rows][:, None] + np.arange(len(ids))
    permutations = np.unique(table.map_wyckoff[maps] - ids[0], axis=0)
    permutations.setflags(write=False)
    return permutations
