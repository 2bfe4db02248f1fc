"""Charge neutrality as LeMat-GenBench judges it (Siron et al. 2025), on pymatgen and smact.

A structure is neutral if one of these says so:

* it is metallic: smact's metallicity of the composition is above 0.7, or the sums of bond valences
  of all atoms are zero;
* pymatgen's bond-valence analysis finds oxidation states, which it does only if they add up to 0;
* oxidation states that occur in the ICSD balance the composition;
* of all known oxidation states those that balance it best grow as electronegativity falls.

The benchmark asks in this order; as one yes is enough, what knows the composition alone is asked
first here. Three things differ: it takes the states that occur in its own data, here those of
pymatgen's ICSD list are taken; bonds are those to neighbours within 4 Å; and the two searches
through all combinations are left out for cells of more than 40 atoms and formulas of more than 12.
"""

import functools
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcrys.core.errors import InputError

if TYPE_CHECKING:
    from pymatgen.core import Composition, Structure

METALLIC = 0.7
MOST_ATOMS = 12
"""Of formulas whose unusual oxidation states are tried in all combinations."""

MOST_SITES = 40
"""Of cells that the bond-valence analysis, which tries combinations, is asked about."""


def charge_neutral(structure: "Structure") -> bool:
    """Whether a structure passes.

    Raises:
        InputError: if smact is not installed.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> from jaxcrys.crystal.convert import to_structure
        >>> charge_neutral(to_structure(example_crystal()))
        True
    """
    formula = structure.composition.reduced_formula
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return (
            _metallicity(formula) > METALLIC
            or _balanced(formula)
            or _no_bonds(structure)
            or _has_valences(structure)
        )


@functools.lru_cache(maxsize=100_000)
def _metallicity(formula: str) -> float:
    try:
        from smact.metallicity import metallicity_score
    except ModuleNotFoundError as error:
        raise InputError(
            "charge neutrality", "needs smact", "pip install 'jaxcrys[evaluation]'"
        ) from error
    from pymatgen.core import Composition

    try:
        return float(metallicity_score(Composition(formula)))
    except Exception:  # of elements that smact has no data on
        return 0.0


def _no_bonds(structure: "Structure") -> bool:
    """Whether all bond valences vanish, as between metals that have no parameters."""
    from pymatgen.analysis.bond_valence import calculate_bv_sum

    try:
        return all(
            abs(calculate_bv_sum(site, structure.get_neighbors(site, 4.0))) < 1e-15
            for site in structure
        )
    except Exception:
        return False


def _has_valences(structure: "Structure") -> bool:
    """Whether the bond-valence analysis finds oxidation states without a charge in all."""
    from pymatgen.analysis.bond_valence import BVAnalyzer

    if len(structure) > MOST_SITES:
        return False
    try:
        return sum(BVAnalyzer().get_valences(structure)) == 0
    except Exception:
        return False


@functools.lru_cache(maxsize=100_000)
def _balanced(formula: str) -> bool:
    from pymatgen.core import Composition

    composition = Composition(formula)
    if len(composition) == 1 or 0 in _charges(composition):
        return True
    if composition.num_atoms > MOST_ATOMS:
        return False
    guesses = composition.oxi_state_guesses(all_oxi_states=True)
    return bool(guesses) and _falling(composition, guesses[0])


def _charges(composition: "Composition") -> set[int]:
    """All charges that states of the ICSD can add up to, each atom with any state of its element.

    Grown atom by atom: pymatgen's guesses try all combinations, which takes minutes for formulas of
    fifty atoms.
    """
    charges = {0}
    for element, count in composition.items():
        states: Any = element
        known = states.icsd_oxidation_states or states.oxidation_states
        for _ in range(int(count)):
            charges = {charge + state for charge in charges for state in known}
    return charges


def _falling(composition: "Composition", states: dict[str, float]) -> bool:
    """Whether oxidation states grow as electronegativity falls."""
    elements: list[Any] = [element for element in composition if str(element) in states]
    values = [(element.X, states[str(element)]) for element in elements]
    if len(values) < 2 or np.std([x for x, _ in values]) == 0:
        return False
    return bool(np.corrcoef(np.array(values).T)[0, 1] < 0)
