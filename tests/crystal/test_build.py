"""Crystals made by hand, checked and stored: what is wrong is named."""

import dataclasses

import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.crystal import (
    build_crystal,
    example_crystal,
    load_crystals,
    save_crystals,
    stack_crystals,
    validate,
)
from jaxcrys.crystal.storage import map_crystals, to_arrays
from tests.crystals import random_crystals

CUBIC = (5.0, 5.0, 5.0, 90, 90, 90)


@pytest.mark.parametrize(
    ("group", "sites", "parameters", "message"),
    [
        (0, [(11, "a")], CUBIC, "1 to 230"),
        (225, [(11, "z")], CUBIC, "has no 'z'"),
        (225, [(11, "a", (0.1,))], CUBIC, "has 0 free coordinates, got 1"),
        (225, [(0, "a")], CUBIC, "species"),
        (225, [(119, "a")], CUBIC, "species"),
        (225, [(11, "a")], (5.0, 5.0, 6.0, 90, 90, 90), "does not have the metric"),
        (194, [(11, "a")], CUBIC, "does not have the metric"),
        (1, [(11, "a", (0, 0, 0))], (5.0, 5.0, 5.0, 10, 10, 150), "lattice"),
        (225, [(11, "a")], (-5.0, -5.0, -5.0, 90, 90, 90), "."),
        (225, [(11, "a")], (np.nan, 5.0, 5.0, 90, 90, 90), "."),
    ],
)
def test_impossible_crystals_are_refused(group, sites, parameters, message):
    with pytest.raises(InputError, match=message):
        build_crystal(group, sites, parameters)


def test_too_many_sites_for_the_slots():
    with pytest.raises(InputError, match="do not fit into 1 slots"):
        build_crystal(225, [(11, "a"), (17, "b")], CUBIC, capacity=1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("group", 231),
        ("wyckoff", [-1, 1]),
        ("wyckoff", [1732, 1]),
        ("wyckoff", [1, 2]),  # positions of other groups
        ("wyckoff", [0, 0]),
        ("species", [11, 0]),
        ("species", [11, 130]),
        ("free", [[0.5, 0, 0], [0, 0, 0]]),  # nothing is free on 4a
        ("free", [[np.nan] * 3, [0, 0, 0]]),
        ("lattice", [1.0] * 6),
        ("lattice", [np.nan] * 6),
        ("lattice", [0.0] * 5),
    ],
)
def test_validate_names_the_field(field, value):
    crystal = example_crystal()
    validate(crystal)
    with pytest.raises(InputError, match=field):
        validate(dataclasses.replace(crystal, **{field: np.asarray(value)}))


def test_stored_crystals_come_back(tmp_path):
    crystals = random_crystals(20)
    save_crystals(tmp_path / "crystals.npz", crystals)
    for path in (tmp_path, tmp_path / "crystals.npz"):
        loaded = load_crystals(path)
        for field in dataclasses.fields(crystals):
            np.testing.assert_array_equal(
                getattr(loaded, field.name), getattr(crystals, field.name)
            )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sites": np.array(10**9)}, "sites holds 1000000000"),
        ({"sites": np.array([2])}, "sites holds"),
        ({"count": np.array([-2])}, "count holds -2"),
        ({"count": np.array([30_000])}, "count holds 30000"),
        ({"count": np.array([2.0])}, "count holds float64"),
        ({"count": np.array([[2]])}, r"count holds int64\[1, 1\]"),
        ({"free": np.zeros((2, 4))}, r"free holds float64\[2, 4\]"),
        ({"free": np.array([["a"] * 3] * 2)}, "free holds <U1"),
        ({"lattice": np.zeros(6)}, r"lattice holds float64\[6\]"),
        ({"species": np.array([1])}, "species holds 1 rows, not 2"),
        ({"group": np.array([1.5])}, "group holds float64"),
        ({"group": np.array(225)}, r"group holds int64\[\]"),
    ],
)
@pytest.mark.parametrize("load", [load_crystals, map_crystals])
def test_arrays_that_are_no_crystals_are_named(tmp_path, load, changes, message):
    arrays = to_arrays(stack_crystals([example_crystal()])) | changes
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(InputError, match=rf"bad\.npz: is not a readable .*{message}"):
        load(tmp_path / "bad.npz")


def test_damaged_files_are_named(tmp_path):
    whole = tmp_path / "whole.npz"
    save_crystals(whole, stack_crystals([example_crystal()]))
    content = whole.read_bytes()
    bad = tmp_path / "bad.npz"
    for damaged in (b"", content[: len(content) // 2], b"not an archive", content[100:]):
        bad.write_bytes(damaged)
        with pytest.raises(InputError, match=r"bad\.npz: is not a readable file of crystals"):
            load_crystals(bad)
    with pytest.raises(InputError, match=r"absent\.npz"):
        load_crystals(tmp_path / "absent.npz")
