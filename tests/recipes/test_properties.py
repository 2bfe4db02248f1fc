"""Properties of crystals: told in training, asked for in sampling, stressed by guidance."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from scipy.special import softmax

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import take
from jaxcrys.core.rng import sample_keys
from jaxcrys.crystal.formula import formula_of
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.nn import CSPNetConfig
from jaxcrys.nn.set_transformer import (
    SetTransformerConfig,
    add_group,
    add_site,
    element_logits,
    group_logits,
    position_logits,
    sequence_logits,
    start,
)
from jaxcrys.processes.flow import Flow
from jaxcrys.processes.site_sequence import legal_choices, no_limits
from jaxcrys.recipes import get_recipe, orbit, orbit_flow, wyformer
from jaxcrys.recipes.base import Composition
from jaxcrys.recipes.properties import Target, condition, fit_properties, standardise, tell_some
from jaxcrys.recipes.site_model import FORMULA_SLOTS, unknown_formula
from jaxcrys.symmetry import lattice_mask
from tests.crystals import random_crystals
from tests.devices import single_precision
from tests.programs import compiled

NETWORK = SetTransformerConfig(layers=1, channels=16, heads=2, dropout=0.0)
SHAPE = CellShape(sites=4, atoms=24, images=4)
CSPNET = CSPNetConfig(layers=1, channels=8, frequencies=2, time_channels=8)
NAMES = ("gap", "energy")
COUNT = 24
DRAWN = 40
"""Templates that are drawn: always as many, so that tests share programs."""


@pytest.fixture(scope="module")
def made():
    """Settings, crystals, values of which a quarter is missing, and parameters."""
    crystals = random_crystals(COUNT, sites=4, seed=3)
    random = np.random.default_rng(0)
    values = random.normal([1.0, -2.0], [2.0, 0.5], (COUNT, 2)).astype(np.float32)
    values[random.random(values.shape) < 0.25] = np.nan
    config = wyformer.fit(wyformer.Config(network=NETWORK), crystals)
    config = condition(config, NAMES, values)
    return config, single_precision(crystals), values, wyformer.init(jax.random.key(0), config)


def empty(count, sites=4):
    blank = random_crystals(1, sites=sites, seed=0)
    blank = single_precision(blank)
    return jax.tree.map(lambda x: np.zeros((count, *x.shape[1:]), x.dtype), blank)


@functools.cache
def program(function, **settings):
    return jax.jit(functools.partial(function, **settings))


def completed(config, params, count, target=None, limits=None, *, sites=4):
    draw = program(wyformer.complete, config=config, sites=sites)
    keys = sample_keys(0, np.arange(count))
    limits = limits or no_limits()
    return jax.device_get(draw(params, keys, empty(count, sites), limits, target=target))


def targets(count, *values, guidance=None):
    rows = np.tile(np.array(values, np.float32), (count, 1))
    return Target(rows, None if guidance is None else np.full(count, guidance, np.float32))


def same(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_fitted_to_what_is_known(made):
    config, _, values, _ = made
    for found, column in zip(config.properties, values.T, strict=True):
        known = column[~np.isnan(column)]
        assert found.mean == pytest.approx(known.mean(), rel=1e-4)
        assert found.scale == pytest.approx(known.std(), rel=1e-4)
        assert found.quantiles[0] == pytest.approx(known.min(), rel=1e-4)
        assert found.quantiles[-1] == pytest.approx(known.max(), rel=1e-4)
    standard = np.asarray(standardise(values, config.properties))
    np.testing.assert_allclose(np.nanmean(standard, 0), 0, atol=1e-3)
    np.testing.assert_allclose(np.nanstd(standard, 0), 1, atol=1e-3)
    with pytest.raises(InputError, match="gap: has no two different values"):
        fit_properties(["gap"], np.array([[1.0], [np.nan]]))


def test_share_of_what_is_told():
    """Of 4,000 crystals, within four standard errors; all are hidden together."""
    keys = jax.random.split(jax.random.key(0), 4000)
    hide = functools.partial(tell_some, share=0.7, each=0.6)
    told = ~np.isnan(jax.jit(jax.vmap(hide))(keys, np.ones((4000, 2))))
    for found, share in ((told[:, 0], 0.42), (told.any(-1), 0.7 * 0.84), (told.all(-1), 0.252)):
        assert abs(found.mean() - share) < 4 * np.sqrt(share * (1 - share) / 4000)


def test_reading_site_by_site_is_reading_the_sequence(made):
    config, crystals, values, params = made
    formula = program(formula_of, slots=FORMULA_SLOTS)(crystals)
    told = np.arange(COUNT) % 2 == 0
    formula = jax.tree.map(lambda part: np.where(told[:, None], part, 0), formula)
    network, known = config.network, standardise(values, config.properties)
    near = functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-4)
    of = functools.partial(compiled, config=network)
    groups, positions, elements = of(sequence_logits)(
        params, formula, crystals.group, crystals.wyckoff, crystals.species, properties=known
    )
    memory, hidden = of(start, sites=4)(params, formula, properties=known)
    near(of(group_logits)(params, hidden), groups)
    memory, hidden = of(add_group, sites=4)(params, memory, crystals.group)
    for site in range(4):
        near(of(position_logits)(params, hidden, crystals.group), positions[:, site])
        wyckoff, species = crystals.wyckoff[:, site], crystals.species[:, site]
        near(of(element_logits)(params, hidden, wyckoff), elements[:, site])
        memory, hidden = of(add_site, sites=4)(params, memory, wyckoff, species, np.asarray(site))


def test_what_is_not_known_is_not_read(made):
    """Scores of nothing known are those of a network without properties."""
    config, crystals, values, params = made
    plain = dataclasses.replace(config.network, properties=0)
    fewer = {"params": {k: v for k, v in params["params"].items() if k != "properties"}}
    sequence = unknown_formula(COUNT), crystals.group, crystals.wyckoff, crystals.species
    without = compiled(sequence_logits, plain)(fewer, *sequence)
    read = compiled(sequence_logits, config.network)
    nothing = read(params, *sequence, properties=np.full_like(values, np.nan))
    for a, b in zip(nothing, without, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    told = read(params, *sequence, properties=standardise(values, config.properties))
    assert not np.allclose(told[1], without[1], atol=1e-2)


def test_without_a_target_samples_are_those_of_the_plain_model(made):
    config, _, _, params = made
    plain = dataclasses.replace(
        config, properties=(), network=dataclasses.replace(config.network, properties=0)
    )
    fewer = {"params": {k: v for k, v in params["params"].items() if k != "properties"}}
    wanted = completed(plain, fewer, DRAWN)
    same(completed(config, params, DRAWN), wanted)
    open_target = targets(DRAWN, np.nan, np.nan, guidance=2.0)
    same(completed(config, params, DRAWN, open_target), wanted)
    other = completed(config, params, DRAWN, targets(DRAWN, 5.0, -1.0, guidance=2.0))
    assert (other.species != wanted.species).any()


@pytest.mark.parametrize("guidance", [None, 1.5])
def test_samples_come_as_often_as_guided_scores_say(guidance):
    """Groups 1 and 2 with one site: shares of 20,000 samples against scores of the sequence."""
    network = SetTransformerConfig(layers=1, channels=8, heads=2, species=4, properties=1)
    values = np.array([[0.0], [1.0]])
    config = condition(wyformer.Config(network=network), ["gap"], values)
    params = wyformer.init(jax.random.key(1), config)
    limits = dataclasses.replace(
        no_limits(),
        groups=np.where(np.isin(np.arange(231), (1, 2)), 0.0, -np.inf),
        allowed=np.arange(4) > 0,
        required=np.zeros(4, bool),
    )
    count = 20_000
    target = targets(count, 2.5, guidance=guidance)
    drawn = completed(config, params, count, target, limits, sites=1)

    def scores(known):
        group = np.array([1, 2])
        nothing = np.zeros((2, 1), np.int32)
        said = compiled(sequence_logits, network)(
            params, unknown_formula(2), group, nothing, nothing, properties=np.full((2, 1), known)
        )
        return np.asarray(said[0])[:, 1:3], np.asarray(said[1])[:, 0]

    told, untold = scores((2.5 - 0.5) / 0.5), scores(np.nan)
    weight = guidance or 0.0
    groups = (1 + weight) * told[0][0]  # where nothing is known it says nothing of the group
    positions = (1 + weight) * told[1] - weight * untold[1]
    sites = np.zeros((2, 1), np.int32)
    legal = np.asarray(jax.jit(legal_choices)(np.array([1, 2]), sites, sites))
    shares = softmax(groups)[:, None] * softmax(np.where(legal, positions, -np.inf), axis=-1)
    for row, group in enumerate((1, 2)):
        for local in np.flatnonzero(legal[row]):
            share = float(shares[row, local])
            from_group = drawn.wyckoff[drawn.group == group, 0]
            found = (from_group == (1, 2)[row] + local).sum() / count
            assert abs(found - share) < 4.5 * np.sqrt(share * (1 - share) / count) + 1e-6


def test_a_sample_depends_on_its_own_target_alone(made):
    config, _, _, params = made
    values = np.array([[0.0, np.nan], [3.0, -2.0]] * 20, np.float32)
    whole = completed(config, params, DRAWN, Target(values, np.array([1.0, 2.5] * 20, np.float32)))
    for rows, values, weight in (
        (slice(0, None, 2), (0.0, np.nan), 1.0),
        (slice(1, None, 2), (3.0, -2.0), 2.5),
    ):
        alike = completed(config, params, DRAWN, targets(DRAWN, *values, guidance=weight))
        np.testing.assert_array_equal(whole.wyckoff[rows], alike.wyckoff[rows])
        np.testing.assert_array_equal(whole.species[rows], alike.species[rows])


def test_templates_of_a_formula_with_a_target(made):
    config, _, _, params = made
    salt = [Composition({11: 1, 17: 1}, (1, 2))]
    draw = functools.partial(
        wyformer.complete_formula, params, sample_keys(0, np.arange(12)), salt,
        np.zeros(12, int), config=config, sites=4,
    )  # fmt: skip
    plain = draw()
    same(draw(target=targets(12, np.nan, np.nan, guidance=2.0)), plain)
    guided = draw(target=targets(12, 4.0, -1.0, guidance=2.0))
    assert (guided.wyckoff != plain.wyckoff).any()
    assert set(np.unique(guided.species)) == {0, 11, 17}


@pytest.fixture(scope="module")
def gradients(made):
    """Loss, metrics and gradients, compiled."""
    loss = functools.partial(wyformer.loss, config=made[0], shape=SHAPE)
    return jax.jit(jax.value_and_grad(loss, has_aux=True))


def test_loss_is_blind_to_padding(made, gradients):
    config, crystals, values, params = made
    loss = jax.jit(functools.partial(wyformer.loss, config=config, shape=SHAPE))
    key = jax.random.key(2)
    (plain, metrics), _ = gradients(params, key, crystals, properties=values)
    nothing = jax.tree.map(np.zeros_like, take(crystals, slice(4)))
    more = jax.tree.map(lambda a, b: np.concatenate([a, b]), crystals, nothing)
    with_empty, _ = loss(params, key, more, properties=np.pad(values, ((0, 4), (0, 0))))
    np.testing.assert_allclose(with_empty, plain, rtol=1e-5)
    nan = np.full_like(values, np.nan)
    (unknown, fewer), _ = gradients(params, key, crystals, properties=nan)
    without, _ = loss(params, key, crystals)
    np.testing.assert_allclose(unknown, without, rtol=1e-5)
    assert metrics["groups"][1] > fewer["groups"][1]  # the group is learned where one is told
    assert unknown != plain


def test_gradients_are_finite(made, gradients):
    _, crystals, values, params = made
    _, found = gradients(params, jax.random.key(0), crystals, properties=values)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))
    assert np.abs(found["params"]["properties"]["of_steps"]["kernel"]).max() > 0


def test_elements_stay_where_a_property_is_told(made):
    config, crystals, values, params = made
    values = np.nan_to_num(values)
    settings = dataclasses.replace(config, augment=False)
    check_elements_stay(wyformer.loss, settings, params, crystals, values)


def geometry_model(crystals, values):
    config = dataclasses.replace(orbit_flow.PRESETS["tiny"], network=CSPNET, species="given")
    config = orbit_flow.fit(dataclasses.replace(config, flow=Flow(steps=3)), crystals)
    config = condition(config, NAMES, values)
    orbit_flow.validate(config)
    return config, orbit_flow.init(jax.random.key(0), config)


def test_geometry_may_be_told(made):
    """Nothing told is the network without properties; each crystal reads its own values."""
    _, crystals, values, _ = made
    config, params = geometry_model(crystals, values)
    plain = dataclasses.replace(
        config, properties=(), network=dataclasses.replace(config.network, properties=0)
    )
    fewer = {"params": {k: v for k, v in params["params"].items() if k != "properties"}}
    assert len(fewer["params"]) == len(params["params"]) - 1
    keys = sample_keys(0, np.arange(COUNT))
    draw = program(orbit_flow.sample, config=config, shape=SHAPE)
    near = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4)
    blank = dataclasses.replace(crystals, lattice=np.zeros_like(crystals.lattice))
    nothing, told, guided = (
        np.asarray(draw(params, keys, blank, target=target).lattice)
        for target in (
            targets(COUNT, np.nan, np.nan),
            Target(values),
            targets(COUNT, np.nan, np.nan, guidance=2.0),
        )
    )
    near(nothing, program(orbit_flow.sample, config=plain, shape=SHAPE)(fewer, keys, blank).lattice)
    near(guided, nothing)
    known = ~np.isnan(values).all(-1)
    moved = (told != nothing).any(-1)
    free = np.asarray(lattice_mask(crystals.group)).any(-1)
    assert known.any()
    assert (~known).any()
    np.testing.assert_array_equal(moved, known & free)


def test_elements_of_geometry_stay_where_a_property_is_told(made):
    _, crystals, values, _ = made
    values = np.nan_to_num(values)
    config, params = geometry_model(crystals, values)
    check_elements_stay(orbit_flow.loss, config, params, crystals, values)


def check_elements_stay(loss, config, params, crystals, values):
    """Substitutions change nothing where all properties are told, and much where none is."""
    config = dataclasses.replace(config, properties_share=1.0, each_property_share=1.0)
    always, never = (
        program(
            loss, config=dataclasses.replace(config, substitutions=share),
            shape=SHAPE, training=True,
        )
        for share in (1.0, 0.0)
    )  # fmt: skip

    def both(properties):
        key = jax.random.key(0)
        return [
            float(of(params, key, crystals, properties=properties)[0]) for of in (always, never)
        ]

    one, other = both(values)
    assert one == pytest.approx(other, rel=1e-5)
    one, other = both(np.full_like(values, np.nan))
    assert one != pytest.approx(other, rel=1e-3)


def test_orbit_passes_them_to_its_halves(made):
    """Each the properties that it knows, by their names."""
    config, crystals, values, _ = made
    settings = get_recipe("orbit").presets["tiny"]
    geometry = dataclasses.replace(settings.geometry, network=CSPNetConfig(layers=1, channels=8))
    plain = dataclasses.replace(config, properties=())
    settings = dataclasses.replace(settings, templates=plain, geometry=geometry)
    settings = orbit.condition(settings, NAMES, values)
    assert settings.templates == config
    assert settings.geometry.properties == config.properties
    swapped, _ = geometry_model(crystals, values)
    swapped = condition(swapped, (NAMES[1], "other"), values[:, ::-1])
    settings = dataclasses.replace(settings, geometry=swapped)
    params = orbit.init(jax.random.key(0), settings)
    target = Target(np.stack([*values.T, values[:, 0]], -1))  # gap, energy, other
    sample = program(orbit.sample, config=settings, shape=SHAPE)
    found = sample(params, sample_keys(0, np.arange(COUNT)), crystals, target=target)
    wanted = program(orbit_flow.sample, config=swapped, shape=SHAPE)(
        params["geometry"], sample_keys(0, np.arange(COUNT)), crystals,
        target=Target(values[:, ::-1]),
    )  # fmt: skip
    np.testing.assert_array_equal(found.free, wanted.free)
    keys, target = sample_keys(0, np.arange(DRAWN)), targets(DRAWN, 1.0, -1.0, np.nan, guidance=1.0)
    complete = jax.jit(functools.partial(orbit.complete, config=settings, sites=4))
    drawn = complete(params, keys, empty(DRAWN), no_limits(), target=target)
    wanted = completed(
        settings.templates, params["templates"], DRAWN, targets(DRAWN, 1.0, -1.0, guidance=1.0)
    )
    np.testing.assert_array_equal(drawn.species, wanted.species)


def test_settings_must_agree():
    network = dataclasses.replace(NETWORK, properties=2)
    with pytest.raises(InputError, match=r"network\.properties: must be 0"):
        wyformer.validate(wyformer.Config(network=network))
