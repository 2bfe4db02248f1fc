"""Numeric columns of a dataset."""

import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.data import load_dataset
from jaxcrys.data.dataset import Part, write_dataset
from jaxcrys.data.properties import numeric_columns, read_properties
from tests.crystals import random_crystals


@pytest.fixture
def folder(tmp_path):
    gaps, kinds = ["0.5", "", "inf", "2"], ["a", "b", "c", "d"]
    rows = [
        {"id": str(i), "gap": gap, "kind": kind, "nothing": "", "formula": "1"}
        for i, (gap, kind) in enumerate(zip(gaps, kinds, strict=True))
    ]
    write_dataset(tmp_path / "data", [Part(random_crystals(4), rows, [])], {})
    return tmp_path / "data"


def test_columns_with_numbers(folder):
    assert list(numeric_columns(load_dataset(folder))) == ["gap"]
    np.testing.assert_array_equal(read_properties(folder, ["gap"])["gap"], [0.5, np.nan, np.nan, 2])


@pytest.mark.parametrize("name", ["kind", "nothing", "gaps"])
def test_others_are_refused_with_what_is_there(folder, name):
    with pytest.raises(InputError, match=f"no numbers under '{name}'; known: gap"):
        read_properties(folder, [name])
