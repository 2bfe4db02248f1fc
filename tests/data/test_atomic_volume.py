"""Atomic volumes against scipy's bounded least squares, atoms and volumes against pymatgen."""

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from jaxcrys.core.elements import SYMBOLS
from jaxcrys.core.pytree import take
from jaxcrys.crystal import num_atoms
from jaxcrys.crystal.convert import to_structure
from jaxcrys.data.atomic_volume import SMALLEST, cell_volumes, count_atoms, fit_atomic_volumes
from tests.crystals import random_crystals


def test_counts_and_volumes_are_pymatgens():
    crystals = random_crystals(40, seed=5)
    counts, volumes = count_atoms(crystals), cell_volumes(crystals)
    for row in range(40):
        structure = to_structure(take(crystals, row))
        assert volumes[row] == pytest.approx(structure.volume)
        expected = {el.Z: n for el, n in structure.composition.items()}
        assert {z: n for z, n in enumerate(counts[row]) if n} == expected
        assert counts[row].sum() == num_atoms(take(crystals, row))


def test_atomic_volumes_are_scipys_bounded_least_squares():
    crystals = random_crystals(400, seed=6)
    volumes = fit_atomic_volumes(crystals)
    shares = count_atoms(crystals) / cell_volumes(crystals)[:, None]
    occurring = np.flatnonzero(shares.any(0))
    expected = lsq_linear(
        shares[:, occurring], np.ones(400), bounds=(SMALLEST, np.inf), method="bvls", tol=1e-12
    ).x
    np.testing.assert_allclose(volumes[occurring], expected, rtol=1e-4)
    assert (volumes == SMALLEST).any()  # the bound matters in these nonsensical crystals
    assert volumes[0] == 0
    missing = np.setdiff1d(np.arange(1, len(SYMBOLS)), occurring)
    assert set(volumes[missing]) <= set(volumes[occurring])
