"""Coordinate triplets against gemmi's operations and pyxtal's positions."""

import re

import gemmi
import numpy as np
import pytest
from pyxtal.symmetry import Group

from jaxcrys.core.errors import InputError
from jaxcrys.symmetry import load_tables, positions_of, spaced_symbol
from jaxcrys.symmetry.triplets import coordinate_texts, operation_texts
from tests.groups import each_group

POINT = {"x": 0.137, "y": 0.291, "z": 0.683}


def value(triplet: str) -> list[float]:
    """Coordinates of a triplet such as ``x,2x,z+1/2``, by Python's own arithmetic."""
    python = re.sub(r"(\d)([xyz])", r"\1*\2", triplet)
    assert re.fullmatch(r"[xyz0-9*/+,.-]+", python)
    return [float(eval(part, {}, POINT)) % 1 for part in python.split(",")]


def test_operations_are_those_of_gemmi():
    for group in range(1, 231):
        two_origins = [f"{spaced_symbol(group)}{ending}" for ending in (":2", ":H", "")]
        found = next(filter(None, map(gemmi.find_spacegroup_by_name, two_origins)))
        assert found.number == group
        expected = {operation.triplet() for operation in found.operations()}
        assert {gemmi.Op(text).triplet() for text in operation_texts(group)} == expected


@each_group
def test_coordinates_are_those_of_pyxtal(group):
    """As sets of points; pyxtal lists positions from the general one to letter a."""
    listed = Group(group).Wyckoff_positions[::-1]
    for wyckoff, theirs in zip(positions_of(group), listed, strict=True):
        assert theirs.letter == load_tables().position_letter[wyckoff]
        ours = np.array([value(text) for text in coordinate_texts(wyckoff)])
        expected = np.array([value(op.as_xyz_str().replace(" ", "")) for op in theirs.ops])
        apart = ours[:, None] - expected
        near = np.abs(apart - np.rint(apart)).max(-1) < 1e-6
        assert (near.sum(0) == 1).all()
        assert (near.sum(1) == 1).all()


def test_an_unknown_position_is_refused():
    with pytest.raises(InputError, match="must be 1 to 1731"):
        coordinate_texts(0)
