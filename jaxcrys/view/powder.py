"""Simulated X-ray powder patterns."""

import math
import warnings
from typing import TYPE_CHECKING, Any

from jaxcrys.core.errors import InputError

if TYPE_CHECKING:
    from pymatgen.core import Structure

RADIATION = "CuKa"
"""Cu Kα, 1.54184 Å, the weighted mean of both lines."""

ANGLES = (5.0, 90.0)
"""Degrees in 2θ."""

WEAKEST = 0.5
"""Weakest peak that is kept, in percent of the strongest."""

MOST_REFLECTIONS = 400_000
"""Reflections within these angles; a cell of 120,000 Å³ has so many."""

MOST_FAMILIES = 3
"""Reflections of a peak that are named."""


def powder_pattern(structure: "Structure") -> dict[str, Any]:
    """Peaks of a structure in Cu Kα radiation, as pymatgen computes them.

    Args:
        structure: a conventional cell, to which the Miller indices refer.

    Returns:
        two_theta (degrees), intensity (the strongest being 100), d (Å) and hkl (text) of each peak.

    Raises:
        InputError: for an element without scattering coefficients, a cell that is too large, or
            one without peaks.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> from jaxcrys.crystal.convert import to_structure
        >>> pattern = powder_pattern(to_structure(example_crystal()))
        >>> round(pattern["two_theta"][1], 1), pattern["intensity"][1], pattern["hkl"][1]
        (31.7, 100.0, '(2 0 0) × 6')
    """
    from pymatgen.analysis.diffraction.xrd import ATOMIC_SCATTERING_PARAMS, XRDCalculator

    calculator = XRDCalculator(RADIATION)
    for element in structure.composition.elements:
        if element.symbol not in ATOMIC_SCATTERING_PARAMS:
            raise InputError("powder pattern", f"no scattering coefficients of {element} are known")
    if _reflections(structure.volume, calculator.wavelength) > MOST_REFLECTIONS:
        raise InputError("powder pattern", f"the cell of {structure.volume:.0f} Å³ is too large")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            pattern = calculator.get_pattern(structure, two_theta_range=ANGLES)
        except ValueError as error:  # pymatgen looks for the strongest of no peaks
            raise InputError("powder pattern", "no peak lies between 5 and 90°") from error
    kept = [peak for peak in range(len(pattern.x)) if pattern.y[peak] >= WEAKEST]
    return {
        "two_theta": [round(float(pattern.x[peak]), 3) for peak in kept],
        "intensity": [round(float(pattern.y[peak]), 1) for peak in kept],
        "d": [round(float(pattern.d_hkls[peak]), 4) for peak in kept],
        "hkl": [_named(pattern.hkls[peak]) for peak in kept],
    }


def _reflections(volume: float, wavelength: float) -> float:
    """Points of the reciprocal lattice within the angles."""
    radius = 2 * math.sin(math.radians(ANGLES[1] / 2)) / wavelength
    return 4 / 3 * math.pi * radius**3 * volume


def _named(families: list[dict[str, Any]]) -> str:
    """Miller indices with how many reflections are equal to them."""
    shown = families[:MOST_FAMILIES]
    texts = [f"({' '.join(map(str, each['hkl']))}) × {each['multiplicity']}" for each in shown]
    left_out = len(families) - len(shown)
    return ", ".join(texts) + (f", {left_out} more" if left_out else "")
