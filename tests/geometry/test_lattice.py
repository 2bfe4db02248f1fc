"""k, matrix and parameters against scipy's matrix functions and pymatgen's Lattice."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from pymatgen.core import Lattice

from jaxcrys.geometry import (
    coefficients_from_matrix,
    matrix_from_coefficients,
    matrix_from_parameters,
    parameters_from_matrix,
    volume,
)
from jaxcrys.geometry.lattice import BASIS

SYSTEMS = {
    "triclinic": (4.1, 5.2, 6.3, 71, 83, 97),
    "monoclinic": (4.1, 5.2, 6.3, 90, 113, 90),
    "orthorhombic": (4.1, 5.2, 6.3, 90, 90, 90),
    "tetragonal": (4.1, 4.1, 16.3, 90, 90, 90),
    "trigonal": (4.1, 4.1, 4.1, 57, 57, 57),
    "hexagonal": (4.1, 4.1, 16.3, 90, 90, 120),
    "cubic": (4.1, 4.1, 4.1, 90, 90, 90),
}


@functools.cache
def random_coefficients(count: int, spread: float) -> np.ndarray:
    k = np.random.default_rng(0).normal(0, spread, (count, 6))
    k[:, 5] += 3
    return k


def test_basis_is_orthonormal_and_symmetric():
    np.testing.assert_allclose(np.einsum("aij,bij->ab", BASIS, BASIS), np.eye(6), atol=1e-15)
    np.testing.assert_array_equal(BASIS, BASIS.swapaxes(1, 2))


@pytest.mark.parametrize("system", SYSTEMS)
def test_round_trip_through_all_descriptions(system):
    parameters = np.array(SYSTEMS[system], float)
    matrix = matrix_from_parameters(parameters)
    k = coefficients_from_matrix(matrix)
    symmetric = matrix_from_coefficients(k)
    np.testing.assert_allclose(symmetric @ symmetric.T, matrix @ matrix.T, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(parameters_from_matrix(symmetric), parameters, rtol=1e-10)
    np.testing.assert_allclose(coefficients_from_matrix(symmetric), k, atol=1e-10)


@jax.jit
def round_trip(parameters):
    matrix = matrix_from_parameters(parameters)
    return parameters_from_matrix(matrix_from_coefficients(coefficients_from_matrix(matrix)))


@pytest.mark.parametrize("system", SYSTEMS)
def test_round_trip_in_float32_keeps_a_millionth(system):
    parameters = np.array(SYSTEMS[system], np.float32)
    again = round_trip(parameters)
    assert again.dtype == jnp.float32
    np.testing.assert_allclose(again[:3], parameters[:3], rtol=5e-6)
    np.testing.assert_allclose(again[3:], parameters[3:], atol=1e-4)


@pytest.mark.parametrize("system", SYSTEMS)
def test_matrix_from_parameters_is_that_of_pymatgen(system):
    parameters = SYSTEMS[system]
    theirs = Lattice.from_parameters(*parameters)
    ours = matrix_from_parameters(np.array(parameters, float))
    np.testing.assert_allclose(ours @ ours.T, theirs.matrix @ theirs.matrix.T, atol=1e-9)
    np.testing.assert_allclose(volume(ours), theirs.volume, rtol=1e-12)
    np.testing.assert_allclose(parameters_from_matrix(theirs.matrix), parameters, rtol=1e-12)
    assert not np.triu(ours, 1).any()


def test_parameters_of_random_lattices_are_those_of_pymatgen():
    matrices = matrix_from_coefficients(random_coefficients(200, 0.5))
    ours = parameters_from_matrix(matrices)
    theirs = np.array([Lattice(m).parameters for m in matrices])
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    metric = matrices @ matrices.swapaxes(-1, -2)
    rebuilt = matrix_from_parameters(ours)
    np.testing.assert_allclose(rebuilt @ rebuilt.swapaxes(-1, -2), metric, rtol=1e-8, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_right_angles_and_120_degrees_are_exact(dtype):
    parameters = np.array([[4, 4, 7, 90, 90, 120], [4, 5, 7, 90, 90, 90]], dtype)
    on_host, in_jit = matrix_from_parameters, jax.jit(matrix_from_parameters)
    for function in (on_host, in_jit) if dtype == np.float32 else (on_host,):
        hexagonal, right = np.asarray(function(parameters))
        assert hexagonal.dtype == dtype
        np.testing.assert_array_equal(right, np.diag([4, 5, 7]))
        assert hexagonal[1, 0] == -2
        np.testing.assert_array_equal(hexagonal[2], [0, 0, 7])


def test_the_exponential_is_that_of_scipy():
    k = random_coefficients(200, 1.0)
    expected = scipy.linalg.expm((k[:, :, None, None] * BASIS).sum(1))
    np.testing.assert_allclose(matrix_from_coefficients(k), expected, rtol=1e-9, atol=1e-9)


def test_the_logarithm_is_that_of_scipy_for_any_orientation():
    rng = np.random.default_rng(1)
    for k in random_coefficients(8, 0.7).copy():
        rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        k[5] = 0  # far from unit scale scipy warns of the accuracy of its own logarithm
        matrix = scipy.linalg.expm((k[:, None, None] * BASIS).sum(0))
        expected = [np.trace(scipy.linalg.logm(matrix) @ b) for b in BASIS]
        np.testing.assert_allclose(expected, k, atol=1e-9)
        np.testing.assert_allclose(coefficients_from_matrix(matrix @ rotation), k, atol=1e-9)


@pytest.mark.parametrize("spread", [0.1, 1.0, 3.0])
def test_every_k_is_a_lattice_of_volume_exp_of_root_three_times_the_last(spread):
    k = random_coefficients(500, spread)
    k[:, 5] = np.linspace(2, 5, 500)
    found = volume(matrix_from_coefficients(k))
    # The determinant of an elongated cell cancels: 3 is far outside of what crystals have.
    np.testing.assert_allclose(
        found, np.exp(np.sqrt(3) * k[:, 5]), rtol=1e-3 if spread > 1 else 1e-8
    )
    assert (found > 0).all()


def test_float32_exponential_keeps_a_hundred_thousandth():
    k = random_coefficients(500, 0.5)
    expected = scipy.linalg.expm((k[:, :, None, None] * BASIS).sum(1))
    found = jax.jit(matrix_from_coefficients)(jnp.asarray(k, jnp.float32))
    largest = np.abs(expected).max((-1, -2), keepdims=True)
    assert found.dtype == jnp.float32
    assert (np.abs(found - expected) / largest).max() < 1e-5


def test_host_and_device_agree_for_any_leading_dimensions():
    k = random_coefficients(6, 0.5)
    with jax.enable_x64(True):
        for function, value in (
            (matrix_from_coefficients, k),
            (parameters_from_matrix, matrix_from_coefficients(k)),
            (coefficients_from_matrix, matrix_from_coefficients(k)),
            (matrix_from_parameters, parameters_from_matrix(matrix_from_coefficients(k))),
            (volume, matrix_from_coefficients(k)),
        ):
            host = function(value)
            grid = value.reshape(2, 3, *value.shape[1:])
            device = np.asarray(jax.jit(function)(grid)).reshape(host.shape)
            np.testing.assert_allclose(device, host, rtol=1e-10, atol=1e-10)


slope_of_the_exponential = jax.jit(jax.jacobian(matrix_from_coefficients))


@pytest.mark.parametrize("k", [[0] * 6, [0, 0, 0, 0, 0.7, 2], [-0.388418, 0, 0, 0, 0.2, 3]])
def test_gradient_of_the_exponential_where_eigenvalues_coincide(k):
    """Against the exact directional derivative of scipy, for cubic and uniaxial lattices."""
    k = np.array(k, float)
    exponent = (k[:, None, None] * BASIS).sum(0)
    expected = np.stack(
        [scipy.linalg.expm_frechet(exponent, b, compute_expm=False) for b in BASIS], -1
    )
    with jax.enable_x64(True):
        found = slope_of_the_exponential(k)
    np.testing.assert_allclose(found, expected, atol=1e-9)
