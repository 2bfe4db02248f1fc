"""A crystal in words and numbers: what a row of a result table says about it (host side)."""

from collections import Counter
from typing import Any

import numpy as np

from jaxcrys.core.elements import SYMBOLS, reduced_formula
from jaxcrys.crystal.expand import expand, num_atoms
from jaxcrys.crystal.raw import RawCell
from jaxcrys.crystal.types import Crystal
from jaxcrys.geometry.periodic import shortest_distance
from jaxcrys.symmetry.groups import lattice_mask
from jaxcrys.symmetry.wyckoff import degrees_of_freedom, multiplicity, position_label

GRAMS_PER_CM3 = 1.66053906660
"""One atomic mass unit per Å^3, in g/cm^3 (CODATA 2018)."""


def species_counts(crystal: Crystal) -> Counter[int]:
    """Atoms of each element in the conventional cell.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> dict(species_counts(example_crystal()))
        {11: 4, 17: 4}
    """
    counts: Counter[int] = Counter()
    sites = zip(crystal.species, multiplicity(np.asarray(crystal.wyckoff)), strict=True)
    for number, count in sites:
        if count:
            counts[int(number)] += int(count)
    return counts


def formula(crystal: Crystal) -> str:
    """Reduced chemical formula.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> formula(example_crystal())
        'NaCl'
    """
    return reduced_formula(species_counts(crystal))


def wyckoff_string(crystal: Crystal) -> str:
    """Element and position of each site.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> wyckoff_string(example_crystal())
        'Na@4a Cl@4b'
    """
    sites = zip(np.asarray(crystal.species), np.asarray(crystal.wyckoff), strict=True)
    return " ".join(f"{SYMBOLS[z]}@{position_label(w)}" for z, w in sites if w)


def total_dof(crystal: Crystal) -> int:
    """Free coordinates and free lattice coefficients together.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> total_dof(example_crystal())
        1
    """
    coordinates = degrees_of_freedom(np.asarray(crystal.wyckoff)).sum()
    return int(coordinates + lattice_mask(np.asarray(crystal.group)).sum())


def density(cell: RawCell) -> float:
    """Mass per volume in g/cm³.

    Example:
        >>> round(density(RawCell(3 * np.eye(3), np.zeros((1, 3)), np.array([84]))), 2)
        12.85
    """
    from ase.data import atomic_masses

    size = abs(float(np.linalg.det(cell.lattice)))
    return float(atomic_masses[np.asarray(cell.numbers)].sum() / size * GRAMS_PER_CM3)


def describe(crystal: Crystal) -> dict[str, Any]:
    """Formula, size, template and geometry of one crystal.

    Returns:
        formula, atoms (in the conventional cell), wyckoff, dof, shortest_distance (Å),
        density (g/cm^3).

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> row = describe(example_crystal())
        >>> row["formula"], row["atoms"], row["shortest_distance"], row["density"]
        ('NaCl', 8, 2.82, 2.1636)
    """
    cell = expand(crystal, capacity=int(num_atoms(crystal)))
    weight = density(RawCell(*map(np.asarray, (cell.lattice, cell.frac, cell.species))))
    return {
        "formula": formula(crystal),
        "atoms": len(cell.species),
        "wyckoff": wyckoff_string(crystal),
        "dof": total_dof(crystal),
        "shortest_distance": round(float(shortest_distance(cell.frac, cell.lattice, cell.mask)), 4),
        "density": round(weight, 4),
    }
