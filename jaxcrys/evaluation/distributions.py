"""How far apart the distributions of two sets are."""

from collections import Counter
from collections.abc import Iterable

import numpy as np

from jaxcrys.core.typing import Float

CUTOFFS = {"mp_20": (0.4, 10.0), "perov_5": (0.2, 4.0), "carbon_24": (0.2, 4.0)}
"""By data set: how near two fingerprints must be, of structures and of compositions (CDVAE)."""


def wasserstein(first: Float[np.ndarray, "n"], second: Float[np.ndarray, "m"]) -> float:
    """Wasserstein distance of two samples of one number.

    Example:
        >>> wasserstein(np.array([0.0, 1.0]), np.array([0.5, 1.5]))
        0.5
    """
    from scipy.stats import wasserstein_distance

    if not len(first) or not len(second):
        return float("nan")
    return float(wasserstein_distance(first, second))


def chi_squared(found: Iterable[int], expected: Iterable[int]) -> float:
    """Σ (p - q)²/q over the kinds that the expected sample has; shares p are of these kinds alone.

    The measure of space groups of WyFormer (Kazeev et al. 2025).

    Example:
        >>> chi_squared([225, 225, 1], [225, 62])
        1.0
    """
    known = Counter(expected)
    counts = Counter(kind for kind in found if kind in known)
    total = sum(counts.values())
    if not total:
        return float("nan")
    shares = {kind: count / known.total() for kind, count in known.items()}
    return sum((counts[kind] / total - q) ** 2 / q for kind, q in shares.items())


def jensen_shannon(first: Iterable[int], second: Iterable[int]) -> float:
    """Jensen-Shannon divergence of two samples of kinds, in bits: 0 for equal, 1 for disjoint.

    Example:
        >>> jensen_shannon([1, 1], [2]), jensen_shannon([1, 2], [2, 1])
        (1.0, 0.0)
    """
    one, other = Counter(first), Counter(second)
    if not one or not other:
        return float("nan")
    kinds = sorted(one | other)
    p = np.array([one[kind] for kind in kinds]) / one.total()
    q = np.array([other[kind] for kind in kinds]) / other.total()
    middle = (p + q) / 2

    def bits(shares: np.ndarray) -> float:
        has = shares > 0
        return float((shares[has] * np.log2(shares[has] / middle[has])).sum())

    return (bits(p) + bits(q)) / 2


def shares_apart(first: Counter[str], second: Counter[str]) -> float:
    """Half the sum of the differences of shares: 0 for equal, 1 for disjoint (total variation).

    Example:
        >>> shares_apart(Counter("OOFe"), Counter("OO"))
        0.5
    """
    if not first or not second:
        return float("nan")
    return 0.5 * sum(
        abs(first[kind] / first.total() - second[kind] / second.total()) for kind in first | second
    )


def nearest(
    these: Float[np.ndarray, "n d"], those: Float[np.ndarray, "m d"]
) -> Float[np.ndarray, "n"]:
    """Distance of each point to the nearest of others; infinite if there are none.

    Example:
        >>> nearest(np.array([[0.0], [3.0]]), np.array([[1.0]]))
        array([1., 2.])
    """
    from scipy.spatial import KDTree

    if not len(those):
        return np.full(len(these), np.inf)
    return KDTree(those).query(these)[0] if len(these) else np.zeros(0)


def covered(
    these: tuple[Float[np.ndarray, "n s"], Float[np.ndarray, "n c"]],
    those: tuple[Float[np.ndarray, "m s"], Float[np.ndarray, "m c"]],
    cutoffs: tuple[float, float],
) -> Float[np.ndarray, "n"]:
    """Which points have some point near in structure, and some, maybe another, in composition.

    The mean is COV-P of generated crystals near test crystals, COV-R of test near generated ones.

    Args:
        these: fingerprints of structures and compositions.
        those: likewise.
        cutoffs: of ``CUTOFFS``.
    """
    near = [nearest(a, b) <= cut for a, b, cut in zip(these, those, cutoffs, strict=True)]
    return (near[0] & near[1]).astype(float)
