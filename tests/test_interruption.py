"""Commands that are killed at any moment and given again make what an unbroken one makes.

The full measurement, with more kills, is ``benchmarks/interruptions.py``.
"""

import shutil

import numpy as np
import pytest

from benchmarks import interruptions
from jaxcrys.core.checkpoint import open_checkpoints
from jaxcrys.core.errors import InputError
from jaxcrys.training.start import start_run
from tests.crystals import random_crystals

KILLS = 1


@pytest.fixture(scope="module")
def tallies(tmp_path_factory):
    work = tmp_path_factory.mktemp("killed at random")
    return interruptions.measure(work, kills=KILLS, seed=1, rows=300, steps=20, samples=12)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["prepare", "train", "generate"])
def test_killed_commands_make_the_same(tallies, command):
    tally = tallies[command]
    assert tally.kills == KILLS
    assert tally.completions >= 1
    assert not tally.differences
    assert not tally.leftovers


def test_comparisons_see_what_differs(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "same").write_text("a")
        (tmp_path / name / "changed").write_text(name)
    (tmp_path / "other" / "more").write_text("b")
    one, other = tmp_path / "one", tmp_path / "other"
    assert interruptions.folder_differences(one, one) == []
    assert interruptions.folder_differences(one, other) == ["changed", "more"]
    (other / ".a.xyz.partial").mkdir()
    assert interruptions.leftovers(other) == [".a.xyz.partial", "one"]


def save(store, step, loss):
    store.save(step, {"ema": {"w": np.full(3, float(step))}}, {}, loss=loss)


def test_what_a_killed_run_left_among_the_checkpoints_is_tidied(tmp_path):
    losses = {10: 0.1, 20: 0.5, 30: 0.4, 40: 0.3}
    with open_checkpoints(tmp_path / "whole") as store:
        for step, loss in losses.items():
            save(store, step, loss)
    names = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert names == ["10", "30", "40"]  # the best, and the two newest

    # Killed after saving, while deleting, and while saving.
    shutil.copytree(tmp_path / "whole", tmp_path / "killed")
    shutil.copytree(tmp_path / "killed" / "30", tmp_path / "killed" / "20")
    (tmp_path / "killed" / ".deleted" / "15" / "ema").mkdir(parents=True)
    (tmp_path / "killed" / "50.orbax-checkpoint-tmp" / "ema").mkdir(parents=True)
    with open_checkpoints(tmp_path / "killed") as store:
        assert (store.latest(), store.best()) == (40, 10)
        store.tidy()
    assert sorted(path.name for path in (tmp_path / "killed").iterdir()) == names


def test_reading_a_run_under_way_leaves_its_unfinished_checkpoint(tmp_path):
    with open_checkpoints(tmp_path) as store:
        save(store, 10, 0.1)
    (tmp_path / "20.orbax-checkpoint-tmp").mkdir()
    with open_checkpoints(tmp_path) as store:
        found = store.restore(10, "ema", {"w": np.zeros(3)})
    assert found["w"].tolist() == [10] * 3
    assert (tmp_path / "20.orbax-checkpoint-tmp").exists()


@pytest.mark.parametrize(("change", "same"), [(1e-9, True), (1e-4, False)])
def test_a_run_goes_on_after_a_change_in_the_last_bit_of_what_was_fitted(change, same, tmp_path):
    crystals = random_crystals(2)
    stored = {"model": {"scale": [0.5, 0.25]}, "data": {"sha256": "1a"}}
    given = {"model": {"scale": (0.5, 0.25 * (1 + change))}, "data": {"sha256": "1a"}}
    start_run(tmp_path, stored, crystals)
    if same:
        assert start_run(tmp_path, given, crystals) == stored
    else:
        with pytest.raises(InputError, match=r"model\.scale\[1\] was 0\.25, now 0\.25"):
            start_run(tmp_path, given, crystals)
