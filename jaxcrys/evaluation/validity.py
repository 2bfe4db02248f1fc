"""Structural and compositional validity, as CDVAE and LeMat-GenBench define them.

Composition rules need the package smact (``pip install 'jaxcrys[evaluation]'``). They are the
classic ones: smact's oxidation states of 2014, charge neutrality, the Pauling test, and alloys of
metals always valid. About a tenth of real crystals fail them.
"""

import functools
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxcrys.core.elements import SYMBOLS, parse_formula, reduced_formula
from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import Float
from jaxcrys.crystal.convert import cell_and_labels
from jaxcrys.crystal.describe import density
from jaxcrys.crystal.feasibility import least_distance
from jaxcrys.crystal.raw import RawCell
from jaxcrys.crystal.types import Crystal
from jaxcrys.geometry.periodic import pairwise_distances

MIN_DISTANCE = 0.5
MIN_VOLUME = 0.1

DENSITIES = (0.01, 25.0)
ATOMS_PER_VOLUME = (1e-5, 0.5)
LENGTHS = (1.0, 100.0)
LEAST_VOLUME = 1.0

MOST_ELEMENTS = 7
"""Of compositions that smact, which tries all combinations of states, is asked about."""


def structure_valid(
    crystal: Crystal | RawCell, distances: Float[np.ndarray, "n n"] | None = None
) -> bool:
    """No two atoms closer than 0.5 Å, and a volume of at least 0.1 Å^3.

    Args:
        crystal: a single crystal, or a cell.
        distances: of its atoms, where they are known (``geometry.periodic``).

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> structure_valid(example_crystal())
        True
    """
    cell = as_cell(crystal)
    if not _has_volume(cell):
        return False
    if distances is None:
        distances = np.asarray(pairwise_distances(cell.frac, cell.lattice))
    return bool(distances.min() >= MIN_DISTANCE)


def distances_plausible(
    crystal: Crystal | RawCell, distances: Float[np.ndarray, "n n"] | None = None
) -> bool:
    """No two atoms closer than ½ (0.7 Å + R_i + R_j), with atomic radii R.

    The distance rule of LeMat-GenBench (Siron et al. 2025); lattice translations of an atom count
    as another atom.

    Args:
        crystal: a single crystal, or a cell.
        distances: of its atoms, where they are known.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> distances_plausible(example_crystal())
        True
    """
    cell = as_cell(crystal)
    if not _has_volume(cell):
        return False
    allowed = least_distance(cell.numbers[:, None], cell.numbers)
    if distances is None:
        distances = np.asarray(pairwise_distances(cell.frac, cell.lattice))
    return bool((distances >= allowed).all())


def as_cell(crystal: Crystal | RawCell) -> RawCell:
    """The atoms of a crystal's conventional cell; a cell is left as it is."""
    return crystal if isinstance(crystal, RawCell) else cell_and_labels(crystal)[0]


def _has_volume(cell: RawCell) -> bool:
    if not np.isfinite(cell.lattice).all() or not np.isfinite(cell.frac).all():
        return False
    return abs(float(np.linalg.det(cell.lattice))) >= MIN_VOLUME


def plausible(cell: RawCell) -> bool:
    """Density, number of atoms in a volume, and lengths such as crystals have.

    The bounds of LeMat-GenBench: 0.01 to 25 g/cm³, 1e-5 to 0.5 atoms/Å³, vectors of 1 to 100 Å, a
    volume above 1 Å³. Its tests that a CIF can be written and read and that a group can be found
    are passed by whatever became a cell, and has a group in the table of results.
    """
    size = abs(float(np.linalg.det(cell.lattice)))
    lengths = np.linalg.norm(cell.lattice, axis=-1)
    if not size > LEAST_VOLUME or lengths.min() < LENGTHS[0] or lengths.max() > LENGTHS[1]:
        return False
    atoms = len(cell.numbers) / size
    return bool(
        ATOMS_PER_VOLUME[0] <= atoms <= ATOMS_PER_VOLUME[1]
        and DENSITIES[0] <= density(cell) <= DENSITIES[1]
    )


def composition_valid(crystal: Crystal | RawCell) -> bool:
    """Whether smact's classic rules accept the composition; not where it knows no such element.

    Raises:
        InputError: if smact is not installed.
    """
    counts = Counter(as_cell(crystal).numbers.tolist())
    return classic_rules(reduced_formula(counts))


@functools.lru_cache(maxsize=100_000)
def classic_rules(reduced: str) -> bool:
    """Whether smact's classic rules accept a formula.

    Example:
        >>> classic_rules("NaCl"), classic_rules("NaCl2"), classic_rules("CuZn")
        (True, False, True)
    """
    counts = parse_formula(reduced)
    known = [_element(SYMBOLS[number]) for number in counts]
    if not all(known):  # smact has no data on the heaviest elements
        return False
    if len(counts) == 1 or all(element.metal for element in known if element):
        return True
    ions = [(element, n) for element, n in zip(known, counts.values(), strict=True) if element]
    return _neutral_ions(ions)


@functools.lru_cache(maxsize=100_000)
def smact_rules(reduced: str) -> bool:
    """Whether smact's own function accepts a formula, with the defaults of the version in use.

    In smact 4 these are oxidation states of the ICSD as of 2024 and mixed valence not allowed; not
    comparable with published shares, which stand on the classic rules.
    """
    try:
        from smact.screening import smact_validity
    except ModuleNotFoundError as error:
        raise InputError(
            "composition validity", "needs smact", "pip install 'jaxcrys[evaluation]'"
        ) from error
    if len(parse_formula(reduced)) > MOST_ELEMENTS:
        return False
    try:
        return bool(smact_validity(reduced))
    except Exception:  # of elements that it has no data on
        return False


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
