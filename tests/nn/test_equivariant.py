"""Couplings and edge features against e3nn's own representations."""

import dataclasses
import functools
import itertools

import e3nn_jax as e3nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcrys.core.pytree import take
from jaxcrys.crystal.orbit_graph import GraphShape, orbit_graph
from jaxcrys.crystal.primitive import num_primitive_atoms
from jaxcrys.nn.equivariant import coupling, crystal_mean, edge_basis, images_of
from jaxcrys.symmetry.rotations import cartesian_rotations
from tests.crystals import random_crystals
from tests.devices import on_device

CRYSTALS = random_crystals(6, sites=2, seed=7)
SHAPE = GraphShape(atoms=int(num_primitive_atoms(CRYSTALS).max()), neighbours=12)


def matrices(degree):
    """e3nn's representation of the rotations that crystals have."""
    irrep = e3nn.Irrep(degree, (-1) ** degree)
    return np.asarray(irrep.D_from_matrix(jnp.asarray(cartesian_rotations(), jnp.float32)))


@pytest.mark.parametrize("path", [(1, 1, 0), (1, 1, 2), (2, 1, 1), (2, 2, 2), (2, 1, 3)])
def test_couplings_commute_with_rotations(path):
    random = np.random.default_rng(1)
    x, y = (random.normal(size=2 * degree + 1) for degree in path[:2])
    for a, b, c in zip(*map(matrices, path), strict=True):
        turned = np.einsum("i,j,ijo->o", a @ x, b @ y, coupling(*path))
        expected = c @ np.einsum("i,j,ijo->o", x, y, coupling(*path))
        np.testing.assert_allclose(turned, expected, atol=1e-4)


@functools.cache
def graph():
    """Of the crystals."""
    return jax.jit(functools.partial(orbit_graph, shape=SHAPE))(on_device(CRYSTALS))


def harmonics(degree, vectors):
    irreps = e3nn.Irreps([(1, (degree, (-1) ** degree))])
    found = e3nn.spherical_harmonics(irreps, vectors, normalize=True, normalization="component")
    return found.array


def test_edge_features_are_sums_over_the_edges():
    """By brute force over the graph, with e3nn's harmonics."""
    basis = jax.jit(functools.partial(edge_basis, radial=5, widest=6.0, degree=2))(graph())
    angular = [jax.jit(harmonics, static_argnums=0)(degree, graph().vector) for degree in range(3)]
    centres = np.linspace(0.5, 6.0, 5)
    for degree, crystal in itertools.product(range(3), range(6)):
        one = jax.tree.map(np.asarray, take(graph(), crystal))
        own = np.asarray(angular[degree][crystal])
        expected = np.zeros((2, 5, 2 * degree + 1, SHAPE.atoms))
        for site, edge in np.ndindex(one.distance.shape):
            if one.weight[site, edge] == 0:
                continue
            bumps = np.exp(-(((one.distance[site, edge] - centres) / 1.375) ** 2) / 2)
            value = one.weight[site, edge] * bumps[:, None] * own[site, edge]
            expected[site, :, :, one.atom[site, edge]] += value
        np.testing.assert_allclose(basis[degree][crystal], expected, atol=1e-4)


def test_mean_tensor_is_that_of_all_atoms():
    """The tensor of each image is turned by the operation that makes it."""
    images = images_of(graph(), num_sites=2)
    tensor = np.random.default_rng(0).normal(size=(6, 2, 3, 3))
    found = crystal_mean(jnp.asarray(tensor, jnp.float32), images, graph().atom_mask)
    rotations = cartesian_rotations()
    for crystal in range(6):
        atoms = np.flatnonzero(graph().atom_mask[crystal])
        parts = []
        for atom in atoms:
            turn = rotations[int(images.rotation[crystal, atom])]
            own = tensor[crystal, int(graph().atom_site[crystal, atom])]
            parts.append(turn @ own @ turn.T)
        np.testing.assert_allclose(found[crystal], np.mean(parts, 0), atol=1e-4)


def test_at_distance_zero_there_is_no_direction():
    still = jnp.zeros_like(graph().vector), jnp.zeros_like(graph().distance)
    here = dataclasses.replace(graph(), vector=still[0], distance=still[1])
    basis = edge_basis(here, radial=4, widest=6.0, degree=2)
    assert not np.asarray(basis[1]).any()
    assert not np.asarray(basis[2]).any()
    assert np.asarray(basis[0]).any()
