"""Corrections against the values of the published scheme."""

import numpy as np
import pytest

from jaxcrys.crystal import build_crystal
from jaxcrys.stability.corrections import correction

CUBE = (4.3, 4.3, 4.3, 90, 90, 90)


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ((12, 8), -0.687 / 2),  # an oxide
        ((26, 8), (-0.687 - 2.256) / 2),  # and iron with a U
        ((26, 16), -0.503 / 2),  # none in a sulfide
        ((26, 9), (-0.462 - 2.256) / 2),  # as in oxides
        ((12, 7), -0.361 / 2),
        ((29, 79), 0.0),
    ],
)
def test_compounds_have_those_of_their_ions(elements, expected):
    first, second = elements
    crystal = build_crystal(225, [(first, "a"), (second, "b")], CUBE)
    assert correction(crystal) == pytest.approx(expected, abs=1e-3)


def test_elements_have_none():
    assert correction(build_crystal(225, [(26, "a")], CUBE)) == 0
    assert np.isfinite(correction(build_crystal(225, [(54, "a")], CUBE)))
