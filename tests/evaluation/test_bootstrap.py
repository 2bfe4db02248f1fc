"""Confidence intervals: as wide as theory says, and right as often as they claim."""

import numpy as np
import pytest
from scipy.stats import norm

from jaxcrys.evaluation.bootstrap import interval, mean_interval
from jaxcrys.evaluation.distributions import wasserstein


def test_intervals_of_shares_are_those_of_a_binomial_number():
    values = np.array([1.0] * 300 + [0.0] * 700)
    found = mean_interval(values, draws=20_000)
    half = norm.ppf(0.975) * np.sqrt(0.3 * 0.7 / 1000)
    assert found.value == 0.3
    assert (found.low, found.high) == pytest.approx((0.3 - half, 0.3 + half), abs=2e-3)


def test_intervals_of_means_hold_the_truth_as_often_as_they_say():
    random = np.random.default_rng(0)
    held = 0
    for trial in range(400):
        found = mean_interval(random.exponential(size=80), seed=trial, draws=300)
        held += found.low <= 1.0 <= found.high
    assert 0.90 < held / 400 < 0.97


def test_any_statistic_agrees_with_the_mean():
    values = np.random.default_rng(1).normal(size=200)
    general = interval(lambda rows: float(values[rows].mean()), 200, draws=4000)
    special = mean_interval(values, draws=4000)
    assert general == pytest.approx(special, abs=0.02)


def test_intervals_of_distances_hold_their_value():
    """Drawn again, a sample is further away: this is taken off."""
    random = np.random.default_rng(2)
    expected, values = random.normal(size=5000), random.normal(size=300)
    found = interval(
        lambda rows: wasserstein(values[rows], expected), 300, draws=200, positive=True
    )
    assert 0 <= found.low <= found.value < 0.2
    drawn = [wasserstein(random.choice(values, 300), expected) for _ in range(50)]
    assert np.mean(drawn) > found.value


def test_nothing_has_no_interval():
    assert np.isnan(mean_interval(np.zeros(0))).all()
    assert np.isnan(interval(lambda rows: 0.0, 0)).all()
