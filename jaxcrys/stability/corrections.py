"""Corrections that the Materials Project adds to energies of PBE and PBE+U (host side).

Energies of anions and of transition metals in oxides and fluorides are off by known amounts, which
MaterialsProject2020Compatibility of pymatgen adds (Wang et al. 2021). Potentials that were trained
on raw energies need them before they are compared with the Materials Project's formation energies.
"""

import functools
import warnings
from typing import Any

import numpy as np

from jaxcrys.core.elements import SYMBOLS
from jaxcrys.crystal.convert import to_structure
from jaxcrys.crystal.expand import num_atoms
from jaxcrys.crystal.types import Crystal

SCHEMES = ("none", "MP2020")


def correction(crystal: Crystal) -> float:
    """MP2020 correction of one crystal, eV per atom; NaN where pymatgen knows none.

    The run is taken to be what the Materials Project would have made: PBE+U where a transition
    metal with a U value meets oxygen or fluorine, else PBE.

    Example:
        >>> from jaxcrys.crystal import build_crystal
        >>> oxide = build_crystal(225, [(12, "a"), (8, "b")], (4.2, 4.2, 4.2, 90, 90, 90))
        >>> round(correction(oxide), 4)  # half of the -0.687 eV of an oxide's oxygen
        -0.3435
    """
    from pymatgen.entries.computed_entries import ComputedStructureEntry

    structure = to_structure(crystal)
    symbols = sorted({SYMBOLS[z] for z in np.asarray(crystal.species) if z})
    hubbards = _hubbards(tuple(symbols))
    parameters = {
        "run_type": "GGA+U" if hubbards else "GGA",
        "is_hubbard": bool(hubbards),
        "hubbards": hubbards,
        "potcar_symbols": [f"PBE {symbol}" for symbol in symbols],
        "software": "vasp",
    }
    with warnings.catch_warnings():
        # Of oxidation states that cannot be guessed, and electronegativities that are not known.
        warnings.simplefilter("ignore")
        entry = ComputedStructureEntry(structure, 0.0, parameters=parameters)
        processed = _scheme().process_entry(entry)
    if processed is None:
        return float("nan")
    return float(processed.correction) / int(num_atoms(crystal))


@functools.cache
def _scheme() -> Any:
    from pymatgen.entries.compatibility import MaterialsProject2020Compatibility

    return MaterialsProject2020Compatibility(check_potcar=False)


@functools.cache
def _hubbards(symbols: tuple[str, ...]) -> dict[str, float]:
    """U values that the Materials Project uses for such a compound; none for most."""
    settings = _scheme().u_settings
    anion = next((anion for anion in ("F", "O") if anion in symbols and anion in settings), None)
    if anion is None:
        return {}
    values = {symbol: float(settings[anion].get(symbol, 0.0)) for symbol in symbols}
    return values if any(values.values()) else {}
