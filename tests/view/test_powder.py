"""Powder patterns against the laws of Bragg and of the face-centred lattice, and pymatgen."""

import re

import numpy as np
import pytest
from pymatgen.analysis.diffraction.xrd import XRDCalculator
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifParser

from jaxcrys.core.errors import InputError
from jaxcrys.crystal.cif import to_cif
from jaxcrys.crystal.convert import to_structure
from jaxcrys.view.powder import WEAKEST, powder_pattern
from tests.view.sets import prototypes

WAVELENGTH = 1.54184


def indices(text):
    """The first reflection of a peak, as three numbers, and how many are equal to it."""
    hkl, equal = re.match(r"\(([^)]*)\) × (\d+)", text).groups()
    numbers = [int(part) for part in hkl.split()]
    return [numbers[0], numbers[1], numbers[-1]], int(equal)


@pytest.mark.parametrize("name", prototypes())
def test_peaks_are_those_of_the_cif_in_pymatgen(name):
    crystal = prototypes()[name]
    pattern = powder_pattern(to_structure(crystal))
    (read,) = CifParser.from_str(to_cif(crystal), frac_tolerance=0).parse_structures(
        primitive=False
    )
    expected = XRDCalculator(WAVELENGTH).get_pattern(read, two_theta_range=(5, 90))
    strong = expected.y >= WEAKEST + 0.01
    place = np.abs(np.subtract.outer(expected.x[strong], pattern["two_theta"]))
    assert place.min(1).max() < 2e-3
    found = np.array(pattern["intensity"])[place.argmin(1)]
    assert np.abs(found - expected.y[strong]).max() < 0.2
    assert strong.sum() <= len(pattern["d"]) <= (expected.y >= WEAKEST - 0.01).sum()


def test_angles_follow_from_the_indices():
    for crystal in prototypes().values():
        structure = to_structure(crystal)
        pattern = powder_pattern(structure)
        assert max(pattern["intensity"]) == 100
        assert min(pattern["intensity"]) >= WEAKEST
        for angle, d, text in zip(*(pattern[k] for k in ("two_theta", "d", "hkl")), strict=True):
            assert d == pytest.approx(structure.lattice.d_hkl(indices(text)[0]), abs=1e-4)
            bragg = 2 * np.degrees(np.arcsin(WAVELENGTH / (2 * d)))
            assert angle == pytest.approx(bragg, abs=0.01)


def test_reflections_of_rocksalt_are_all_even_or_all_odd():
    pattern = powder_pattern(to_structure(prototypes()["rocksalt"]))
    found = [indices(text) for text in pattern["hkl"]]
    assert all(len({index % 2 for index in hkl}) == 1 for hkl, _ in found)
    assert found[0] == ([1, 1, 1], 8)
    assert found[1] == ([2, 0, 0], 6)


def test_what_has_no_pattern_is_refused():
    lattice = Lattice.cubic(4)
    with pytest.raises(InputError, match="no scattering coefficients of Og"):
        powder_pattern(Structure(lattice, ["Og"], [[0, 0, 0]]))
    with pytest.raises(InputError, match="too large"):
        powder_pattern(Structure(Lattice.cubic(200), ["Na"], [[0, 0, 0]]))
    with pytest.raises(InputError, match="no peak"):
        powder_pattern(Structure(Lattice.cubic(0.9), ["Na"], [[0, 0, 0]]))


def test_many_reflections_of_one_peak_are_counted():
    pattern = powder_pattern(Structure(Lattice.cubic(16), ["Na"], [[0, 0, 0]]))
    assert any(re.search(r", \d+ more$", text) for text in pattern["hkl"])
