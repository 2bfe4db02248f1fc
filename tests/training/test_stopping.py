"""A run that is asked to stop, or whose newest checkpoint is damaged, goes on as if nothing was."""

import contextlib
import dataclasses
import functools
import math
import os
import shutil
import signal

import jax
import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.core.progress import Bar, Progress
from jaxcrys.recipes import get_recipe
from jaxcrys.recipes.library import load_model
from jaxcrys.recipes.run_folder import metrics_path
from jaxcrys.training import TrainingConfig, train
from jaxcrys.training.metrics import read_metrics
from tests.breaking import BreaksAt
from tests.crystals import random_crystals
from tests.models import NETWORK

SETTINGS = dataclasses.replace(get_recipe("diffcsp_pp").presets["tiny"], network=NETWORK)
CONFIG = TrainingConfig(
    steps=24, batch_size=8, warmup_steps=4, checkpoint_every=10, log_every=5, max_shapes=1,
    optimiser="adam",
)  # fmt: skip
CRYSTALS = random_crystals(60, seed=1)


def run(folder, progress=None, devices=8):
    return train(
        folder, CRYSTALS, recipe="diffcsp_pp", settings=SETTINGS, config=CONFIG,
        progress=progress, devices=jax.devices()[:devices],
    )  # fmt: skip


def losses(folder):
    rows = read_metrics(metrics_path(folder))
    return [{k: v for k, v in row.items() if k != "seconds_per_step"} for row in rows]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "unbroken"
    run(folder)
    return folder


def same(folder, other):
    assert losses(folder) == losses(other)
    one, two = (load_model(f, checkpoint="latest").params for f in (folder, other))
    jax.tree.map(np.testing.assert_array_equal, one, two)


@pytest.mark.parametrize("step", [2, 13, 19])
def test_sigterm_saves_and_the_run_goes_on_to_the_last_bit(unbroken, tmp_path, step):
    folder, before = tmp_path / "run", signal.getsignal(signal.SIGTERM)
    ask = functools.partial(os.kill, os.getpid(), signal.SIGTERM)
    result = run(folder, BreaksAt("training", step, ask))
    assert (result.steps, result.finished) == (step + 1, False)
    assert math.isnan(result.loss) == (step + 1 < CONFIG.checkpoint_every)
    assert signal.getsignal(signal.SIGTERM) == before
    assert load_model(folder, checkpoint="latest").step == step + 1
    assert run(folder).finished
    same(folder, unbroken)


class StopsWhileCompiling(Progress):
    """Sends SIGTERM when the first program is there."""

    def __init__(self):
        self.compiled = 0

    @contextlib.contextmanager
    def bar(self, name, *, total, done=0):
        """Count the programs."""

        def update(steps, note):
            if name == "compiling":
                self.compiled += steps
                os.kill(os.getpid(), signal.SIGTERM)

        yield Bar(update)


def test_who_is_to_stop_does_not_wait_for_all_programs(tmp_path):
    progress, config = StopsWhileCompiling(), dataclasses.replace(CONFIG, max_shapes=3)
    result = train(
        tmp_path / "run", CRYSTALS, recipe="diffcsp_pp", settings=SETTINGS, config=config,
        progress=progress,
    )  # fmt: skip
    assert (result.steps, progress.compiled) == (1, 1)
    assert len(load_model(tmp_path / "run", checkpoint="latest").config.shapes) == 3
    with pytest.raises(InputError, match=r"before its first validation.* 'latest', of step 1"):
        load_model(tmp_path / "run")


def test_a_run_goes_on_with_other_devices(unbroken, tmp_path):
    ask = functools.partial(os.kill, os.getpid(), signal.SIGTERM)
    assert not run(tmp_path / "run", BreaksAt("training", 13, ask)).finished
    assert run(tmp_path / "run", devices=1).finished
    for one, other in zip(losses(tmp_path / "run"), losses(unbroken), strict=True):
        assert one.pop("split") == other.pop("split")
        assert one == pytest.approx(other, rel=1e-5)


class Told(Progress):
    """Remembers what it was told."""

    def __init__(self):
        self.told = []

    def say(self, text):
        self.told.append(text)


def damage(file, how):
    content = file.read_bytes()
    if how == "cut off":
        file.write_bytes(content[: len(content) // 2])
    elif how == "missing":
        file.unlink()
    else:
        middle = len(content) // 2
        file.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])


# orbax's reads that are still under way when one fails find their event loop closed
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("item", ["state", "ema"])
@pytest.mark.parametrize("how", ["cut off", "missing", "one bit"])
def test_damaged_checkpoints_are_noticed_and_the_one_before_is_used(unbroken, tmp_path, how, item):
    folder = shutil.copytree(unbroken, tmp_path / "run")
    newest = folder / "checkpoints" / str(CONFIG.steps)
    files = list(
        (newest / item).rglob("d/*")
    )  # of the arrays; what describes them is not always read
    damage(max(files, key=lambda path: path.stat().st_size), how)
    if item == "ema":
        with pytest.raises(InputError, match=f"checkpoints/{CONFIG.steps}: "):
            load_model(folder, checkpoint="latest")
    told = Told()
    assert run(folder, told).finished
    assert f"moved to {folder / 'checkpoints.damaged' / str(CONFIG.steps)}" in told.told[0]
    same(folder, unbroken)
