"""The empirical distribution of templates against counting by hand."""

from collections import Counter

import jax
import numpy as np
import pytest
from scipy import stats

from jaxcrys.core.errors import InputError
from jaxcrys.core.rng import sample_keys
from jaxcrys.processes import empirical

GROUP = np.array([2, 2, 2, 2, 5, 5, 225, 2, 225, 225, 225, 2])
WYCKOFF = np.array(
    [
        *([3, 2, 0], [2, 3, 0], [0, 3, 2], [2, 2, 3], [21, 0, 0], [0, 0, 21]),
        *([1651, 1652, 0], [3, 0, 0], [1652, 0, 1651], [1651, 1652, 1653], [1653, 0, 0], [2, 3, 2]),
    ]
)


@pytest.fixture(scope="module")
def templates():
    return empirical.fit(GROUP, WYCKOFF)


def key_of(group, wyckoff):
    return int(group), tuple(sorted(int(w) for w in wyckoff if w))


def test_counts_are_those_of_a_counter(templates):
    oracle = Counter(key_of(g, w) for g, w in zip(GROUP, WYCKOFF, strict=True))
    rows = zip(templates.group, templates.wyckoff, templates.count, strict=True)
    assert {key_of(g, w): int(c) for g, w, c in rows} == dict(oracle)
    for row in templates.wyckoff:
        occupied = row[row > 0]
        assert (row[: len(occupied)] == np.sort(occupied)).all()


def test_the_order_of_the_data_does_not_matter(templates):
    rng = np.random.default_rng(0)
    order = rng.permutation(len(GROUP))
    again = empirical.fit(GROUP[order], rng.permuted(WYCKOFF[order], axis=1))
    for left, right in zip(jax.tree.leaves(again), jax.tree.leaves(templates), strict=True):
        np.testing.assert_array_equal(left, right)


def test_probabilities_add_to_one(templates):
    log_prob = jax.jit(jax.vmap(empirical.log_prob, in_axes=(None, 0, 0)))
    values = log_prob(templates, templates.group, templates.wyckoff[:, ::-1])
    np.testing.assert_allclose(np.exp(values), templates.count / len(GROUP), rtol=1e-6)
    np.testing.assert_allclose(np.exp(values).sum(), 1, rtol=1e-6)


def test_probability_of_the_unseen_is_zero(templates):
    log_prob, group_log_prob = jax.jit(empirical.log_prob), jax.jit(empirical.group_log_prob)
    assert log_prob(templates, np.array(5), np.array([2, 3, 0])) == -np.inf
    assert log_prob(templates, np.array(2), np.array([2, 2, 2])) == -np.inf
    assert group_log_prob(templates, np.array(7)) == -np.inf


def test_groups_have_their_share(templates):
    each = jax.jit(jax.vmap(empirical.group_log_prob, in_axes=(None, 0)))
    share = each(templates, np.array([2, 5, 225]))
    np.testing.assert_allclose(np.exp(share), [6 / 12, 2 / 12, 4 / 12], rtol=1e-6)


def draw(templates, number, **arguments):
    keys = sample_keys(0, np.arange(number))
    one = lambda key: empirical.sample(templates, key, **arguments)  # noqa: E731
    return np.asarray(jax.jit(jax.vmap(one))(keys))


def chi_square(drawn, weights):
    expected = np.asarray(weights, np.float64) / np.sum(weights) * len(drawn)
    observed = np.bincount(drawn, minlength=len(expected))
    assert (observed[expected == 0] == 0).all()
    return stats.chisquare(observed[expected > 0], expected[expected > 0]).pvalue


def test_samples_have_the_frequencies_of_the_data(templates):
    assert chi_square(draw(templates, 20000), templates.count) > 1e-4


def test_what_is_not_allowed_is_never_drawn(templates):
    allowed = empirical.in_groups(templates, (5, 225))
    np.testing.assert_array_equal(allowed, np.isin(templates.group, [5, 225]))
    drawn = draw(templates, 20000, allowed=allowed)
    assert chi_square(drawn, np.where(allowed, templates.count, 0)) > 1e-4


def test_temperature_flattens(templates):
    drawn = draw(templates, 20000, temperature=2.0)
    assert chi_square(drawn, np.sqrt(templates.count)) > 1e-4


def test_nothing_allowed_is_told(templates):
    nothing = np.zeros(len(templates.group), bool)
    assert (draw(templates, 3, allowed=nothing) == -1).all()


def test_a_sample_depends_on_its_key_alone(templates):
    many = draw(templates, 50)
    alone = jax.jit(empirical.sample)(templates, sample_keys(0, np.array([17]))[0])
    assert many[17] == alone


@pytest.mark.parametrize(
    ("group", "wyckoff"),
    [(np.zeros(0, int), np.zeros((0, 3), int)), (GROUP[:3], WYCKOFF), (GROUP, WYCKOFF[:, 0])],
)
def test_data_that_do_not_fit_are_refused(group, wyckoff):
    with pytest.raises(InputError, match="group, wyckoff"):
        empirical.fit(group, wyckoff)
