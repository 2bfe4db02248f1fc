"""Diffusion over the positions of a group: exact shares, forbidden things, and draws that fail."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import take
from jaxcrys.core.rng import sample_keys
from jaxcrys.crystal import build_crystal, example_crystal, stack_crystals, validate
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.crystal.protostructure import protostructure_label
from jaxcrys.nn.slot_network import SlotNetworkConfig
from jaxcrys.processes.schedules import cosine_alpha_bar, strided_times
from jaxcrys.processes.site_sequence import no_limits
from jaxcrys.recipes import wyckoffdiff
from jaxcrys.symmetry.wyckoff import general_position, position_slots
from tests.crystals import random_crystals
from tests.devices import on_device

NETWORK = SlotNetworkConfig(
    layers=1, channels=16, heads=2, rank=4, max_count=2, time_channels=8, dropout=0.0
)
CONFIG = wyckoffdiff.Config(network=NETWORK, steps=50, sampler_steps=5, attempts=3)
SHAPE = CellShape(sites=6, atoms=24, images=4)


def drawn_with(params, count, limits, *, config=CONFIG, sites=6, seed=0):
    draw = jax.jit(functools.partial(wyckoffdiff.draw, config=config, sites=sites))
    keys = sample_keys(seed, np.arange(count))
    return jax.device_get(draw(params, keys, jnp.zeros(count, jnp.int32), limits))


def only(*, groups, elements):
    return dataclasses.replace(
        no_limits(),
        groups=np.where(np.isin(np.arange(231), groups), 0.0, -np.inf),
        allowed=np.isin(np.arange(119), elements),
    )


def constant_scores(*, single, several):
    """Parameters of a network that says the same of whatever it sees."""
    params = jax.tree.map(jnp.zeros_like, wyckoffdiff.init(jax.random.key(0), CONFIG))
    params["params"]["logits"]["bias"] = jnp.full(119, single).at[0].set(0.0)
    params["params"]["often"] = jnp.full((119, NETWORK.max_count), several)
    return params


def test_constant_predictions_come_with_the_shares_of_the_process():
    """In group 2 with one element, each inversion centre is filled at one of five jumps.

    A hidden entry is revealed in a jump from t to s with probability r = (ᾱ_s - ᾱ_t) / (1 - ᾱ_t),
    and is then full with probability p.
    """
    several = -1.0
    params = constant_scores(single=-0.5, several=several)
    config = dataclasses.replace(CONFIG, attempts=1)
    found = drawn_with(params, 3000, only(groups=(2,), elements=(8,)), config=config, sites=12)
    assert not found.mended[(found.templates.wyckoff > 0).any(-1)].any()
    survival = cosine_alpha_bar(50, clip=(0.0, 1.0))[strided_times(50, 5)]
    reveal = (survival[1:] - survival[:-1]) / (1 - survival[:-1])

    def full(score, classes):
        p = np.exp(score) / (1 + classes * np.exp(score))
        return 1 - np.prod(1 - classes * p * reveal)

    usable = ~found.mended
    empty = (1 - full(-0.5, 1)) ** 8 * (1 - full(several, 2))
    assert_share((~usable).mean(), empty, 3000)
    wyckoff = found.templates.wyckoff[usable]
    centres = (wyckoff == position_slots(np.array(2))[3]).any(-1)
    assert_share(centres.mean(), full(-0.5, 1) / (1 - empty), usable.sum())
    general = (wyckoff == 10).sum(-1)
    for count in (1, 2):
        assert_share((general == count).mean(), full(several, 2) / 2 / (1 - empty), usable.sum())
    assert set(np.unique(found.templates.species)) == {0, 8}


def assert_share(found, expected, count):
    assert abs(found - expected) < 4.5 * np.sqrt(expected * (1 - expected) / count)


@pytest.mark.parametrize("transition", ["zeros", "marginal", "uniform"])
def test_what_is_forbidden_never_occurs(transition):
    crystals = random_crystals(40, sites=5, seed=1)
    config = dataclasses.replace(CONFIG, transition=transition, attempts=1)
    config = wyckoffdiff.fit(config, crystals)
    params = wyckoffdiff.init(jax.random.key(1), config)
    limits = only(groups=(62, 194, 225), elements=(3, 8, 15))
    made = drawn_with(params, 64, limits, config=config, sites=20).templates
    validate(made)
    assert set(np.unique(made.group)) <= {62, 194, 225}
    assert set(np.unique(made.species)) <= {0, 3, 8, 15}


def test_elements_that_were_never_seen_are_drawn_only_if_asked_for():
    config = dataclasses.replace(CONFIG, elements=(8, 14), sampler_steps=2, attempts=1)
    params = constant_scores(single=0.0, several=-3.0)
    draw = jax.jit(functools.partial(wyckoffdiff.draw, config=config, sites=20))
    for allowed, expected in (
        (range(1, 119), {0, 8, 14}),
        ((8, 79), {0, 8}),
        ((79,), {0, 79}),
    ):
        limits = only(groups=(62, 225), elements=allowed)
        found = draw(params, sample_keys(0, np.arange(16)), jnp.zeros(16, jnp.int32), limits)
        assert set(np.unique(found.templates.species)) == expected


def test_draws_that_never_succeed_are_mended():
    draw = jax.jit(functools.partial(wyckoffdiff.draw, config=CONFIG, sites=3))
    limits = only(groups=(2, 225), elements=(8, 26))
    nothing = jnp.zeros(20, jnp.int32)
    for score, count in ((-60.0, 1), (3.0, 3)):
        params = constant_scores(single=score, several=score)
        found = jax.device_get(draw(params, sample_keys(0, np.arange(20)), nothing, limits))
        assert found.mended.all()
        assert (found.attempts == CONFIG.attempts).all()
        made = found.templates
        validate(made)
        assert ((made.wyckoff > 0).sum(-1) == count).all()
        assert set(np.unique(made.species)) <= {0, 8, 26}
        if count == 1:
            np.testing.assert_array_equal(made.wyckoff[:, 0], general_position(made.group))


def test_shares_are_those_of_the_data():
    crystals = stack_crystals(
        [
            example_crystal(),
            build_crystal(1, [(6, "a", (0.1, 0.2, 0.3))] * 2, (4, 5, 6, 80, 90, 100)),
        ]
    )
    config = wyckoffdiff.fit(dataclasses.replace(CONFIG, network=SlotNetworkConfig()), crystals)
    assert config.network.max_count == 2
    # Fm-3m has four positions without free coordinates, two of them full, and eight others.
    total = 4 + 1
    wanted = {0: 2 + 1 / 119, 11: 1 + 1 / 119, 17: 1 + 1 / 119, 6: 1 / 119}
    for element, count in wanted.items():
        assert config.element_marginal[element] == pytest.approx(count / total)
    assert sum(config.count_marginal) == pytest.approx(1, abs=1e-12)
    assert config.count_marginal[2] == pytest.approx((1 + 1 / 3) / ((8 + 1) * 118 + 1))


def test_crystals_with_too_many_equal_sites_do_not_count():
    crystals = random_crystals(9, sites=3, seed=2)
    sites = [(6, "a", (0.1 * n, 0.2, 0.3)) for n in range(3)]
    crowded = stack_crystals([build_crystal(1, sites, (4, 5, 6, 80, 90, 100))], capacity=3)
    params = wyckoffdiff.init(jax.random.key(0), CONFIG)
    loss = jax.jit(functools.partial(wyckoffdiff.loss, config=CONFIG, shape=SHAPE))
    (plain, metrics), (found, same) = (
        loss(
            params,
            jax.random.key(3),
            on_device(jax.tree.map(lambda a, b: np.concatenate([a, b]), crystals, last)),
        )
        for last in (jax.tree.map(np.zeros_like, crowded), crowded)
    )
    assert float(found) == pytest.approx(float(plain), rel=1e-5)
    assert float(same["counts"][1]) == float(metrics["counts"][1]) == 9


@pytest.mark.slow
def test_two_crystals_are_learned_by_heart():
    known = stack_crystals(
        [
            example_crystal(),
            build_crystal(194, [(12, "c"), (8, "f", (0.6,)), (8, "f", (0.1,))],
                          (3, 3, 9, 90, 90, 120)),
        ],
    )  # fmt: skip
    network = dataclasses.replace(NETWORK, channels=32)
    config = dataclasses.replace(CONFIG, network=network, sampler_steps=25, attempts=1)
    config = wyckoffdiff.fit(config, known)
    batch = on_device(jax.tree.map(lambda x: np.repeat(x, 4, 0), known))
    optimise = optax.adam(0.01)
    loss = functools.partial(wyckoffdiff.loss, config=config, shape=SHAPE, training=True)

    def step(state, key):
        params, memory = state
        value, gradient = jax.value_and_grad(lambda p: loss(p, key, batch)[0])(params)
        updates, memory = optimise.update(gradient, memory)
        return (optax.apply_updates(params, updates), memory), value

    params = wyckoffdiff.init(jax.random.key(0), config)
    keys = jax.random.split(jax.random.key(1), 300)
    (params, _), values = jax.jit(lambda state: jax.lax.scan(step, state, keys))(
        (params, optimise.init(params))
    )
    assert np.mean(values[-50:]) < 0.2 * values[0]
    found = drawn_with(params, 40, only(groups=(194, 225), elements=range(1, 119)), config=config)
    labels = {protostructure_label(take(known, number)) for number in range(2)}
    made = [protostructure_label(take(found.templates, number)) for number in range(40)]
    assert set(made) >= labels
    assert np.mean([label in labels for label in made]) > 0.8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampler_steps": 51}, "sampler_steps"),
        ({"attempts": 0}, "attempts"),
        ({"transition": "mask"}, "transition"),
        ({"transition": "marginal", "count_marginal": (1.0,)}, "marginal"),
        ({"group_log_weights": (0.0,)}, "group_log_weights"),
        ({"network": dataclasses.replace(NETWORK, rank=0)}, "network.rank"),
    ],
)
def test_bad_settings_are_named(changes, message):
    with pytest.raises(InputError, match=message):
        wyckoffdiff.validate(dataclasses.replace(CONFIG, **changes))
