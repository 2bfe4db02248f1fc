"""Energies, forces and stresses against ASE's, finite differences, and the full cell."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.calculators.lj import LennardJones

from jaxcrys.core.pytree import take
from jaxcrys.crystal.convert import to_atoms
from jaxcrys.crystal.edges import find_edges
from jaxcrys.crystal.packed import pack, room_for
from jaxcrys.geometry.lattice import matrix_from_coefficients, volume
from jaxcrys.potentials.ase_bridge import JaxCalculator, from_ase
from jaxcrys.potentials.base import predict
from jaxcrys.potentials.lennard_jones import lennard_jones
from jaxcrys.symmetry import load_tables
from jaxcrys.symmetry.groups import lattice_mask
from jaxcrys.symmetry.wyckoff import free_mask
from tests.crystals import GROUPS, spaced_crystal

POTENTIAL = lennard_jones(epsilon=0.4, sigma=2.0, cutoff=5.0)
ORACLE = LennardJones(epsilon=0.4, sigma=2.0, rc=5.0)


@pytest.fixture(scope="module")
def crystals():
    random = np.random.default_rng(1)
    return [spaced_crystal(random, group=group) for group in GROUPS]


@pytest.fixture(scope="module")
def packed(crystals):
    edges = [find_edges(crystal, POTENTIAL.cutoff) for crystal in crystals]
    packed, free, lattice = pack(crystals, edges, room_for(crystals, edges))
    return packed, free.astype(np.float64), lattice.astype(np.float64)


@pytest.fixture(scope="module")
def slopes(packed):
    with jax.enable_x64(True):
        return jax.device_get(jax.jit(_slopes)(POTENTIAL, *packed))


def _slopes(potential, packed, free, lattice):
    return potential.slopes(packed, free, lattice, jnp.ones(len(packed.group), bool))


def test_everything_is_as_ase_says(crystals, packed):
    with jax.enable_x64(True):
        found = jax.device_get(jax.jit(predict)(POTENTIAL, *packed))
    for number, crystal in enumerate(crystals):
        atoms = to_atoms(crystal)
        atoms.calc = ORACLE
        scale = 1 + np.abs(atoms.get_forces()).max()
        assert found.energy[number] == pytest.approx(atoms.get_potential_energy(), rel=1e-5)
        own = packed[0].crystal == number
        count = load_tables().position_multiplicity[packed[0].wyckoff[own]]
        first = np.cumsum(np.r_[0, count[:-1]])
        np.testing.assert_allclose(
            found.forces[own] / scale, atoms.get_forces()[first] / scale, atol=1e-5
        )
        stress = atoms.get_stress(voigt=False)
        np.testing.assert_allclose(
            found.stress[number], stress, atol=1e-5 * (1 + np.abs(stress).max())
        )


def test_slopes_are_finite_differences(packed, slopes):
    graph, free, lattice = packed
    live = np.concatenate([free_mask(graph.wyckoff).ravel(), lattice_mask(graph.group).ravel()])
    point = np.concatenate([free.ravel(), lattice.ravel()])
    own = np.concatenate([np.repeat(graph.crystal, 3), np.repeat(np.arange(len(lattice)), 6)])
    slope = np.concatenate([slopes.free.ravel(), slopes.lattice.ravel()])

    def energies(point):
        return POTENTIAL.slopes(
            graph, point[: free.size].reshape(free.shape), point[free.size :].reshape(-1, 6), None
        ).energy

    with jax.enable_x64(True):
        evaluate, step = jax.jit(energies), 1e-6
        for index in np.flatnonzero(live):
            ahead, behind = point.copy(), point.copy()
            ahead[index] += step
            behind[index] -= step
            change = (evaluate(ahead) - evaluate(behind))[own[index]] / (2 * step)
            assert slope[index] == pytest.approx(float(change), rel=1e-4, abs=1e-3)


def test_slopes_hold_the_forces_of_all_atoms(crystals, packed, slopes):
    """∂E/∂u = -Σ Aᵀ S F over the orbit, with the forces of ASE on all atoms."""
    oracle = from_ase(ORACLE, name="ase")
    with jax.enable_x64(True):
        expected = jax.device_get(jax.jit(_slopes)(oracle, *packed))
    for name in ("energy", "free", "lattice", "strain"):
        found, wanted = getattr(slopes, name), getattr(expected, name)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())


def test_sums_over_one_of_each_kind_are_those_of_the_cell_without_symmetry(crystals):
    calculator = JaxCalculator(POTENTIAL)
    for crystal in crystals[2::3]:
        atoms = to_atoms(crystal)
        atoms.rotate(33, (1, 2, 3), rotate_cell=True)
        mine, other = atoms.copy(), atoms.copy()
        mine.calc, other.calc = calculator, ORACLE
        assert mine.get_potential_energy() == pytest.approx(other.get_potential_energy(), rel=1e-4)
        size = 1 + np.abs(other.get_forces()).max()
        np.testing.assert_allclose(mine.get_forces() / size, other.get_forces() / size, atol=1e-4)
        size = 1 + np.abs(other.get_stress()).max()
        np.testing.assert_allclose(mine.get_stress() / size, other.get_stress() / size, atol=1e-4)


def test_padding_changes_nothing(crystals, packed):
    edges = [find_edges(crystal, POTENTIAL.cutoff) for crystal in crystals]
    need = room_for(crystals, edges)
    wide = pack(crystals, edges, dataclasses.replace(
        need, crystals=need.crystals + 3, sites=need.sites + 11, images=need.images + 7,
        edges=need.edges + 100))  # fmt: skip
    narrow = jax.jit(predict)(POTENTIAL, *pack(crystals, edges, need))
    padded = jax.jit(predict)(POTENTIAL, *wide)
    for name in ("energy", "forces", "stress"):
        less, more = np.asarray(getattr(narrow, name)), np.asarray(getattr(padded, name))
        np.testing.assert_allclose(more[: len(less)], less, rtol=1e-5, atol=1e-5)
        assert not more[len(less) :].any()


def test_stress_is_the_slope_of_the_energy_under_strain(packed, slopes):
    """In families whose coefficients are logarithms of lengths, ∂E/∂k_6 = V tr σ / √3."""
    size = volume(np.asarray(matrix_from_coefficients(packed[2])))
    trace = np.trace(slopes.strain, axis1=1, axis2=2)
    np.testing.assert_allclose(slopes.lattice[:, 5] * np.sqrt(3), trace, rtol=1e-6, atol=1e-6)
    assert (size > 0).all()


def test_one_crystal_says_the_same_alone(crystals, packed):
    together = jax.jit(predict)(POTENTIAL, *packed)
    for number in (0, 7, 15):
        edges = find_edges(crystals[number], POTENTIAL.cutoff)
        alone = pack([crystals[number]], [edges], room_for([crystals[number]], [edges]))
        energy = jax.jit(predict)(POTENTIAL, *alone).energy[0]
        assert float(energy) == pytest.approx(float(take(together.energy, number)), rel=1e-5)
