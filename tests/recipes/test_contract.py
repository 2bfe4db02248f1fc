"""What every recipe promises: one test walks over all of them and all their presets."""

import dataclasses
import functools
import json

import jax
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
from jaxcrys.processes.flow import Flow
from jaxcrys.processes.wrapped_normal import WrappedNormal
from jaxcrys.recipes import get_recipe, orbit_flow, recipe_names, wyformer
from jaxcrys.recipes.lattice_prior import LatticePrior
from jaxcrys.symmetry.groups import lattice_fixed
from tests.crystals import random_crystals
from tests.devices import check_one_and_eight_agree, on_device
from tests.programs import counted_gradients

COUNT = 16
CSPNET = CSPNetConfig(layers=1, channels=16, frequencies=4, time_channels=8)
ORBIT_NET = OrbitNetConfig(layers=1, channels=8, heads=2, radial=6, time_channels=8)
SMALL = {
    "diffcsp_pp": {"network": CSPNET, "sampler_steps": 10},
    "orbit": {
        "templates": wyformer.Config(network=SetTransformerConfig(layers=1, channels=16, heads=2)),
        "geometry": orbit_flow.Config(species="given", network=CSPNET, flow=Flow(steps=5)),
    },
    "orbit_flow": {"network": ORBIT_NET, "flow": Flow(steps=5)},
}
VARIANTS = ("generated", "other network")
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
REGULARISED = {"diffcsp_pp": "other network", "orbit_flow": "generated"}
"""For each recipe the variant that is the same but for what training alone does."""

VARIED = [name for name in recipe_names(samples=True) if name != "orbit"]
"""Recipes whose own settings vary; orbit has those of its halves."""

CASES = [
    pytest.param(name, variant, id=f"{name}-{variant}") for name in VARIED for variant in VARIANTS
]
CASES.append(pytest.param("orbit", "given", id="orbit"))


def main_variant(name):
    """Of elements that are drawn, where there is a choice."""
    return "generated" if name in VARIED else "given"


@functools.cache
def make(name, variant):
    """Recipe, small config fitted to a few crystals, those crystals, and their shape."""
    recipe = get_recipe(name)
    crystals = random_crystals(COUNT, sites=3, seed=0)
    changes = SMALL[name]
    if name in VARIED:
        changes = changes | {"species": "generated"} | SPECIAL.get((name, variant), {})
    config = dataclasses.replace(recipe.presets["tiny"], **changes)
    config = recipe.fit(config, crystals)
    (shape,) = choose_shapes(crystals, limit=1)
    return recipe, config, crystals, shape


@functools.cache
def parameters(name, variant):
    """Fresh ones; what training alone does needs none."""
    recipe, config, _, _ = make(name, REGULARISED[name] if variant == "regularised" else variant)
    return recipe.init(jax.random.key(0), config)


@functools.cache
def gradients_of(name, variant):
    """Loss and gradients, and how often the function was traced."""
    recipe, config, _, shape = make(name, variant)
    return counted_gradients(recipe.loss, config=config, shape=shape)


@functools.cache
def sampled(name, variant):
    """Draws geometry for some of the crystals, or of what is given in their place."""
    recipe, config, crystals, shape = make(name, variant)
    params = parameters(name, variant)
    sample = jax.jit(functools.partial(recipe.sample, config=config, shape=shape))

    def run(index=range(COUNT), given=None):
        rows = np.resize(index, COUNT)  # always as many: one program
        chosen = take(without_geometry(crystals) if given is None else given, rows)
        drawn = sample(params, sample_keys(3, rows), on_device(chosen))
        return take(jax.device_get(drawn), slice(len(index)))

    return run


def without_geometry(crystals):
    """What a sampler is given: no coordinates, and a lattice that is to be drawn."""
    lattice = lattice_fixed(crystals.group).astype(np.float32)
    return dataclasses.replace(crystals, free=np.zeros_like(crystals.free), lattice=lattice)


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
    crystals, params = make(name, variant)[2], parameters(name, variant)
    gradients, traces = gradients_of(name, variant)
    traces.clear()
    for seed in range(3):
        (value, metrics), grads = gradients(params, jax.random.key(seed), on_device(crystals))
        assert np.isfinite(value)
        assert all(np.isfinite(v) and c >= 0 for v, c in metrics.values())
        assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))
    assert len(traces) <= 1


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_padding_and_empty_crystals_count_nothing(name, variant):
    recipe, config, crystals, shape = make(name, variant)
    params = parameters(name, variant)
    key = jax.random.key(1)
    (plain, metrics), _ = gradients_of(name, variant)[0](params, key, on_device(crystals))
    empty = jax.tree.map(np.zeros_like, take(crystals, slice(5)))
    more = jax.tree.map(lambda a, b: np.concatenate([a, b]), crystals, empty)
    larger = CellShape(sites=shape.sites + 5, atoms=shape.atoms + 3, images=4)
    loss = jax.jit(functools.partial(recipe.loss, config=config, shape=larger))
    found, same = loss(params, key, on_device(padded(more, 5)))
    np.testing.assert_allclose(found, plain, rtol=2e-5)
    for part in metrics:
        np.testing.assert_allclose(same[part], metrics[part], rtol=2e-5)


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_samples_are_valid_and_keep_what_is_given(name, variant):
    crystals = make(name, variant)[2]
    drawn = sampled(name, variant)()
    validate(drawn)
    assert (drawn.group == crystals.group).all()
    assert (drawn.wyckoff == crystals.wyckoff).all()
    assert (drawn.species == crystals.species).all()  # known elements are kept in either task


@pytest.mark.parametrize("name", VARIED)
def test_generated_species_fill_what_is_open(name):
    crystals = make(name, "generated")[2]
    kept = np.random.default_rng(0).random(crystals.species.shape) < 0.3
    open_sites = dataclasses.replace(crystals, species=np.where(kept, crystals.species, 0))
    drawn = sampled(name, "generated")(given=without_geometry(open_sites))
    validate(drawn)
    np.testing.assert_array_equal(drawn.species[kept], crystals.species[kept])


@pytest.mark.parametrize("name", recipe_names(samples=True))
def test_a_lattice_that_is_given_stays(name):
    recipe, _, crystals, _ = make(name, main_variant(name))
    if "lattice" not in recipe.obeys:
        pytest.skip("draws the lattice always")
    half = np.arange(COUNT) % 2 == 0
    given = without_geometry(crystals)
    given.lattice[half] = crystals.lattice[half]
    run = sampled(name, main_variant(name))
    free, kept = run(), run(given=given)
    np.testing.assert_array_equal(kept.lattice[half], np.float32(crystals.lattice[half]))
    np.testing.assert_allclose(kept.lattice[~half], free.lattice[~half], rtol=1e-5)
    validate(kept)


@pytest.mark.parametrize("name", REGULARISED)
def test_training_alone_is_regularised(name):
    """Outside of training the loss is that of the same network without dropout."""
    recipe, config, crystals, shape = make(name, "regularised")
    plain, _ = gradients_of(name, REGULARISED[name])
    arguments = parameters(name, "regularised"), jax.random.key(1), on_device(crystals)
    (wanted, _), _ = plain(*arguments)
    loss = functools.partial(recipe.loss, config=config, shape=shape)
    found, _ = jax.jit(loss)(*arguments)
    trained, _ = jax.jit(functools.partial(loss, training=True))(*arguments)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert abs(trained - wanted) > 1e-3 * abs(wanted)


@pytest.mark.parametrize("name", recipe_names(samples=True))
def test_misfit_is_one_number_for_each_crystal(name):
    recipe, config, crystals, shape = make(name, main_variant(name))
    params = parameters(name, main_variant(name))
    misfit = jax.jit(functools.partial(recipe.misfit, config=config, shape=shape))

    def found(index):
        rows = np.resize(index, COUNT)
        misfits = misfit(params, sample_keys(0, rows), on_device(take(crystals, rows)))
        return np.asarray(misfits)[: len(index)]

    whole, chosen = found(np.arange(COUNT)), np.array([4, 9])
    assert np.isfinite(whole).all()
    assert (whole >= 0).all()
    assert float(np.std(whole)) > 0
    np.testing.assert_allclose(found(chosen), whole[chosen], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_sample_depends_on_its_own_key_alone(name, variant):
    run, chosen = sampled(name, variant), np.array([11, 2, 7])
    together, apart = run(), run(chosen)
    turn = apart.free - together.free[chosen]
    np.testing.assert_allclose(turn - np.round(turn), 0, atol=1e-4)
    np.testing.assert_allclose(apart.lattice, together.lattice[chosen], atol=1e-4)
    np.testing.assert_array_equal(apart.species, together.species[chosen])


@pytest.mark.parametrize("name", recipe_names(samples=True))
def test_one_device_and_eight_agree(name):
    variant = main_variant(name)
    crystals, params = make(name, variant)[2], parameters(name, variant)
    gradients, _ = gradients_of(name, variant)
    check_one_and_eight_agree(gradients, params, crystals)
