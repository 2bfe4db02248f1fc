"""Write a crystal as CIF with its full symmetry: operations, Wyckoff letters, one line per orbit."""

import math
from collections import Counter
from fractions import Fraction

import numpy as np

from jaxcrys.core.typing import Float, Int
from jaxcrys.crystal.expand import num_atoms
from jaxcrys.crystal.types import Crystal
from jaxcrys.geometry.lattice import matrix_from_coefficients, parameters_from_matrix, volume
from jaxcrys.symmetry.groups import operations, spaced_symbol
from jaxcrys.symmetry.orbits import representative
from jaxcrys.symmetry.tables import TRANSLATION_UNIT, load_tables
from jaxcrys.symmetry.wyckoff import multiplicity
from jaxcrys.crystal.elements import SYMBOLS


def to_cif(crystal: Crystal, *, name: str = "jaxcrys") -> str:
    """The CIF text of one crystal.

    Args:
        crystal: one crystal, not a batch.
        name: name of the data block; white space becomes ``_``.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> print(to_cif(example_crystal(), name="NaCl").split("loop_")[0])
        data_NaCl
        _chemical_formula_sum 'Cl4 Na4'
        ...
    """
