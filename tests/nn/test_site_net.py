"""The network on sites: order, padding and lattice translations change nothing."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.nn.site_net import (
    SiteNetConfig,
    Sites,
    Votes,
    init_site_net,
    run_site_net,
    validate,
)

CONFIG = SiteNetConfig(layers=2, channels=16, frequencies=4, time_channels=8, copies=True)
FEATURES = 6
TIME = jnp.array([30.0, 700.0])
run = jax.jit(functools.partial(run_site_net, CONFIG))


@pytest.fixture(scope="module")
def made():
    random = np.random.default_rng(0)
    occupied = np.array([[True] * 4, [True, True, False, False]])
    sites = Sites(
        group=np.array([14, 225]),
        occupied=occupied,
        species=np.where(occupied, random.integers(1, 90, (2, 4)), 0),
        symmetry=random.normal(size=(2, 4, FEATURES)).astype(np.float32),
        frac=random.random((2, 4, 3), np.float32),
        place=random.random((2, 4, 3), np.float32),
        lattice=random.normal(size=(2, 6)).astype(np.float32),
    )
    params = init_site_net(jax.random.key(0), CONFIG, features=FEATURES)
    return params, jax.tree.map(jnp.asarray, sites)


def of_sites(sites, change):
    names = ("occupied", "species", "symmetry", "frac", "place")
    return dataclasses.replace(sites, **{name: change(getattr(sites, name)) for name in names})


def test_order_of_sites(made):
    params, sites = made
    order = np.array([2, 0, 3, 1])
    plain = run(params, sites, TIME)
    turned = run(params, of_sites(sites, lambda x: x[:, order]), TIME)
    np.testing.assert_allclose(turned.lattice, plain.lattice, atol=1e-5)
    for name in ("vectors", "species", "symmetry"):
        np.testing.assert_allclose(
            getattr(turned, name), getattr(plain, name)[:, order], atol=1e-5
        )  # fmt: skip


def test_padding(made):
    params, sites = made
    plain = run(params, sites, TIME)
    rubbish = of_sites(sites, lambda x: jnp.concatenate([x, x[:, :2]], 1))
    empty = jnp.asarray(rubbish.occupied).at[:, 4:].set(False)
    rubbish = dataclasses.replace(rubbish, occupied=empty)
    wide = run(params, rubbish, TIME)
    np.testing.assert_allclose(wide.lattice, plain.lattice, atol=1e-5)
    for name in ("vectors", "species", "symmetry"):
        np.testing.assert_allclose(getattr(wide, name)[:, :4], getattr(plain, name), atol=1e-5)
        assert not np.any(getattr(wide, name)[:, 4:])
    assert not np.any(plain.vectors[1, 2:])


def test_lattice_translations(made):
    params, sites = made
    whole = np.random.default_rng(1).integers(-2, 3, (2, 2, 4, 3)).astype(np.float32)
    moved = dataclasses.replace(sites, frac=sites.frac + whole[0], place=sites.place + whole[1])
    plain = run(params, sites, TIME)
    same = run(params, moved, TIME)
    for one, other in zip(*map(jax.tree.leaves, (plain, same)), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_group_origin_and_time_are_seen(made):
    params, sites = made
    plain = run(params, sites, TIME)
    changes = {"group": sites.group + 1, "place": sites.place + 0.3, "symmetry": -sites.symmetry}
    others = [
        run(params, dataclasses.replace(sites, **{name: value}), TIME)
        for name, value in changes.items()
    ]
    others.append(run(params, sites, TIME + 100))
    for other in others:
        assert np.abs(other.symmetry - plain.symmetry).max() > 1e-3


def test_half_precision_says_nearly_the_same(made):
    params, sites = made
    full = run(params, sites, TIME)
    half = run_site_net(dataclasses.replace(CONFIG, dtype="bfloat16"), params, sites, TIME)
    for wide, low in zip(jax.tree.leaves(full), jax.tree.leaves(half), strict=True):
        assert low.dtype == np.float32
        assert not np.array_equal(wide, low)
        assert np.abs(wide - low).max() < 0.06 * np.abs(wide).max()


def test_votes_are_for_the_elements_of_other_sites(made):
    """Site by site, from the two linear maps."""
    _, sites = made
    hidden = np.random.default_rng(2).normal(size=(2, 4, 16)).astype(np.float32)
    species = np.array([[5, 7, 5, 7], [3, 3, 0, 0]])
    params = Votes(9).init(jax.random.key(1), hidden, species, sites.occupied)
    found = Votes(9).apply(params, hidden, species, sites.occupied)
    asking, voting = (
        hidden @ params["params"][name]["kernel"] + params["params"][name]["bias"]
        for name in ("asking", "voting")
    )
    wanted = np.zeros((2, 4, 9))
    for crystal, one, other in np.ndindex(2, 4, 4):
        if one != other and sites.occupied[crystal, other]:
            vote = asking[crystal, one] @ voting[crystal, other] / 4
            wanted[crystal, one, species[crystal, other]] += vote
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"layers": 0}, r"network\.layers"), ({"time_channels": 7}, "must be even")],
)
def test_bad_settings_are_named(changes, message):
    with pytest.raises(InputError, match=message):
        validate(dataclasses.replace(CONFIG, **changes))
