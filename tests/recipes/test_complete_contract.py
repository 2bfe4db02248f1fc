"""What every recipe that makes templates, or crystals from nothing, promises."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pyxtal.symmetry import Group

from jaxcrys.core.pytree import take
from jaxcrys.core.rng import sample_keys
from jaxcrys.crystal import validate
from jaxcrys.crystal.primitive import CellShape, num_primitive_atoms
from jaxcrys.nn.set_transformer import SetTransformerConfig
from jaxcrys.nn.slot_network import SlotNetworkConfig
from jaxcrys.parallel import data_mesh, replicate, shard_batch
from jaxcrys.processes.site_sequence import no_limits
from jaxcrys.recipes import get_recipe, recipe_names
from jaxcrys.symmetry.wyckoff import local_index
from tests.crystals import random_crystals

SMALL = {
    "wyckoffdiff": {
        "network": SlotNetworkConfig(
            layers=1, channels=16, heads=2, rank=4, max_count=2, time_channels=8
        ),
        "sampler_steps": 5,
        "attempts": 2,
    },
    "wyformer": {"network": SetTransformerConfig(layers=1, channels=16, heads=2)},
}
"""Settings for speed; a recipe that is not named is as its smallest preset."""

SITES, COUNT = 5, 24
SHAPE = CellShape(sites=SITES, atoms=24, images=4)
NAMES = recipe_names(completes=True)


@functools.cache
def make(name):
    """Recipe, small config fitted to a few crystals, those crystals, parameters."""
    recipe = get_recipe(name)
    crystals = random_crystals(16, sites=SITES, seed=0)
    config = dataclasses.replace(recipe.presets["tiny"], **SMALL.get(name, {}))
    config = recipe.fit(config, crystals)
    return recipe, config, on_device(crystals), recipe.init(jax.random.key(0), config)


@functools.cache
def compiled(name):
    """The sampler, compiled once for each shape, and a record of its traces."""
    recipe, config, _, _ = make(name)
    traces = []

    def complete(params, keys, templates, limits):
        traces.append(1)
        return recipe.complete(params, keys, templates, limits, config=config, sites=SITES)

    return jax.jit(complete), traces


@functools.cache
def compiled_loss(name):
    recipe, config, _, _ = make(name)
    loss = functools.partial(recipe.loss, config=config, shape=SHAPE)
    return jax.jit(jax.value_and_grad(loss, has_aux=True))


def on_device(crystals):
    return jax.tree.map(
        lambda x: jnp.asarray(x, jnp.float32 if x.dtype.kind == "f" else jnp.int32), crystals
    )


def nothing(count):
    blank = random_crystals(1, sites=SITES, seed=0)
    return on_device(jax.tree.map(lambda x: np.zeros((count, *x.shape[1:]), x.dtype), blank))


def drawn(name, index, limits=None):
    sampler, _ = compiled(name)
    params = make(name)[3]
    found = sampler(params, sample_keys(7, index), nothing(len(index)), limits or no_limits())
    return jax.device_get(found)


@pytest.mark.parametrize("name", NAMES)
def test_templates_are_legal_and_compile_once(name):
    """pyxtal, with its own tables, says which positions hold one site only."""
    found = drawn(name, np.arange(COUNT))
    again = drawn(name, np.arange(COUNT) + COUNT)
    assert len(compiled(name)[1]) == 1
    for made in (found, again):
        validate(made)
        assert made.wyckoff.shape == (COUNT, SITES)
        for group, wyckoff in zip(made.group, made.wyckoff, strict=True):
            positions = Group(int(group)).Wyckoff_positions[::-1]  # letter a first
            letters = [int(i) for i in local_index(wyckoff[wyckoff > 0])]
            for letter in set(letters):
                assert letters.count(letter) == 1 or positions[letter].get_dof() > 0
    assert (found.group != again.group).any()


@pytest.mark.parametrize("name", NAMES)
def test_a_template_depends_on_its_own_key_alone(name):
    together = drawn(name, np.arange(COUNT))
    chosen = np.array([11, 2, 7])
    apart = drawn(name, chosen)
    for field in ("group", "wyckoff", "species"):
        np.testing.assert_array_equal(getattr(apart, field), getattr(together, field)[chosen])
    np.testing.assert_allclose(apart.lattice, together.lattice[chosen], atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_limits_that_a_recipe_obeys_are_kept(name):
    recipe = make(name)[0]
    numbers = np.arange(119)
    wanted = {
        "groups": np.isin(np.arange(231), (14, 62, 225)),
        "allowed": np.isin(numbers, (3, 8, 15)),
        "required": np.isin(numbers, (3,)),
        "max_atoms": np.asarray(16, np.int32),
    }
    limits = dataclasses.replace(no_limits(), **{n: wanted[n] for n in recipe.obeys})
    found = drawn(name, np.arange(COUNT), limits)
    validate(found)
    if "groups" in recipe.obeys:
        assert set(np.unique(found.group)) <= {14, 62, 225}
    if "allowed" in recipe.obeys:
        assert set(np.unique(found.species)) <= {0, 3, 8, 15}
    if "required" in recipe.obeys:
        assert (found.species == 3).any(-1).all()
    if "max_atoms" in recipe.obeys:
        assert (num_primitive_atoms(found) <= 16).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_group_that_is_given_stays(name):
    sampler, _ = compiled(name)
    group = jnp.asarray(np.resize((2, 62, 194, 225), COUNT), jnp.int32)
    templates = dataclasses.replace(nothing(COUNT), group=group)
    params = make(name)[3]
    found = sampler(params, sample_keys(1, np.arange(COUNT)), templates, no_limits())
    validate(jax.device_get(found))
    np.testing.assert_array_equal(found.group, group)


@pytest.mark.parametrize("name", NAMES)
def test_templates_are_the_same_on_one_device_and_on_eight(name):
    sampler, _ = compiled(name)
    params, results = make(name)[3], []
    for count in (1, 8):
        mesh = data_mesh(jax.devices()[:count])
        keys = shard_batch(mesh, sample_keys(3, np.arange(COUNT)))
        templates = shard_batch(mesh, nothing(COUNT))
        limits = replicate(mesh, no_limits())
        results.append(jax.device_get(sampler(replicate(mesh, params), keys, templates, limits)))
    for field in ("group", "wyckoff", "species"):
        np.testing.assert_array_equal(getattr(results[1], field), getattr(results[0], field))


@pytest.mark.parametrize("name", NAMES)
def test_loss_has_finite_gradients_and_is_blind_to_padding(name):
    _, _, crystals, params = make(name)
    loss, key = compiled_loss(name), jax.random.key(2)
    (plain, metrics), gradient = loss(params, key, crystals)
    assert np.isfinite(plain)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    empty = jax.tree.map(jnp.zeros_like, take(crystals, slice(4)))
    more = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), crystals, empty)
    wide = jax.tree.map(jnp.asarray, more)
    wide = dataclasses.replace(
        wide,
        wyckoff=jnp.pad(wide.wyckoff, ((0, 0), (0, 3))),
        species=jnp.pad(wide.species, ((0, 0), (0, 3))),
        free=jnp.pad(wide.free, ((0, 0), (0, 3), (0, 0))),
    )
    (found, same), _ = loss(params, key, wide)
    np.testing.assert_allclose(found, plain, rtol=2e-5)
    for part in metrics:
        np.testing.assert_allclose(same[part], metrics[part], rtol=2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_the_sites_means_nothing(name):
    """In distribution: means over 200 draws of the noise within 4.5 standard errors."""
    recipe, config, crystals, params = make(name)
    turned = dataclasses.replace(
        crystals,
        wyckoff=crystals.wyckoff[:, ::-1],
        species=crystals.species[:, ::-1],
        free=crystals.free[:, ::-1],
    )
    many = jax.jit(
        jax.vmap(
            lambda key, c: recipe.loss(params, key, c, config=config, shape=SHAPE)[0],
            in_axes=(0, None),
        )
    )
    keys = jax.random.split(jax.random.key(0), 400)
    one, two = np.asarray(many(keys[:200], crystals)), np.asarray(many(keys[200:], turned))
    error = np.hypot(one.std(), two.std()) / np.sqrt(200)
    assert abs(one.mean() - two.mean()) < 4.5 * error
