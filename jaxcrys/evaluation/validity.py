"""Structural and compositional validity, as CDVAE and LeMat-GenBench define them.

Composition rules need the package smact (``pip install 'jaxcrys[evaluation]'``). They are the
classic ones: smact's oxidation states of 2014, charge neutrality, the Pauling test, and alloys of
metals always valid. About a tenth of real crystals fail them.
"""

import functools

import numpy as np

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
    try:
        from smact.screening import smact_validity
    except ModuleNotFoundError as error:
        raise InputError(
            "composition validity", "needs smact", "pip install 'jaxcrys[evaluation]'"
        ) from error
    try:
        return bool(
            smact_validity(
                reduced, use_pauling_test=True, include_alloys=True, oxidation_states_set="smact14"
            )
        )
    except KeyError:  # it has no data on the heaviest elements
        return False
