"""Fingerprints and coverage: matminer on every atom, and distances one by one."""

import warnings

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from jaxcrys.crystal.convert import to_structure
from jaxcrys.evaluation.composition_scale import MEANS, SPREADS
from jaxcrys.evaluation.distributions import (
    chi_squared,
    covered,
    jensen_shannon,
    shares_apart,
    wasserstein,
)
from jaxcrys.evaluation.fingerprints import composition_fingerprint, structure_fingerprint
from jaxcrys.evaluation.validity import as_cell
from tests.evaluation.sets import salts


@pytest.fixture(scope="module")
def matminer():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from matminer.featurizers.composition.composite import ElementProperty
        from matminer.featurizers.site.fingerprint import CrystalNNFingerprint

        return CrystalNNFingerprint.from_preset("ops"), ElementProperty.from_preset("magpie")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("index", [0, 4, 6])
def test_one_atom_of_each_orbit_gives_the_mean_over_all(matminer, index):
    structure = to_structure(salts()[index])
    each = [matminer[0].featurize(structure, atom) for atom in range(len(structure))]
    found = structure_fingerprint(as_cell(salts()[index]))
    np.testing.assert_allclose(found, np.mean(each, 0), atol=1e-8)


@pytest.mark.filterwarnings("ignore")
def test_compositions_are_standardised_with_the_published_constants(matminer):
    structure = to_structure(salts()[6])
    raw = np.array(matminer[1].featurize(structure.composition))
    np.testing.assert_allclose(composition_fingerprint("TiO2"), (raw - MEANS) / SPREADS, atol=1e-12)
    assert (MEANS[2::6] > 0).all()  # ranges


def test_coverage_is_that_of_all_distances():
    random = np.random.default_rng(0)
    these, those = (
        (random.normal(size=(n, 3)), random.normal(size=(n, 2))) for n in (40, 30)
    )  # fmt: skip
    near = [cdist(a, b).min(1) <= cut for a, b, cut in zip(these, those, (0.4, 0.2), strict=True)]
    found = covered(these, those, (0.4, 0.2))
    np.testing.assert_array_equal(found, near[0] & near[1])
    assert 0 < found.sum() < 40
    assert covered(these, (those[0][:0], those[1][:0]), (9.0, 9.0)).sum() == 0


def test_distances_of_shifted_samples_are_the_shift():
    values = np.random.default_rng(0).normal(size=500)
    assert wasserstein(values, values + 0.7) == pytest.approx(0.7)
    # Of two uniform distributions on [0, 1] and [0, 2] it is 1/2.
    line = (np.arange(2000) + 0.5) / 2000
    assert wasserstein(line, 2 * line) == pytest.approx(0.5, abs=1e-3)
    assert np.isnan(wasserstein(values[:0], values))


def test_divergences_have_their_closed_forms():
    expected = [1] * 50 + [2] * 50
    assert chi_squared([1] * 3 + [2] + [99] * 7, expected) == pytest.approx(2 * 0.25**2 / 0.5)
    p = np.array([0.75, 0.25])
    middle = (p + 0.5) / 2
    by_hand = 0.5 * ((p * np.log2(p / middle)).sum() + (0.5 * np.log2(0.5 / middle)).sum())
    assert jensen_shannon([1, 1, 1, 2], expected) == pytest.approx(by_hand)
    from collections import Counter

    assert shares_apart(Counter(a=3, b=1), Counter(a=1, b=1)) == pytest.approx(0.25)
