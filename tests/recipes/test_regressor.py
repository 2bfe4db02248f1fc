"""Estimates of numbers: what must not change them, what they say, and that they learn."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from scipy.stats import norm

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import take
from jaxcrys.crystal import example_crystal
from jaxcrys.crystal.buckets import choose_shapes
from jaxcrys.crystal.equivalents import equivalents
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.nn.orbit_net import OrbitNetConfig
from jaxcrys.recipes import regressor
from jaxcrys.training.optimiser import kernels
from jaxcrys.training.setup import check_recipe
from tests.crystals import random_crystals
from tests.devices import on_device

NETWORK = OrbitNetConfig(layers=1, channels=8, heads=2, radial=6, time_channels=8, dropout=0.3)
CRYSTALS = random_crystals(12, sites=3, seed=3)
VALUES = np.random.default_rng(0).normal((2.0, -50.0), (0.5, 10.0), (12, 2))
VALUES[3, 0] = np.nan
(SHAPE,) = choose_shapes(CRYSTALS, limit=1)


@functools.cache
def model():
    """Settings and parameters for two properties, one of which is not always known."""
    config = regressor.Config(network=NETWORK, members=3)
    config = regressor.condition(config, ("gap", "energy"), VALUES)
    return config, regressor.init(jax.random.key(1), config)


@functools.cache
def program(shape=SHAPE):
    config, _ = model()
    return jax.jit(functools.partial(regressor.estimate, config=config, shape=shape))


def estimates(crystals, shape=SHAPE):
    found = program(shape)(model()[1], on_device(crystals))
    return np.asarray(found.mean), np.asarray(found.spread)


@functools.cache
def loss(training):
    config, _ = model()
    return jax.jit(jax.value_and_grad(
        functools.partial(regressor.loss, config=config, shape=SHAPE, training=training),
        has_aux=True,
    ))  # fmt: skip


def losses(values, *, training=False):
    properties = np.float32(values)
    return functools.partial(loss(training))(
        model()[1], jax.random.key(0), on_device(CRYSTALS), properties=properties
    )


def test_loss_is_that_of_normal_distributions_and_skips_what_is_not_known():
    (found, metrics), _ = losses(VALUES)
    mean, spread = estimates(CRYSTALS)
    scale = np.array([target.scale for target in model()[0].targets])
    known = np.isfinite(VALUES)
    expected = -norm.logpdf(VALUES / scale, mean / scale, spread / scale)[known].mean()
    assert float(found) == pytest.approx(expected, rel=1e-4)
    off = np.abs(mean - VALUES)
    total, count = metrics["error_gap"]
    assert (float(total / count), int(count)) == (
        pytest.approx(np.nanmean(off[:, 0]), rel=1e-4),
        11,
    )


def test_members_differ_and_the_spread_holds_their_disagreement():
    config, params = model()
    said = jax.jit(functools.partial(regressor.members, config=config, shape=SHAPE))
    mean, log_variance = said(params, on_device(CRYSTALS))
    assert np.asarray(mean).std(0).min() > 1e-3
    rng = np.random.default_rng(0)  # draws from the members, in place of the formula
    drawn = np.concatenate([
        rng.normal(m, np.exp(v / 2), (20_000, *m.shape))
        for m, v in zip(np.asarray(mean), np.asarray(log_variance), strict=True)
    ])  # fmt: skip
    found = regressor.mixture(mean, log_variance)
    error = drawn.std(0) / np.sqrt(len(drawn))
    assert (np.abs(found.mean - drawn.mean(0)) < 5 * error).all()
    np.testing.assert_allclose(found.spread, drawn.std(0), rtol=0.02)


def test_all_descriptions_of_a_crystal_have_the_same_estimates():
    described = equivalents(take(CRYSTALS, 0))
    mean, spread = estimates(described, choose_shapes(described, limit=1)[0])
    assert len(mean) > 1
    np.testing.assert_allclose(mean, np.broadcast_to(mean[0], mean.shape), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(spread, np.broadcast_to(spread[0], spread.shape), rtol=1e-4)


def test_order_of_sites_and_padding_change_nothing():
    order = [2, 0, 1]
    swapped = dataclasses.replace(
        CRYSTALS,
        **{name: getattr(CRYSTALS, name)[:, order] for name in ("wyckoff", "species", "free")},
    )
    larger = CellShape(sites=SHAPE.sites, atoms=SHAPE.atoms + 7, images=SHAPE.images)
    for crystals, shape in ((swapped, SHAPE), (CRYSTALS, larger)):
        for found, expected in zip(estimates(crystals, shape), estimates(CRYSTALS), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_training_drops_parts_and_validation_does_not():
    (first, _), slope = losses(VALUES, training=True)
    assert float(first) != float(losses(VALUES)[0][0])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))


def test_the_kernels_of_each_member_are_matrices_to_muon():
    marks = jax.tree.leaves(
        kernels(model()[1]), is_leaf=lambda leaf: hasattr(leaf, "reduction_axis")
    )
    assert {(mark.reduction_axis, mark.output_axis) for mark in marks} == {(1, 2)}


def test_nothing_to_learn_is_refused():
    with pytest.raises(InputError, match="--properties: names nothing"):
        check_recipe("regressor", regressor.PRESETS["tiny"], {})
    config = regressor.PRESETS["tiny"]
    with pytest.raises(InputError, match="members: must be at least 1"):
        regressor.validate(dataclasses.replace(config, members=0))


def test_salt_is_a_crystal_too():
    """One site on a fixed position for each element, no free coordinate, no padding."""
    salt = jax.tree.map(lambda leaf: np.asarray(leaf)[None], example_crystal())
    mean, spread = estimates(salt, choose_shapes(salt, limit=1)[0])
    assert np.isfinite(mean).all()
    assert (spread > 0).all()
