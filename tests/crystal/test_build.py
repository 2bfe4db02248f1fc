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
