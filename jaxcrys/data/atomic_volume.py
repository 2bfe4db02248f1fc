"""Volume of a cell from its composition: a sum of atomic volumes fitted to a dataset (host side).

The volumes v_e minimise the squared relative errors Σ_c (Σ_e n_ce v_e / V_c - 1)², where crystal c
has n_ce atoms of element e in a cell of volume V_c, with v_e ≥ ``SMALLEST``.
"""

import numpy as np

from jaxcrys.core.elements import SYMBOLS
from jaxcrys.core.typing import Float
from jaxcrys.crystal.types import Crystal
from jaxcrys.data.element_similarity import element_distances
from jaxcrys.symmetry.wyckoff import multiplicity

SMALLEST = 1.0
"""Å^3: keeps the volume of every composition positive, hydrides included."""

_SWEEPS = 2000
_TOLERANCE = 1e-7


def fit_atomic_volumes(crystals: Crystal) -> Float[np.ndarray, "z"]:
    """Atomic volumes in Å^3 by atomic number; entry 0 stands for no atom and is 0.

    Elements that no crystal contains get the volume of the most similar one that occurs.

    Args:
        crystals: a batch.

    Example:
        >>> from jaxcrys.crystal import example_crystal, stack_crystals
        >>> volumes = fit_atomic_volumes(stack_crystals([example_crystal()]))
        >>> round(4 * float(volumes[11] + volumes[17]), 4), round(5.64**3, 4)
        (179.4061, 179.4061)
    """
    counts = count_atoms(crystals)
    occurring = np.flatnonzero(counts.any(0))
    shares = counts[:, occurring] / cell_volumes(crystals)[:, None]
    volumes = np.zeros(len(SYMBOLS))
    volumes[occurring] = _fit(shares)
    nearest = occurring[element_distances()[:, occurring].argmin(1)]
    volumes = volumes[nearest]
    volumes[0] = 0
    return volumes


def _fit(shares: Float[np.ndarray, "c e"]) -> Float[np.ndarray, "e"]:
    """Bounded least squares by cyclic coordinate descent: exact in each unknown, one by one."""
    quadratic, linear = shares.T @ shares, shares.sum(0)
    found = np.full(len(linear), 1 / shares.sum(1).mean())
    for _ in range(_SWEEPS):
        before = found.copy()
        for i in range(len(found)):
            step = (linear[i] - quadratic[i] @ found) / quadratic[i, i]
            found[i] = max(SMALLEST, found[i] + step)
        if np.abs(found - before).max() < _TOLERANCE:
            break
    return found


def count_atoms(crystals: Crystal) -> Float[np.ndarray, "*b z"]:
    """Atoms of each element in the conventional cell, by atomic number; entry 0 is 0.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> count_atoms(example_crystal())[[11, 17]]
        array([4., 4.])
    """
    species, amounts = np.asarray(crystals.species), multiplicity(np.asarray(crystals.wyckoff))
    counts = np.zeros((*species.shape[:-1], len(SYMBOLS)))
    rows = np.indices(species.shape)[:-1]
    np.add.at(counts, (*rows, species), amounts)
    return counts


def cell_volumes(crystals: Crystal) -> Float[np.ndarray, "*b"]:
    """Volumes of the conventional cells, Å^3: exp(√3 k_6).

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> round(float(cell_volumes(example_crystal())), 4)
        179.4061
    """
    return np.exp(np.sqrt(3) * np.asarray(crystals.lattice, float)[..., 5])
