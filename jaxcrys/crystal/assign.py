"""From atoms in the standard setting to occupied Wyckoff positions and their free coordinates."""

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import Bool, Float, Int
from jaxcrys.crystal.build import fit_lattice
from jaxcrys.crystal.rejection import Rejection
from jaxcrys.crystal.types import Crystal
from jaxcrys.geometry.periodic import wrap
from jaxcrys.symmetry.groups import symbol
from jaxcrys.symmetry.tables import TRANSLATION_UNIT, load_tables
from jaxcrys.symmetry.wyckoff import positions_of

TOLERANCE = 1e-3
"""Å; engines place atoms on their ideal places, so this leaves room for rounding only."""

_DECIMALS = 6


def assign_sites(
    group: int,
    lattice: Float[np.ndarray, "3 3"],
    frac: Float[np.ndarray, "n 3"],
    numbers: Int[np.ndarray, "n"],
    *,
    tolerance: float = TOLERANCE,
) -> Crystal:
    """Describe a conventional cell in the standard setting as sites of its space group.

    Positions are tried from the most special to the general one. An atom x lies on a position's
    representative x = A u + t if u = P (x - t), with the integer left inverse P of A, leads back
    to it; the orbit of u must then fall on atoms of the same element, which it claims. Of the
    equivalent choices of u the smallest is kept and sites are sorted, so that the order of the
    atoms does not matter.

    Args:
        group: space group number.
        lattice: conventional lattice, rows in Å.
        frac: fractional coordinates of all atoms.
        numbers: atomic numbers.
        tolerance: how far an atom may lie from its ideal place, Å; at most a third of the shortest
            distance between atoms.

    Returns:
        The crystal, with as many slots as it has sites, its lattice exactly on the family.

    Raises:
        Rejection: ``no_sites`` if the lattice or an atom does not fit the group.

    Example:
        >>> frac = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
        >>> copper = assign_sites(225, 3.6 * np.eye(3), frac, np.full(4, 29))
        >>> copper.species.tolist()
        [29]
    """
    coefficients = _lattice(lattice, group)
    tables = load_tables()
    positions = np.asarray(positions_of(group))
    positions = positions[np.argsort(tables.position_multiplicity[positions], kind="stable")]
    coordinates, distances = _on_representatives(positions, lattice, frac)
    order = np.round(coordinates, _DECIMALS) % 1
    unclaimed = np.ones(len(numbers), bool)
    sites: list[tuple] = []
    for k, position in enumerate(positions):
        candidates = np.flatnonzero(unclaimed & (distances[k] < tolerance))
        for atom in candidates[_lexical(numbers[candidates], order[k, candidates])]:
            if not unclaimed[atom]:
                continue
            orbit = _orbit(position, coordinates[k, atom])
            same = np.flatnonzero(unclaimed & (numbers == numbers[atom]))
            claimed = _match(orbit, frac[same], lattice, tolerance)
            if claimed is not None:
                unclaimed[same[claimed]] = False
                sites.append((position, numbers[atom], *order[k, atom], *coordinates[k, atom]))
        if not unclaimed.any():
            break
    if unclaimed.any():
        raise Rejection(
            "no_sites", f"{unclaimed.sum()} of {len(numbers)} atoms fit no orbit of {symbol(group)}"
        )
    table = np.array(sorted(sites))
    return Crystal(
        group=np.asarray(group, np.int32),
        wyckoff=table[:, 0].astype(np.int32),
        species=table[:, 1].astype(np.int32),
        free=table[:, 5:],
        lattice=coefficients,
    )


def _on_representatives(
    positions: Int[np.ndarray, "p"], lattice: Float[np.ndarray, "3 3"], frac: np.ndarray
) -> tuple[Float[np.ndarray, "p n 3"], Float[np.ndarray, "p n"]]:
    """Free coordinates of each atom on each position, and its distance from there in Å."""
    tables = load_tables()
    rows = tables.position_first_row[positions]
    shifted = frac - tables.row_translation[rows][:, None] / TRANSLATION_UNIT
    inverse = tables.position_left_inverse[positions].astype(float)
    coordinates = np.asarray(wrap(shifted @ inverse.swapaxes(1, 2)))
    residual = shifted - coordinates @ tables.row_linear[rows].swapaxes(1, 2).astype(float)
    residual -= np.round(residual)
    return coordinates, np.linalg.norm(residual @ lattice, axis=-1)


def _orbit(position: int, coordinates: Float[np.ndarray, "3"]) -> Float[np.ndarray, "m 3"]:
    tables = load_tables()
    first = tables.position_first_row[position]
    rows = slice(first, first + tables.position_multiplicity[position])
    return tables.row_linear[rows] @ coordinates + tables.row_translation[rows] / TRANSLATION_UNIT


def _match(
    orbit: Float[np.ndarray, "m 3"],
    frac: Float[np.ndarray, "n 3"],
    lattice: Float[np.ndarray, "3 3"],
    tolerance: float,
) -> Int[np.ndarray, "m"] | None:
    """The atom on each point of the orbit, if each point has its own within the tolerance."""
    if len(orbit) > len(frac):
        return None
    difference = orbit[:, None] - frac
    difference -= np.round(difference)
    squared = ((difference @ lattice) ** 2).sum(-1)
    nearest = squared.argmin(1)
    close = squared.min(1) < tolerance**2
    return nearest if close.all() and len(set(nearest.tolist())) == len(orbit) else None


def _lexical(
    numbers: Int[np.ndarray, "n"], order: Float[np.ndarray, "n 3"]
) -> Bool[np.ndarray, "n"]:
    return np.lexsort((order[:, 2], order[:, 1], order[:, 0], numbers))


def _lattice(lattice: Float[np.ndarray, "3 3"], group: int) -> Float[np.ndarray, "6"]:
    try:
        return fit_lattice(lattice, group)
    except InputError as error:
        raise Rejection("no_sites", f"the lattice {error.problem}") from error
