"""A crystal without its symmetry: every atom of a cell a site of its own in P1 (host side)."""

import numpy as np

from jaxcrys.core.typing import ArrayLike
from jaxcrys.crystal.expand import expand, num_atoms
from jaxcrys.crystal.primitive import CellShape, num_primitive_atoms, primitive_cell
from jaxcrys.crystal.types import Crystal
from jaxcrys.geometry.lattice import coefficients_from_matrix, matrix_from_coefficients
from jaxcrys.geometry.periodic import wrap
from jaxcrys.symmetry.centring import primitive_basis
from jaxcrys.symmetry.wyckoff import position_id


def to_p1(crystal: Crystal, *, primitive: bool = True) -> Crystal:
    """The atoms of the primitive or of the conventional cell as a crystal of group 1.

    The symmetric lattice matrix of a primitive cell has another orientation than the
    conventional one's.

    Args:
        crystal: one crystal.
        primitive: whether to take one atom of those that differ by a centring translation.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> to_p1(example_crystal()).species.tolist()
        [11, 17]
    """
    lattice = np.asarray(crystal.lattice, np.float64)
    exact = Crystal(
        group=np.asarray(crystal.group),
        wyckoff=np.asarray(crystal.wyckoff),
        species=np.asarray(crystal.species),
        free=np.asarray(crystal.free, np.float64),
        lattice=lattice,
    )
    matrix = np.asarray(matrix_from_coefficients(lattice))
    if not primitive:
        cell = expand(exact, capacity=int(num_atoms(exact)))
        return _p1(cell.frac, cell.species, matrix)
    atoms = primitive_cell(exact, CellShape(0, int(num_primitive_atoms(exact)), images=1))
    basis = np.asarray(primitive_basis(exact.group))
    return _p1(np.asarray(atoms.frac) @ np.linalg.inv(basis), atoms.species, basis @ matrix)


def _p1(frac: ArrayLike, species: ArrayLike, matrix: np.ndarray) -> Crystal:
    return Crystal(
        group=np.array(1),
        wyckoff=np.full(len(species), position_id(1, "a")),
        species=np.asarray(species),
        free=np.asarray(wrap(np.asarray(frac))),
        lattice=np.asarray(coefficients_from_matrix(matrix)),
    )
