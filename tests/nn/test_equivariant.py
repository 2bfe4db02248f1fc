"""Turning and coupling of features against e3nn's own spherical harmonics."""

import e3nn_jax as e3nn
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcrys.nn.equivariant import Images, couples, coupling, rotation_matrices, turn
from jaxcrys.symmetry.rotations import cartesian_rotations

POINTS = np.random.default_rng(0).normal(size=(9, 3))


def harmonics(degree, points):
    irreps = e3nn.Irreps([(1, (degree, (-1) ** degree))])
    return np.asarray(e3nn.spherical_harmonics(irreps, jnp.asarray(points), normalize=True).array)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_matrices_turn_spherical_harmonics(degree):
    for matrix, rotation in zip(rotation_matrices(degree), cartesian_rotations(), strict=True):
        expected = harmonics(degree, POINTS @ rotation.T)
        np.testing.assert_allclose(harmonics(degree, POINTS) @ matrix.T, expected, atol=1e-5)


@pytest.mark.parametrize("path", [(1, 1, 0), (1, 1, 2), (2, 1, 1), (2, 2, 2), (2, 1, 3)])
def test_couplings_commute_with_rotations(path):
    first, second, _ = path
    assert couples(*path)
    random = np.random.default_rng(1)
    x, y = random.normal(size=2 * first + 1), random.normal(size=2 * second + 1)
    matrices = [rotation_matrices(degree) if degree else np.ones((64, 1, 1)) for degree in path]
    for a, b, c in zip(*matrices, strict=True):
        turned = np.einsum("i,j,ijo->o", a @ x, b @ y, coupling(*path))
        expected = c @ np.einsum("i,j,ijo->o", x, y, coupling(*path))
        np.testing.assert_allclose(turned, expected, atol=1e-5)


def test_vectors_of_images_are_turned_by_their_rotation():
    values = np.random.default_rng(2).normal(size=(1, 2, 3, 5))
    source = np.array([[[0, 1], [1, 0], [0, 0]]], float)
    images = Images(source=jnp.asarray(source), rotation=jnp.array([[7, 40, 0]]))
    found = np.asarray(turn(images, jnp.asarray(values), 1))
    rotations = cartesian_rotations()
    np.testing.assert_allclose(found[0, 0], rotations[7] @ values[0, 1], atol=1e-5)
    np.testing.assert_allclose(found[0, 1], rotations[40] @ values[0, 0], atol=1e-5)
    assert not found[0, 2].any()
