"""Distances between elements and compositions against scipy, pymatgen and brute force."""

import itertools

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from pymatgen.core import Element
from pymatgen.core.structure_prediction.substitution_probability import SubstitutionProbability
from scipy.optimize import linear_sum_assignment
from scipy.stats import spearmanr

from jaxcrys.core.elements import SYMBOLS, atomic_number
from jaxcrys.core.errors import InputError
from jaxcrys.data.element_similarity import (
    METRICS,
    MODIFIED_PETTIFOR,
    arrangements,
    composition_distances,
    element_distances,
)

settings = hypothesis.settings(deadline=None, derandomize=True, max_examples=60, database=None)


@pytest.mark.parametrize("metric", METRICS)
def test_distances_between_elements(metric):
    distances = element_distances(metric)
    assert distances.shape == (len(SYMBOLS), len(SYMBOLS))
    assert np.isfinite(distances).all()
    assert (distances == distances.T).all()
    assert (np.diag(distances) == 0).all()
    assert (distances >= 0).all()
    common = distances[1:95, 1:95][np.triu_indices(94, 1)]
    assert np.median(common) == pytest.approx(1)
    with pytest.raises(ValueError, match="read-only"):
        distances[1, 2] = 0


def test_the_scale_holds_each_element_once():
    assert sorted(map(atomic_number, MODIFIED_PETTIFOR)) == list(range(1, 104))


def test_the_scale_resembles_another_mendeleev_number():
    """Pymatgen has that of Villars and Daams, which orders the halves of the table otherwise."""
    other = [Element(symbol).mendeleev_no for symbol in MODIFIED_PETTIFOR]
    assert spearmanr(np.arange(len(other)), other).statistic > 0.9


def test_neighbours_of_one_step_are_equally_far():
    distances = element_distances()
    numbers = np.array([atomic_number(symbol) for symbol in MODIFIED_PETTIFOR])
    steps = distances[numbers[:-1], numbers[1:]]
    np.testing.assert_allclose(steps, steps[0])
    np.testing.assert_allclose(distances[numbers[:-4], numbers[4:]], 2 * steps[0])


def test_substitutions_are_those_of_pymatgens_table():
    """For a pair of elements with one kind of ion each, up to the common scale."""
    table, distances = SubstitutionProbability(), element_distances("substitution")
    pairs = [("Na", "K"), ("Na", "Cl"), ("Fe", "Co"), ("F", "Cl"), ("Ti", "Zr")]
    named = [ion for ion in table.species if any(ion.symbol in pair for pair in pairs)]
    strongest = {}
    for one, other in itertools.product(named, table.species):
        pair = one.symbol, other.symbol
        strongest[pair] = max(strongest.get(pair, table.alpha), table.get_lambda(one, other))

    def expected(one, other):
        totals = [
            sum(np.exp(strongest.get((a, b), table.alpha)) for b in SYMBOLS) for a in (one, other)
        ]
        return strongest[one, other] - np.log(totals).sum() / 2

    ours = [distances[atomic_number(a), atomic_number(b)] for a, b in pairs]
    theirs = [-expected(a, b) for a, b in pairs]
    scale, shift = np.polyfit(theirs, ours, 1)
    np.testing.assert_allclose(np.polyval([scale, shift], theirs), ours, atol=1e-9)
    assert scale > 0


def test_unknown_metric():
    with pytest.raises(InputError, match="pettifor"):
        element_distances("astrology")


@settings
@hypothesis.given(
    st.lists(st.integers(1, 3), min_size=1, max_size=6).map(sorted),
    st.sampled_from(sorted(METRICS)),
    st.data(),
)
def test_the_best_arrangement_is_the_best_assignment(amounts, metric, data):
    elements = st.lists(
        st.integers(1, 103), min_size=len(amounts), max_size=len(amounts), unique=True
    )
    new, old = np.array(data.draw(elements)), np.array(data.draw(elements))
    distances = element_distances(metric)
    found = composition_distances(new[arrangements(amounts)], old, amounts, distances)
    unequal = np.array(amounts)[:, None] != np.array(amounts)
    weights = np.array(amounts) / sum(amounts)
    cost = np.where(unequal, 1e6, distances[new[:, None], old] * weights)
    expected = cost[linear_sum_assignment(cost)].sum()
    assert found.min() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("amounts", [[1], [1, 2, 3], [1, 1, 2, 2, 2], [2, 2, 2, 2]])
def test_arrangements_are_all_that_keep_the_amounts(amounts):
    expected = [
        order
        for order in itertools.permutations(range(len(amounts)))
        if [amounts[i] for i in order] == amounts
    ]
    assert sorted(map(tuple, arrangements(amounts).tolist())) == expected


def test_too_many_arrangements():
    assert arrangements([1] * 4 + [2] * 4).shape == (576, 8)
    with pytest.raises(InputError, match="eight"):
        arrangements([1] * 9)
