"""Which crystals are the same by pymatgen's StructureMatcher, and how far apart those are.

Match rate and RMSE of predicted structures follow CDVAE and DiffCSP: a prediction matches if the
matcher superposes it on the reference; the RMSE is the root mean square displacement in units of
(V/N)^(1/3), averaged over the matches. The match rate counts all references in its denominator.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxcrys.core.pytree import take
from jaxcrys.crystal.convert import structure_from_raw
from jaxcrys.crystal.raw import RawCell, plane_spacings
from jaxcrys.crystal.types import Crystal
from jaxcrys.data.pool import map_chunks
from jaxcrys.evaluation.validity import as_cell

THINNEST = 0.5
"""Å between two faces of a cell; those of MP-20 are at least four times as thick."""


PAIRS_AT_ONCE = 16
"""That a process is given."""


@dataclasses.dataclass(frozen=True)
class MatchSettings:
    """Tolerances of the StructureMatcher; the defaults are those of the published tables.

    Attributes:
        stol: site tolerance, in units of (V/N)^(1/3).
        ltol: relative tolerance of lengths.
        angle_tol: tolerance of angles in degrees.
    """

    stol: float = 0.5
    ltol: float = 0.3
    angle_tol: float = 10.0


def match_structures(
    predicted: Crystal,
    references: Crystal,
    settings: MatchSettings | None = None,
    *,
    workers: int = 1,
) -> list[float | None]:
    """RMSE of each prediction against its reference, None where they do not match.

    Predictions whose cell is not finite, or collapsed to less than half an ångström between two of
    its faces at the reference's volume per atom, match nothing: the matcher would search without
    end in them.

    Args:
        predicted: batch of crystals.
        references: batch of as many.
        settings: tolerances.
        workers: processes to share the work; with more than one, a pair on which the matcher
            takes more than a minute matches nothing.

    Example:
        >>> from jaxcrys.crystal import example_crystal, stack_crystals
        >>> crystals = stack_crystals([example_crystal()])
        >>> match_structures(crystals, crystals)
        [0.0]
    """
    settings = settings or MatchSettings()
    pairs = [
        (take(predicted, index), take(references, index), settings)
        for index in range(len(references.group))
    ]
    if workers == 1:
        return [_match(pair) for pair in pairs]
    starts = range(0, len(pairs), PAIRS_AT_ONCE)
    chunks = ((start, pairs[start : start + PAIRS_AT_ONCE]) for start in starts)
    done = map_chunks(_match, chunks, workers=workers, lost=lambda _: None)
    return [value for _, values in done for value in values]


def _match(pair: tuple[Crystal, Crystal, MatchSettings]) -> float | None:
    predicted, reference, settings = pair
    return match_cells(as_cell(predicted), as_cell(reference), settings)


def match_cells(
    predicted: RawCell, reference: RawCell, settings: MatchSettings | None = None
) -> float | None:
    """RMSE of one cell against another, None where they do not match.

    Example:
        >>> cell = RawCell(4 * np.eye(3), np.zeros((1, 3)), np.array([84]))
        >>> match_cells(cell, cell._replace(lattice=4.1 * np.eye(3)))
        0.0
    """
    if _collapsed(predicted, reference):
        return None
    first, second = structure_from_raw(predicted), structure_from_raw(reference)
    distances = _matcher(settings or MatchSettings()).get_rms_dist(first, second)
    return None if distances is None else float(distances[0])


def same_cells(first: RawCell, second: RawCell, settings: MatchSettings) -> bool:
    """Whether two cells are the same crystal, as ``StructureMatcher.fit`` judges it.

    Quicker than an RMSE: it stops at the first superposition without a distance above ``stol``.

    Example:
        >>> cell = RawCell(4 * np.eye(3), np.zeros((1, 3)), np.array([84]))
        >>> same_cells(cell, cell._replace(lattice=4.1 * np.eye(3)), MatchSettings())
        True
    """
    if _collapsed(first, second):
        return False
    reduced = (_reduced(*(part.tobytes() for part in _typed(cell))) for cell in (first, second))
    return bool(_matcher(settings).fit(*reduced, skip_structure_reduction=True))


def _typed(cell: RawCell) -> RawCell:
    lattice, frac, numbers = cell
    return RawCell(np.asarray(lattice, float), np.asarray(frac, float), np.asarray(numbers, int))


@functools.lru_cache(maxsize=1000)  # a crystal is compared with several of its formula
def _reduced(lattice: bytes, frac: bytes, numbers: bytes) -> Any:
    """The Niggli-reduced primitive cell, with which the matcher begins."""
    cell = RawCell(
        np.frombuffer(lattice).reshape(3, 3),
        np.frombuffer(frac).reshape(-1, 3),
        np.frombuffer(numbers, int),
    )
    return structure_from_raw(cell).get_primitive_structure().get_reduced_structure("niggli")


@functools.cache
def _matcher(settings: MatchSettings) -> Any:
    from pymatgen.analysis.structure_matcher import StructureMatcher

    return StructureMatcher(**dataclasses.asdict(settings))


def _collapsed(predicted: RawCell, reference: RawCell) -> bool:
    """Whether a cell is too thin for any match, once it has the reference's volume per atom."""
    if not np.isfinite(predicted.lattice).all():
        return True
    sizes = [
        abs(float(np.linalg.det(cell.lattice))) / len(cell.numbers)
        for cell in (predicted, reference)
    ]
    if not np.isfinite(sizes[0]) or sizes[0] <= 0:
        return True
    scaled = predicted.lattice * np.cbrt(sizes[1] / sizes[0])
    return bool(plane_spacings(scaled).min() < THINNEST)


def match_rate(
    rmse: Sequence[float | None], valid: Sequence[bool] | None = None
) -> tuple[float, float]:
    """Share of references matched, and mean RMSE over the matches (NaN if there are none).

    Args:
        rmse: from :func:`match_structures`.
        valid: which pairs may count as matches (the filtered variant); all by default.

    Example:
        >>> match_rate([0.1, None, 0.3, 0.2], [True, True, False, True])
        (0.5, 0.15000000000000002)
    """
    valid = [True] * len(rmse) if valid is None else valid
    matched = [value for value, ok in zip(rmse, valid, strict=True) if ok and value is not None]
    return len(matched) / len(rmse), float(np.mean(matched)) if matched else float("nan")
