"""Wrapping and shortest distances against brute force, pymatgen and ASE."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.geometry import get_distances
from pymatgen.core import Lattice

from jaxcrys.geometry import (
    matrix_from_coefficients,
    matrix_from_parameters,
    pairwise_distances,
    shortest_distance,
    wrap,
)
from jaxcrys.symmetry.groups import constrain_lattice

EDGES = [0.0, -0.0, 1.0, -1.0, 1e-20, -1e-20, -1e-9, 1 - 1e-9, -1e-45, 7.0, -7.25, 2.0**23 + 0.5]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("convert", [np.asarray, jax.jit(lambda a: a)], ids=["numpy", "jax"])
def test_wrap_at_the_edges(dtype, convert):
    with jax.enable_x64(dtype is np.float64):
        values = np.array(EDGES, dtype)
        found = np.asarray(wrap(convert(values)))
    assert found.dtype == dtype
    assert ((found >= 0) & (found < 1)).all()
    apart = found.astype(float) - values.astype(float)
    np.testing.assert_allclose(apart - np.rint(apart), 0, atol=1e-7)


def test_wrap_has_slope_one():
    slope = jax.vmap(jax.grad(wrap))(jnp.array([0.3, -0.3, 1.7, 0.0, -1e-20]))
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
        in_float32 = pairwise_distances(jnp.asarray(frac), jnp.asarray(matrix))
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


def test_27_cells_are_not_enough_for_long_oblique_cells():
    """In monoclinic cells the 27 cells are exact up to c/a = 2 with beta = 150 degrees, and up to
    c/a = 4 with 115. Beyond that some distances between atoms come out too long, never too short:
    for c/a = 4 with 130 degrees by up to 5 %, with 150 degrees by a third.
    """
    frac = np.random.default_rng(0).random((16, 3))
    excess = {}
    for ratio, beta in ((1, 150), (2, 150), (3, 140), (4, 115), (4, 130), (4, 150)):
        matrix = matrix_from_parameters(np.array([4.0, 5.0, 4.0 * ratio, 90, beta, 90]))
        exact = brute_force(frac, matrix, 6)
        found = pairwise_distances(frac, matrix)
        assert (found >= exact - 1e-9).all()
        excess[ratio, beta] = (found / exact).max() - 1
    print({case: f"{100 * value:.1f} %" for case, value in excess.items()})
    assert max(excess[case] for case in ((1, 150), (2, 150), (3, 140), (4, 115))) < 1e-9
    assert 0.01 < excess[4, 130] < 0.1
    assert 0.1 < excess[4, 150] < 0.5


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
    frac = jnp.array([[0, 0, 0], [0.3, 0.2, 0.1], [0, 0, 0], [0, 0, 0]])
    mask = jnp.array([True, True, False, False])
    slope = jax.grad(shortest_distance)(frac, 3 * jnp.eye(3), mask)
    towards = np.array([0.3, 0.2, 0.1]) / np.linalg.norm([0.3, 0.2, 0.1]) * 3
    np.testing.assert_allclose(slope, [-towards, towards, [0] * 3, [0] * 3], rtol=1e-5)
