"""What is shown of one crystal: numbers for the table, and its card (runs in worker processes)."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxcrys.core.elements import SYMBOLS
from jaxcrys.core.errors import InputError
from jaxcrys.crystal.build import validate
from jaxcrys.crystal.cif import to_cif
from jaxcrys.crystal.convert import to_structure
from jaxcrys.crystal.describe import describe
from jaxcrys.crystal.expand import expand, num_atoms
from jaxcrys.crystal.types import Crystal
from jaxcrys.geometry.lattice import (
    matrix_from_coefficients,
    matrix_from_parameters,
    parameters_from_matrix,
    volume,
)
from jaxcrys.symmetry.groups import crystal_family, crystal_system
from jaxcrys.symmetry.orbits import representative
from jaxcrys.symmetry.site_symmetry import site_symmetry_id, site_symmetry_symbol
from jaxcrys.symmetry.triplets import coordinate_texts
from jaxcrys.symmetry.wyckoff import position_label
from jaxcrys.view.powder import powder_pattern

FREE = "free"

LATTICE_CONSTRAINTS = {
    "triclinic": (FREE, FREE, FREE, FREE, FREE, FREE),
    "monoclinic": (FREE, FREE, FREE, "90°", FREE, "90°"),
    "orthorhombic": (FREE, FREE, FREE, "90°", "90°", "90°"),
    "tetragonal": (FREE, "= a", FREE, "90°", "90°", "90°"),
    "hexagonal": (FREE, "= a", FREE, "90°", "90°", "120°"),
    "cubic": (FREE, "= a", "= a", "90°", "90°", "90°"),
}
"""What each crystal family says of a, b, c, α, β and γ."""

DECIMALS = 5
"""Of coordinates, lengths and angles."""


class Task(NamedTuple):
    """A crystal, and the name of its CIF."""

    crystal: Crystal
    name: str


class Shown(NamedTuple):
    """What is shown of a crystal.

    Attributes:
        columns: its numbers in the table; those that need a cell are missing where there is none.
        card: lattice, sites with all their atoms, powder pattern and CIF; None without a cell.
        reason: why there is no card, or "".
    """

    columns: dict[str, Any]
    card: dict[str, Any] | None
    reason: str


def show_crystal(task: Task) -> Shown:
    """Make what is shown of one crystal.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> shown = show_crystal(Task(example_crystal(), "salt"))
        >>> shown.columns["formula"], shown.card["sites"][0]["label"]
        ('NaCl', '4a')
    """
    crystal = task.crystal
    columns: dict[str, Any] = {"group": int(crystal.group)}
    try:
        validate(crystal)
        return Shown(columns | describe(crystal), card(crystal, task.name), "")
    except (InputError, ArithmeticError) as error:
        return Shown(columns, None, str(error))


def lost(task: Task) -> Shown:
    """What is shown of a crystal that hung or killed its worker."""
    problem = "computing its pattern and geometry crashed, or took longer than allowed"
    return Shown({"group": int(task.crystal.group)}, None, problem)


def card(crystal: Crystal, name: str) -> dict[str, Any]:
    """The card of a crystal that has a cell; lengths in Å, angles in degrees.

    The vectors of ``lattice`` are rows, a along x and b in the xy plane.
    """
    matrix = matrix_from_coefficients(np.asarray(crystal.lattice, np.float64))
    parameters = parameters_from_matrix(matrix)
    return {
        "name": name,
        "system": crystal_system(int(crystal.group)),
        "parameters": _rounded(parameters),
        "constraints": LATTICE_CONSTRAINTS[crystal_family(int(crystal.group))],
        "volume": round(float(volume(matrix)), 3),
        "lattice": _rounded(matrix_from_parameters(parameters)),
        "sites": _sites(crystal),
        "powder": _powder(crystal),
        "cif": to_cif(crystal, name=name),
    }


def _sites(crystal: Crystal) -> list[dict[str, Any]]:
    """Each orbit, its representative, and all its atoms (coordinates one after the other)."""
    wyckoff = np.asarray(crystal.wyckoff)
    points = representative(wyckoff, np.asarray(crystal.free, np.float64))
    cell = expand(crystal, capacity=int(num_atoms(crystal)))
    return [
        {
            "element": SYMBOLS[int(crystal.species[site])],
            "label": position_label(int(wyckoff[site])),
            "symmetry": site_symmetry_symbol(int(site_symmetry_id(wyckoff[site]))),
            "texts": coordinate_texts(int(wyckoff[site]))[0].split(","),
            "point": _rounded(points[site]),
            "atoms": _rounded(cell.frac[cell.site == site].reshape(-1)),
        }
        for site in np.flatnonzero(wyckoff)
    ]


def _powder(crystal: Crystal) -> dict[str, Any]:
    """Peaks, or why there are none."""
    try:
        return powder_pattern(to_structure(crystal))
    except InputError as error:
        return {"missing": error.problem}


def _rounded(values: ArrayLike) -> list[Any]:
    return np.round(np.asarray(values, np.float64), DECIMALS).tolist()
