"""The sampler of the orbit flow, on velocities whose integral is known."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcrys.core.rng import sample_keys
from jaxcrys.crystal.buckets import choose_shapes
from jaxcrys.nn.orbit_net import OrbitNetConfig
from jaxcrys.processes import unmasking
from jaxcrys.processes.flow import Flow
from jaxcrys.recipes import flow_sampler, orbit_flow
from jaxcrys.recipes.lattice_prior import to_standard
from jaxcrys.recipes.properties import Property, Target
from jaxcrys.symmetry import free_mask, lattice_mask
from tests.crystals import random_crystals
from tests.devices import on_device

CRYSTALS = random_crystals(12, sites=3, seed=3)
(SHAPE,) = choose_shapes(CRYSTALS, limit=1)
CONFIG = orbit_flow.fit(
    orbit_flow.Config(species="given", network=OrbitNetConfig(layers=1, channels=8)), CRYSTALS
)
DRIFT = 0.3


def drawn(monkeypatch, spread=1.0, **changes):
    """Samples of the field dk/dt = -3k, du/dt = drift, and the lattices in standard units."""

    def field(params, templates, state, time, *, config, shape, told=None, dropout=None):
        t = time[:, None]
        velocity = orbit_flow.Answer(
            lattice=-3 * state.lattice,
            free=jnp.full(state.free.shape, DRIFT),
            species=jnp.zeros((*state.species.shape, 119)),
        )
        if config.flow.target == "endpoint":
            return dataclasses.replace(
                velocity,
                lattice=(1 - t) * velocity.lattice,
                free=(1 - t)[..., None] * velocity.free,
            )
        return velocity

    monkeypatch.setattr(flow_sampler, "predict", field)
    flow = Flow(**{"haste": 0.0, **changes})
    config = dataclasses.replace(CONFIG, flow=flow, lattice_spread=spread)
    batch = on_device(CRYSTALS)
    batch = dataclasses.replace(batch, lattice=jnp.zeros_like(batch.lattice))  # to be drawn
    found = orbit_flow.sample({}, sample_keys(0, np.arange(12)), batch, config=config, shape=SHAPE)
    return np.asarray(found.free), np.asarray(to_standard(found, CONFIG.prior))


def error(lattice, exact):
    mask = np.asarray(lattice_mask(CRYSTALS.group))
    return np.abs(lattice - exact)[mask].mean()


@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_lattices_start_with_a_share_of_their_spread(monkeypatch, spread):
    """The field is linear, so the ends are spread as the starts are; coordinates do not change."""
    free, whole = drawn(monkeypatch)
    same, part = drawn(monkeypatch, spread=spread)
    mask = np.asarray(lattice_mask(CRYSTALS.group))
    assert np.abs(whole[mask]).max() > 1e-2
    np.testing.assert_allclose(part[mask], spread * whole[mask], atol=1e-5)
    np.testing.assert_array_equal(same, free)


@pytest.mark.parametrize(("integrator", "order"), [("euler", 1), ("midpoint", 2)])
def test_order_of_the_integrators(monkeypatch, integrator, order):
    """Twice as many steps: half the error, or a quarter."""
    _, exact = drawn(monkeypatch, integrator="midpoint", steps=600)
    coarse, fine = (
        error(drawn(monkeypatch, integrator=integrator, steps=steps)[1], exact)
        for steps in (20, 40)
    )
    assert fine < coarse
    assert np.log2(coarse / fine) == pytest.approx(order, abs=0.25)


def test_an_endpoint_says_the_same_as_a_velocity(monkeypatch):
    free, lattice = drawn(monkeypatch, steps=20)
    other, lattice_too = drawn(monkeypatch, steps=20, target="endpoint")
    np.testing.assert_allclose(lattice_too, lattice, atol=1e-5)
    turn = other - free
    np.testing.assert_allclose(turn - np.round(turn), 0, atol=1e-5)


def test_haste_carries_the_coordinates_further(monkeypatch):
    """By drift · haste · ∫ t dt, in steps from their beginnings; lattices stay."""
    steps = 50
    free, lattice = drawn(monkeypatch, steps=steps)
    hasty, same = drawn(monkeypatch, steps=steps, haste=1.0)
    np.testing.assert_array_equal(lattice, same)
    way = (hasty - free)[free_mask(CRYSTALS.wyckoff)]
    further = DRIFT * (steps - 1) / (2 * steps)
    np.testing.assert_allclose((way - further) - np.round(way - further), 0, atol=1e-4)


def test_churn_moves_what_is_free_alone(monkeypatch):
    free, lattice = drawn(monkeypatch, steps=10)
    churned, other = drawn(monkeypatch, steps=10, churn=1.0)
    live, loose = free_mask(CRYSTALS.wyckoff), np.asarray(lattice_mask(CRYSTALS.group))
    assert np.abs(churned - free)[live].mean() > 0.05
    assert np.abs(other - lattice)[loose].mean() > 0.01
    assert not churned[~live].any()
    assert not other[~loose].any()


def test_guidance_stresses_what_the_target_changes(monkeypatch):
    """Of a velocity that is the target itself, each sample goes 1 + w times as far."""

    def field(params, templates, state, time, *, config, shape, told):
        way = jnp.where(jnp.isnan(told), 0, told)
        return orbit_flow.Answer(
            lattice=jnp.broadcast_to(way, state.lattice.shape),
            free=jnp.broadcast_to(way[..., None], state.free.shape),
            species=jnp.zeros((*state.species.shape, 119)),
        )

    monkeypatch.setattr(flow_sampler, "predict", field)
    known = Property("length", mean=1.0, scale=2.0, quantiles=(0.0, 2.0))
    config = dataclasses.replace(CONFIG, properties=(known,), flow=Flow(steps=4, haste=0.0))
    batch = on_device(CRYSTALS)
    batch = dataclasses.replace(batch, lattice=jnp.zeros_like(batch.lattice))

    def end(values, weight):
        target = Target(values[:, None], weight)
        found = orbit_flow.sample(
            {}, sample_keys(0, np.arange(12)), batch, config=config, shape=SHAPE, target=target
        )
        return np.asarray(found.free), np.asarray(to_standard(found, config.prior))

    random = np.random.default_rng(0)
    values, weight = random.uniform(0.5, 2.0, 12), random.uniform(0.0, 3.0, 12)
    free, lattice = end(np.full(12, np.nan), None)
    moved, stretched = end(values.astype(np.float32), weight.astype(np.float32))
    way = ((1 + weight) * (values - 1) / 2)[:, None]
    loose = np.asarray(lattice_mask(CRYSTALS.group))
    np.testing.assert_allclose(stretched - lattice, np.where(loose, way, 0), atol=1e-4)
    turn = (moved - free - way[..., None])[free_mask(CRYSTALS.wyckoff)]
    np.testing.assert_allclose(turn - np.round(turn), 0, atol=1e-4)


def test_all_none_or_a_part_of_the_elements_is_known_at_the_start():
    keys = jax.random.split(jax.random.key(0), 4000)
    each = jax.jit(jax.vmap(lambda key: unmasking.given(key, np.ones(20, int))))
    given = np.asarray(each(keys))
    share = given.mean(-1)
    rest = 1 - unmasking.ALL_KNOWN - unmasking.NONE_KNOWN
    ends = rest / 21  # a random part of 20 sites is empty, or all of them, as often as any other
    assert (share == 1).mean() == pytest.approx(unmasking.ALL_KNOWN + ends, abs=0.03)
    assert (share == 0).mean() == pytest.approx(unmasking.NONE_KNOWN + ends, abs=0.03)
    part = share[(share > 0) & (share < 1)]
    assert part.mean() == pytest.approx(0.5, abs=0.03)
    assert part.std() == pytest.approx(np.sqrt(1 / 12), abs=0.04)
