"""Orbit graphs against pymatgen's neighbour lists."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcrys.core.pytree import take
from jaxcrys.crystal import build_crystal, expand, num_atoms, stack_crystals
from jaxcrys.crystal.convert import to_structure
from jaxcrys.crystal.equivalents import redescribe
from jaxcrys.crystal.orbit_graph import GraphShape, envelope, orbit_graph
from jaxcrys.crystal.primitive import num_primitive_atoms
from jaxcrys.symmetry.orbits import representative
from tests.crystals import exact_crystal, random_crystals
from tests.devices import on_device

NEIGHBOURS = 12
GROUPS = (1, 2, 5, 14, 38, 62, 70, 88, 99, 122, 146, 160, 166, 187, 194, 198, 216, 225, 227, 230)


@functools.lru_cache
def jitted(shape, cutoff=8.0):
    return jax.jit(functools.partial(orbit_graph, shape=shape, cutoff=cutoff))


@functools.cache
def small_crystal(group):
    """Atoms keep 0.4 Å apart."""
    return exact_crystal(np.random.default_rng(group), group=group, sites=2)


@functools.cache
def graph_of(group):
    """Of a small crystal; all in one shape, for one program."""
    atoms = max(int(num_primitive_atoms(small_crystal(g))) for g in GROUPS)
    shape = GraphShape(atoms=atoms, neighbours=NEIGHBOURS, reach=2)
    return jax.tree.map(np.asarray, jitted(shape)(on_device(small_crystal(group))))


@pytest.mark.parametrize("group", GROUPS)
def test_distances_and_elements_are_those_of_pymatgen(group):
    crystal, graph = small_crystal(group), graph_of(group)
    assert graph.incomplete == 0
    structure = to_structure(crystal)
    points = representative(crystal.wyckoff, crystal.free)
    for site, point in enumerate(points):
        around = structure.get_sites_in_sphere(structure.lattice.get_cartesian_coords(point), 8.0)
        found = sorted((n.nn_distance, n.specie.Z) for n in around if n.nn_distance > 1e-3)
        distances = np.array([d for d, _ in found])
        kept = graph.weight[site] > 0
        np.testing.assert_allclose(
            np.sort(graph.distance[site][kept]), distances[: kept.sum()], atol=2e-3
        )
        if len(distances) > NEIGHBOURS:
            np.testing.assert_allclose(graph.cutoff[site], distances[NEIGHBOURS], atol=2e-3)
        else:
            assert graph.cutoff[site] == 8.0
        senders = crystal.species[graph.atom_site[graph.atom[site][kept]]]
        beyond = distances[min(kept.sum(), len(distances) - 1)]
        expected = [z for d, z in found if d < beyond - 1e-2]
        nearer = graph.distance[site][kept] < beyond - 1e-2
        assert sorted(senders[nearer].tolist()) == sorted(expected)


@pytest.mark.parametrize("group", GROUPS)
def test_vectors_lead_to_atoms_of_the_crystal(group):
    crystal, graph = small_crystal(group), graph_of(group)
    cell = expand(crystal, capacity=int(num_atoms(crystal)))
    points = representative(crystal.wyckoff, crystal.free)
    ends = points[:, None] + graph.vector @ np.linalg.inv(cell.lattice)
    apart = ends[:, :, None] - cell.frac
    near = np.abs(apart - np.rint(apart)).max(-1) < 1e-4
    assert (near.sum(-1) == 1)[graph.weight > 0].all()
    site = cell.site[near.argmax(-1)]
    np.testing.assert_array_equal(
        site[graph.weight > 0], graph.atom_site[graph.atom][graph.weight > 0]
    )


def test_weights_are_continuous_where_a_neighbour_leaves():
    """Move an atom through the distance at which it stops being one of the nearest."""
    cell = (9, 9.5, 10, 90, 90, 90)

    def crystal(x):
        sites = [(1, "a", (0, 0, 0)), (2, "a", (0.3, 0, 0)), (3, "a", (0, x, 0))]
        return build_crystal(1, sites, cell)

    shape = GraphShape(atoms=3, neighbours=1, reach=1)
    places = np.linspace(0.2, 0.4, 4001)
    batch = on_device(stack_crystals([crystal(x) for x in places]))
    graph = jitted(shape)(batch)
    total = np.asarray((graph.weight * jnp.cos(graph.distance)).sum(-1))[:, 0]
    assert set(np.asarray(graph.atom)[:, 0, 0].tolist()) == {1, 2}
    assert np.abs(np.diff(total)).max() < 5e-3
    assert np.ptp(total) > 0.05


def test_neighbours_at_equal_distances_have_equal_weights():
    """Six nearest, eight at the next distance: of thirteen kept the outer ones count nothing."""
    copper = on_device(build_crystal(225, [(29, "a")], (3.6, 3.6, 3.6, 90, 90, 90)))
    graph = jitted(GraphShape(atoms=1, neighbours=15, reach=2))(copper)
    weights, distances = np.asarray(graph.weight[0]), np.asarray(graph.distance[0])
    near = distances < 2.6
    assert near.sum() == 12
    np.testing.assert_allclose(weights[near], weights[near][0], rtol=1e-4)
    assert (weights[~near] < 1e-6).all()


def test_too_short_a_search_is_reported():
    copper = on_device(build_crystal(225, [(29, "a")], (3.6, 3.6, 3.6, 90, 90, 90)))
    assert jitted(GraphShape(atoms=1, neighbours=26, reach=1))(copper).incomplete == 1
    assert jitted(GraphShape(atoms=1, neighbours=16, reach=2))(copper).incomplete == 0


def test_padding_changes_nothing():
    crystals = random_crystals(20, sites=3)
    atoms = int(num_primitive_atoms(crystals).max())
    wide = stack_crystals([take(crystals, i) for i in range(20)], capacity=6)
    few = jitted(GraphShape(atoms=atoms, neighbours=8))(on_device(crystals))
    many = jitted(GraphShape(atoms=atoms + 5, neighbours=8))(on_device(wide))
    slots = few.weight.shape[1]
    np.testing.assert_allclose(many.weight[:, :slots], few.weight, atol=1e-5)
    np.testing.assert_allclose(
        many.distance[:, :slots] * (few.weight > 0), few.distance * (few.weight > 0), atol=1e-5
    )
    used = np.asarray(wide.wyckoff) > 0
    assert not np.asarray(many.weight)[~used].any()


def test_the_origin_does_not_matter():
    crystal = small_crystal(62)
    shape = GraphShape(atoms=int(num_primitive_atoms(crystal)), neighbours=NEIGHBOURS)
    before = jitted(shape)(on_device(crystal))
    for index in range(1, 8):
        moved = redescribe(crystal, np.asarray(index))
        after = jitted(shape)(on_device(moved))
        np.testing.assert_allclose(after.distance, before.distance, atol=1e-3)


def test_envelope_falls_smoothly():
    x = jnp.linspace(0, 1.2, 500)
    values = envelope(x)
    assert (np.diff(values) <= 1e-6).all()
    slope = jax.vmap(jax.grad(envelope))(jnp.array([0.9999, 1.0001]))
    np.testing.assert_allclose(slope, 0, atol=1e-4)
