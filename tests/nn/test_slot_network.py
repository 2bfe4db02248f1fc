"""The network over the positions of a group: what it must not see."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import take
from jaxcrys.crystal.slots import to_slots
from jaxcrys.nn.slot_network import SlotNetworkConfig, init_slot_network, slot_logits, validate
from jaxcrys.symmetry.wyckoff import position_slots
from tests.crystals import random_crystals

CONFIG = SlotNetworkConfig(layers=2, channels=16, heads=2, rank=4, max_count=3, time_channels=8)


@pytest.fixture(scope="module")
def made():
    crystals = random_crystals(12, sites=4, seed=2)
    group = jnp.asarray(crystals.group)
    slots = jax.jit(to_slots)(group, jnp.asarray(crystals.wyckoff), jnp.asarray(crystals.species))
    return group, slots, init_slot_network(jax.random.key(0), CONFIG)


@jax.jit
def scores(params, group, slots, time=0.5):
    return slot_logits(CONFIG, params, group, slots, jnp.full(group.shape, time))


def test_slots_that_a_group_lacks_are_not_read(made):
    group, slots, params = made
    missing = np.asarray(position_slots(group)) == 0
    noise = np.random.default_rng(0)
    other = dataclasses.replace(
        slots,
        element=jnp.where(missing, noise.integers(0, 119, missing.shape), slots.element),
        count=jnp.where(missing[..., None], noise.integers(0, 3, slots.count.shape), slots.count),
    )
    for one, two in zip(scores(params, group, slots), scores(params, group, other), strict=True):
        np.testing.assert_array_equal(one[~missing], two[~missing])


def test_each_template_is_read_alone(made):
    group, slots, params = made
    chosen = np.array([7, 2])
    together = scores(params, group, slots)
    apart = scores(params, group[chosen], take(slots, chosen))
    for one, two in zip(apart, together, strict=True):
        np.testing.assert_allclose(one, two[chosen], rtol=1e-4, atol=1e-5)


def test_half_precision_says_nearly_the_same(made):
    group, slots, params = made
    narrow = dataclasses.replace(CONFIG, dtype="bfloat16")
    half = slot_logits(narrow, params, group, slots, jnp.full(group.shape, 0.5))
    for wide, low in zip(scores(params, group, slots), half, strict=True):
        assert low.dtype == np.float32
        assert not np.array_equal(wide, low)
        assert np.abs(wide - low).max() < 0.06 * np.abs(wide).max()


def test_every_position_and_the_time_are_read(made):
    group, slots, params = made
    group, slots = jnp.full(1, 47), take(slots, slice(1))
    plain = scores(params, group, slots)[1]
    for place in (0, 8, 26):
        other = dataclasses.replace(slots, count=slots.count.at[:, place, 8].add(1))
        changed = np.abs(scores(params, group, other)[1] - plain).max((0, 2, 3))
        assert (changed > 1e-6).all()
    assert float(np.abs(scores(params, group, slots, 0.1)[1] - plain).max()) > 1e-4


def test_numbers_of_sites_beyond_the_most_have_no_score(made):
    group, slots, params = made
    single, several = scores(params, group, slots)
    assert single.shape == (12, 27, 119)
    assert several.shape == (12, 27, 119, 4)
    assert (np.asarray(several)[..., 0] == 0).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 3}, "network.heads"),
        ({"dropout": 1.0}, "network.dropout"),
        ({"max_count": 0}, "network.max_count"),
        ({"time_channels": 7}, "network.time_channels"),
    ],
)
def test_bad_settings_are_named(changes, message):
    with pytest.raises(InputError, match=message):
        validate(dataclasses.replace(CONFIG, **changes))
