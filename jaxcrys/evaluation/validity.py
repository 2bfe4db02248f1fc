"""Structural and compositional validity, as CDVAE and LeMat-GenBench define them.

Composition rules need the package smact (``pip install 'jaxcrys[evaluation]'``). They are the
classic ones: smact's oxidation states of 2014, charge neutrality, the Pauling test, and alloys of
metals always valid. About a tenth of real crystals fail them.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxcrys.core.elements import SYMBOLS, parse_formula
from jaxcrys.core.errors import InputError
from jaxcrys.crystal.describe import formula
from jaxcrys.crystal.expand import expand, num_atoms
from jaxcrys.crystal.feasibility import least_distance
from jaxcrys.crystal.types import Crystal
from jaxcrys.geometry.lattice import volume
from jaxcrys.geometry.periodic import pairwise_distances, shortest_distance

MIN_DISTANCE = 0.5
MIN_VOLUME = 0.1


def structure_valid(crystal: Crystal) -> bool:
    """No two atoms closer than 0.5 Å, and a volume of at least 0.1 Å^3.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> structure_valid(example_crystal())
        True
    """
    cell = expand(crystal, capacity=int(num_atoms(crystal)))
    if not np.isfinite(cell.lattice).all() or not np.isfinite(cell.frac).all():
        return False
    distance = shortest_distance(cell.frac, cell.lattice, cell.mask)
    return bool(distance >= MIN_DISTANCE and volume(cell.lattice) >= MIN_VOLUME)


def distances_plausible(crystal: Crystal) -> bool:
    """No two atoms closer than ½ (0.7 Å + R_i + R_j), with atomic radii R.

    The distance rule of LeMat-GenBench (Siron et al. 2025); lattice translations of an atom count
    as another atom.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> distances_plausible(example_crystal())
        True
    """
    cell = expand(crystal, capacity=int(num_atoms(crystal)))
    if not np.isfinite(cell.lattice).all() or not np.isfinite(cell.frac).all():
        return False
    if volume(cell.lattice) < MIN_VOLUME:
        return False
    allowed = least_distance(cell.species[:, None], cell.species)
    return bool((pairwise_distances(cell.frac, cell.lattice) >= allowed).all())


def composition_valid(crystal: Crystal) -> bool:
    """Whether smact's classic rules accept the composition; not where it knows no such element.

    Raises:
        InputError: if smact is not installed.
    """
    return _smact_valid(formula(crystal))


@functools.lru_cache(maxsize=100_000)
def _smact_valid(reduced: str) -> bool:
    counts = parse_formula(reduced)
    known = [_element(SYMBOLS[number]) for number in counts]
    if not all(known):  # smact has no data on the heaviest elements
        return False
    if len(counts) == 1 or all(element.metal for element in known if element):
        return True
    ions = [(element, n) for element, n in zip(known, counts.values(), strict=True) if element]
    return _neutral_ions(ions)


class _Element(NamedTuple):
    """What smact knows of an element."""

    metal: bool
    electronegativity: float | None
    states: tuple[int, ...]


@functools.cache
def _element(symbol: str) -> _Element | None:
    try:
        import smact
    except ModuleNotFoundError as error:
        raise InputError(
            "composition validity", "needs smact", "pip install 'jaxcrys[evaluation]'"
        ) from error
    try:
        element = smact.Element(symbol)
    except KeyError:
        return None
    states = tuple(element.oxidation_states_smact14 or ())
    return _Element(symbol in smact.metals, element.pauling_eneg, states)


def _neutral_ions(ions: Sequence[tuple[_Element, int]]) -> bool:
    """Whether states exist with no charge in all, each cation less electronegative than any anion.

    smact tries all combinations of states, which takes minutes for eight elements. By the Pauling
    test some value of electronegativity parts the cations from the anions; for each of them the
    charges that can be reached are a set, which grows by one element at a time.
    """
    values = [element.electronegativity for element, _ in ions]
    if any(value is None for value in values):
        return False
    for cut in sorted({value for value in values if value is not None}):
        charges = {0}
        for (element, count), value in zip(ions, values, strict=True):
            sign = 1 if value is not None and value < cut else -1
            states = [count * state for state in element.states if sign * state >= 0]
            charges = {charge + state for charge in charges for state in states}
        if 0 in charges:
            return True
    return False
