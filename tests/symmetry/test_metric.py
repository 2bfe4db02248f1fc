"""Metrics against spglib's rotations, pymatgen's lattices and brute force over images."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pymatgen.core import Lattice

from jaxcrys.geometry.lattice import matrix_from_coefficients
from jaxcrys.symmetry.groups import constrain_lattice
from jaxcrys.symmetry.metric import family_metric, squared_distance, tangent_gram
from jaxcrys.symmetry.tables import load_tables
from jaxcrys.symmetry.wyckoff import degrees_of_freedom, free_mask, group_of
from tests.groups import each_group

GROUPS = np.arange(1, 231)
POSITIONS = np.arange(1732)


@each_group
def test_every_rotation_preserves_the_metric(group, spglib_operations):
    rotations, _ = spglib_operations(group)
    metric = family_metric(np.asarray(group))
    moved = np.swapaxes(rotations, -1, -2) @ metric @ rotations
    np.testing.assert_array_equal(moved, np.broadcast_to(metric, moved.shape))


def test_the_identity_is_preserved_but_for_trigonal_and_hexagonal_groups(spglib_operations):
    broken = [
        group
        for group in GROUPS
        if (np.swapaxes(w := spglib_operations(group)[0], -1, -2) @ w != np.eye(3)).any()
    ]
    assert broken == list(range(143, 195))
    plain = (family_metric(GROUPS) == np.eye(3)).all((-1, -2))
    np.testing.assert_array_equal(GROUPS[~plain], broken)


def test_hexagonal_metric_is_that_of_pymatgens_lattice():
    matrix = Lattice.hexagonal(1, 1).matrix
    np.testing.assert_allclose(family_metric(np.array(194)), matrix @ matrix.T, atol=1e-12)


def test_empty_slots_and_jit():
    groups = np.concatenate([[0], GROUPS])
    compiled = jax.jit(family_metric)(jnp.asarray(groups))
    np.testing.assert_array_equal(compiled, family_metric(groups))
    np.testing.assert_array_equal(family_metric(np.array(0)), np.eye(3))
    compiled = jax.jit(tangent_gram)(jnp.asarray(POSITIONS))
    assert compiled.dtype == jnp.float32
    np.testing.assert_array_equal(compiled, tangent_gram(POSITIONS))
    np.testing.assert_array_equal(tangent_gram(np.array(0)), np.eye(3))


def test_gram_matrices_are_lengths_of_displaced_atoms():
    """Every row of a position, not only the representative, moves by the same length."""
    tables = load_tables()
    rng = np.random.default_rng(0)
    gram, metric = tangent_gram(POSITIONS), family_metric(group_of(POSITIONS))
    position = np.repeat(POSITIONS, tables.position_multiplicity)
    step = rng.normal(size=(len(POSITIONS), 3)) * free_mask(POSITIONS)
    expected = np.einsum("bi,bij,bj->b", step, gram, step)[position]
    moved = np.einsum("rij,rj->ri", tables.row_linear, step[position])
    found = np.einsum("ri,rij,rj->r", moved, metric[position], moved)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_dead_coordinates_stand_alone_with_one():
    gram, alive = tangent_gram(POSITIONS), free_mask(POSITIONS)
    both = alive[..., :, None] & alive[..., None, :]
    np.testing.assert_array_equal(
        np.where(both, np.eye(3), gram), np.broadcast_to(np.eye(3), gram.shape)
    )
    assert (np.linalg.eigvalsh(gram) > 0.49).all()
    # What tangent_density assumes of the inverse, where it bounds the width of its noise.
    assert np.linalg.inv(gram).diagonal(axis1=-2, axis2=-1).max() == pytest.approx(4 / 3)


def test_gram_matrices_in_a_crystals_own_metric():
    """A step of one free coordinate, in Å by pymatgen's lattice."""
    tables = load_tables()
    rng = np.random.default_rng(1)
    chosen = rng.choice(np.arange(1, 1732), 100)
    k = constrain_lattice(rng.normal(0, 0.3, (100, 6)), group_of(chosen))
    matrices = matrix_from_coefficients(k)
    metric = matrices @ matrices.swapaxes(-1, -2)
    gram = tangent_gram(chosen, metric)
    compiled = jax.jit(tangent_gram)(jnp.asarray(chosen), jnp.asarray(metric, jnp.float32))
    np.testing.assert_allclose(compiled, gram, rtol=1e-5, atol=1e-5)
    basis = tables.row_linear[tables.position_first_row[chosen]]
    for i, (matrix, columns) in enumerate(zip(matrices, basis, strict=True)):
        for j in range(degrees_of_freedom(chosen[i])):
            (length,) = Lattice(matrix).get_cartesian_coords([columns[:, j]])
            assert gram[i, j, j] == pytest.approx((length**2).sum())
    # In the unit metric times a² a cubic crystal has its own.
    own = tangent_gram(np.array([1731]), 9 * np.eye(3)[None])
    np.testing.assert_array_equal(own, 9 * tangent_gram(np.array([1731])))


def test_squared_distances_are_those_of_brute_force_over_343_images():
    cells = np.array(list(itertools.product(range(-3, 4), repeat=3)))
    rng = np.random.default_rng(2)
    for gram in np.unique(tangent_gram(POSITIONS), axis=0):
        delta = rng.uniform(-3, 3, (500, 3))
        images = (delta - np.rint(delta))[:, None] + cells
        expected = np.einsum("bni,ij,bnj->bn", images, gram, images).min(-1)
        np.testing.assert_allclose(squared_distance(delta, gram), expected, atol=1e-12)
        compiled = jax.jit(squared_distance)(jnp.asarray(delta), jnp.asarray(gram))
        np.testing.assert_allclose(compiled, expected, atol=1e-5)
