"""What every recipe that starts from nothing promises: one test walks over all of them."""

import collections
import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pyxtal.symmetry import Group

from jaxcrys.core.pytree import take
from jaxcrys.core.rng import sample_keys
from jaxcrys.core.settings import from_json, to_json
from jaxcrys.crystal import Crystal, validate
from jaxcrys.crystal.buckets import choose_shapes
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.processes.site_sequence import no_limits
from jaxcrys.recipes import get_recipe, recipe_names
from jaxcrys.symmetry.wyckoff import local_index
from tests.crystals import random_crystals
from tests.devices import check_one_and_eight_agree, on_device
from tests.programs import counted_gradients

SITES, COUNT = 4, 32
SMALL = {
    "symmcd": {
        "network": {"layers": 1, "channels": 16, "frequencies": 4, "time_channels": 8},
        "sampler_steps": 5,
    },
    "wyckoffdiff": {
        "network": {
            "layers": 1,
            "channels": 16,
            "heads": 2,
            "rank": 4,
            "max_count": 2,
            "time_channels": 8,
        },
        "sampler_steps": 5,
        "attempts": 2,
    },
    "wyformer": {"network": {"layers": 1, "channels": 16, "heads": 2}},
}
IMPROVED = {
    "sites": "positions", "coordinates": "free", "images": 2, "evidence": True,
    "network": {"copies": True},
}  # fmt: skip
VARIANTS = {"symmcd": {"improved": IMPROVED}}
NAMES = [name for name in recipe_names(completes=True) if name != "orbit"]
"""Of orbit this half is wyformer."""

GROUP_ALONE = ("wyckoffdiff",)
"""Recipes that can be given the group, and no sites."""

CASES = [
    pytest.param(name, variant, id=f"{name}-{variant}")
    for name in NAMES
    for variant in ("plain", *VARIANTS.get(name, {}))
]


@functools.cache
def make(name, variant):
    """Recipe, small config fitted to a few crystals, those crystals, their shape, parameters."""
    recipe = get_recipe(name)
    tiny = recipe.presets["tiny"]
    values = to_json(tiny)
    for changes in (SMALL.get(name, {}), VARIANTS.get(name, {}).get(variant, {})):
        for field, change in changes.items():
            values[field] = values[field] | change if isinstance(change, dict) else change
    crystals = random_crystals(16, sites=SITES, seed=0)
    config = recipe.fit(from_json(recipe.config, values), crystals)
    (shape,) = choose_shapes(crystals, limit=1)
    return recipe, config, crystals, shape, recipe.init(jax.random.key(0), config)


@functools.cache
def completed(name, variant, sites=SITES):
    """What is drawn from nothing, and how often the function was traced."""
    recipe, config, _, _, params = make(name, variant)
    traces = []

    def complete(params, keys, templates, limits):
        traces.append(1)
        return recipe.complete(params, keys, templates, limits, config=config, sites=sites)

    jitted = jax.jit(complete)

    def run(index, limits=None, given=None):
        rows = np.resize(index, COUNT)  # always as many: one program
        templates = nothing(COUNT, sites) if given is None else given
        drawn = jitted(params, sample_keys(7, rows), templates, limits or no_limits())
        return take(jax.device_get(drawn), slice(len(index)))

    return run, traces


@functools.cache
def gradients_of(name, variant):
    """Loss and gradients, and how often the function was traced."""
    recipe, config, _, shape, _ = make(name, variant)
    return counted_gradients(recipe.loss, config=config, shape=shape, training=True)


def nothing(count, sites):
    empty = jnp.zeros((count, sites), jnp.int32)
    return Crystal(
        group=jnp.zeros(count, jnp.int32),
        wyckoff=empty,
        species=empty,
        free=jnp.zeros((count, sites, 3)),
        lattice=jnp.zeros((count, 6)),
    )


@functools.cache
def positions(group):
    """Degrees of freedom of pyxtal's positions, letter a first."""
    return [int(p.get_dof()) for p in Group(group)][::-1]


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_what_is_drawn_is_a_crystal(name, variant):
    run, traces = completed(name, variant)
    drawn = run(np.arange(COUNT))
    run(np.arange(COUNT, 2 * COUNT))
    assert len(traces) == 1
    assert ((drawn.wyckoff > 0) == (drawn.species > 0)).all()
    assert (drawn.wyckoff > 0).any(-1).all()
    letters = np.where(drawn.wyckoff > 0, local_index(drawn.wyckoff), -1)
    for group, row in zip(drawn.group.tolist(), letters.tolist(), strict=True):
        dof = positions(group)
        for letter, number in collections.Counter(x for x in row if x >= 0).items():
            assert letter < len(dof)
            assert number == 1 or dof[letter] > 0
    if make(name, variant)[0].makes == "crystals":
        validate(drawn)
        assert np.isfinite(drawn.lattice).all()


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_a_sample_depends_on_its_key_alone(name, variant):
    run, _ = completed(name, variant)
    whole, chosen = run(np.arange(COUNT)), np.array([19, 2, 7])
    part = run(chosen)
    for field in ("group", "wyckoff", "species"):
        np.testing.assert_array_equal(getattr(part, field), getattr(whole, field)[chosen])
    turn = part.free - whole.free[chosen]
    np.testing.assert_allclose(turn - np.round(turn), 0, atol=1e-4)
    np.testing.assert_allclose(part.lattice, whole.lattice[chosen], atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_more_slots_change_nothing_that_is_not_full(name):
    (narrow, _), (wide, _) = completed(name, "plain"), completed(name, "plain", 7)
    narrow, wide = narrow(np.arange(COUNT)), wide(np.arange(COUNT))
    room = (wide.wyckoff > 0).sum(-1) < SITES
    assert room.any()
    np.testing.assert_array_equal(wide.group[room], narrow.group[room])
    np.testing.assert_array_equal(wide.wyckoff[room, :SITES], narrow.wyckoff[room])
    np.testing.assert_array_equal(wide.species[room, :SITES], narrow.species[room])


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_limits_are_kept(name, variant):
    recipe = make(name, variant)[0]
    run, _ = completed(name, variant)
    numbers, wish = np.arange(119), no_limits()
    required = {"required": numbers == 8} if "required" in recipe.obeys else {}
    drawn = run(
        np.arange(COUNT),
        dataclasses.replace(
            wish,
            groups=np.where(np.isin(np.arange(231), (14, 225)), 0.0, -np.inf),
            allowed=np.isin(numbers, (3, 8, 92)),
            **required,
        ),
    )
    if "groups" in recipe.obeys:
        assert set(drawn.group.tolist()) == {14, 225}
    if "allowed" in recipe.obeys:
        assert set(drawn.species[drawn.wyckoff > 0].tolist()) <= {3, 8, 92}
    if required:
        assert (drawn.species == 8).any(-1).all()


@pytest.mark.parametrize("name", [name for name in NAMES if get_recipe(name).sizes])
def test_sizes_are_known_beforehand(name):
    recipe, config, _, _, _ = make(name, "plain")
    drawn = completed(name, "plain")[0](np.arange(COUNT))
    keys = sample_keys(7, np.arange(COUNT))
    sizes = jax.jit(functools.partial(recipe.sizes, config=config))
    told = sizes(keys, nothing(COUNT, SITES), no_limits())
    np.testing.assert_array_equal((drawn.wyckoff > 0).sum(-1), told)
    assert len(set(told.tolist())) > 1


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_what_is_given_stays(name, variant):
    _, _, crystals, _, _ = make(name, variant)
    run, _ = completed(name, variant)
    given = on_device(take(crystals, np.arange(COUNT) % 16))
    given = dataclasses.replace(given, wyckoff=given.wyckoff.at[:, 1:].set(0))
    given = dataclasses.replace(given, species=jnp.where(given.wyckoff > 0, given.species, 0))
    drawn = run(np.arange(16), given=given)
    np.testing.assert_array_equal(drawn.group, crystals.group)
    if name in GROUP_ALONE:
        return
    np.testing.assert_array_equal(drawn.wyckoff[:, 0], crystals.wyckoff[:, 0])
    np.testing.assert_array_equal(drawn.species[:, 0], crystals.species[:, 0])


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_loss_is_finite_and_compiles_once(name, variant):
    _, _, crystals, _, params = make(name, variant)
    gradients, traces = gradients_of(name, variant)
    traces.clear()
    for seed in range(3):
        (value, metrics), grads = gradients(params, jax.random.key(seed), on_device(crystals))
        assert np.isfinite(value)
        assert all(np.isfinite(v) and c >= 0 for v, c in metrics.values())
        assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))
    assert len(traces) <= 1


@pytest.mark.parametrize("name", NAMES)
def test_empty_crystals_and_empty_slots_count_nothing(name):
    recipe, config, crystals, shape, params = make(name, "plain")
    key = jax.random.key(1)
    loss = functools.partial(recipe.loss, config=config)
    plain, metrics = jax.jit(functools.partial(loss, shape=shape))(params, key, on_device(crystals))
    empty = jax.tree.map(np.zeros_like, take(crystals, slice(5)))
    more = jax.tree.map(lambda a, b: np.concatenate([a, b]), crystals, empty)
    slots = {
        field: np.pad(values, [(0, 0), (0, 3)] + [(0, 0)] * (values.ndim - 2))
        for field, values in vars(more).items()
        if field in ("wyckoff", "species", "free")
    }
    larger = CellShape(shape.sites + 3, shape.atoms + 3, 4)
    wide = on_device(dataclasses.replace(more, **slots))
    found, same = jax.jit(functools.partial(loss, shape=larger))(params, key, wide)
    np.testing.assert_allclose(found, plain, rtol=2e-5)
    for part in metrics:
        np.testing.assert_allclose(same[part], metrics[part], rtol=2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_one_device_and_eight_agree(name):
    _, _, crystals, _, params = make(name, "plain")
    gradient, _ = gradients_of(name, "plain")
    check_one_and_eight_agree(gradient, params, crystals)


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_settings_survive_json(name, variant):
    recipe, config, *_ = make(name, variant)
    recipe.validate(config)
    assert from_json(recipe.config, json.loads(json.dumps(to_json(config)))) == config
