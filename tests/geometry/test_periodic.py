"""Wrapping and shortest distances against brute force, pymatgen and ASE."""

import functools
import itertools

import jax
import numpy as np
import pytest
from ase.geometry import get_distances
from pymatgen.core import Lattice

from jaxcrys.geometry import (
    matrix_from_coefficients,
    matrix_from_parameters,
    nearest_image,
    pairwise_distances,
    shortest_distance,
    wrap,
)
from jaxcrys.symmetry.groups import constrain_lattice

compiled_distances = jax.jit(pairwise_distances)

EDGES = [0.0, -0.0, 1.0, -1.0, 1e-20, -1e-20, -1e-9, 1 - 1e-9, -1e-45, 7.0, -7.25, 2.0**23 + 0.5]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("function", [wrap, jax.jit(wrap)], ids=["numpy", "jax"])
def test_wrap_at_the_edges(dtype, function):
    with jax.enable_x64(dtype is np.float64):
        values = np.array(EDGES, dtype)
        found = np.asarray(function(values))
    assert found.dtype == dtype
    assert ((found >= 0) & (found < 1)).all()
    apart = found.astype(float) - values.astype(float)
    np.testing.assert_allclose(apart - np.rint(apart), 0, atol=1e-7)


def test_wrap_has_slope_one():
    slope = jax.jit(jax.vmap(jax.grad(wrap)))(np.array([0.3, -0.3, 1.7, 0.0, -1e-20], np.float32))
    np.testing.assert_array_equal(slope[:4], 1)


def brute_force(frac, matrix, reach: int):
    """Shortest distances over (2 reach + 1)^3 cells, float64."""
    cells = np.array(list(itertools.product(range(-reach, reach + 1), repeat=3)))
    apart = frac[None, :, None] - frac[:, None, None] + cells
    distance = np.linalg.norm(apart @ matrix, axis=-1)
    itself = np.eye(len(frac), dtype=bool)[..., None] & ~cells.any(-1)
    return np.where(itself, np.inf, distance).min(-1)


# One group for each lattice, and coefficients that spread as those of real conventional cells do.
REAL_CELLS = {1: 0.15, 14: 0.3, 62: 0.4, 136: 0.4, 166: 0.6, 225: 0.4}


@pytest.mark.parametrize("group", REAL_CELLS)
def test_distances_are_those_of_brute_force_in_conventional_cells(group):
    rng = np.random.default_rng(group)
    for _ in range(10):
        k = rng.normal(0, REAL_CELLS[group], 6) + np.array([0, 0, 0, 0, 0, 3])
        k = constrain_lattice(k, np.array(group))
        matrix, frac = matrix_from_coefficients(k), rng.random((8, 3))
        expected = brute_force(frac, matrix, 4)
        np.testing.assert_allclose(pairwise_distances(frac, matrix), expected, rtol=1e-9)
        in_float32 = compiled_distances(frac, matrix)
        np.testing.assert_allclose(in_float32, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("angles", [(90, 90, 90), (90, 90, 120), (60, 60, 60), (90, 115, 90)])
def test_distances_are_those_of_pymatgen_and_ase(angles):
    matrix = matrix_from_parameters(np.array([4.0, 4.0, 4.0, *angles]))
    frac = np.random.default_rng(0).random((12, 3))
    ours = pairwise_distances(frac, matrix)
    apart = ~np.eye(12, dtype=bool)
    theirs = Lattice(matrix).get_all_distances(frac, frac)
    np.testing.assert_allclose(ours[apart], theirs[apart], rtol=1e-9)
    _, theirs = get_distances(frac @ matrix, cell=matrix, pbc=True)
    np.testing.assert_allclose(ours[apart], theirs[apart], rtol=1e-9)
    np.testing.assert_allclose(np.diag(ours), brute_force(frac[:1], matrix, 3)[0, 0])


OBLIQUE = {
    (ratio, beta): matrix_from_parameters(np.array([4.0, 5.0, 4.0 * ratio, 90, beta, 90]))
    for ratio, beta in ((1, 150), (2, 150), (4, 115), (4, 130), (4, 150), (6, 30))
}


@pytest.mark.parametrize("case", OBLIQUE)
def test_distances_are_exact_in_long_oblique_cells(case):
    frac = np.random.default_rng(0).random((12, 3))
    exact = brute_force(frac, OBLIQUE[case], 8)
    np.testing.assert_allclose(pairwise_distances(frac, OBLIQUE[case]), exact, rtol=1e-9)
    compiled = compiled_distances(frac, OBLIQUE[case])
    np.testing.assert_allclose(compiled, exact, rtol=1e-4, atol=1e-4)


@functools.cache
def oblique_bases(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Random bases of cubic lattices: the integers, and the lattice matrices."""
    rng = np.random.default_rng(1)
    shears = np.tile(np.eye(3), (count, 1, 1))
    for shear in shears:
        for _ in range(6):
            i, j = rng.permutation(3)[:2]
            shear[i] += rng.integers(-3, 4) * shear[j]
    return shears, 3 * shears


def test_distances_do_not_depend_on_the_basis():
    """In the cubic basis a distance is plain: each coordinate modulo 1 within a half."""
    shears, matrices = oblique_bases(50)
    frac = np.random.default_rng(2).random((50, 6, 3))
    cubic = frac @ shears
    apart = cubic[:, None] - cubic[:, :, None]
    expected = 3 * np.linalg.norm(apart - np.rint(apart), axis=-1) + 3 * np.eye(6)
    np.testing.assert_allclose(pairwise_distances(frac, matrices), expected, rtol=1e-7, atol=1e-7)


def test_nearest_image_is_that_of_brute_force():
    cells = np.array(list(itertools.product(range(-8, 9), repeat=3)))
    rng = np.random.default_rng(3)
    for matrix in OBLIQUE.values():
        delta = rng.uniform(-2, 2, (30, 3))
        found = nearest_image(delta, matrix)
        off = delta - found
        np.testing.assert_allclose(off, np.rint(off), atol=1e-12)
        every = (delta - np.rint(delta))[:, None] + cells
        shortest = np.linalg.norm(every @ matrix, axis=-1).min(-1)
        np.testing.assert_allclose(np.linalg.norm(found @ matrix, axis=-1), shortest, rtol=1e-9)


def test_nearest_image_of_a_batch_in_any_basis_of_cubic_lattices():
    shears, matrices = oblique_bases(50)
    delta = np.random.default_rng(4).uniform(-3, 3, (50, 5, 3))
    found = nearest_image(delta, matrices[:, None])
    cubic = delta @ shears
    np.testing.assert_allclose(found @ shears, cubic - np.rint(cubic), atol=1e-9)
    # Integers are taken off: float32 loses no more than it must.
    compiled = jax.jit(nearest_image)(delta, matrices[:, None])
    off = np.asarray(delta, np.float32) - compiled
    np.testing.assert_allclose(off, np.rint(off), atol=1e-6)


def test_derivatives_of_nearest_images_and_distances_are_right():
    """Finite differences in float64, in a cell that needs reduction."""
    rng = np.random.default_rng(5)
    matrix, frac = OBLIQUE[4, 150], rng.random((4, 3))
    toward = rng.normal(size=matrix.shape), rng.normal(size=frac.shape)
    along = lambda step: pairwise_distances(frac + step * toward[1], matrix + step * toward[0])  # noqa: E731
    expected = (along(1e-6) - along(-1e-6)) / 2e-6
    with jax.enable_x64(True):
        arrays, tangents = (frac, matrix), toward[::-1]
        _, slope = jax.jit(functools.partial(jax.jvp, pairwise_distances))(arrays, tangents)
        np.testing.assert_allclose(slope, expected, rtol=1e-6, atol=1e-6)
        back = jax.jit(jax.grad(lambda f, m: pairwise_distances(f, m).sum(), (0, 1)))(*arrays)
        total = sum((np.asarray(b) * t).sum() for b, t in zip(back, tangents, strict=True))
        np.testing.assert_allclose(total, expected.sum(), rtol=1e-6)
        slope = jax.jit(jax.jacrev(nearest_image))(arrays[0][0], arrays[1])
    np.testing.assert_array_equal(slope, np.eye(3))


def test_shortest_distance_sees_real_atoms_and_their_own_images_only():
    matrix = np.diag([3.0, 5.0, 5.0])
    frac = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.01, 0, 0], [0.5, 0.5, 0.5]])
    mask = np.array([True, True, False, False])
    assert shortest_distance(frac, matrix, mask) == 3.0
    assert shortest_distance(frac[:, [1, 0, 2]], matrix, mask) == 3.0
    assert shortest_distance(frac, matrix, np.zeros(4, bool)) == np.inf
    assert shortest_distance(frac, matrix, np.ones(4, bool)) == 0
    both = shortest_distance(np.stack([frac, frac]), np.stack([matrix, matrix]),
                             np.stack([mask, ~mask]))  # fmt: skip
    np.testing.assert_allclose(both, [3.0, 3.0])


def test_gradients_stay_finite_where_padding_coincides():
    frac = np.array([[0, 0, 0], [0.3, 0.2, 0.1], [0, 0, 0], [0, 0, 0]], np.float32)
    mask = np.array([True, True, False, False])
    slope = jax.jit(jax.grad(shortest_distance))(frac, 3 * np.eye(3, dtype=np.float32), mask)
    towards = np.array([0.3, 0.2, 0.1]) / np.linalg.norm([0.3, 0.2, 0.1]) * 3
    np.testing.assert_allclose(slope, [-towards, towards, [0] * 3, [0] * 3], rtol=1e-5)
