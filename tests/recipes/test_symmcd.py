"""Crystals from nothing: counts, decoding to positions, and noise that gives nothing away."""

import collections
import dataclasses
import functools

import jax
import numpy as np
import pytest
from pyxtal.symmetry import Group

from jaxcrys.core.errors import InputError
from jaxcrys.crystal import expand
from jaxcrys.nn.site_net import SiteNetConfig
from jaxcrys.processes.wrapped_normal import WrappedNormal
from jaxcrys.recipes import symmcd
from jaxcrys.recipes.census import (
    Census,
    element_shares,
    fit_census,
    group_shares,
    log_of,
    position_shares,
    site_shares,
)
from jaxcrys.recipes.site_description import AXES, POSITIONS, Given
from jaxcrys.symmetry import load_tables, position_id, positions_of
from jaxcrys.symmetry.orbits import representative
from jaxcrys.symmetry.wyckoff import free_mask, local_index
from tests.crystals import random_crystals

DESCRIPTIONS = {"axes": AXES, "positions": POSITIONS}
CRYSTALS = random_crystals(40, sites=4, seed=5)


def of(crystals):
    """Sites of each crystal as plain tuples."""
    for group, wyckoff, species in zip(
        crystals.group.tolist(), crystals.wyckoff.tolist(), crystals.species.tolist(), strict=True
    ):
        yield group, [(w, z) for w, z in zip(wyckoff, species, strict=True) if w]


def encode(name, wyckoff):
    return np.asarray(jax.jit(DESCRIPTIONS[name].encode)(wyckoff))


def decode(name, crystals, category, coordinates, logits=None):
    given = Given(
        group=crystals.group.astype(np.int32),
        occupied=crystals.wyckoff > 0,
        wyckoff=np.zeros(crystals.wyckoff.shape, np.int32),
    )
    if logits is None:
        logits = np.zeros((*category.shape, DESCRIPTIONS[name].classes))
    keys = jax.random.split(jax.random.key(0), len(crystals.group))
    run = jax.jit(DESCRIPTIONS[name].decode)
    return jax.device_get(run(keys, given, category, logits, coordinates.astype(np.float32)))


def test_census_counts_by_loops():
    census = fit_census(CRYSTALS)
    sizes, places, elements = (collections.Counter() for _ in range(3))
    for group, sites in of(CRYSTALS):
        sizes[group, len(sites)] += 1
        places.update(w for w, _ in sites)
        elements.update(z for _, z in sites)
    for group in range(1, 231):
        assert list(census.crystals[group - 1]) == [sizes[group, n] for n in range(1, 5)]
    assert list(census.positions) == [places[w] for w in range(1, 1732)]
    assert list(census.elements) == [elements[z] for z in range(1, 119)]


def test_shares():
    census = fit_census(CRYSTALS)
    groups = np.bincount(CRYSTALS.group, minlength=231)[1:]
    np.testing.assert_allclose(group_shares(census)[1:], (groups + 0.1) / (40 + 23))
    assert group_shares(census)[0] == 0
    for shares in (site_shares(census), position_shares(census), element_shares(census)):
        np.testing.assert_allclose(shares.sum(-1), 1)
    for group in range(1, 231):
        assert (position_shares(census)[group] > 0).sum() == len(Group(group).get_wp_list())
    assert (site_shares(census) > 0).all()
    assert (element_shares(census) > 0).all()


def test_a_census_of_another_size_is_refused():
    with pytest.raises(InputError, match=r"census\.positions: must have 1731"):
        symmcd.validate(symmcd.Config(census=Census(positions=(1,))))


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_marginals_are_the_shares_of_the_sites(name):
    """In a group with many sites they are counted; what no position has is impossible."""
    group, description = 62, DESCRIPTIONS[name]
    ids = np.array([position_id(62, letter) for letter in "cccdab"])
    census = dataclasses.replace(
        Census(), positions=tuple(np.bincount(1000 * [*ids], minlength=1732)[1:].tolist())
    )
    log_marginal = description.log_marginal(census, np.array([group]))[0, 0]
    category = encode(name, ids)
    shares = (category[..., None] == np.arange(description.classes)).mean(0)
    np.testing.assert_allclose(np.exp(log_marginal), shares, atol=1e-3)
    every = encode(name, np.array(positions_of(group)))
    has = (every[..., None] == np.arange(description.classes)).any(0)
    np.testing.assert_array_equal(np.isfinite(log_marginal), has)


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_reading_and_answering_are_in_the_same_order(name):
    """The features of the true categories, as logits, are largest at the true categories."""
    description = DESCRIPTIONS[name]
    category = encode(name, CRYSTALS.wyckoff)
    features = jax.jit(description.read)(CRYSTALS.group, category)
    assert features.shape[-1] == description.features
    logits = jax.jit(description.answer)(CRYSTALS.group, features)
    logits = np.where(np.isfinite(description.log_marginal(Census(), CRYSTALS.group)), logits, -1)
    occupied = CRYSTALS.wyckoff > 0
    np.testing.assert_array_equal(logits.argmax(-1)[occupied], category[occupied])


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_decoding_finds_the_crystal_again(name):
    """From the categories of the sites, and their coordinates, the same atoms come out."""
    points = (
        CRYSTALS.free if name == "positions" else representative(CRYSTALS.wyckoff, CRYSTALS.free)
    )
    category = encode(name, CRYSTALS.wyckoff)
    wyckoff, free = decode(name, CRYSTALS, category, points)
    np.testing.assert_array_equal(wyckoff, CRYSTALS.wyckoff)
    again = dataclasses.replace(CRYSTALS, free=free.astype(float))
    one, other = (expand(c, capacity=96) for c in (CRYSTALS, again))
    apart = one.frac[:, :, None] - other.frac[:, None]
    apart = np.abs(apart - np.round(apart)).max(-1)
    apart = np.where(one.site[:, :, None] == other.site[:, None], apart, 1)
    assert np.where(one.mask, apart.min(-1), 0).max() < 1e-4


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_a_position_without_freedom_is_taken_once(name):
    """All sites ask for 4a of group 225, whose point is full after the first."""
    crystals = jax.tree.map(lambda x: np.repeat(x[:1], 20, 0), CRYSTALS)
    crystals = dataclasses.replace(
        crystals, group=np.full(20, 225), wyckoff=np.full((20, 4), position_id(225, "a"))
    )
    category = encode(name, crystals.wyckoff)
    logits = np.full((*category.shape, DESCRIPTIONS[name].classes), -9.0, np.float32)
    logits[..., -1 if name == "axes" else local_index(np.array(position_id(225, "l")))] = 9
    wyckoff, free = decode(
        name, crystals, category, np.random.default_rng(0).random((20, 4, 3)), logits
    )
    tables = load_tables()
    for row in wyckoff.tolist():
        letters = [str(tables.position_letter[w]) for w in row]
        if name == "axes":  # 4b has the same symmetry elements: the nearer comes first
            assert set(letters[:2]) == {"a", "b"}
        else:  # then what the network says
            assert letters == ["a", "l", "l", "l"]
        assert all(n == 1 or tables.position_dof[w] for w, n in collections.Counter(row).items())
    assert not free[~free_mask(wyckoff)].any()


def test_free_coordinates_do_not_betray_the_position():
    """Coordinates that a position does not use are uniform, clean or noisy, and score zero there.

    Means of cos 2πx over 4,000 sites within four standard errors.
    """
    crystals = random_crystals(1000, sites=4, seed=6)
    config = symmcd.fit(symmcd.Config(sites="positions", coordinates="free"), crystals)
    keys = jax.random.split(jax.random.key(0), 1000)
    clean = jax.jit(functools.partial(symmcd._clean, config=config))
    state = jax.device_get(clean(keys, crystals))
    dead = (crystals.wyckoff > 0)[..., None] & ~free_mask(crystals.wyckoff)
    np.testing.assert_array_equal(
        state.coordinates[free_mask(crystals.wyckoff)],
        crystals.free.astype(np.float32)[free_mask(crystals.wyckoff)],
    )
    noise = 0.1 * np.random.default_rng(0).normal(size=dead.shape)
    for values in (state.coordinates, state.coordinates + noise):
        waves = np.cos(2 * np.pi * values[dead])
        assert abs(waves.mean()) < 4 * np.sqrt(0.5 / dead.sum())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"coordinates": "free"}, 'set sites="positions"'),
        ({"network": SiteNetConfig(channels=0)}, r"network\.channels"),
        ({"network": SiteNetConfig(species=90)}, r"network\.species"),
        ({"coordinate_process": WrappedNormal(steps=10)}, "must be 1000 in all"),
        ({"sampler_steps": 0}, "sampler_steps"),
        ({"symmetry_weight": -1.0}, "symmetry_weight"),
        ({"lattice_scale": (1.0,)}, "must have 6 numbers"),
    ],
)
def test_bad_settings_are_named(changes, message):
    with pytest.raises(InputError, match=message):
        symmcd.validate(dataclasses.replace(symmcd.Config(), **changes))


def test_forbidden_logits_are_minus_infinity():
    """Of elements that are not allowed, and of symmetry elements that the group does not have."""
    config = symmcd.fit(symmcd.Config(network=SiteNetConfig(layers=1, channels=8)), CRYSTALS)
    params = symmcd.init(jax.random.key(0), config)
    frame = jax.jit(functools.partial(symmcd._frame_of, config=config))(CRYSTALS)
    allowed = np.isin(np.arange(1, 119), (3, 8))
    logs = log_of(np.where(allowed, 0.5, 0))
    frame = dataclasses.replace(frame, log_species=np.broadcast_to(logs, (40, 1, 118)))
    clean = jax.jit(functools.partial(symmcd._clean, config=config))
    state = clean(jax.random.split(jax.random.key(0), 40), CRYSTALS)
    said = jax.jit(functools.partial(symmcd.denoise, config=config))(
        params, frame, state, np.full(40, 500)
    )
    np.testing.assert_array_equal(
        np.isfinite(said.species), np.broadcast_to(allowed, said.species.shape)
    )
    has = np.isfinite(AXES.log_marginal(Census(), CRYSTALS.group))
    np.testing.assert_array_equal(
        np.isfinite(said.symmetry), np.broadcast_to(has, said.symmetry.shape)
    )
