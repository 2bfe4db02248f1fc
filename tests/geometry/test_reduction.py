"""Reduced bases against moyopy, brute force over lattice vectors, and known cubic lattices."""

import functools
import itertools

import hypothesis
import jax
import moyopy
import numpy as np
import pytest
from hypothesis import strategies as st
from pymatgen.core import Lattice

from jaxcrys.geometry.lattice import matrix_from_parameters
from jaxcrys.geometry.periodic import NEIGHBOUR_CELLS
from jaxcrys.geometry.reduction import MAX_STEPS, reduce_lattice, unimodular_inverse

settings = hypothesis.settings(deadline=None, derandomize=True, max_examples=60, database=None)
PRIMITIVE = {
    "P": np.eye(3),
    "I": np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]]) / 2,
    "F": np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2,
}
OBLIQUE = {
    (ratio, beta): matrix_from_parameters(np.array([4.0, 5.0, 4.0 * ratio, 90, beta, 90]))
    for ratio, beta in ((1, 60), (2, 150), (4, 130), (4, 150), (10, 170), (100, 30))
}


def random_unimodular(rng, steps: int, largest: int = 4) -> np.ndarray:
    """Random integers of determinant ±1: a product of shears and one permutation."""
    matrix = np.eye(3)[rng.permutation(3)]
    for _ in range(steps):
        i, j = rng.permutation(3)[:2]
        matrix[i] += rng.integers(-largest, largest + 1) * matrix[j]
    return matrix


@functools.cache
def random_lattices(count: int) -> np.ndarray:
    """Random triclinic lattices of very different lengths, in oblique bases."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(count, 3, 3)) * np.exp(rng.normal(size=(count, 3, 1)))
    shears = [random_unimodular(rng, rng.integers(0, 8)) for _ in range(count)]
    return np.array(shears) @ vectors


def lengths(matrix):
    return np.linalg.norm(matrix, axis=-1)


def assert_transform(matrix, reduced, transform, rtol=1e-9):
    np.testing.assert_array_equal(transform, np.rint(transform))
    np.testing.assert_allclose(np.abs(np.linalg.det(transform)), 1, rtol=1e-6)
    np.testing.assert_allclose(reduced, transform @ matrix, rtol=rtol, atol=rtol)


def test_random_lattices_are_reduced_as_moyopy_reduces_them():
    matrices = random_lattices(300)
    reduced, transform = reduce_lattice(matrices)
    assert_transform(matrices, reduced, transform)
    for ours, matrix in zip(reduced, matrices, strict=True):
        theirs, _ = moyopy.minkowski_reduce(matrix.tolist())
        np.testing.assert_allclose(lengths(ours), np.sort(lengths(theirs)), rtol=1e-7)
        assert moyopy.is_minkowski_reduced(ours.tolist())


@pytest.mark.parametrize("case", OBLIQUE)
def test_oblique_monoclinic_cells_are_reduced_as_moyopy_reduces_them(case):
    reduced, transform = reduce_lattice(OBLIQUE[case])
    assert_transform(OBLIQUE[case], reduced, transform)
    theirs, _ = moyopy.minkowski_reduce(OBLIQUE[case].tolist())
    np.testing.assert_allclose(lengths(reduced), np.sort(lengths(theirs)), rtol=1e-9)
    # Niggli's cell is made of the three shortest independent vectors, too.
    niggli = Lattice(OBLIQUE[case]).get_niggli_reduced_lattice()
    np.testing.assert_allclose(lengths(reduced), np.sort(niggli.abc), rtol=1e-4)


@pytest.mark.parametrize("centring", PRIMITIVE)
def test_any_basis_of_a_cubic_lattice_gives_its_shortest_vectors(centring):
    rng = np.random.default_rng(1)
    basis = PRIMITIVE[centring]
    matrices = np.array([random_unimodular(rng, 12, 3) @ basis for _ in range(100)])
    reduced, transform = reduce_lattice(matrices)
    assert_transform(matrices, reduced, transform)
    np.testing.assert_allclose(lengths(reduced), lengths(basis)[0], rtol=1e-12)


def test_lengths_are_the_successive_minima():
    """Brute force: the shortest vectors of each rank among all with coordinates up to 6."""
    cells = np.array([c for c in itertools.product(range(-6, 7), repeat=3) if any(c)])
    rng = np.random.default_rng(2)
    for _ in range(40):
        matrix = np.eye(3) + rng.uniform(-0.4, 0.4, (3, 3))
        vectors = cells @ matrix
        chosen = []
        for vector in vectors[np.argsort(lengths(vectors))]:
            if np.linalg.matrix_rank([*chosen, vector], tol=1e-6) > len(chosen):
                chosen.append(vector)
            if len(chosen) == 3:
                break
        reduced, _ = reduce_lattice(random_unimodular(rng, 6) @ matrix)
        np.testing.assert_allclose(lengths(reduced), lengths(chosen), rtol=1e-9)


@settings
@hypothesis.given(st.integers(0, 2**32 - 1), st.integers(0, 10))
def test_every_basis_of_a_lattice_has_the_same_reduced_lengths(seed, steps):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(3, 3))
    other, _ = reduce_lattice(random_unimodular(rng, steps) @ matrix)
    np.testing.assert_allclose(lengths(other), lengths(reduce_lattice(matrix)[0]), rtol=1e-5)


def test_27_cells_hold_the_nearest_lattice_point_in_a_reduced_basis():
    cells = np.array(list(itertools.product(range(-3, 4), repeat=3)))
    rng = np.random.default_rng(3)
    bases = np.concatenate([reduce_lattice(random_lattices(150))[0],
                            np.array([*PRIMITIVE.values()])])  # fmt: skip
    for basis in bases:
        # Corners of the box as well: there most images compete.
        points = np.concatenate([rng.uniform(-0.5, 0.5, (100, 3)), NEIGHBOUR_CELLS / 2])
        near, far = (
            lengths((points[:, None] + images) @ basis).min(-1)
            for images in (NEIGHBOUR_CELLS, cells)
        )
        np.testing.assert_allclose(near, far, rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_jit_of_a_batch_is_the_host_version(dtype):
    matrices = random_lattices(64).astype(dtype).reshape(4, 16, 3, 3)
    with jax.enable_x64(dtype is np.float64):
        reduced, transform = map(np.asarray, jax.jit(reduce_lattice)(matrices))
        mapped, _ = jax.jit(jax.vmap(jax.vmap(reduce_lattice)))(matrices)
    assert reduced.dtype == transform.dtype == dtype
    scale = np.abs(matrices).max()
    assert_transform(matrices, reduced, transform, rtol=scale * np.finfo(dtype).eps * 8)
    expected = lengths(reduce_lattice(matrices.astype(float))[0])
    tolerance = scale * 200 * np.finfo(dtype).eps
    np.testing.assert_allclose(lengths(reduced), expected, rtol=tolerance)
    np.testing.assert_allclose(lengths(mapped), expected, rtol=tolerance)


def test_derivatives_are_those_of_a_constant_transform():
    matrix = random_lattices(3)[2].astype(np.float32)
    _, transform = jax.jit(reduce_lattice)(matrix)
    slope = jax.jit(jax.jacrev(lambda m: reduce_lattice(m)[0]))(matrix)
    np.testing.assert_array_equal(slope, np.einsum("ij,kl->ikjl", transform, np.eye(3)))
    forward = jax.jit(jax.jacfwd(lambda m: reduce_lattice(m)[0]))(matrix)
    np.testing.assert_array_equal(slope, forward)


reduce_in_jit = jax.jit(reduce_lattice)
DEGENERATE = {
    "zero": np.zeros((3, 3)),
    "a plane": np.array([[1.0, 0, 0], [0.3, 1, 0], [0.7, 0.2, 0]]),
    "a line": np.outer([1.0, 0.3, 0.77], [1.0, 2, 3]),
    "nan": np.full((3, 3), np.nan),
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_a_cell_without_volume_comes_to_an_end(case):
    """And spoils no other of the batch."""
    matrices = np.stack([DEGENERATE[case], OBLIQUE[4, 150]])
    for reduce in (reduce_lattice, reduce_in_jit):
        reduced, transform = reduce(matrices)
        assert np.isfinite(transform).all()
        expected = lengths(reduce_lattice(OBLIQUE[4, 150])[0])
        np.testing.assert_allclose(lengths(reduced[1]), expected, rtol=1e-5)


def test_very_oblique_cells_need_few_steps(monkeypatch):
    """Euclid's algorithm: steps grow as the logarithm of the obliqueness."""
    assert MAX_STEPS == 50
    monkeypatch.setattr("jaxcrys.geometry.reduction.MAX_STEPS", 12)
    rng = np.random.default_rng(5)
    shears = np.array([random_unimodular(rng, 6, 30) for _ in range(200)])
    assert np.abs(shears).max() > 1e5
    np.testing.assert_allclose(lengths(reduce_lattice(shears)[0]), 1)


def test_inverse_of_unimodular_matrices_is_exact():
    rng = np.random.default_rng(4)
    matrices = np.array([random_unimodular(rng, 4) for _ in range(100)])
    found = unimodular_inverse(matrices)
    np.testing.assert_array_equal(found @ matrices, np.broadcast_to(np.eye(3), matrices.shape))
