"""Commands that are killed at any moment and given again make what an unbroken one makes.

The full measurement, with more kills, is ``benchmarks/interruptions.py``.
"""

import pytest

from benchmarks import interruptions

KILLS = 2


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
