"""Asymmetric units: one choice among the free coordinates that describe the same atoms.

The atoms of an orbit that lie on the family of points of the representative, x = A u + t, could
each be its representative. Their free coordinates are related by the *self-maps* of the position,
u → M u + m (mod 1), a group that acts on the torus of the free coordinates by isometries of the
position's Gram matrix (``symmetry.metric``).

The asymmetric unit is the Dirichlet domain of that group about a reference point: the points that
are nearer to the reference than to any of its images. Its faces are planes half-way between the
reference and an image, so it is convex, and it holds one point of every orbit. Only on its boundary
there are several, equally near; which of them is canonical is then a matter of rounding. The
coordinates of the reference are irrational and independent of each other, which puts no point with
rational coordinates on the boundary unless its images coincide: the two squared distances differ by
a rational number plus a sum of rational multiples of the reference coordinates, which cannot vanish
unless all multiples do.
"""

import functools
import itertools
from typing import NamedTuple

import numpy as np

from jaxcrys.core.typing import ArrayLike, Bool, Float, Int, namespace
from jaxcrys.geometry.periodic import wrap
from jaxcrys.symmetry.groups import operations
from jaxcrys.symmetry.locate import row_left_inverse
from jaxcrys.symmetry.metric import family_metric, squared_distance, tangent_gram
from jaxcrys.symmetry.tables import TRANSLATION_UNIT, check_group, load_tables, lookup
from jaxcrys.symmetry.wyckoff import free_mask, multiplicity

MAX_MAPS = 192
"""Self-maps of the general position of a face-centred cubic group, the most there are."""

REFERENCE = np.sqrt([2, 3, 7]) / 5
"""The reference point: its first coordinates are the free coordinates of every position. In no
position is it nearer than 0.057 to one of its images (lattice constant 1), so that rounding does
not matter."""

BOUNDARY = 64
"""How near to the boundary of the asymmetric unit counts as on it, in rounding errors of 1."""

_TOLERANCE = 1e-7
_REACH = range(-2, 3)


class _SelfMaps(NamedTuple):
    """Self-maps of all positions, one after the other, translations in 1/24; identities first."""

    linear: np.ndarray
    translation: np.ndarray
    first: np.ndarray
    count: np.ndarray


@functools.cache
def _all_self_maps() -> _SelfMaps:
    """Rows x = B u + s of a position that lie on the representative's family x = A v + t.

    There v = M u + m with M = L B and m = L (s - t), where L is the integer left inverse of A,
    provided that A M = B and A m = s - t (mod 1).
    """
    tables = load_tables()
    position = np.repeat(np.arange(len(tables.position_multiplicity)), tables.position_multiplicity)
    start = tables.position_first_row[position]
    inverse = tables.position_left_inverse[position].astype(np.int32)
    rows = tables.row_linear.astype(np.int32)
    shift = (tables.row_translation - tables.row_translation[start]).astype(np.int32)
    linear = inverse @ rows
    translation = (inverse * shift[:, None, :]).sum(-1)
    off_plane = rows[start] @ linear - rows
    off_point = ((rows[start] * translation[:, None, :]).sum(-1) - shift) % TRANSLATION_UNIT
    found = ~off_plane.any((1, 2)) & ~off_point.any(1)
    count = np.bincount(position[found], minlength=len(tables.position_multiplicity))
    translation = translation[found] % TRANSLATION_UNIT
    arrays = linear[found], translation, np.cumsum(count) - count, count
    maps = _SelfMaps(*(array.astype(np.int32) for array in arrays))
    for array in maps:
        array.setflags(write=False)
    return maps


def count_self_maps(wyckoff: Int[ArrayLike, "*b"]) -> Int[ArrayLike, "*b"]:
    """Number of self-maps; the asymmetric unit has this fraction of the free coordinates' torus.

    Example:
        >>> from jaxcrys.symmetry.wyckoff import position_id
        >>> count_self_maps(np.array([position_id(225, "l"), position_id(225, "e")]))
        array([192, 2], dtype=int32)
    """
    return lookup(_all_self_maps().count, wyckoff)


def self_maps(
    wyckoff: Int[ArrayLike, "*b"], *, capacity: int = MAX_MAPS
) -> tuple[Int[ArrayLike, "*b o 3 3"], Float[ArrayLike, "*b o 3"], Bool[ArrayLike, "*b o"]]:
    """All maps u → M u + m (mod 1) of the free coordinates that leave the orbit as it is.

    The first is the identity. They form a group; where u is general, as many atoms of the orbit lie
    on the representative's family of points.

    Args:
        wyckoff: position ids.
        capacity: number of slots o; maps beyond it are left out (:func:`count_self_maps`).

    Returns:
        the integer matrices M, the fractional translations m, and which of the slots are used.

    Example:
        >>> from jaxcrys.symmetry.wyckoff import position_id
        >>> linear, translation, mask = self_maps(np.array(position_id(225, "e")), capacity=3)
        >>> linear[:2, 0, 0], translation[:2, 0], mask  # x, 0, 0 and -x, 0, 0
        (array([ 1, -1], dtype=int32), array([0., 0.]), array([ True, True, False]))
    """
    xp = namespace(wyckoff)
    maps = _all_self_maps()
    index = xp.arange(capacity, dtype=maps.count.dtype)
    mask = index < lookup(maps.count, wyckoff)[..., None]
    chosen = xp.where(mask, lookup(maps.first, wyckoff)[..., None] + index, 0)
    linear = xp.where(mask[..., None, None], lookup(maps.linear, chosen), 0)
    translation = xp.where(mask[..., None], lookup(maps.translation, chosen), 0)
    return linear, translation.astype(float) / TRANSLATION_UNIT, mask


def canonical_free(
    wyckoff: Int[ArrayLike, "*b"], free: Float[ArrayLike, "*b 3"], *, capacity: int = MAX_MAPS
) -> Float[ArrayLike, "*b 3"]:
    """The free coordinates of the same orbit that lie in the asymmetric unit.

    Of all images of ``free`` under the self-maps, the one nearest to the reference point.

    Args:
        wyckoff: position ids.
        free: free coordinates, of which only those that the position has are read.
        capacity: at least the largest number of self-maps that occurs.

    Returns:
        coordinates in [0, 1), the same for all free coordinates that describe the same atoms; 0
        where nothing is free.

    Example:
        >>> from jaxcrys.symmetry.wyckoff import position_id
        >>> sites = np.full(2, position_id(225, "e"))
        >>> canonical_free(sites, np.array([[0.1, 0, 0], [0.9, 0, 0]]))
        array([[0.1, 0. , 0. ], [0.1, 0. , 0. ]])
    """
    xp = namespace(wyckoff, free)
    images, distance = _images(wyckoff, free, capacity)
    best = xp.argmin(distance, axis=-1)[..., None, None]
    return wrap(xp.take_along_axis(images, best, -2)[..., 0, :])


def in_asymmetric_unit(
    wyckoff: Int[ArrayLike, "*b"], free: Float[ArrayLike, "*b 3"], *, capacity: int = MAX_MAPS
) -> Bool[ArrayLike, "*b"]:
    """Whether the free coordinates, modulo 1, lie in the asymmetric unit, boundary included.

    Arguments as :func:`canonical_free`. False in empty slots.

    Example:
        >>> from jaxcrys.symmetry.wyckoff import position_id
        >>> sites = np.full(3, position_id(225, "e"))
        >>> in_asymmetric_unit(sites, np.array([[0.1, 0, 0], [0.9, 0, 0], [0.5, 0, 0]]))
        array([ True, False, True])
    """
    _, distance = _images(wyckoff, free, capacity)
    margin = BOUNDARY * np.finfo(distance.dtype).eps
    return (wyckoff > 0) & (distance[..., 0] <= distance.min(-1) + margin)


def canonical_representative(
    wyckoff: Int[ArrayLike, "*b"], frac: Float[ArrayLike, "*b 3"], *, capacity: int = MAX_MAPS
) -> Float[ArrayLike, "*b 3"]:
    """Canonical free coordinates of the orbit that an atom belongs to, whichever atom it is.

    Args:
        wyckoff: position ids.
        frac: fractional coordinates of an atom of each orbit, on any row of the position up to
            rounding; a point that lies on none is moved to one of them.
        capacity: at least the largest multiplicity that occurs.

    Example:
        >>> from jaxcrys.symmetry.wyckoff import position_id
        >>> sites = np.full(2, position_id(225, "e"))
        >>> canonical_representative(sites, np.array([[0.5, 0.5, 0.9], [0.0, 0.1, 0.0]]))
        array([[0.1, 0. , 0. ], [0.1, 0. , 0. ]])
    """
    xp = namespace(wyckoff, frac)
    tables = load_tables()
    frac = xp.asarray(frac)
    index = xp.arange(capacity, dtype=tables.position_multiplicity.dtype)
    mask = index < multiplicity(wyckoff)[..., None]
    row = xp.where(mask, lookup(tables.position_first_row, wyckoff)[..., None] + index, 0)
    shift = lookup(tables.row_translation, row).astype(frac.dtype) / TRANSLATION_UNIT
    point = frac[..., None, :] - shift
    free = _act(lookup(row_left_inverse(), row).astype(frac.dtype), point)
    apart = _act(lookup(tables.row_linear, row).astype(frac.dtype), free) - point
    apart = xp.where(mask, ((apart - xp.round(apart)) ** 2).sum(-1), xp.inf)
    best = xp.argmin(apart, axis=-1)[..., None, None]
    return canonical_free(wyckoff, xp.take_along_axis(free, best, -2)[..., 0, :], capacity=capacity)


def asymmetric_unit(group: int) -> tuple[Float[np.ndarray, "h 3"], Float[np.ndarray, "h"]]:
    """The asymmetric unit of the general position as half-spaces, on the host in float64.

    Returns:
        normals and offsets of its faces in fractional coordinates: the points x with
        normals @ x <= offsets. It lies around the reference point, and so may reach out of the
        cell; its volume is 1 / (operations in the cell).

    Raises:
        InputError: if there is no such group.

    Example:
        >>> normals, offsets = asymmetric_unit(225)
        >>> normals.shape, bool((normals @ REFERENCE < offsets).all())
        ((4, 3), True)
    """
    normals, offsets, whole_cell = _bisectors(check_group(group))
    domain = normals[whole_cell], offsets[whole_cell]
    cut = np.ones(len(normals), bool)
    # Start from the Dirichlet domain of the lattice; while some half-space cuts a corner off, take
    # in the one of the nearest image that does.
    while True:
        domain, corners = _faces(*domain)
        cut[cut] = (corners @ normals[cut].T > offsets[cut] + _TOLERANCE).any(0)
        if not cut.any():
            return domain
        nearest = np.argmax(cut)
        domain = np.vstack([domain[0], normals[nearest]]), np.append(domain[1], offsets[nearest])


def _bisectors(group: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Half-spaces n·x <= d of the points nearer to the reference c than to an image p of it.

    |x - c|² <= |x - p|² with n = M (p - c) and d = (pᵀ M p - cᵀ M c) / 2, near images first; and
    which of the images are c moved by a lattice vector.
    """
    metric = family_metric(np.asarray(group))
    rotations, translations = operations(group)
    apart = rotations @ REFERENCE + translations / TRANSLATION_UNIT - REFERENCE
    apart = (apart - np.rint(apart))[:, None] + np.array(list(itertools.product(_REACH, repeat=3)))
    apart = apart.reshape(-1, 3)
    normals = apart @ metric
    squared = (apart * normals).sum(-1)
    order = np.argsort(squared)[1:]
    normals, apart = normals[order], apart[order]
    offsets = squared[order] / 2 + normals @ REFERENCE
    whole = np.isclose(apart, np.rint(apart)) & (np.abs(apart) < 1.5)
    return normals, offsets, whole.all(-1)


def _faces(
    normals: np.ndarray, offsets: np.ndarray
) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """The half-spaces of a polyhedron whose planes hold three corners or more, and its corners."""
    triples = np.array(list(itertools.combinations(range(len(normals)), 3)))
    planes = normals[triples]
    regular = np.abs(np.linalg.det(planes)) > _TOLERANCE
    points = np.linalg.solve(planes[regular], offsets[triples[regular]][..., None])[..., 0]
    inside = (points @ normals.T <= offsets + _TOLERANCE).all(-1)
    corners = np.unique(np.round(points[inside], 9), axis=0)
    on_plane = np.abs(corners @ normals.T - offsets) < _TOLERANCE
    faces = on_plane.sum(0) >= 3
    return (normals[faces], offsets[faces]), corners


def _images(
    wyckoff: Int[ArrayLike, "*b"], free: Float[ArrayLike, "*b 3"], capacity: int
) -> tuple[Float[ArrayLike, "*b o 3"], Float[ArrayLike, "*b o"]]:
    """Images of the free coordinates, and their squared distances from the reference point."""
    xp = namespace(wyckoff, free)
    free = xp.asarray(free)
    alive = free_mask(wyckoff)
    linear, translation, mask = self_maps(wyckoff, capacity=capacity)
    live = xp.where(alive, free, 0)[..., None, :]
    images = _act(linear.astype(free.dtype), live) + translation.astype(free.dtype)
    reference = xp.where(alive, xp.asarray(REFERENCE, free.dtype), 0)
    gram = tangent_gram(wyckoff).astype(free.dtype)[..., None, :, :]
    distance = squared_distance(images - reference[..., None, :], gram)
    return images, xp.where(mask, distance, xp.inf)


def _act(
    linear: Float[ArrayLike, "*#b 3 3"], point: Float[ArrayLike, "*#b 3"]
) -> Float[ArrayLike, "*b 3"]:
    return (linear * point[..., None, :]).sum(-1)
