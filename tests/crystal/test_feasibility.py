"""Clashes go, symmetry stays: energies against pymatgen's distances and radii."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pymatgen.core import Element

from jaxcrys.core.pytree import take
from jaxcrys.core.radii import ATOMIC_RADII
from jaxcrys.crystal import example_crystal, expand, num_atoms, stack_crystals, validate
from jaxcrys.crystal.convert import to_structure
from jaxcrys.crystal.feasibility import clash_energy, least_distance, remove_clashes
from jaxcrys.crystal.orbit_graph import GraphShape
from jaxcrys.crystal.primitive import num_primitive_atoms
from jaxcrys.evaluation import check_symmetry
from jaxcrys.symmetry import operations
from tests.crystals import random_crystal
from tests.devices import on_device

GROUPS = (1, 2, 14, 36, 62, 99, 136, 148, 160, 166, 194, 225)


def crowded(count=4):
    """Crystals of a few groups in cells too small for them."""
    random = np.random.default_rng(0)
    crystals = []
    for group in GROUPS * count:
        crystal = random_crystal(random, group=group, sites=4, most_atoms=12)
        crystal.lattice[5] -= 0.6
        crystals.append(crystal)
    return stack_crystals(crystals, capacity=4)


CROWDED = crowded()
SHAPE = GraphShape(atoms=int(num_primitive_atoms(CROWDED).max()), neighbours=24)


@functools.cache
def energy_of(shape):
    return jax.jit(functools.partial(clash_energy, shape=shape))


def violation(crystal):
    """Largest amount by which two atoms come nearer than they may, by pymatgen's distances."""
    structure = to_structure(crystal)
    numbers = np.array(structure.atomic_numbers)
    allowed = np.asarray(least_distance(numbers[:, None], numbers))
    worst = -np.inf
    for i, site in enumerate(structure):
        for near in structure.get_neighbors(site, 4.0):
            worst = max(worst, allowed[i, near.index] - near.nn_distance)
    return worst


def test_radii_are_those_of_pymatgen():
    for number in range(1, 119):
        listed = Element.from_Z(number).atomic_radius
        if listed is not None:
            assert ATOMIC_RADII[number] == pytest.approx(float(listed), abs=1e-6)
        assert ATOMIC_RADII[number] > 0.2


def test_energy_is_the_sum_over_pymatgens_neighbours():
    for group in (2, 62, 166, 225):
        crystal = take(CROWDED, GROUPS.index(group))
        structure = to_structure(crystal)
        numbers = np.array(structure.atomic_numbers)
        allowed = np.asarray(least_distance(numbers[:, None], numbers, margin=0.05))
        expected = 0.5 * sum(
            max(0.0, allowed[i, near.index] - near.nn_distance) ** 2
            for i, site in enumerate(structure)
            for near in structure.get_neighbors(site, 4.0)
        )
        shape = GraphShape(atoms=SHAPE.atoms, neighbours=80, reach=2)
        found = float(energy_of(shape)(on_device(crystal)))
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_most_clashes_go_and_symmetry_stays():
    after = jax.tree.map(np.asarray, remove_clashes(on_device(CROWDED), SHAPE, steps=200))
    validate(after)
    np.testing.assert_array_equal(after.wyckoff, CROWDED.wyckoff)
    before_bad = sum(violation(take(CROWDED, i)) > 0.05 for i in range(len(CROWDED.group)))
    after_bad = sum(violation(take(after, i)) > 0.05 for i in range(len(CROWDED.group)))
    assert before_bad > 0.5 * len(CROWDED.group)
    assert after_bad < 0.2 * before_bad
    for i in range(len(GROUPS)):
        one = take(after, i)
        cell = expand(one, capacity=int(num_atoms(one)))
        rotations, shifts = operations(GROUPS[i])
        found = check_symmetry(cell.lattice, cell.frac, cell.species, rotations, shifts / 24)
        assert found.deviation < 1e-4
        assert found.strain < 1e-5


def test_what_does_not_clash_is_left_alone():
    salt = on_device(stack_crystals([example_crystal()] * 2))
    shape = GraphShape(atoms=2)
    moved = remove_clashes(salt, shape)
    np.testing.assert_array_equal(moved.free, salt.free)
    np.testing.assert_array_equal(moved.lattice, salt.lattice)


def test_derivatives_are_finite_differences():
    crystal = on_device(take(CROWDED, slice(3, 4)))

    def energy(free):
        return energy_of(SHAPE)(dataclasses.replace(crystal, free=free)).sum()

    slope = np.asarray(jax.jit(jax.grad(energy))(crystal.free))
    index = np.unravel_index(np.abs(slope).argmax(), slope.shape)
    step = jnp.zeros_like(crystal.free).at[index].set(1e-3)
    numeric = (energy(crystal.free + step) - energy(crystal.free - step)) / 2e-3
    assert float(numeric) == pytest.approx(float(slope[index]), rel=2e-2)
