"""CSPNet: what must not change its output, and the full cell at the cost of the primitive one."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcrys.crystal import expand, num_atoms, stack_crystals
from jaxcrys.crystal.primitive import CellShape, PrimitiveCell, primitive_cell
from jaxcrys.nn import CSPNet, CSPNetConfig
from jaxcrys.nn.fresh import fresh_parameters
from jaxcrys.nn.functional import masked_mean, pair_waves, time_embedding
from tests.crystals import random_crystal
from tests.devices import on_device

CONFIG = CSPNetConfig(layers=2, channels=16, frequencies=4, time_channels=8)
GROUPS = (1, 5, 14, 42, 62, 71, 139, 148, 166, 194, 216, 225, 227, 229)


@pytest.fixture(scope="module")
def case():
    """A batch over all centrings, its primitive cells, and a network."""
    random = np.random.default_rng(0)
    crystals = stack_crystals([random_crystal(random, group=g, most_atoms=16) for g in GROUPS])
    crystals = on_device(crystals)
    shape = CellShape(sites=3, atoms=48, images=4)
    cell = jax.jit(functools.partial(primitive_cell, shape=shape))(crystals)
    assert int(cell.overflow.max()) == 0
    lattice = jnp.asarray(random.normal(size=(len(GROUPS), 6)), jnp.float32)
    time = jnp.linspace(1, 900, len(GROUPS))
    net = CSPNet(CONFIG)
    params = fresh_parameters(lambda key: net.init(key, cell, lattice, time), jax.random.key(0))
    apply = jax.jit(lambda cell: net.apply(params, cell, lattice, time))
    return crystals, cell, apply


def close(a, b):
    np.testing.assert_allclose(a, b, atol=2e-5)


def test_primitive_cell_gives_what_the_full_cell_gives(case):
    crystals, cell, apply = case
    atoms = int(num_atoms(crystals).max())
    full = jax.jit(functools.partial(expand, capacity=atoms))(crystals)
    everything = PrimitiveCell(
        frac=full.frac,
        species=full.species,
        mask=full.mask,
        site=full.site,
        row=full.operation,
        images=jnp.zeros((len(GROUPS), 1, 3)),
        image_mask=jnp.ones((len(GROUPS), 1), bool),
        overflow=full.overflow,
    )
    reduced, whole = apply(cell), apply(everything)
    close(whole.lattice, reduced.lattice)
    for b in range(len(GROUPS)):
        for i in np.flatnonzero(cell.mask[b]):
            offset = np.asarray(full.frac[b] - cell.frac[b, i])
            same = (np.abs(offset - np.round(offset)) < 1e-5).all(-1) & np.asarray(full.mask[b])
            (j,) = np.flatnonzero(same)
            close(whole.vectors[b, j], reduced.vectors[b, i])
            close(whole.logits[b, j], reduced.logits[b, i])


def test_translations_change_nothing(case):
    _, cell, apply = case
    moved = dataclasses.replace(cell, frac=cell.frac + jnp.array([0.37, -1.21, 2.5]))
    turned = dataclasses.replace(cell, frac=cell.frac.at[:, 0].add(jnp.array([1.0, -2.0, 3.0])))
    for other in (moved, turned):
        close(apply(other).vectors, apply(cell).vectors)
        close(apply(other).lattice, apply(cell).lattice)


def test_atoms_may_stand_in_any_order(case):
    _, cell, apply = case
    order = np.random.default_rng(1).permutation(cell.frac.shape[1])
    shuffled = dataclasses.replace(
        cell, **{n: getattr(cell, n)[:, order] for n in ("frac", "species", "mask", "site", "row")}
    )
    close(apply(shuffled).vectors, apply(cell).vectors[:, order])
    close(apply(shuffled).lattice, apply(cell).lattice)


def test_padding_does_not_matter(case):
    _, cell, apply = case
    garbage = jax.random.normal(jax.random.key(5), cell.frac.shape)
    dirty = dataclasses.replace(
        cell,
        frac=jnp.where(cell.mask[..., None], cell.frac, garbage),
        species=jnp.where(cell.mask, cell.species, 77),
        images=jnp.where(cell.image_mask[..., None], cell.images, 0.123),
    )
    close(apply(dirty).vectors, apply(cell).vectors)
    close(apply(dirty).lattice, apply(cell).lattice)
    assert not apply(cell).vectors[~cell.mask].any()


def test_waves_against_their_definition():
    random = np.random.default_rng(2)
    x, y = (jnp.asarray(random.random((n, 3)), jnp.float32) for n in (3, 5))
    waves = np.asarray(pair_waves(x, y, frequencies=4))
    phase = 2 * np.pi * (np.asarray(y)[None] - np.asarray(x)[:, None])[..., None] * np.arange(4)
    phase = phase.reshape(3, 5, 12)
    np.testing.assert_allclose(waves, np.concatenate([np.sin(phase), np.cos(phase)], -1), atol=1e-5)


def test_time_embedding_tells_times_apart():
    codes = np.asarray(time_embedding(jnp.arange(1000.0), 16))
    distances = np.linalg.norm(codes[:, None] - codes[None], axis=-1)
    assert distances[~np.eye(1000, dtype=bool)].min() > 0.1


def test_mean_of_nothing_is_zero():
    assert masked_mean(jnp.ones((2, 3)), jnp.zeros(2, bool)).tolist() == [0, 0, 0]
