"""Cartesian rotations of the operations: constants, the same for every crystal of a family.

With the symmetric lattice matrix S of ``geometry.lattice``, an operation x → W x of fractional
coordinates turns Cartesian vectors r = S x by R = S W S⁻¹. S commutes with the group up to the
fixed shape H of its family's axes (the 120° of hexagonal axes, else the identity), so that
R = H W H⁻¹. Only 64 different rotations occur in all groups.
"""

import functools

import numpy as np

from jaxcrys.core.typing import ArrayLike, Float, Int
from jaxcrys.geometry.lattice import FAMILY_FIXED, matrix_from_coefficients
from jaxcrys.symmetry.tables import load_tables, lookup
from jaxcrys.symmetry.wyckoff import general_position

_DECIMALS = 9


@functools.cache
def cartesian_rotations() -> Float[np.ndarray, "g 3 3"]:
    """The different rotations R, of determinant ±1; number 0 is the identity.

    Example:
        >>> cartesian_rotations().shape
        (64, 3, 3)
    """
    return _table()[0]


def rotation_index(row: Int[ArrayLike, "*b"]) -> Int[ArrayLike, "*b"]:
    """Which of :func:`cartesian_rotations` takes a representative to a table row.

    Rows of general positions are the operations themselves.

    Example:
        >>> rotation_index(np.array([0, 1]))  # the identity of P1 and of P-1
        array([0, 0], dtype=int32)
    """
    return lookup(_table()[1], row)


@functools.cache
def _table() -> tuple[np.ndarray, np.ndarray]:
    tables = load_tables()
    position = np.repeat(np.arange(len(tables.position_group)), tables.position_multiplicity)
    group = tables.position_group[position]
    first = tables.position_first_row[general_position(group)]
    linear = tables.row_linear[first + tables.row_operation].astype(float)
    shape = matrix_from_coefficients(FAMILY_FIXED)[tables.group_family[group]]
    turned = np.round(shape @ linear @ np.linalg.inv(shape), _DECIMALS) + 0.0
    different, index = np.unique(turned.reshape(-1, 9), axis=0, return_inverse=True)
    identity = int(index[0])
    order = np.r_[identity, np.delete(np.arange(len(different)), identity)]
    rotations = _orthogonal(different[order].reshape(-1, 3, 3))
    number = np.argsort(order)[index].astype(np.int32)
    for array in (rotations, number):
        array.setflags(write=False)
    return rotations, number


def _orthogonal(matrices: np.ndarray) -> np.ndarray:
    """The nearest orthogonal matrices: takes the rounding away."""
    left, _, right = np.linalg.svd(matrices)
    return left @ right
