"""What every recipe promises: one test walks over all of them and all their presets."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import take
from jaxcrys.core.rng import sample_keys
from jaxcrys.core.settings import from_json, to_json
from jaxcrys.crystal import validate
from jaxcrys.crystal.buckets import choose_shapes
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.nn import CSPNetConfig
from jaxcrys.nn.orbit_net import OrbitNetConfig
from jaxcrys.nn.set_transformer import SetTransformerConfig
from jaxcrys.parallel import data_mesh, replicate, shard_batch
from jaxcrys.processes.flow import Flow
from jaxcrys.processes.wrapped_normal import WrappedNormal
from jaxcrys.recipes import get_recipe, orbit_flow, recipe_names, wyformer
from jaxcrys.recipes.lattice_prior import LatticePrior
from jaxcrys.symmetry.groups import lattice_fixed
from tests.crystals import random_crystals

CSPNET = CSPNetConfig(layers=2, channels=16, frequencies=4, time_channels=8)
ORBIT_NET = OrbitNetConfig(layers=2, channels=8, heads=2, radial=6, time_channels=8)
SMALL = {
    "diffcsp_pp": {"network": CSPNET, "sampler_steps": 20},
    "orbit": {
        "templates": wyformer.Config(network=SetTransformerConfig(layers=1, channels=16, heads=2)),
        "geometry": orbit_flow.Config(species="given", network=ORBIT_NET, flow=Flow(steps=5)),
    },
    "orbit_flow": {"network": ORBIT_NET, "flow": Flow(steps=5)},
}
VARIANTS = {
    "given": {"species": "given"},
    "generated": {"species": "generated"},
    "other network": {},
    "regularised": {"species": "generated"},
}
SPECIAL = {
    ("diffcsp_pp", "other network"): {"network": ORBIT_NET},
    ("orbit_flow", "other network"): {
        "network": CSPNET,
        "flow": Flow(target="endpoint", integrator="midpoint", churn=1.0, steps=3),
    },
    ("diffcsp_pp", "regularised"): {"network": dataclasses.replace(ORBIT_NET, dropout=0.2)},
    ("orbit_flow", "regularised"): {
        "network": dataclasses.replace(ORBIT_NET, dropout=0.2),
        "substitutions": 0.5,
    },
}
VARIED = [name for name in recipe_names(samples=True) if name != "orbit"]
"""Recipes whose own settings vary; orbit has those of its halves."""

CASES = [
    pytest.param(name, variant, id=f"{name}-{variant}") for name in VARIED for variant in VARIANTS
]
CASES.append(pytest.param("orbit", "given", id="orbit"))


def make(name, variant):
    """Recipe, small config fitted to a few crystals, those crystals, their shape, parameters."""
    recipe = get_recipe(name)
    crystals = random_crystals(16, sites=3, seed=0)
    changes = SMALL[name]
    if name in VARIED:
        changes = changes | VARIANTS[variant] | SPECIAL.get((name, variant), {})
    config = dataclasses.replace(recipe.presets["tiny"], **changes)
    config = recipe.fit(config, crystals)
    (shape,) = choose_shapes(crystals, limit=1)
    return recipe, config, crystals, shape, recipe.init(jax.random.key(0), config)


def jitted_loss(recipe, config):
    return jax.jit(functools.partial(recipe.loss, config=config), static_argnames="shape")


def jitted_sample(recipe, config):
    return jax.jit(functools.partial(recipe.sample, config=config), static_argnames="shape")


def on_device(crystals):
    return jax.tree.map(
        lambda x: jnp.asarray(x, jnp.float32 if x.dtype.kind == "f" else jnp.int32), crystals
    )


def templates(crystals):
    """What a sampler is given: no coordinates, and a lattice that is to be drawn."""
    lattice = lattice_fixed(crystals.group).astype(np.float32)
    return on_device(
        dataclasses.replace(crystals, free=np.zeros_like(crystals.free), lattice=lattice)
    )


def padded(crystals, extra):
    widths = {"wyckoff": 0, "species": 0, "free": 1}
    return dataclasses.replace(
        crystals,
        **{
            name: np.pad(getattr(crystals, name), [(0, 0), (0, extra)] + [(0, 0)] * more)
            for name, more in widths.items()
        },
    )


@pytest.mark.parametrize("name", recipe_names())
def test_presets_survive_json(name):
    recipe = get_recipe(name)
    for preset in recipe.presets.values():
        assert from_json(recipe.config, json.loads(json.dumps(to_json(preset)))) == preset


@pytest.mark.parametrize("name", recipe_names())
def test_presets_are_valid(name):
    recipe = get_recipe(name)
    for preset in recipe.presets.values():
        recipe.validate(preset)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": CSPNetConfig(channels=0)}, r"network\.channels: must be at least 1"),
        ({"network": CSPNetConfig(time_channels=7)}, "must be even"),
        ({"sampler_steps": 1001}, "sampler_steps"),
        ({"free_process": WrappedNormal(steps=10)}, "must be 1000 in all three"),
        ({"free_weight": -1.0}, "free_weight"),
        ({"lattice_mean": (0.0,)}, "must have 6 numbers"),
    ],
)
def test_bad_settings_of_diffcsp_pp_are_named(changes, message):
    recipe = get_recipe("diffcsp_pp")
    with pytest.raises(InputError, match=message):
        recipe.validate(dataclasses.replace(recipe.presets["tiny"], **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": OrbitNetConfig(neighbours=0)}, r"network\.neighbours: must be at least 1"),
        ({"network": OrbitNetConfig(dropout=1.0)}, r"network\.dropout"),
        ({"flow": Flow(steps=0)}, r"flow\.steps"),
        ({"substitutions": 1.5}, "substitutions"),
        ({"lattice_weight": -1.0}, "lattice_weight"),
        ({"prior": LatticePrior(mean=((0.0,),))}, r"prior\.mean: must have six numbers"),
    ],
)
def test_bad_settings_of_orbit_flow_are_named(changes, message):
    recipe = get_recipe("orbit_flow")
    with pytest.raises(InputError, match=message):
        recipe.validate(dataclasses.replace(recipe.presets["tiny"], **changes))


@pytest.mark.parametrize("name", recipe_names())
def test_presets_build(name):
    recipe = get_recipe(name)
    for preset in recipe.presets.values():
        params = jax.eval_shape(lambda p=preset: recipe.init(jax.random.key(0), p))
        assert jax.tree.leaves(params)


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_loss_is_finite_and_compiles_once(name, variant):
    recipe, config, crystals, shape, params = make(name, variant)
    traces = []

    def loss(params, key, crystals):
        traces.append(1)
        return recipe.loss(params, key, crystals, config=config, shape=shape)

    jitted = jax.jit(jax.value_and_grad(loss, has_aux=True))
    for seed in range(3):
        (value, metrics), grads = jitted(params, jax.random.key(seed), on_device(crystals))
        assert np.isfinite(value)
        assert all(np.isfinite(v) and c >= 0 for v, c in metrics.values())
        assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))
    assert len(traces) == 1


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_padding_changes_nothing(name, variant):
    recipe, config, crystals, shape, params = make(name, variant)
    key = jax.random.key(1)
    loss = jitted_loss(recipe, config)
    plain, _ = loss(params, key, on_device(crystals), shape=shape)
    wide = on_device(padded(crystals, 5))
    larger = CellShape(sites=shape.sites + 5, atoms=shape.atoms + 3, images=4)
    more, _ = loss(params, key, wide, shape=larger)
    np.testing.assert_allclose(more, plain, rtol=2e-5)


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_empty_crystals_count_nothing(name, variant):
    recipe, config, crystals, shape, params = make(name, variant)
    loss = jitted_loss(recipe, config)
    empty = jax.tree.map(np.zeros_like, take(crystals, slice(5)))
    more = jax.tree.map(lambda a, b: np.concatenate([a, b]), crystals, empty)
    key = jax.random.key(1)
    plain, metrics = loss(params, key, on_device(crystals), shape=shape)
    found, same = loss(params, key, on_device(more), shape=shape)
    np.testing.assert_allclose(found, plain, rtol=2e-5)
    for part in metrics:
        np.testing.assert_allclose(same[part], metrics[part], rtol=2e-5)


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_samples_are_valid_and_keep_what_is_given(name, variant):
    recipe, config, crystals, shape, params = make(name, variant)
    given = templates(crystals)
    sample = jitted_sample(recipe, config)
    drawn = sample(params, sample_keys(0, np.arange(16)), given, shape=shape)
    validate(jax.tree.map(np.asarray, drawn))
    assert (drawn.group == given.group).all()
    assert (drawn.wyckoff == given.wyckoff).all()
    assert (drawn.species == given.species).all()  # known elements are kept in either task


@pytest.mark.parametrize("name", VARIED)
def test_generated_species_fill_what_is_open(name):
    recipe, config, crystals, shape, params = make(name, "generated")
    kept = np.random.default_rng(0).random(crystals.species.shape) < 0.3
    open_sites = dataclasses.replace(crystals, species=np.where(kept, crystals.species, 0))
    sample = jitted_sample(recipe, config)
    drawn = sample(params, sample_keys(0, np.arange(16)), templates(open_sites), shape=shape)
    validate(jax.tree.map(np.asarray, drawn))
    np.testing.assert_array_equal(np.asarray(drawn.species)[kept], crystals.species[kept])


@pytest.mark.parametrize("name", recipe_names(samples=True))
def test_a_lattice_that_is_given_stays(name):
    recipe, config, crystals, shape, params = make(name, "given")
    if "lattice" not in recipe.obeys:
        pytest.skip("draws the lattice always")
    given = templates(crystals)
    half = np.arange(16) % 2 == 0
    lattice = jnp.where(half[:, None], on_device(crystals).lattice, given.lattice)
    sample = jitted_sample(recipe, config)
    keys = sample_keys(0, np.arange(16))
    free = sample(params, keys, given, shape=shape)
    kept = sample(params, keys, dataclasses.replace(given, lattice=lattice), shape=shape)
    np.testing.assert_array_equal(kept.lattice[half], lattice[half])
    np.testing.assert_allclose(kept.lattice[~half], free.lattice[~half], rtol=1e-5)
    validate(jax.tree.map(np.asarray, kept))


@pytest.mark.parametrize("name", recipe_names(samples=True))
def test_training_alone_is_regularised(name):
    recipe, config, crystals, shape, params = make(name, "regularised")
    loss = jax.jit(
        functools.partial(recipe.loss, config=config), static_argnames=("shape", "training")
    )
    key = jax.random.key(1)
    plain, again, trained = (
        float(loss(params, key, on_device(crystals), shape=shape, training=training)[0])
        for training in (False, False, True)
    )
    assert plain == again != trained


@pytest.mark.parametrize("name", recipe_names(samples=True))
def test_misfit_is_one_number_for_each_crystal(name):
    recipe, config, crystals, shape, params = make(name, "given")
    misfit = jax.jit(functools.partial(recipe.misfit, config=config), static_argnames="shape")
    whole = misfit(params, sample_keys(0, np.arange(16)), on_device(crystals), shape=shape)
    assert np.isfinite(whole).all()
    assert (np.asarray(whole) >= 0).all()
    assert float(np.std(whole)) > 0
    chosen = np.array([4, 9])
    part = misfit(params, sample_keys(0, chosen), on_device(take(crystals, chosen)), shape=shape)
    np.testing.assert_allclose(part, whole[chosen], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_sample_depends_on_its_own_key_alone(name, variant):
    recipe, config, crystals, shape, params = make(name, variant)
    sample = jitted_sample(recipe, config)
    together = sample(params, sample_keys(3, np.arange(16)), templates(crystals), shape=shape)
    chosen = np.array([11, 2, 7])
    apart = sample(params, sample_keys(3, chosen), templates(take(crystals, chosen)), shape=shape)
    turn = np.asarray(apart.free - together.free[chosen])
    np.testing.assert_allclose(turn - np.round(turn), 0, atol=1e-4)
    np.testing.assert_allclose(apart.lattice, together.lattice[chosen], atol=1e-4)
    np.testing.assert_array_equal(apart.species, together.species[chosen])


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_one_device_and_eight_agree(name, variant):
    recipe, config, crystals, shape, params = make(name, variant)
    gradient = jax.jit(
        jax.value_and_grad(lambda p, k, c: recipe.loss(p, k, c, config=config, shape=shape)[0])
    )
    results = []
    for count in (1, 8):
        mesh = data_mesh(jax.devices()[:count])
        batch = shard_batch(mesh, on_device(crystals))
        results.append(gradient(replicate(mesh, params), jax.random.key(2), batch))
    np.testing.assert_allclose(results[1][0], results[0][0], rtol=1e-5)
    for one, eight in zip(*(jax.tree.leaves(r[1]) for r in results), strict=True):
        np.testing.assert_allclose(eight, one, rtol=1e-3, atol=1e-5)
