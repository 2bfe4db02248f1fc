"""Both networks behind one interface: units, masks, bf16, dropout."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pymatgen.core import Structure

from jaxcrys.core.pytree import take
from jaxcrys.crystal import expand, num_atoms, stack_crystals
from jaxcrys.crystal.buckets import choose_shapes
from jaxcrys.crystal.convert import from_structure
from jaxcrys.crystal.orbit_graph import GraphShape, orbit_graph
from jaxcrys.crystal.primitive import num_primitive_atoms
from jaxcrys.nn.backbone import backbone_cost, init_backbone, run_backbone
from jaxcrys.nn.cspnet import CSPNetConfig
from jaxcrys.nn.orbit_net import OrbitNetConfig, run_orbit_net
from jaxcrys.symmetry import free_mask, lattice_mask
from tests.crystals import random_crystals
from tests.devices import on_device

ORBIT = OrbitNetConfig(layers=1, channels=16, heads=4, radial=8, time_channels=8)
CSPNET = CSPNetConfig(layers=1, channels=16, frequencies=4, time_channels=8)
CRYSTALS = random_crystals(24, sites=3, seed=4)
(SHAPE,) = choose_shapes(CRYSTALS, limit=1)


@functools.cache
def parameters(config):
    return init_backbone(jax.random.key(0), config)


@functools.partial(jax.jit, static_argnames="config")
def _run(params, batch, dropout, *, config):
    standard = batch.lattice - batch.lattice.mean(0)
    time = jnp.full(batch.group.shape, 500.0)
    return run_backbone(config, params, batch, standard, time, shape=SHAPE, dropout=dropout)


def run(config, crystals=CRYSTALS, dropout=None, like=None):
    batch = on_device(crystals)
    output = _run(parameters(like or config), batch, dropout, config=config)
    return jax.tree.map(np.asarray, output)


@pytest.mark.parametrize("config", [ORBIT, CSPNET], ids=["orbit", "cspnet"])
def test_nothing_is_said_where_nothing_is_free(config):
    output = run(config)
    assert np.abs(output.free[~free_mask(CRYSTALS.wyckoff)]).max() < 1e-5
    assert np.abs(output.free[free_mask(CRYSTALS.wyckoff)]).mean() > 1e-3
    assert output.species.shape == (*CRYSTALS.wyckoff.shape, config.species)


def test_the_orbit_network_keeps_the_family():
    output = run(ORBIT)
    assert np.abs(output.lattice[~lattice_mask(CRYSTALS.group)]).max() < 1e-5


def test_free_coordinates_move_the_atoms_as_the_vectors_say():
    """Expanding the moved coordinates moves each representative along its Cartesian vector.

    In double precision: directions between atoms that almost coincide, as they do in random
    crystals, lose digits in single precision.
    """
    params = parameters(ORBIT)
    with jax.enable_x64(True):
        batch = jax.tree.map(jnp.asarray, CRYSTALS)
        size = GraphShape(atoms=SHAPE.atoms, neighbours=ORBIT.neighbours, reach=ORBIT.reach)
        graph = jax.jit(functools.partial(orbit_graph, shape=size, cutoff=ORBIT.cutoff))(batch)
        time = jnp.full(batch.group.shape, 500.0)
        said = jax.jit(functools.partial(run_orbit_net, ORBIT))(params, batch, graph, time)
        vectors = np.asarray(said.vectors)
        backbone = jax.jit(functools.partial(run_backbone, ORBIT, shape=SHAPE))
        output = backbone(params, batch, batch.lattice, time)
    moved = dataclasses.replace(CRYSTALS, free=CRYSTALS.free + np.asarray(output.free))
    capacity = int(num_atoms(CRYSTALS).max())
    before, after = expand(CRYSTALS, capacity=capacity), expand(moved, capacity=capacity)
    for index, lattice in enumerate(before.lattice):
        volume = abs(np.linalg.det(lattice)) / before.mask[index].sum()
        for site in np.flatnonzero(CRYSTALS.wyckoff[index]):
            atom = np.flatnonzero(before.mask[index] & (before.site[index] == site))[0]
            step = after.frac[index, atom] - before.frac[index, atom]
            expected = np.cbrt(volume) * vectors[index, site] @ np.linalg.inv(lattice)
            apart = expected - step  # whole translations are lost in the coordinates of the cell
            np.testing.assert_allclose(apart, np.round(apart), atol=1e-6)


@pytest.mark.parametrize(
    ("config", "share"),
    [(ORBIT, 0.06), (CSPNET, 0.2)],  # in fresh CSPNets the vectors of atoms nearly cancel
    ids=["orbit", "cspnet"],
)
def test_half_precision_says_nearly_the_same(config, share):
    narrow = dataclasses.replace(config, dtype="bfloat16")
    full, half = run(config), run(narrow, like=config)
    for name in ("lattice", "free", "species"):
        wide, low = getattr(full, name), getattr(half, name)
        assert low.dtype == np.float32
        assert not np.array_equal(wide, low)
        assert np.abs(wide - low).max() < share * np.abs(wide).max()


def test_dropout_needs_its_key():
    config = dataclasses.replace(ORBIT, dropout=0.3)
    plain, same = run(config, like=ORBIT), run(ORBIT)
    np.testing.assert_array_equal(plain.free, same.free)
    one, other = (run(config, dropout=jax.random.key(i), like=ORBIT) for i in range(2))
    assert not np.array_equal(one.free, plain.free)
    assert not np.array_equal(one.free, other.free)


def test_what_a_crystal_costs():
    sizes = np.array([2]), np.array([6]), np.array([4])
    assert backbone_cost(ORBIT)(*sizes) == 12
    assert backbone_cost(CSPNET)(*sizes) == 144


@pytest.mark.filterwarnings("ignore")  # pymatgen warns of rounded coordinates
def test_the_search_for_neighbours_is_complete_on_real_crystals(shared_rows):
    rows = shared_rows("mix_20/val", 150)
    crystals = [from_structure(Structure.from_str(row["cif"], "cif")) for row in rows]
    batch = stack_crystals(crystals)
    shape = GraphShape(
        atoms=int(num_primitive_atoms(batch).max()),
        neighbours=OrbitNetConfig().neighbours,
        reach=OrbitNetConfig().reach,
    )
    search = jax.jit(lambda part: orbit_graph(part, shape, cutoff=8.0).incomplete)
    for start in range(0, 150, 50):
        part = jax.tree.map(
            lambda a: jnp.asarray(a, jnp.float32 if a.dtype.kind == "f" else jnp.int32),
            take(batch, slice(start, start + 50)),
        )
        assert not np.asarray(search(part)).any()
