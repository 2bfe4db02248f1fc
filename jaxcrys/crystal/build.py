"""Make crystals by hand, and check crystals that came from elsewhere (host side)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import ArrayLike, Float
from jaxcrys.crystal.types import Crystal
from jaxcrys.geometry.lattice import coefficients_from_matrix, matrix_from_parameters
from jaxcrys.geometry.periodic import wrap
from jaxcrys.symmetry.groups import constrain_lattice, symbol
from jaxcrys.symmetry.tables import NUM_POSITIONS, check_group
from jaxcrys.symmetry.wyckoff import (
    degrees_of_freedom,
    free_mask,
    group_of,
    position_id,
    position_label,
)

MAX_SPECIES = 118
LATTICE_TOLERANCE = 1e-3


class Site(NamedTuple):
    """One orbit: atomic number, Wyckoff letter, free coordinates."""

    species: int
    letter: str
    free: tuple[float, ...] = ()


def build_crystal(
    group: int,
    sites: Sequence[Site | tuple],
    parameters: Sequence[float] | Float[np.ndarray, "6"],
    *,
    capacity: int | None = None,
) -> Crystal:
    """Make a crystal from a space group, its sites and its lattice parameters.

    Args:
        group: space group number, standard setting.
        sites: (atomic number, Wyckoff letter, free coordinates) of each orbit.
        parameters: a, b, c in Å and alpha, beta, gamma in degrees, of the conventional cell.
        capacity: number of site slots; as many as there are sites by default.

    Raises:
        InputError: for an unknown group, position or element, a wrong number of free coordinates,
            a lattice of another crystal family, or more sites than slots.

    Example:
        >>> rocksalt = build_crystal(225, [(11, "a"), (17, "b")], (5.64, 5.64, 5.64, 90, 90, 90))
        >>> rocksalt.species.tolist()
        [11, 17]
    """
    group = check_group(group)
    sites = [Site(*site) for site in sites]
    capacity = len(sites) if capacity is None else capacity
    if len(sites) > capacity:
        raise InputError("sites", f"{len(sites)} orbits do not fit into {capacity} slots")
    wyckoff, species = np.zeros((2, capacity), np.int32)
    free = np.zeros((capacity, 3))
    for i, site in enumerate(sites):
        wyckoff[i] = position_id(group, site.letter)
        species[i] = site.species
        if len(site.free) != degrees_of_freedom(wyckoff[i]):
            raise InputError(
                f"site {i}",
                f"position {position_label(wyckoff[i])} of {symbol(group)} has "
                f"{degrees_of_freedom(wyckoff[i])} free coordinates, got {len(site.free)}",
            )
        free[i, : len(site.free)] = site.free
    crystal = Crystal(
        group=np.asarray(group, np.int32),
        wyckoff=wyckoff,
        species=species,
        free=wrap(free),
        lattice=fit_lattice(_matrix(parameters), group),
    )
    validate(crystal)
    return crystal


def _matrix(parameters: Sequence[float] | Float[np.ndarray, "6"]) -> Float[np.ndarray, "3 3"]:
    given = np.asarray(parameters, float)
    if given.shape != (6,) or not ((given > 0) & (given[3:].max(initial=0) < 180)).all():
        raise InputError(
            "lattice", f"expected positive a, b, c, alpha, beta, gamma, got {given.tolist()}"
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(matrix_from_parameters(given))


def fit_lattice(
    matrix: Float[np.ndarray, "3 3"], group: int, *, tolerance: float = LATTICE_TOLERANCE
) -> Float[np.ndarray, "6"]:
    """Coefficients of a lattice, set exactly onto the family of the group.

    Raises:
        InputError: if the lattice is singular, or further than ``tolerance`` (in units of k)
            from what the group allows.
    """
    matrix = np.asarray(matrix, float)
    finite = np.isfinite(matrix).all()
    with np.errstate(divide="ignore", invalid="ignore"):
        k = coefficients_from_matrix(matrix) if finite else np.full(6, np.nan)
    if not np.isfinite(k).all():
        raise InputError("lattice", "has no volume or is not finite")
    exact = np.asarray(constrain_lattice(k, np.asarray(group)))
    if np.abs(exact - k).max() > tolerance:
        raise InputError(
            "lattice",
            f"does not have the metric that {symbol(group)} (group {group}) needs",
            "give the conventional cell in the standard setting",
        )
    return exact


def validate(crystal: Crystal) -> None:
    """Check a crystal, or a batch, on the host.

    Raises:
        InputError: naming the field and the first offending entry.
    """
    group = np.asarray(crystal.group)
    wyckoff, species, free = map(np.asarray, (crystal.wyckoff, crystal.species, crystal.free))
    lattice = np.asarray(crystal.lattice)
    batch, slots = group.shape, wyckoff.shape
    expected = {"wyckoff": (*batch, *slots[-1:]), "species": slots, "free": (*slots, 3)}
    for field, shape in (expected | {"lattice": (*batch, 6)}).items():
        found = np.shape(getattr(crystal, field))
        if found != shape:
            raise InputError(field, f"expected an array of shape {shape}, got {found}")
    _require("group", (group >= 1) & (group <= 230), group, "a space group number, 1 to 230")
    known = (wyckoff >= 0) & (wyckoff <= NUM_POSITIONS)
    _require("wyckoff", known, wyckoff, f"position ids from 0 to {NUM_POSITIONS}")
    used = wyckoff > 0
    _require("wyckoff", used.any(-1), wyckoff, "at least one occupied site")
    own = (group_of(wyckoff) == group[..., None]) | ~used
    _require("wyckoff", own, wyckoff, "positions of the crystal's own group")
    _require("species", (species > 0) == used, species, "an element on each site and nowhere else")
    _require("species", species <= MAX_SPECIES, species, f"atomic numbers up to {MAX_SPECIES}")
    _require("free", (free >= 0) & (free < 1), free, "coordinates in [0, 1)")
    _require("free", free_mask(wyckoff) | (free == 0), free, "0 where nothing is free")
    fixed = np.abs(constrain_lattice(lattice, group) - lattice) < 1e-5
    _require("lattice", fixed, lattice, "finite k with the family's fixed values")


def _require(field: str, good: ArrayLike, value: np.ndarray, expected: str) -> None:
    good = np.asarray(good)
    if not good.all():
        index = tuple(int(i) for i in np.argwhere(~good)[0])
        raise InputError(field, f"expected {expected}, got {value[index]} at index {index}")


def example_crystal() -> Crystal:
    """Rock salt, for examples and first tries."""
    return build_crystal(225, [(11, "a"), (17, "b")], (5.64, 5.64, 5.64, 90, 90, 90))


def stack_crystals(crystals: Sequence[Crystal], *, capacity: int | None = None) -> Crystal:
    """Batch single crystals: occupied sites first, in their order, then empty slots.

    Args:
        crystals: at least one crystal.
        capacity: number of site slots; as many as the largest crystal needs by default.

    Raises:
        InputError: if there is no crystal, or one does not fit.

    Example:
        >>> stack_crystals([example_crystal(), example_crystal()], capacity=4).wyckoff.shape
        (2, 4)
    """
    if not crystals:
        raise InputError("crystals", "expected at least one, got none")
    occupied = [np.flatnonzero(np.asarray(c.wyckoff)) for c in crystals]
    need = max(map(len, occupied))
    slots = need if capacity is None else capacity
    if need > slots:
        raise InputError("capacity", f"a crystal has {need} sites, more than {slots} slots")

    def padded(name: str) -> np.ndarray:
        rows = [
            np.asarray(getattr(c, name))[sites] for c, sites in zip(crystals, occupied, strict=True)
        ]
        return np.stack([np.pad(r, [(0, slots - len(r))] + [(0, 0)] * (r.ndim - 1)) for r in rows])

    return Crystal(
        group=np.stack([np.asarray(c.group) for c in crystals]),
        wyckoff=padded("wyckoff"),
        species=padded("species"),
        free=padded("free"),
        lattice=np.stack([np.asarray(c.lattice) for c in crystals]),
    )
