"""Fingerprints of structures and compositions by which coverage is measured (CDVAE's protocol).

Structure: matminer's CrystalNNFingerprint, preset ``ops`` (61 numbers), the mean over all atoms.
Composition: matminer's Magpie statistics (132 numbers), standardised.

Atoms that a symmetry operation maps onto each other have the same fingerprint, so that one of each
orbit is computed and counted as often as the orbit has atoms. The operations are those that hold to
1e-4 Å: the mean is that over all atoms.
"""

import functools
import warnings
from typing import Any

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import Float
from jaxcrys.crystal.convert import structure_from_raw
from jaxcrys.crystal.raw import RawCell
from jaxcrys.crystal.standardise import equivalent_atoms
from jaxcrys.evaluation.composition_scale import MEANS, SPREADS

EXACT = 1e-4
"""Å."""


def structure_fingerprint(cell: RawCell) -> Float[np.ndarray, "61"]:
    """The mean over all atoms of the similarity of their surroundings to ideal ones.

    Raises:
        InputError: if matminer is not installed.
        Exception: whatever matminer raises where it finds no neighbours.
    """
    structure = structure_from_raw(cell)
    first, counts = np.unique(equivalent_atoms(cell, symprec=EXACT), return_counts=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        each = np.array([_matminer().sites.featurize(structure, int(i)) for i in first])
    return (each * counts[:, None]).sum(0) / counts.sum()


@functools.lru_cache(maxsize=100_000)
def composition_fingerprint(formula: str) -> Float[np.ndarray, "132"]:
    """Statistics of the elements' properties, as CDVAE standardises them; 0 where not known.

    Raises:
        InputError: if matminer is not installed.
    """
    from pymatgen.core import Composition

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw = np.array(_matminer().composition.featurize(Composition(formula)), float)
    return np.nan_to_num((raw - MEANS) / SPREADS, nan=0.0)


class _Featurizers:
    """matminer's, made once in a process."""

    def __init__(self) -> None:
        try:
            from matminer.featurizers.composition.composite import ElementProperty
            from matminer.featurizers.site.fingerprint import CrystalNNFingerprint
        except ModuleNotFoundError as error:
            raise InputError(
                "fingerprints", "need matminer", "pip install 'jaxcrys[evaluation]'"
            ) from error
        self.sites: Any = CrystalNNFingerprint.from_preset("ops")
        self.composition: Any = ElementProperty.from_preset("magpie", impute_nan=False)


@functools.cache
def _matminer() -> _Featurizers:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _Featurizers()
