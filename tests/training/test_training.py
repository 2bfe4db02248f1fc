"""The training loop: it learns, stops where it must, and goes on exactly where it was."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.nn import CSPNetConfig
from jaxcrys.recipes import get_recipe
from jaxcrys.recipes.library import load_model
from jaxcrys.recipes.run_folder import metrics_path
from jaxcrys.training import TrainingConfig, train
from jaxcrys.training.loop import TrainingFailed
from jaxcrys.training.metrics import MetricsFile, read_metrics
from jaxcrys.training.optimiser import kernels, learning_rate, optimiser
from jaxcrys.training.setup import hold_out
from tests.breaking import BreaksAt
from tests.crystals import random_crystals

SETTINGS = dataclasses.replace(
    get_recipe("diffcsp_pp").presets["tiny"],
    network=CSPNetConfig(layers=1, channels=16, frequencies=4, time_channels=8),
)
CONFIG = TrainingConfig(
    steps=40,
    batch_size=8,
    warmup_steps=5,
    learning_rate=3e-3,
    checkpoint_every=10,
    log_every=5,
    max_shapes=1,
)


@pytest.fixture(scope="module")
def crystals():
    return random_crystals(60, seed=1)


def run(folder, crystals, progress=None, init=None, **changes):
    return train(
        folder,
        crystals,
        recipe="diffcsp_pp",
        settings=SETTINGS,
        config=dataclasses.replace(CONFIG, **changes),
        progress=progress,
        init=init,
    )


def losses(folder):
    """All metrics but the times."""
    rows = read_metrics(metrics_path(folder))
    return [{k: v for k, v in row.items() if k != "seconds_per_step"} for row in rows]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, crystals):
    folder = tmp_path_factory.mktemp("runs") / "unbroken"
    return folder, run(folder, crystals)


def test_it_learns(finished):
    folder, result = finished
    trained = [row["loss"] for row in losses(folder) if row["split"] == "train"]
    assert trained[-1] < trained[0]
    assert result.steps == 40
    assert np.isfinite(result.loss)


def test_interrupted_run_continues_to_the_last_bit(finished, crystals, tmp_path):
    folder = tmp_path / "broken"
    with pytest.raises(KeyboardInterrupt):
        run(folder, crystals, progress=BreaksAt("training", 17))
    assert max(row["step"] for row in losses(folder)) == 15  # beyond the checkpoint of step 10
    run(folder, crystals)
    assert losses(folder) == losses(finished[0])
    one, other = (load_model(f, checkpoint="latest").params for f in (folder, finished[0]))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_finished_run_is_left_as_it_is(finished, crystals):
    before = losses(finished[0])
    assert run(finished[0], crystals).steps == 40
    assert losses(finished[0]) == before


def test_other_settings_are_refused_by_name(finished, crystals):
    with pytest.raises(InputError, match=r"training\.learning_rate was 0\.003, now 0\.1"):
        run(finished[0], crystals, learning_rate=0.1)


def test_best_checkpoint_has_the_lowest_validation_loss(finished):
    folder, result = finished
    rows = [row for row in losses(folder) if row["split"] == "validation"]
    kept = {load_model(folder, checkpoint=name).step for name in ("best", "latest")}
    assert kept == {result.best_step, 40}
    assert min(rows, key=lambda row: row["loss"])["step"] == result.best_step


def test_config_lies_in_the_checkpoint(finished):
    from jaxcrys.core.checkpoint import open_checkpoints

    folder, _ = finished
    with open_checkpoints(folder / "checkpoints") as store:
        assert store.settings(40) == json.loads((folder / "config.json").read_text())


def test_non_finite_loss_stops_the_run(crystals, tmp_path):
    broken = dataclasses.replace(crystals, free=np.full_like(crystals.free, np.nan))
    with pytest.raises(TrainingFailed, match="not finite at step 5"):
        run(tmp_path / "run", broken)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps"),
        ({"log_every": 3}, "checkpoint_every"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"weight_decay": -0.1}, "weight_decay"),
        ({"ema_decay": 1.0}, "ema_decay"),
        ({"batch_size": 12}, "batch size"),  # not a multiple of the eight test devices
    ],
)
def test_bad_settings_are_named(crystals, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        run(tmp_path / "run", crystals, **changes)


def test_training_can_start_from_a_trained_model(finished, crystals, tmp_path):
    """The first loss is that of the model; fresh parameters have a larger one."""
    model = load_model(finished[0])
    more = {"steps": 5, "checkpoint_every": 5, "learning_rate": 1e-12}
    run(tmp_path / "on", crystals, init=model, **more)
    run(tmp_path / "fresh", crystals, **more)
    on, fresh = (losses(tmp_path / name)[-1]["loss"] for name in ("on", "fresh"))
    assert on == pytest.approx(finished[1].loss, rel=1e-5)
    assert fresh > on
    with pytest.raises(InputError, match=r"data\.init was '\w+', now None"):
        run(tmp_path / "on", crystals, **more)
    config = dataclasses.replace(model.config, recipe="orbit_flow")
    with pytest.raises(InputError, match="is of orbit_flow, not of diffcsp_pp"):
        run(tmp_path / "x", crystals, init=dataclasses.replace(model, config=config), **more)
    params = {"params": {"other": np.zeros(3)}}
    with pytest.raises(InputError, match="has a network of another size"):
        run(tmp_path / "x", crystals, init=dataclasses.replace(model, params=params), **more)


def test_hold_out_takes_nothing_twice():
    training, held = hold_out(60, CONFIG)
    assert len(held) == 3
    assert sorted([*training, *held]) == list(range(60))


def test_learning_rate_rises_then_falls():
    schedule = learning_rate(CONFIG)
    values = [float(schedule(step)) for step in (0, 5, 40)]
    assert values[0] == 0
    assert values[1] == pytest.approx(3e-3)
    assert values[2] == pytest.approx(3e-5)


@pytest.mark.parametrize("name", ["adam", "muon"])
def test_weight_decay_shrinks_parameters_by_the_learning_rate(name):
    """Without a gradient a step takes away learning rate · decay of each parameter."""
    config = dataclasses.replace(CONFIG, weight_decay=0.5, optimiser=name)
    optimise = optimiser(config)
    params = {"kernel": np.array([[2.0, -4.0], [1.0, 3.0]], np.float32)}
    state, update = jax.jit(optimise.init)(params), jax.jit(optimise.update)
    for step in range(7):
        rate = float(learning_rate(config)(step))
        updates, state = update({"kernel": np.zeros((2, 2), np.float32)}, state, params)
        shrunk = -rate * 0.5 * params["kernel"]
        np.testing.assert_allclose(updates["kernel"], shrunk, rtol=1e-5, atol=1e-9)


def test_muon_moves_all_directions_of_a_kernel_alike():
    """The oracle is the singular value decomposition: the change is near to -U Vᵀ, scaled."""
    config = dataclasses.replace(CONFIG, warmup_steps=0, clip_norm=1e9)
    gradient = np.random.default_rng(0).normal(size=(12, 5)) * [3.0, 1.0, 1.0, 0.3, 0.1]
    params = {"mix": {"kernel": np.zeros((12, 5)), "bias": np.zeros(5)}}
    gradients = {"mix": {"kernel": gradient, "bias": 10.0 ** np.arange(5)}}
    optimise = optimiser(config)
    updates, _ = jax.jit(optimise.update)(gradients, jax.jit(optimise.init)(params), params)
    left, _, right = np.linalg.svd(gradient, full_matrices=False)
    change = np.asarray(updates["mix"]["kernel"], np.float64)
    along = np.diag(left.T @ change @ right.T)
    assert np.all(along < 0)
    assert along.max() / along.min() > 0.5  # the gradient's own range is 1 : 40
    rate = float(learning_rate(config)(0))
    assert np.sqrt((change**2).mean()) == pytest.approx(rate, rel=0.3)
    bias = np.asarray(updates["mix"]["bias"])
    np.testing.assert_allclose(bias, bias[0], rtol=1e-3)


def test_muon_leaves_embeddings_and_logits_to_adam():
    recipe = get_recipe("orbit_flow")
    params = jax.eval_shape(lambda: recipe.init(jax.random.key(0), recipe.presets["tiny"]))
    marked = {
        jax.tree_util.keystr(path): mark is not None
        for path, mark in jax.tree_util.tree_leaves_with_path(
            kernels(params), is_leaf=lambda x: x is None or not isinstance(x, dict)
        )
    }
    moved = [name for name, by_muon in marked.items() if by_muon]
    assert all(name.endswith("['kernel']") for name in moved)
    assert not any("embedding" in name or "logits" in name for name in moved)
    assert any("query" in name for name in moved)


def test_half_written_line_is_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 5, "loss": 1.0}\n{"step": 10, "loss": 0.5}\n{"step": 15, "lo')
    MetricsFile(path, resume_step=5).write(step=10, loss=0.25)
    assert [row["loss"] for row in read_metrics(path)] == [1.0, 0.25]
