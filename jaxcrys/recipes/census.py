"""What a recipe counts in its training set: groups, numbers of sites, positions and elements.

SymmCD does not learn these: a group is drawn by its share of the training set, then the number of
sites by its share among the crystals of that group; and the noise of positions and elements has the
shares among all sites (of the group) as its stationary distribution. All shares are a little
smoothed, so that nothing that symmetry allows is impossible.
"""

import dataclasses
import functools

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import Float
from jaxcrys.crystal.types import Crystal
from jaxcrys.symmetry.tables import NUM_GROUPS, NUM_POSITIONS
from jaxcrys.symmetry.wyckoff import position_slots

SMOOTHING = 0.1
"""Crystals, or sites, that each group, position and element is given beside those counted."""

NUM_ELEMENTS = 118

Counts = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Census:
    """Counts, as plain settings.

    Attributes:
        crystals: of each group 1 to 230, how many crystals have 1, 2, … sites.
        positions: how many sites lie on each position 1 to 1731.
        elements: how many sites hold each element 1 to 118.
    """

    crystals: tuple[Counts, ...] = ((1,),) * NUM_GROUPS
    positions: Counts = (0,) * NUM_POSITIONS
    elements: Counts = (0,) * NUM_ELEMENTS


def validate(census: Census) -> None:
    """Check the counts.

    Raises:
        InputError: if there are not as many as groups, positions and elements.

    Example:
        >>> validate(Census())
    """
    for name, expected in (
        ("crystals", NUM_GROUPS),
        ("positions", NUM_POSITIONS),
        ("elements", NUM_ELEMENTS),
    ):
        found = len(getattr(census, name))
        if found != expected:
            raise InputError(f"census.{name}", f"must have {expected} entries, has {found}")
    if len({len(row) for row in census.crystals}) != 1 or not census.crystals[0]:
        raise InputError("census.crystals", "must have the same numbers of sites for all groups")


def fit_census(crystals: Crystal) -> Census:
    """Count a training set, on the host.

    Example:
        >>> from jaxcrys.crystal import example_crystal, stack_crystals
        >>> census = fit_census(stack_crystals([example_crystal()]))
        >>> census.crystals[224], census.elements[10], sum(census.positions)
        ((0, 1), 1, 2)
    """
    wyckoff, species = np.asarray(crystals.wyckoff), np.asarray(crystals.species)
    sites = (wyckoff > 0).sum(-1)
    counted = np.zeros((NUM_GROUPS + 1, int(sites.max()) + 1), int)
    np.add.at(counted, (np.asarray(crystals.group), sites), 1)
    return Census(
        crystals=tuple(tuple(row) for row in counted[1:, 1:].tolist()),
        positions=tuple(_count(wyckoff, NUM_POSITIONS)),
        elements=tuple(_count(species, NUM_ELEMENTS)),
    )


def _count(values: np.ndarray, most: int) -> list[int]:
    return np.bincount(values.reshape(-1), minlength=most + 1)[1:].tolist()


@functools.cache
def group_shares(census: Census) -> Float[np.ndarray, "231"]:
    """Share of each group; 0 of group 0, which is none.

    Example:
        >>> group_shares(Census()).sum().round(6)
        np.float64(1.0)
    """
    return _shares(np.pad(np.sum(census.crystals, -1) + SMOOTHING, (1, 0)))


@functools.cache
def site_shares(census: Census) -> Float[np.ndarray, "231 n"]:
    """Share of each number of sites among the crystals of a group; entry 0 is one site.

    Groups with few crystals lean on all of the training set.

    Example:
        >>> site_shares(Census(crystals=((1, 3),) * 230))[225].round(3).tolist()
        [0.25, 0.75]
    """
    counted = np.asarray(census.crystals, float)
    overall = counted.sum(0) / counted.sum()
    return _shares(np.concatenate([overall[None], counted + SMOOTHING * overall]))


@functools.cache
def position_shares(census: Census) -> Float[np.ndarray, "231 27"]:
    """Share of each position, by local index, among the sites of a group; 0 beyond its positions.

    Example:
        >>> position_shares(Census())[2, :10].round(3).tolist()
        [0.111, 0.111, 0.111, 0.111, 0.111, 0.111, 0.111, 0.111, 0.111, 0.0]
    """
    slots = position_slots(np.arange(NUM_GROUPS + 1))
    counted = np.array((0, *census.positions), float)[slots] + SMOOTHING
    counted = np.where(slots > 0, counted, 0)
    counted[0, 0] = 1
    return _shares(counted)


@functools.cache
def element_shares(census: Census) -> Float[np.ndarray, "118"]:
    """Share of each element among the sites, hydrogen first."""
    return _shares(np.asarray(census.elements) + SMOOTHING)


def log_of(shares: Float[np.ndarray, "*b"]) -> Float[np.ndarray, "*b"]:
    """Logarithms, -inf of zeros.

    Example:
        >>> log_of(np.array([1.0, 0.0]))
        array([  0., -inf], dtype=float32)
    """
    with np.errstate(divide="ignore"):
        return np.log(shares).astype(np.float32)


def _shares(counts: np.ndarray) -> np.ndarray:
    shares = counts / counts.sum(-1, keepdims=True)
    shares.setflags(write=False)
    return shares
