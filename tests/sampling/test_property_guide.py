"""Sampling guided by properties: nearer to what is wanted, in the same templates, exact."""

import json

import jax
import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import take
from jaxcrys.crystal import load_crystals
from jaxcrys.crystal.buckets import choose_shapes
from jaxcrys.crystal.convert import detect_group
from jaxcrys.nn.orbit_net import OrbitNetConfig
from jaxcrys.recipes import regressor
from jaxcrys.recipes.library import load_model
from jaxcrys.recipes.model import Model, ModelConfig
from jaxcrys.sampling.estimate import estimate, known_elements, probability_within
from jaxcrys.sampling.generate import generate
from jaxcrys.sampling.plan import Request
from jaxcrys.sampling.property_guide import PropertyGuide
from jaxcrys.sampling.wish import Wish
from jaxcrys.symmetry.subgroups import is_subgroup
from tests.crystals import random_crystals

ASKED = Request(Wish(max_atoms=10), num=8)
NETWORK = OrbitNetConfig(
    layers=1, channels=16, heads=2, radial=4, time_channels=8, neighbours=8, reach=1
)


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    """A regressor that knows nothing, but says something smooth of every crystal."""
    crystals = random_crystals(40, seed=1)
    values = np.random.default_rng(0).normal(size=(40, 1))
    settings = regressor.condition(regressor.Config(NETWORK, members=2), ("gap",), values)
    config = ModelConfig("regressor", settings, choose_shapes(crystals, limit=1), 8)
    params = regressor.init(jax.random.key(5), settings)
    return Model(config, params, crystals, 0, tmp_path_factory.mktemp("judge"))


@pytest.fixture(scope="module")
def model(orbit_run):
    return load_model(orbit_run)


@pytest.fixture(scope="module")
def plain(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain") / "out"
    generate(model, folder, ASKED, seed=1, batch_size=8)
    return folder


def gaps(judge, folder):
    return estimate(judge, load_crystals(folder))["gap"].mean


@pytest.fixture(scope="module")
def wanted(judge, plain):
    """What hardly any crystal has by itself."""
    return {"gap": (float(np.quantile(gaps(judge, plain), 0.95)), 1e6)}


@pytest.fixture(scope="module")
def guided(model, judge, wanted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("guided") / "out"
    guide = PropertyGuide(judge, wanted, steps=3, since=0.0)
    generate(model, folder, ASKED, seed=1, batch_size=8, guide=guide)
    return folder


def test_values_come_nearer_in_the_same_templates(judge, plain, guided, wanted):
    before, after = load_crystals(plain), load_crystals(guided)
    for name in ("group", "wyckoff", "species"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    off = [np.maximum(wanted["gap"][0] - gaps(judge, folder), 0) for folder in (plain, guided)]
    assert (off[1] <= off[0] + 1e-3).mean() > 0.7
    assert off[1].mean() < off[0].mean()


def test_symmetry_stays_exact(guided):
    crystals = load_crystals(guided)
    for index, asked in enumerate(crystals.group):
        found = detect_group(take(crystals, index), 1e-3)
        assert found == asked or is_subgroup(int(asked), found)


def test_records_name_the_regressor(guided, wanted):
    record = json.loads((guided / "run.json").read_text())["guide"]
    assert record["wanted"] == {"gap": list(wanted["gap"])}
    assert len(record["regressor"]["sha256"]) == 64


def test_crystals_that_have_what_is_wanted_do_not_move(judge, plain):
    crystals = load_crystals(plain)
    crystals = jax.tree.map(lambda a: a.astype(np.float32 if a.dtype.kind == "f" else a.dtype),
                            crystals)  # fmt: skip
    guide = PropertyGuide(judge, {"gap": (-1e6, 1e6)})
    (shape,) = choose_shapes(crystals, limit=1)
    moved = guide.improve(crystals, np.arange(8), shape=shape)
    np.testing.assert_array_equal(moved.free, crystals.free)
    np.testing.assert_array_equal(moved.lattice, crystals.lattice)


def test_estimates_do_not_depend_on_the_others(judge, plain):
    crystals = load_crystals(plain)
    whole = estimate(judge, crystals, batch_size=8)["gap"]
    alone = estimate(judge, take(crystals, slice(2, 4)), batch_size=8)["gap"]
    np.testing.assert_allclose(alone.mean, whole.mean[2:4], rtol=1e-4, atol=1e-5)
    likely = probability_within(whole, -1e9, 1e9)
    np.testing.assert_allclose(likely, 1)
    assert known_elements(judge, crystals).dtype == bool


def test_what_cannot_guide_is_refused(model, judge, given_run, tmp_path):
    with pytest.raises(InputError, match="does not estimate 'volume'; it knows gap"):
        generate(model, tmp_path / "a", ASKED, guide=PropertyGuide(judge, {"volume": (0, 1)}))
    with pytest.raises(InputError, match="which estimates no numbers"):
        generate(model, tmp_path / "b", ASKED, guide=PropertyGuide(model, {"gap": (0, 1)}))
    with pytest.raises(InputError, match="heads for no crystal"):
        generate(load_model(given_run), tmp_path / "c", ASKED, guide=PropertyGuide(judge, {}))
    with pytest.raises(InputError, match="which makes numbers"):
        generate(judge, tmp_path / "d", ASKED)
