"""The orbit network is exact: what it says at a representative is what all atoms would say."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import take
from jaxcrys.crystal import Crystal, expand, stack_crystals
from jaxcrys.crystal.equivalents import redescribe
from jaxcrys.crystal.orbit_graph import GraphShape, orbit_graph
from jaxcrys.geometry.lattice import BASIS
from jaxcrys.nn.backbone import init_backbone
from jaxcrys.nn.orbit_net import OrbitNetConfig, run_orbit_net, validate
from jaxcrys.symmetry import lattice_mask, load_tables, num_descriptions, self_maps
from jaxcrys.symmetry.normalisers import description_row, load_normalisers
from tests.crystals import spaced_crystal

SITES, ATOMS = 3, 72
CONFIG = OrbitNetConfig(
    layers=2, channels=8, degree=2, heads=2, radial=8, time_channels=8,
    symmetry=False,
)  # fmt: skip
TOLERANCE = 1e-5


@pytest.fixture(autouse=True)
def double_precision():
    """So that the mathematics is seen, not the rounding of coordinates."""
    with jax.enable_x64(True):
        yield


def as_jax(crystals):
    return jax.tree.map(
        lambda a: jnp.asarray(a, jnp.float64 if a.dtype.kind == "f" else jnp.int32), crystals
    )


@functools.cache
def crystals() -> Crystal:
    """One crystal of every group, 0.6 Å between atoms."""
    return stack_crystals(
        [
            spaced_crystal(np.random.default_rng(group), group=group, sites=SITES)
            for group in range(1, 231)
        ],
        capacity=SITES,
    )


def in_p1(batch: Crystal) -> Crystal:
    """All atoms of the conventional cells as sites of P1."""
    cells = expand(batch, capacity=ATOMS)
    assert not cells.overflow.any()
    return Crystal(
        group=np.ones_like(batch.group),
        wyckoff=cells.mask.astype(int),
        species=cells.species,
        free=cells.frac,
        lattice=batch.lattice,
    )


@functools.partial(jax.jit, static_argnames=("config", "atoms"))
def _run(params, batch, *, config, atoms):
    graph = orbit_graph(batch, GraphShape(atoms=atoms, neighbours=16, reach=1))
    time = jnp.full(batch.group.shape, 300.0)
    return run_orbit_net(config, params, batch, graph, time)


def run(batch, config=CONFIG, atoms=ATOMS):
    """Outputs as NumPy arrays; batches of 23, to bound memory."""
    params = init_backbone(jax.random.key(0), config)
    parts = [
        _run(params, as_jax(take(batch, slice(i, i + 23))), config=config, atoms=atoms)
        for i in range(0, len(batch.group), 23)
    ]
    return jax.tree.map(lambda *x: np.concatenate(x), *parts)


@functools.cache
def outputs():
    """Of the crystals of every group."""
    return run(crystals())


def test_outputs_at_representatives_are_those_of_the_whole_cell():
    """To 1e-5, in all 230 groups."""
    everything = crystals()
    orbits, atoms = outputs(), run(in_p1(everything))
    cells = expand(everything, capacity=ATOMS)
    sizes = np.abs(orbits.vectors).max((-1, -2))
    assert (sizes > 1e-2).mean() > 0.5
    for index in range(230):
        for site in np.flatnonzero(everything.wyckoff[index]):
            atom = np.flatnonzero(cells.mask[index] & (cells.site[index] == site))[0]
            for name in ("vectors", "logits", "scalars"):
                found = getattr(orbits, name)[index, site]
                expected = getattr(atoms, name)[index, atom]
                np.testing.assert_allclose(found, expected, atol=TOLERANCE, err_msg=f"{index + 1}")
    np.testing.assert_allclose(orbits.tensor, atoms.tensor, atol=TOLERANCE)


def test_vectors_lie_in_the_tangent_space():
    """Without projection: what sticks out of it is rounding."""
    everything, tables = crystals(), load_tables()
    output = outputs()
    cells = expand(everything, capacity=ATOMS)
    frac = np.einsum("bsi,bij->bsj", output.vectors, np.linalg.inv(cells.lattice))
    first = tables.position_first_row[everything.wyckoff]
    left = tables.position_left_inverse[everything.wyckoff]
    inside = np.einsum("bsij,bsjk,bsk->bsi", tables.row_linear[first], left, frac)
    lengths = np.linalg.norm(cells.lattice, axis=-1).max(-1)[:, None, None]
    assert np.abs((frac - inside) * lengths).max() < TOLERANCE
    assert np.abs(frac).max() > 1e-3


def test_tensors_have_the_symmetry_of_the_family():
    everything = crystals()
    components = np.einsum("bij,kij->bk", outputs().tensor, BASIS)
    mask = np.asarray(lattice_mask(everything.group))
    assert np.abs(components[~mask]).max() < TOLERANCE
    assert np.abs(components[mask]).max() > 1e-2


def test_another_representative_of_each_orbit():
    """Invariants stay; vectors turn with the operation that leads to it: here, lengths."""
    everything = crystals()
    linear, shift, mask = self_maps(everything.wyckoff, capacity=48)
    chosen = np.random.default_rng(0).integers(0, np.maximum(mask.sum(-1), 1))[..., None]
    maps = np.take_along_axis(linear, chosen[..., None, None], 2)[:, :, 0]
    moves = np.take_along_axis(shift, chosen[..., None], 2)[:, :, 0]
    free = ((maps * everything.free[:, :, None]).sum(-1) + moves) % 1
    free = np.where(everything.wyckoff[..., None] > 0, free, 0)
    before, after = outputs(), run(dataclasses.replace(everything, free=free))
    np.testing.assert_allclose(after.scalars, before.scalars, atol=TOLERANCE)
    lengths = [np.linalg.norm(o.vectors, axis=-1) for o in (before, after)]
    np.testing.assert_allclose(*lengths, atol=TOLERANCE)
    np.testing.assert_allclose(after.tensor, before.tensor, atol=TOLERANCE)


@pytest.mark.parametrize("mirror", [False, True])
def test_another_description(mirror):
    """Other origins, axes and mirror images: vectors and tensors turn with the axes."""
    everything = crystals()
    count = num_descriptions(everything.group, mirror=mirror)
    index = np.random.default_rng(1).integers(0, count)
    moved = jax.tree.map(np.asarray, redescribe(everything, index))
    before, after = outputs(), run(moved)
    change = load_normalisers().description_linear[description_row(everything.group, index)]
    old, new = (expand(c, capacity=ATOMS).lattice for c in (everything, moved))
    # Rows of Cartesian coordinates: r' = r S⁻¹ Pᵀ S'.
    turn = np.linalg.inv(old) @ change.swapaxes(1, 2) @ new
    np.testing.assert_allclose(
        turn @ turn.swapaxes(1, 2), np.tile(np.eye(3), (230, 1, 1)), atol=1e-5
    )
    np.testing.assert_allclose(after.scalars, before.scalars, atol=TOLERANCE)
    # The new representative may be another atom of the orbit: compare lengths of vectors.
    lengths = [np.linalg.norm(o.vectors, axis=-1) for o in (before, after)]
    np.testing.assert_allclose(*lengths, atol=TOLERANCE)
    expected = turn.swapaxes(1, 2) @ before.tensor @ turn
    np.testing.assert_allclose(after.tensor, expected, atol=TOLERANCE)


def test_order_of_sites_and_padding():
    everything = crystals()
    before = outputs()
    wide = stack_crystals([take(everything, i) for i in range(230)], capacity=SITES + 2)
    order = np.array([4, 2, 0, 3, 1])
    shuffled = Crystal(
        everything.group, wide.wyckoff[:, order], wide.species[:, order], wide.free[:, order],
        everything.lattice,
    )  # fmt: skip
    after = run(shuffled, atoms=ATOMS + 7)
    places = np.argsort(order)[:SITES]
    for name in ("vectors", "logits", "scalars"):
        found = getattr(after, name)[:, places]
        np.testing.assert_allclose(found, getattr(before, name), atol=TOLERANCE)
    np.testing.assert_allclose(after.tensor, before.tensor, atol=TOLERANCE)


def test_symmetry_embeddings_change_what_it_says():
    config = dataclasses.replace(CONFIG, symmetry=True)
    few = take(crystals(), slice(100, 123))
    assert np.abs(run(few, config).scalars - run(few).scalars).max() > 0.1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 0}, r"network\.layers: must be at least 1"),
        ({"time_channels": 3}, "must be even"),
        ({"heads": 3}, "must divide the 8 channels"),
    ],
)
def test_bad_settings_are_named(changes, message):
    with pytest.raises(InputError, match=message):
        validate(dataclasses.replace(CONFIG, **changes))
