"""The start of the lattices has the spread of the data, family by family."""

import dataclasses

import jax
import numpy as np

from jaxcrys.crystal import num_atoms
from jaxcrys.data.atomic_volume import cell_volumes, fit_atomic_volumes
from jaxcrys.geometry.lattice import FAMILIES
from jaxcrys.recipes.lattice_prior import (
    SMALLEST_SCALE,
    expected_size,
    fit_lattice_prior,
    to_standard,
)
from jaxcrys.symmetry import crystal_family, lattice_mask, multiplicity
from tests.crystals import random_crystals

CRYSTALS = random_crystals(300, sites=3, seed=2)
FAMILY = np.array([FAMILIES.index(crystal_family(int(group))) for group in CRYSTALS.group])


def test_standard_coefficients_have_the_spread_of_their_family():
    prior = fit_lattice_prior(CRYSTALS, species_known=True)
    values = np.asarray(jax.jit(lambda crystals: to_standard(crystals, prior))(CRYSTALS))
    mask = np.asarray(lattice_mask(CRYSTALS.group))
    assert not values[~mask].any()
    for family in np.unique(FAMILY):
        own = values[family == FAMILY][:, mask[family == FAMILY][0]]
        if len(own) > 20:
            np.testing.assert_allclose(own.mean(0), 0, atol=0.02)
            scale = np.array(prior.scale[family])[mask[family == FAMILY][0]]
            spread = np.where(scale > SMALLEST_SCALE, 1, own.std(0))
            np.testing.assert_allclose(own.std(0), spread, atol=0.02)
            assert own.std(0).max() <= 1.02
            assert (spread == 1).any()


def test_expected_volume_is_that_of_the_atoms():
    prior = fit_lattice_prior(CRYSTALS, species_known=True)
    volumes = fit_atomic_volumes(CRYSTALS)
    expected = np.exp(np.sqrt(3) * expected_size(CRYSTALS, prior)[:, 5])
    for index in range(20):
        sites = zip(CRYSTALS.species[index], CRYSTALS.wyckoff[index], strict=True)
        total = sum(volumes[z] * int(multiplicity(w)) for z, w in sites if w)
        np.testing.assert_allclose(expected[index], total, rtol=1e-3)


def test_unknown_elements_count_with_the_mean_volume():
    prior = fit_lattice_prior(CRYSTALS, species_known=False)
    mean = cell_volumes(CRYSTALS).sum() / num_atoms(CRYSTALS).sum()
    assert np.isclose(prior.volumes[0], mean, rtol=1e-4)
    unknown = dataclasses.replace(CRYSTALS, species=np.zeros_like(CRYSTALS.species))
    expected = np.exp(np.sqrt(3) * expected_size(unknown, prior)[:, 5])
    np.testing.assert_allclose(expected, mean * num_atoms(CRYSTALS), rtol=1e-3)
