"""Cartesian rotations against spglib's operations and lattices of every shape."""

import numpy as np

from jaxcrys.geometry import coefficients_from_matrix, matrix_from_coefficients
from jaxcrys.geometry.lattice import matrix_from_parameters
from jaxcrys.symmetry import load_tables, operations, positions_of
from jaxcrys.symmetry.groups import constrain_lattice
from jaxcrys.symmetry.rotations import cartesian_rotations, rotation_index
from tests.crystals import random_parameters
from tests.groups import each_group


def rows_of(wyckoff: int) -> np.ndarray:
    tables = load_tables()
    return tables.position_first_row[wyckoff] + np.arange(tables.position_multiplicity[wyckoff])


@each_group
def test_rotations_turn_every_lattice_of_the_family(group, spglib_operations):
    """R = S W S⁻¹ for random lattices; the operations are those of spglib, in our order."""
    random = np.random.default_rng(group)
    parameters = np.array(random_parameters(group, random), float)
    k = coefficients_from_matrix(matrix_from_parameters(parameters))
    lattice = matrix_from_coefficients(constrain_lattice(k, np.array(group)))
    rotations, _ = operations(group)
    known = {r.tobytes() for r in spglib_operations(group)[0].astype(np.int8)}
    assert {r.tobytes() for r in rotations} == known
    expected = lattice @ rotations @ np.linalg.inv(lattice)
    found = cartesian_rotations()[rotation_index(rows_of(positions_of(group)[-1]))]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_rows_of_special_positions_have_the_rotation_of_their_operation():
    tables = load_tables()
    for wyckoff in (5, 300, 900, 1500, 1700):
        rows = rows_of(wyckoff)
        general = rows_of(positions_of(int(tables.position_group[wyckoff]))[-1])
        expected = rotation_index(general[tables.row_operation[rows]])
        np.testing.assert_array_equal(rotation_index(rows), expected)


def test_rotations_are_orthogonal_and_different():
    rotations = cartesian_rotations()
    np.testing.assert_allclose(rotations @ rotations.swapaxes(1, 2), np.tile(np.eye(3), (64, 1, 1)),
                               atol=1e-12)  # fmt: skip
    apart = np.abs(rotations[:, None] - rotations).max((-1, -2)) + np.eye(64)
    assert apart.min() > 0.1
    np.testing.assert_array_equal(rotations[0], np.eye(3))
