"""How good estimates of a number are, and how honest the spread that comes with them."""

from typing import NamedTuple

import numpy as np
from scipy.stats import spearmanr

from jaxcrys.core.typing import Float


class Regression(NamedTuple):
    """Figures of estimates against known values.

    Attributes:
        count: crystals whose value is known.
        mae: mean absolute error, in the units of the data.
        rmse: root mean square error.
        baseline: mean absolute error of the training set's mean, said of everything.
        r2: share of the variance that is explained.
        within_1: share within one spread; 68.3 % where the spread is honest.
        within_2: share within two; 95.4 %.
        sharpness: rank correlation of spread and absolute error: whether the spread tells which
            estimates are bad.
        nll: mean negative logarithm of the normal density.
    """

    count: int
    mae: float
    rmse: float
    baseline: float
    r2: float
    within_1: float
    within_2: float
    sharpness: float
    nll: float


def regression(
    values: Float[np.ndarray, "b"],
    mean: Float[np.ndarray, "b"],
    spread: Float[np.ndarray, "b"],
    *,
    training_mean: float,
) -> Regression:
    """Compare estimates with known values; NaN among these are left out.

    Args:
        values: that are known.
        mean: estimates.
        spread: standard deviations that come with them.
        training_mean: of the values that the estimates were learned from.

    Example:
        >>> known, said = np.array([0.0, 2.0, np.nan]), np.array([1.0, 2.0, 0.0])
        >>> found = regression(known, said, np.ones(3), training_mean=0.0)
        >>> found.count, found.mae, found.baseline, found.within_2
        (2, 0.5, 1.0, 1.0)
    """
    known = np.isfinite(values)
    values, mean, spread = values[known], mean[known], spread[known]
    off = np.abs(mean - values)
    varies = len(values) > 2 and np.ptp(off) > 0 and np.ptp(spread) > 0
    variance = values.var()
    return Regression(
        count=len(values),
        mae=float(off.mean()),
        rmse=float(np.sqrt((off**2).mean())),
        baseline=float(np.abs(values - training_mean).mean()),
        r2=float(1 - (off**2).mean() / variance) if variance > 0 else float("nan"),
        within_1=float((off <= spread).mean()),
        within_2=float((off <= 2 * spread).mean()),
        sharpness=float(spearmanr(off, spread).statistic) if varies else float("nan"),
        nll=float((0.5 * (off / spread) ** 2 + np.log(spread * np.sqrt(2 * np.pi))).mean()),
    )
