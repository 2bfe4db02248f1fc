"""A few inputs for every reader; ``python -m benchmarks.fuzz`` tries many.

What was read wrongly once has a test of its own, beside those of its reader.
"""

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.fuzz import seeds
from tests.fuzz.targets import TARGETS, check_file

FEW = 12


@pytest.mark.parametrize("name", TARGETS)
def test_hostile_inputs_are_refused_or_read_right(name):
    target = TARGETS[name]()

    @settings(
        max_examples=FEW, deadline=None, database=None, derandomize=True,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(target.inputs)
    def check(content):
        target.check(content)

    check()


@pytest.mark.parametrize("ending", seeds.files())
def test_honest_files_are_accepted(ending):
    """So that the comparison with other libraries is not empty."""
    for content in seeds.files()[ending]:
        verdict = check_file(ending, content)
        assert verdict.accepted
        assert not verdict.rejected
        assert not verdict.unread
