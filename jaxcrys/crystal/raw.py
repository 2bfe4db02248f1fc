"""Cells as they come from outside: atoms in a box, with no symmetry known, and their checks."""

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxcrys.core.typing import Float, Int
from jaxcrys.crystal.rejection import Rejection
from jaxcrys.geometry.periodic import wrap

MAX_ATOMS = 400
MIN_DISTANCE = 0.3
MAX_SPECIES = 118
SHORTEST_VECTOR = 1.0
LONGEST_VECTOR = 400.0
THINNEST_CELL = 0.1
"""Bounds on lattices in Å, beyond any crystal: far outside them symmetry engines loop or crash."""


FARTHEST = 1e6
"""Cells from the origin; much farther away a number does not tell where in its cell an atom is."""


class RawCell(NamedTuple):
    """A periodic cell: lattice rows in Å, fractional coordinates, atomic numbers."""

    lattice: Float[np.ndarray, "3 3"]
    frac: Float[np.ndarray, "n 3"]
    numbers: Int[np.ndarray, "n"]


def check_cell(
    lattice: ArrayLike,
    frac: ArrayLike,
    numbers: ArrayLike,
    *,
    max_atoms: int = MAX_ATOMS,
    min_distance: float = MIN_DISTANCE,
) -> RawCell:
    """Return a right-handed cell with wrapped coordinates, or say why it cannot be used.

    A left-handed basis (a, b, c) becomes (-a, -b, -c), which leaves every atom where it is.

    Args:
        lattice: lattice vectors as rows, Å.
        frac: fractional coordinates.
        numbers: atomic numbers.
        max_atoms: most atoms allowed.
        min_distance: shortest distance allowed between two atoms, Å.

    Raises:
        Rejection: ``no_atoms``, ``not_finite``, ``bad_lattice``, ``unknown_element``,
            ``too_many_atoms`` or ``overlap``.

    Example:
        >>> check_cell(-4 * np.eye(3), [[0.25, 0, 0]], [29]).frac.tolist()
        [[0.75, 0.0, 0.0]]
    """
    lattice = np.asarray(lattice, float).reshape(3, 3)
    numbers = np.asarray(numbers).reshape(-1)
    frac = np.asarray(frac, float).reshape(len(numbers), 3)
    if not len(numbers):
        raise Rejection("no_atoms", "the cell is empty")
    if not (np.isfinite(lattice).all() and np.isfinite(frac).all()):
        raise Rejection("not_finite", "the lattice or a coordinate is NaN or infinite")
    if np.abs(frac).max() > FARTHEST:
        raise Rejection("not_finite", f"a coordinate is farther away than {FARTHEST:.0f} cells")
    if not ((numbers >= 1) & (numbers <= MAX_SPECIES)).all():
        raise Rejection("unknown_element", f"atomic numbers must be 1 to 118, got {set(numbers)}")
    if len(numbers) > max_atoms:
        raise Rejection(
            "too_many_atoms", f"{len(numbers)} atoms in the cell, more than {max_atoms}"
        )
    check_lattice(lattice)
    handedness = np.sign(np.linalg.det(lattice))
    wrapped = np.asarray(wrap(handedness * frac))
    cell = RawCell(handedness * lattice, wrapped, numbers.astype(np.int32))
    check_overlap(cell, min_distance)
    return cell


def check_lattice(lattice: Float[np.ndarray, "3 3"]) -> None:
    """Raise ``bad_lattice`` for vectors that no crystal has."""
    longest = np.linalg.norm(lattice, axis=-1).max()
    if longest > LONGEST_VECTOR:
        raise Rejection("bad_lattice", f"a lattice vector is longer than {LONGEST_VECTOR} Å")
    spacings = plane_spacings(lattice)
    if spacings.min() < THINNEST_CELL:
        raise Rejection("bad_lattice", f"the cell is thinner than {THINNEST_CELL} Å")
    reach = (SHORTEST_VECTOR / spacings).astype(int)
    translations = np.indices(2 * reach + 1).reshape(3, -1).T - reach
    lengths = np.linalg.norm(translations[translations.any(-1)] @ lattice, axis=-1)
    if (lengths < SHORTEST_VECTOR).any():
        raise Rejection(
            "bad_lattice", f"the crystal repeats every {lengths.min():.3f} Å, less than 1 Å"
        )


def plane_spacings(lattice: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3"]:
    """Distances in Å between the opposite faces of the cell; 0 if it has no volume.

    Example:
        >>> plane_spacings(np.diag([1.0, 2.0, 3.0]))
        array([1., 2., 3.])
    """
    lattice = np.asarray(lattice)
    faces = np.cross(np.roll(lattice, -1, 0), np.roll(lattice, -2, 0))
    areas = np.linalg.norm(faces, axis=-1)
    volume = np.full(3, np.abs(np.linalg.det(lattice)))
    return np.divide(volume, areas, out=np.zeros(3), where=areas > 0)


def check_overlap(cell: RawCell, min_distance: float) -> None:
    """Raise ``overlap`` if two atoms of the infinite crystal are closer than ``min_distance``.

    Atoms that close differ along each axis by at most min_distance / plane spacing; only the few
    pairs that pass this test are measured.
    """
    reach = min_distance / plane_spacings(cell.lattice)
    difference = cell.frac[:, None] - cell.frac[None]
    difference -= np.round(difference)
    images = [range(-int(r + 0.5), int(r + 0.5) + 1) for r in reach]
    for image in itertools.product(*images):
        shifted = difference + image if any(image) else difference
        near = (np.abs(shifted) <= reach).all(-1)
        if not any(image):
            np.fill_diagonal(near, False)
        first, second = np.nonzero(near)
        distances = np.linalg.norm(shifted[first, second] @ cell.lattice, axis=-1)
        if (distances < min_distance).any():
            closest = distances.argmin()
            raise Rejection(
                "overlap",
                f"atoms {first[closest]} and {second[closest]} are "
                f"{distances[closest]:.3f} Å apart, closer than {min_distance} Å",
            )
