"""Confidence intervals by drawing samples again (Efron 1979)."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxcrys.core.typing import Float, Int

DRAWS = 1000
CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A value, and where it lies with 95 % confidence."""

    value: float
    low: float
    high: float


def mean_interval(values: Float[np.ndarray, "n"], *, seed: int = 0, draws: int = DRAWS) -> Interval:
    """Mean of values, NaN where there are none.

    Drawing n values again with n different ones is drawing how often each comes: multinomial counts
    give all means at once. Values that are all 0 or 1 have the same means as a binomial number.

    Example:
        >>> mean_interval(np.array([1.0] * 50 + [0.0] * 50)).value
        0.5
    """
    values = np.asarray(values, float)
    if not len(values):
        return Interval(np.nan, np.nan, np.nan)
    random = np.random.default_rng(seed)
    unique, counts = np.unique(values, return_counts=True)
    drawn = random.multinomial(len(values), counts / len(values), size=draws)
    return Interval(float(values.mean()), *_quantiles(drawn @ unique / len(values)))


def interval(
    statistic: Callable[[Int[np.ndarray, "n"]], float],
    count: int,
    *,
    seed: int = 0,
    draws: int = DRAWS,
    positive: bool = False,
) -> Interval:
    """Any statistic of ``count`` samples.

    Samples drawn again are further from everything than the sample itself is. What this adds to a
    distance in the mean is taken off: the interval tells the spread. The bias of the value itself,
    of small samples, is what a noise floor shows.

    Args:
        statistic: of the numbers of the samples that it is to take, with repetitions.
        count: of samples.
        seed: of the draws.
        draws: how many.
        positive: whether no value is below 0.

    Example:
        >>> values = np.arange(101.0)
        >>> found = interval(lambda rows: float(np.median(values[rows])), 101)
        >>> found.value, found.low < 50 < found.high
        (50.0, True)
    """
    if not count:
        return Interval(np.nan, np.nan, np.nan)
    random = np.random.default_rng(seed)
    drawn = [statistic(random.integers(count, size=count)) for _ in range(draws)]
    value = float(statistic(np.arange(count)))
    low, high = _quantiles(np.array(drawn))
    bias = float(np.nanmean(drawn)) - value
    found = Interval(value, low - bias, high - bias)
    return found._replace(low=max(found.low, 0.0)) if positive else found


def _quantiles(drawn: np.ndarray) -> tuple[float, float]:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail])
    return float(low), float(high)
