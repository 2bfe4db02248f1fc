"""One device and eight, both strategies: the same training, and no more talk than it needs."""

import collections
import dataclasses
import functools
import re

import jax
import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.nn import CSPNetConfig
from jaxcrys.parallel import STRATEGIES, data_mesh, replicate
from jaxcrys.recipes import get_recipe
from jaxcrys.recipes.library import load_model
from jaxcrys.recipes.run_folder import metrics_path
from jaxcrys.training import TrainingConfig, train
from jaxcrys.training.examples import make_examples
from jaxcrys.training.metrics import read_metrics
from jaxcrys.training.state import init_state, make_gradient
from tests.crystals import random_crystals

SETTINGS = dataclasses.replace(
    get_recipe("diffcsp_pp").presets["tiny"],
    network=CSPNetConfig(layers=1, channels=16, frequencies=4, time_channels=8),
)
CONFIG = TrainingConfig(
    steps=12, batch_size=16, microbatches=8, warmup_steps=4, checkpoint_every=12, log_every=1,
    max_shapes=1, optimiser="adam", validation_size=8,
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    crystals = random_crystals(60, seed=1)

    @functools.cache
    def run(strategy, devices):
        folder = tmp_path_factory.mktemp("runs") / "run"
        train(
            folder, crystals, recipe="diffcsp_pp", settings=SETTINGS, strategy=strategy,
            config=CONFIG,
            devices=jax.devices()[:devices],
        )  # fmt: skip
        return folder

    return run


def losses(folder):
    return np.array([row["loss"] for row in read_metrics(metrics_path(folder))])


def test_losses_by_pmap_on_eight_devices_are_those_of_one(run):
    """A part of a batch has two crystals, and each device one of the eight parts."""
    one, eight = losses(run("sharded", 1)), losses(run("pmap", 8))
    assert len(one) == CONFIG.steps + 1
    np.testing.assert_allclose(eight, one, rtol=1e-5)


def test_devices_exchange_gradients_and_nothing_else(run):
    """All collectives of a compiled step are sums over the devices; no array is gathered."""
    model = load_model(run("sharded", 1), checkpoint="latest").config
    parts = 2
    config = dataclasses.replace(CONFIG, microbatches=parts)
    mesh, strategy = data_mesh(), STRATEGIES["sharded"]
    state = replicate(mesh, init_state(model, config))
    examples = make_examples(random_crystals(16, seed=2), {}, "properties")
    rows = strategy.rows(mesh, 16, parts)
    batch = strategy.place(mesh, examples.batch(rows, model.shapes[-1].sites), parts)
    program = strategy.compile(make_gradient(model, config), lambda x: x, mesh, parts, "shape")
    lowered = program.lower((state.step, state.params), batch, shape=model.shapes[-1])
    text = lowered.compile().as_text()
    found = set(re.findall(r" (all-[a-z-]+|reduce-scatter|collective-[a-z-]+)\(", text))
    assert found == {"all-reduce"}


def test_each_shape_is_compiled_once(tmp_path, caplog):
    """Twelve steps and two validations: no program is made again, and none in the middle of it."""
    config = dataclasses.replace(CONFIG, microbatches=1, checkpoint_every=6, max_shapes=2, seed=5)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        train(
            tmp_path / "run", random_crystals(60, seed=1), recipe="diffcsp_pp", settings=SETTINGS,
            config=config, devices=jax.devices()[:1],
        )  # fmt: skip
    shapes = load_model(tmp_path / "run").config.shapes
    assert len(shapes) == 2
    compiled = collections.Counter(
        name for record in caplog.records
        for name in re.findall(r"^Finished XLA compilation of jit\((\w+)\)", record.getMessage())
    )  # fmt: skip
    assert compiled["program"] == 2
    assert compiled["update"] == 1
    assert compiled["evaluate"] in (1, 2)  # a shape may have no held-out crystal


def test_unknown_strategies_are_named(tmp_path):
    with pytest.raises(InputError, match="must be one of sharded, pmap, got 'other'"):
        train(
            tmp_path / "run", random_crystals(8, seed=0), recipe="diffcsp_pp", settings=SETTINGS,
            config=CONFIG, strategy="other",
        )  # fmt: skip
