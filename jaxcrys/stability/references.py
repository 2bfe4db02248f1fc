"""Energies of the elements that make a potential's energies into formation energies.

The formation energy per atom of a crystal with energy e per atom and shares x_z of the elements is
e - Σ x_z μ_z. Where formation energies are known for enough crystals, the μ_z follow by least
squares, and are then consistent with the potential.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import Float
from jaxcrys.crystal.describe import species_counts
from jaxcrys.crystal.types import Crystal

LEAST_CRYSTALS = 3
"""With an element, before a reference is fitted for it."""

OUTLIER = 0.5
"""eV per atom; crystals further off after a first fit do not take part in the second."""


def shares(crystal: Crystal) -> dict[int, float]:
    """Share of each element among the atoms.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> shares(example_crystal())
        {11: 0.5, 17: 0.5}
    """
    counts = species_counts(crystal)
    total = sum(counts.values())
    return {number: count / total for number, count in counts.items()}


def fit_references(
    compositions: Sequence[Mapping[int, float]],
    energies: Float[np.ndarray, "m"],
    formation: Float[np.ndarray, "m"],
) -> dict[int, float]:
    """Fit the energy per atom of each element, by least squares without gross outliers.

    Args:
        compositions: shares of the elements of each crystal.
        energies: by the potential, eV per atom; NaN is left out.
        formation: formation energies, eV per atom; NaN is left out.

    Returns:
        μ by atomic number, for elements in at least three crystals; others have none.

    Raises:
        InputError: if no crystal has both energies.

    Example:
        >>> salts = [{11: 0.5, 17: 0.5}] * 3 + [{11: 1.0}] * 3 + [{17: 1.0}] * 3
        >>> energies = np.repeat([-3.4, -1.3, -1.8], 3)
        >>> found = fit_references(salts, energies, np.repeat([-1.85, 0, 0], 3))
        >>> {number: round(value, 3) for number, value in found.items()}
        {11: -1.3, 17: -1.8}
    """
    good = np.isfinite(energies) & np.isfinite(formation)
    numbers = sorted({z for one, ok in zip(compositions, good, strict=True) if ok for z in one})
    if not numbers:
        raise InputError("references", "no crystal has an energy and a formation energy")
    design = np.array([[one.get(z, 0.0) for z in numbers] for one in compositions])
    target = energies - formation
    for _ in range(2):
        solution, *_ = np.linalg.lstsq(design[good], target[good], rcond=None)
        good &= np.abs(design @ solution - target) < OUTLIER
    counts = (design[good] > 0).sum(0)
    return {
        z: float(value)
        for z, value, count in zip(numbers, solution, counts, strict=True)
        if count >= LEAST_CRYSTALS
    }


def formation_energy(
    composition: Mapping[int, float], energy: float, references: Mapping[int, float]
) -> float:
    """Formation energy per atom, eV; NaN where an element has no reference.

    Example:
        >>> round(formation_energy({11: 0.5, 17: 0.5}, -3.4, {11: -1.3, 17: -1.8}), 3)
        -1.85
    """
    return energy - sum(x * references.get(z, float("nan")) for z, x in composition.items())
