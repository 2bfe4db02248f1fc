import pytest

from tests.groups import GROUPS, each_group


def test_every_group_is_tested_and_failures_are_named():
    seen = []

    @each_group
    def test_of_one(group, limits):
        seen.append(group)
        assert group not in limits

    test_of_one(limits=())
    assert seen == [*GROUPS] == [*range(1, 231)]
    with pytest.raises(AssertionError) as caught:
        test_of_one(limits=(7, 200))
    assert caught.value.__notes__ == ["fails in 2 of 230 space groups: [7, 200]"]
