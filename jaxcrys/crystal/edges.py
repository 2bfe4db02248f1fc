"""Pairs of atoms within a distance, one of each kind that symmetry tells apart (host side).

Programs with a fixed cutoff need every neighbour, and few of the pairs of a crystal are near: they
are listed once on the host, and the same list serves until the atoms have moved too far.

Receivers are the representatives of the sites. The operations that leave a representative where it
is map its neighbours onto each other, so one of each such orbit is enough: with ``|o|`` neighbours
in orbit o, H the site-symmetry group and D the matrices by which a quantity turns,

    Σ_neighbours m(neighbour) = 1/|H| Σ_h D(h) Σ_o |o| m(one of o).
"""

import itertools

import numpy as np

from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import Float, Int
from jaxcrys.crystal.expand import num_atoms
from jaxcrys.crystal.raw import plane_spacings
from jaxcrys.crystal.types import Crystal
from jaxcrys.geometry.lattice import matrix_from_coefficients
from jaxcrys.symmetry.orbits import expand_orbits
from jaxcrys.symmetry.stabiliser import stabiliser_order, stabiliser_rotations
from jaxcrys.symmetry.tables import TRANSLATION_UNIT, load_tables

MOST_PAIRS = 5_000_000
"""Pairs that are tried, far more than any crystal has; one that needs more has collapsed."""

_FARTHEST = 100.0
"""Lattice coefficients far beyond those of any crystal."""

_GRID = 1e-6
_GRID_ORIGIN = 0.31830988e-6
_STRIDES = np.array([1, 30_000_001, 900_000_060_000_001])
"""Rounding of fractional coordinates, and how three steps become one number (modulo 2**64)."""


@pytree
class Edges:
    """Pairs (site that sees, atom that is seen) of one crystal.

    Attributes:
        receiver: the site that sees.
        sender: the site whose image is seen.
        row: table row that makes the image (``symmetry.tables``).
        shift: lattice vectors added to A u + t, A and t of the row and u the sender's free
            coordinates, where the receiver sits at its own A u + t (nothing is wrapped).
        alike: how many neighbours of the receiver this one stands for, itself included.
    """

    receiver: Int[np.ndarray, "e"]
    sender: Int[np.ndarray, "e"]
    row: Int[np.ndarray, "e"]
    shift: Int[np.ndarray, "e 3"]
    alike: Int[np.ndarray, "e"]


def find_edges(crystal: Crystal, cutoff: float) -> Edges | None:
    """The pairs nearer than the cutoff, but for an atom with itself; sorted by receiver.

    Args:
        crystal: one crystal.
        cutoff: Å.

    Returns:
        The edges, or None if the cell is not finite or so thin that it has no end of neighbours.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> edges = find_edges(example_crystal(), 4.0)  # rocksalt, a = 5.64 Å
        >>> edges.alike.tolist()  # Na and Cl: 12 of their own kind, 6 of the other
        [12, 6, 6, 12]
    """
    free = np.asarray(crystal.free, np.float64)
    lattice = np.asarray(crystal.lattice, np.float64)
    if not (np.abs(lattice) < _FARTHEST).all() or not np.isfinite(free).all():
        return None
    matrix = np.asarray(matrix_from_coefficients(lattice))
    spacing = plane_spacings(matrix)
    wyckoff, total = np.asarray(crystal.wyckoff), int(num_atoms(crystal))
    sites = np.flatnonzero(wyckoff)
    with np.errstate(divide="ignore"):
        pairs = len(sites) * total * np.prod(2 * cutoff / spacing + 2)
    if not pairs <= MOST_PAIRS:
        return None
    orbits = expand_orbits(wyckoff, free, capacity=total)
    atom_site, atom_row = np.asarray(orbits.site), np.asarray(orbits.row)
    atoms = _unwrapped(free[atom_site], atom_row)
    own_row = load_tables().position_first_row[wyckoff[sites]]
    delta = atoms - _unwrapped(free[sites], own_row)[:, None]
    whole = -np.round(delta)
    cells = _cells(np.floor(cutoff / spacing + 0.5).astype(int))
    near = (delta + whole)[:, :, None] + cells
    found = ((near @ matrix) ** 2).sum(-1) < cutoff**2
    itself = (atom_site == sites[:, None]) & (atom_row == own_row[:, None])
    found &= ~(itself[..., None] & (cells == 0).all(-1))
    site, atom, cell = np.nonzero(found)
    kept, alike = _one_of_each(near[site, atom, cell], wyckoff[sites][site])
    site, atom, cell = site[kept], atom[kept], cell[kept]
    return Edges(
        receiver=sites[site],
        sender=atom_site[atom],
        row=atom_row[atom],
        shift=(whole[site, atom] + cells[cell]).astype(np.int32),
        alike=alike,
    )


def _one_of_each(
    delta: Float[np.ndarray, "e 3"], wyckoff: Int[np.ndarray, "e"]
) -> tuple[Int[np.ndarray, "k"], Int[np.ndarray, "k"]]:
    """Which vectors from a representative to keep, one of each orbit, and the orbits' sizes.

    The one kept is the first in the order of the rounded coordinates. What lies on the border
    between two steps of the rounding, but for 1e-15, might be kept twice or not at all: the grid
    is shifted, as coordinates are often short decimals or fractions.
    """
    order = stabiliser_order(wyckoff)
    rotations = stabiliser_rotations(wyckoff, int(order.max(initial=1)))
    number = _number(np.einsum("eoij,ej->eoi", rotations, delta))
    unused = np.arange(number.shape[-1]) >= order[:, None]
    number = np.sort(np.where(unused, number[:, :1], number), -1)
    kept = np.flatnonzero(_number(delta) == number[:, 0])
    size = 1 + (number[kept, 1:] != number[kept, :-1]).sum(-1)
    return kept, size.astype(np.int32)


def _number(delta: Float[np.ndarray, "*e 3"]) -> Int[np.ndarray, "*e"]:
    """One number for each step of a grid."""
    return (np.floor((delta + _GRID_ORIGIN) / _GRID).astype(np.int64) * _STRIDES).sum(-1)


def _unwrapped(
    free: Float[np.ndarray, "n 3"], row: Int[np.ndarray, "n"]
) -> Float[np.ndarray, "n 3"]:
    """A u + t, wherever it lies."""
    tables = load_tables()
    linear = tables.row_linear[row].astype(float)
    return (linear * free[..., None, :]).sum(-1) + tables.row_translation[row] / TRANSLATION_UNIT


def _cells(reach: Int[np.ndarray, "3"]) -> Int[np.ndarray, "t 3"]:
    return np.array(list(itertools.product(*(range(-n, n + 1) for n in reach))))
