"""Examples: batches with empty crystals, and what recipes are fitted to."""

import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.crystal.ragged import to_ragged
from jaxcrys.training.examples import NOBODY, make_examples, survey
from tests.crystals import random_crystals

CRYSTALS = random_crystals(300, seed=5)


def test_nobody_is_an_empty_crystal():
    column = np.arange(300.0)
    column[4] = np.inf
    examples = make_examples(CRYSTALS, {"gap": column}, "properties")
    batch = examples.batch(np.array([7, NOBODY, 4]))
    np.testing.assert_array_equal(batch.crystals.wyckoff[0], CRYSTALS.wyckoff[7])
    np.testing.assert_array_equal(batch.properties[:, 0], [7, 0, np.nan])
    assert batch.crystals.group.tolist() == [CRYSTALS.group[7], 0, CRYSTALS.group[4]]
    assert not batch.crystals.wyckoff[1].any()
    kinds = {leaf.dtype for leaf in (batch.crystals.free, batch.properties)}
    assert kinds == {np.dtype(np.float32)}


def test_columns_of_another_length_are_named():
    with pytest.raises(InputError, match=r"properties: gap: has shape \(3,\), for 300 crystals"):
        make_examples(CRYSTALS, {"gap": np.zeros(3)}, "properties")


def test_a_survey_of_many_misses_no_group_position_or_element():
    few = survey(to_ragged(CRYSTALS), size=10)
    assert 10 <= len(few.group) < 300
    for name in ("group", "wyckoff", "species"):
        values, every = np.unique(getattr(few, name)), np.unique(getattr(CRYSTALS, name))
        np.testing.assert_array_equal(values[values > 0], every[every > 0])
    assert len(survey(to_ragged(CRYSTALS)).group) == 300
