"""The canonical form of a crystal: one description out of all that show the same atoms.

Chosen in this order:

1. the Wyckoff letters of the protostructure label (``crystal.protostructure``);
2. in monoclinic and triclinic groups, of the lattice bases that keep them, the shortest: least
   a² + b² + c², then least a, b, c and most obtuse angles;
3. along polar axes, an origin on an atom of the rarest kind of site;
4. each site's representative in the asymmetric unit (``symmetry.asymmetric_unit``), sites in order
   of position, element and coordinates;
5. of the descriptions that are left, the one with the smallest lattice and coordinates.

Letters and their order are exact. Comparisons of real numbers are made after rounding, so two
descriptions of one crystal lead to the same form up to rounding errors, unless a number lies within
them of a rounding step. Host side, for single crystals.
"""

import functools
import itertools

import jax
import numpy as np

from jaxcrys.core.pytree import take
from jaxcrys.core.typing import ArrayLike, Float, Int
from jaxcrys.crystal.equivalents import change_axes, describe_by
from jaxcrys.crystal.protostructure import canonical_descriptions
from jaxcrys.crystal.types import Crystal
from jaxcrys.geometry.lattice import matrix_from_coefficients
from jaxcrys.geometry.periodic import wrap
from jaxcrys.geometry.reduction import reduce_lattice
from jaxcrys.symmetry.asymmetric_unit import canonical_free, count_self_maps, self_maps
from jaxcrys.symmetry.axis_changes import move_positions, origin_shifts
from jaxcrys.symmetry.groups import constrain_lattice, crystal_family, operations
from jaxcrys.symmetry.normalisers import load_normalisers, shift_origin
from jaxcrys.symmetry.orbits import representative
from jaxcrys.symmetry.wyckoff import free_mask

DECIMALS = 5
"""Digits of fractional coordinates and of Å² to which descriptions are compared."""


def canonical_form(crystal: Crystal, *, mirror: bool = True) -> Crystal:
    """The same crystal in its canonical description, without empty slots.

    Args:
        crystal: a single crystal.
        mirror: choose between the crystal and its mirror image too, as for the label.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> from jaxcrys.symmetry import position_label
        >>> form = canonical_form(example_crystal())  # Na was on 4a
        >>> [(int(z), position_label(w)) for z, w in zip(form.species, form.wyckoff)]
        [(17, '4a'), (11, '4b')]
    """
    used = np.asarray(crystal.wyckoff) > 0
    crystal = jax.tree.map(np.asarray, crystal)
    crystal = Crystal(
        group=crystal.group,
        wyckoff=crystal.wyckoff[used],
        species=crystal.species[used],
        free=crystal.free[used].astype(float),
        lattice=crystal.lattice.astype(float),
    )
    index = canonical_descriptions(crystal, mirror=mirror)
    if crystal_family(int(crystal.group)) in ("triclinic", "monoclinic"):
        candidates = _shortest_bases(take(describe_by(crystal, index[:1]), 0), mirror)
    else:
        candidates = describe_by(crystal, index)
    return _first(_in_asymmetric_unit(_at_polar_origins(candidates)))


def _first(candidates: Crystal) -> Crystal:
    """The candidate with the smallest rounded lattice, then the smallest rounded coordinates."""
    lattice = np.round(candidates.lattice, DECIMALS)
    free = _rounded(candidates.free).reshape(len(lattice), -1)
    keys = np.concatenate([lattice, free], 1)
    return take(candidates, int(np.lexsort(keys.T[::-1])[0]))


def _rounded(free: Float[ArrayLike, "*b 3"]) -> Float[np.ndarray, "*b 3"]:
    return np.round(free, DECIMALS) % 1


def _in_asymmetric_unit(candidates: Crystal) -> Crystal:
    """Canonical representatives, sites sorted by position, element and coordinates."""
    capacity = int(count_self_maps(candidates.wyckoff).max())
    free = canonical_free(candidates.wyckoff, candidates.free, capacity=capacity)
    rounded = _rounded(free)
    keys = (*np.moveaxis(rounded, -1, 0)[::-1], candidates.species, candidates.wyckoff)
    order = np.lexsort(keys, axis=-1)

    def sort(values: ArrayLike) -> np.ndarray:
        values = np.asarray(values)
        return np.take_along_axis(values, order.reshape(*order.shape, *[1] * (values.ndim - 2)), 1)

    return Crystal(
        group=candidates.group,
        wyckoff=sort(candidates.wyckoff),
        species=sort(candidates.species),
        free=sort(free),
        lattice=candidates.lattice,
    )


def _at_polar_origins(candidates: Crystal) -> Crystal:
    """Each candidate with its origin at the height of each atom of the rarest kind of site.

    Atoms are those on the representative's family of points, the images under the self-maps.
    """
    polar = load_normalisers().group_polar[candidates.group[0]]
    if not polar.any():
        return candidates
    first = take(candidates, 0)
    kinds, counts = np.unique(
        np.stack([first.wyckoff, first.species], 1), axis=0, return_counts=True
    )
    origin = kinds[np.lexsort((*kinds.T[::-1], counts))[0]]
    shifted = []
    for index in range(len(candidates.group)):
        one = take(candidates, index)
        of_kind = (one.wyckoff == origin[0]) & (one.species == origin[1])
        linear, translation, mask = self_maps(one.wyckoff[of_kind])
        images = ((linear * one.free[of_kind][:, None, None, :]).sum(-1) + translation)[mask]
        heights = np.where(polar, representative(np.full(len(images), origin[0]), wrap(images)), 0)
        for height in heights[np.unique(_rounded(heights), axis=0, return_index=True)[1]]:
            free = shift_origin(one.wyckoff, one.free, -height)
            shifted.append(Crystal(one.group, one.wyckoff, one.species, free, one.lattice))
    return jax.tree.map(lambda *leaves: np.stack(leaves), *shifted)


def _shortest_bases(crystal: Crystal, mirror: bool) -> Crystal:
    """All descriptions in the shortest bases that keep the Wyckoff letters, as a batch."""
    group = int(crystal.group)
    matrix = matrix_from_coefficients(crystal.lattice)
    changes = _near_reduced(group, matrix, mirror)
    for bases in _by_length(changes, matrix):
        found = [new for basis in bases for new in _in_basis(crystal, basis)]
        if found:
            return jax.tree.map(lambda *leaves: np.stack(leaves), *found)
    raise AssertionError("the crystal's own basis keeps its letters")


def _near_reduced(
    group: int, matrix: Float[ArrayLike, "3 3"], mirror: bool
) -> Int[np.ndarray, "t 3 3"]:
    """Integer matrices T whose bases T L are the reduced basis of L or small changes of it."""
    monoclinic = crystal_family(group) == "monoclinic"
    changes = _small_changes(monoclinic)
    reduced = np.rint(reduce_lattice(matrix)[1]).astype(int)
    if monoclinic:
        # As b is orthogonal to a and c, one row is b or -b and the others lie in the plane of a, c.
        first, second, unique = reduced[np.argsort(reduced[:, 1] != 0, kind="stable")]
        reduced = np.stack([first, unique, second])
    bases = np.concatenate([changes @ reduced, np.eye(3, dtype=int)[None]])
    chiral = not (np.linalg.det(operations(group)[0].astype(float)) < 0).any()
    if chiral and not mirror:
        bases = bases[np.linalg.det(bases) > 0]
    return np.unique(bases, axis=0)


@functools.cache
def _small_changes(monoclinic: bool) -> Int[np.ndarray, "t 3 3"]:
    if monoclinic:
        entries = np.array(list(itertools.product(range(-2, 3), repeat=4))).reshape(-1, 2, 2)
        matrices = np.zeros((2 * len(entries), 3, 3), int)
        matrices[:, ::2, ::2] = np.repeat(entries, 2, 0)
        matrices[:, 1, 1] = np.tile([1, -1], len(entries))
    else:
        matrices = np.array(list(itertools.product((-1, 0, 1), repeat=9))).reshape(-1, 3, 3)
    return matrices[np.abs(np.rint(np.linalg.det(matrices))) == 1]


def _by_length(
    bases: Int[np.ndarray, "t 3 3"], matrix: Float[ArrayLike, "3 3"]
) -> list[Int[np.ndarray, "u 3 3"]]:
    """Bases from short to long, those of equal lengths and angles together."""
    vectors = bases @ matrix
    metric = vectors @ vectors.swapaxes(1, 2)
    squares = np.diagonal(metric, axis1=1, axis2=2)
    products = metric[:, [1, 0, 0], [2, 2, 1]]
    keys = np.round(np.column_stack([squares.sum(1), squares, products]), DECIMALS - 1)
    order = np.lexsort(keys.T[::-1])
    steps = np.flatnonzero((np.diff(keys[order], axis=0) != 0).any(1)) + 1
    return np.split(bases[order], steps)


def _in_basis(crystal: Crystal, basis: Int[np.ndarray, "3 3"]) -> list[Crystal]:
    """The crystal with the rows of T L as its axes, for each origin that keeps its letters."""
    group = int(crystal.group)
    linear = np.rint(np.linalg.inv(basis.T)).astype(int)
    shifts = origin_shifts(group, linear)
    if not len(shifts):
        return []
    moved = move_positions(group, crystal.wyckoff, linear, shifts)
    kinds = np.sort(crystal.wyckoff * 1000 + crystal.species)
    same = (np.sort(moved.wyckoff * 1000 + crystal.species, -1) == kinds).all(-1)
    free = wrap((moved.linear * crystal.free[:, None, :]).sum(-1) + moved.translation)
    lattice = constrain_lattice(change_axes(crystal.lattice, basis.T), crystal.group)
    return [
        Crystal(
            crystal.group,
            moved.wyckoff[i].astype(crystal.wyckoff.dtype),
            crystal.species,
            np.where(free_mask(moved.wyckoff[i]), free[i], 0),
            lattice,
        )
        for i in np.flatnonzero(same)
    ]
