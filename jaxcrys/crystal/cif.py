"""Write a crystal as CIF with its full symmetry: operations, Wyckoff letters, one line an orbit."""

import re
from collections.abc import Mapping
from math import gcd

import numpy as np

from jaxcrys.core.elements import SYMBOLS
from jaxcrys.core.typing import Float
from jaxcrys.crystal.describe import species_counts
from jaxcrys.crystal.types import Crystal
from jaxcrys.geometry.lattice import matrix_from_coefficients, parameters_from_matrix, volume
from jaxcrys.symmetry.groups import spaced_symbol
from jaxcrys.symmetry.orbits import representative
from jaxcrys.symmetry.tables import load_tables
from jaxcrys.symmetry.triplets import operation_texts

_PARAMETERS = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
_TWO_ORIGINS = (
    *(48, 50, 59, 68, 70, 85, 86, 88, 125, 126, 129, 130),
    *(133, 134, 137, 138, 141, 142, 201, 203, 222, 224, 227, 228),
)
"""Groups of which the International Tables give two origin choices; here it is the second."""

_SITE_TAGS = (
    "label",
    "type_symbol",
    "site_symmetry_multiplicity",
    "Wyckoff_symbol",
    "fract_x",
    "fract_y",
    "fract_z",
    "occupancy",
)


ITEM_PREFIX = "_jaxcrys_"
"""Before the names of items that no dictionary of CIF knows."""


def to_cif(
    crystal: Crystal, *, name: str = "jaxcrys", items: Mapping[str, object] | None = None
) -> str:
    """The CIF text of one crystal.

    The symbol names the setting where there are several: ``:2`` for the second origin choice,
    ``:H`` for hexagonal axes.

    Args:
        crystal: one crystal, not a batch.
        name: name of the data block; white space becomes ``_``.
        items: further numbers and texts; ``gap`` is written as ``_jaxcrys_gap``.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> text = to_cif(example_crystal(), name="rock salt")
        >>> text.splitlines()[:4]
        ['data_rock_salt', "_space_group_name_H-M_alt 'F m -3 m'", '_space_group_IT_number 225',
         "_chemical_formula_sum 'Na4 Cl4'"]
    """
    group = int(crystal.group)
    matrix = matrix_from_coefficients(np.asarray(crystal.lattice, np.float64))
    parameters = parameters_from_matrix(matrix)
    counts = species_counts(crystal)
    units = gcd(*counts.values())
    lines = [
        f"data_{'_'.join(name.split())}",
        *(f"{ITEM_PREFIX}{'_'.join(key.split())} {_quoted(v)}" for key, v in (items or {}).items()),
        f"_space_group_name_H-M_alt '{_symbol(group)}'",
        f"_space_group_IT_number {group}",
        f"_chemical_formula_sum '{_formula(counts, 1)}'",
        f"_chemical_formula_structural '{_formula(counts, units)}'",
        f"_cell_formula_units_Z {units}",
        *(f"_cell_{tag} {value:.10f}" for tag, value in zip(_PARAMETERS, parameters, strict=True)),
        f"_cell_volume {volume(matrix):.8f}",
        "loop_",
        "_space_group_symop_id",
        "_space_group_symop_operation_xyz",
        *(f"{i} '{text}'" for i, text in enumerate(operation_texts(group), 1)),
        "loop_",
        *(f"_atom_site_{tag}" for tag in _SITE_TAGS),
        *_site_lines(crystal),
    ]
    return "\n".join(lines) + "\n"


def _quoted(value: object) -> str:
    """A value as CIF writes it; on several lines if nothing else tells it from its quotes."""
    from gemmi import cif

    # A line that begins with a semicolon would end the value.
    text = cif.quote(re.sub(r"\r\n?|\n(?=;)", " ", str(value)))
    return f"\n{text}" if text.startswith(";") else text


def _symbol(group: int) -> str:
    symbol = spaced_symbol(group)
    if group in _TWO_ORIGINS:
        return f"{symbol}:2"
    return f"{symbol}:H" if symbol.startswith("R") else symbol


def _site_lines(crystal: Crystal) -> list[str]:
    tables = load_tables()
    points = representative(crystal.wyckoff, np.asarray(crystal.free, np.float64))
    sites = zip(np.asarray(crystal.species), np.asarray(crystal.wyckoff), points, strict=True)
    occupied = [site for site in sites if site[1]]
    return [
        f"{SYMBOLS[number]}{i} {SYMBOLS[number]} {tables.position_multiplicity[position]} "
        f"{tables.position_letter[position]} {_point(point)} 1"
        for i, (number, position, point) in enumerate(occupied, 1)
    ]


def _point(point: Float[np.ndarray, "3"]) -> str:
    """Three coordinates with ten decimals, never 1.0000000000."""
    return " ".join(f"{value:.10f}" for value in np.round(point, 10) % 1)


def _formula(counts: Mapping[int, int], units: int) -> str:
    """Elements with their counts per formula unit, in order of atomic number."""
    parts = [f"{SYMBOLS[number]}{counts[number] // units}" for number in sorted(counts)]
    return " ".join(parts)
