"""Radii of atoms in crystals and molecules.

Slater 1964, J. Chem. Phys. 41, 3199, to 0.05 Å; elements that he does not list have the calculated
radii of Clementi, Raimondi and Reinhardt 1967 (noble gases, At), the radius of the element above
(Fr), or that of the last actinide he lists (from Cm on).
"""

import numpy as np

_KNOWN = """
    0
    0.25 0.31
    1.45 1.05 0.85 0.70 0.65 0.60 0.50 0.38
    1.80 1.50 1.25 1.10 1.00 1.00 1.00 0.71
    2.20 1.80 1.60 1.40 1.35 1.40 1.40 1.40 1.35 1.35 1.35 1.35 1.30 1.25 1.15 1.15 1.15 0.88
    2.35 2.00 1.80 1.55 1.45 1.45 1.35 1.30 1.35 1.40 1.60 1.55 1.55 1.45 1.45 1.40 1.40 1.08
    2.60 2.15 1.95 1.85 1.85 1.85 1.85 1.85 1.85 1.80 1.75 1.75 1.75 1.75 1.75 1.75
    1.75 1.55 1.45 1.35 1.35 1.30 1.35 1.35 1.35 1.50 1.90 1.80 1.60 1.90 1.27 1.20
    2.60 2.15 1.95 1.80 1.80 1.75 1.75 1.75 1.75
"""
_LAST_LISTED = 1.75
_NUM_SPECIES = 119

_listed = [float(radius) for radius in _KNOWN.split()]
ATOMIC_RADII = np.array(_listed + [_LAST_LISTED] * (_NUM_SPECIES - len(_listed)), np.float32)
"""Radius in Å by atomic number; entry 0 stands for no atom."""
ATOMIC_RADII.setflags(write=False)
