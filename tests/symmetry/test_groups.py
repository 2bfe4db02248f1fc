"""Names against pymatgen, lattice families against brute force."""

import numpy as np
import pytest
import scipy.linalg
import spglib
from pymatgen.symmetry.groups import SpaceGroup, sg_symbol_from_int_number

from jaxcrys.core.errors import InputError
from jaxcrys.geometry import coefficients_from_matrix
from jaxcrys.symmetry import (
    crystal_family,
    crystal_system,
    lattice_fixed,
    lattice_mask,
    operations,
    spaced_symbol,
    symbol,
)
from jaxcrys.symmetry.groups import constrain_lattice
from tests.groups import GROUPS, each_group

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")


def test_full_symbols_are_those_of_pymatgen():
    for group in GROUPS:
        assert spaced_symbol(group).replace(" ", "") == sg_symbol_from_int_number(group).replace(
            "_", ""
        )


def test_short_symbols_are_those_of_spglib(hall_number):
    for group in GROUPS:
        kind = spglib.get_spacegroup_type(hall_number(group))
        assert kind is not None
        assert symbol(group) == kind.international_short.replace("_", "")


def test_systems_and_families_are_those_of_pymatgen():
    for group in GROUPS:
        system = SpaceGroup.from_int_number(group).crystal_system
        assert crystal_system(group) == system
        assert crystal_family(group) == ("hexagonal" if system == "trigonal" else system)


@each_group
def test_free_lattice_coefficients_are_those_of_the_invariant_metrics(group, spglib_operations):
    """The metrics that the rotations leave alone are the lattices of the mask, all of them."""
    rotations = np.unique(spglib_operations(group)[0], axis=0)
    rng = np.random.default_rng(group)
    factor = rng.normal(size=(20, 3, 3)) + 3 * np.eye(3)
    metrics = factor @ factor.swapaxes(-1, -2)
    invariant = np.einsum("oji,bjk,okl->bil", rotations, metrics, rotations) / len(rotations)
    mask, fixed = lattice_mask(np.array(group)), lattice_fixed(np.array(group))
    k = coefficients_from_matrix(np.linalg.cholesky(invariant))
    np.testing.assert_allclose(k[:, ~mask], np.broadcast_to(fixed, k.shape)[:, ~mask], atol=1e-12)
    dimensions = np.linalg.matrix_rank(invariant.reshape(20, 9) - invariant[0].ravel(), tol=1e-9)
    assert dimensions == mask.sum()
    # And any k that obeys the mask is a lattice that the rotations leave alone.
    free = constrain_lattice(rng.normal(size=6), np.array(group))
    basis = [[(0, 1)], [(0, 2)], [(1, 2)]]
    log_factor = np.zeros((3, 3))
    for value, [(i, j)] in zip(free[:3] / np.sqrt(2), basis, strict=True):
        log_factor[i, j] = log_factor[j, i] = value
    log_factor += np.diag([1, -1, 0]) * free[3] / np.sqrt(2)
    log_factor += np.diag([1, 1, -2]) * free[4] / np.sqrt(6) + np.eye(3) * free[5] / np.sqrt(3)
    metric = scipy.linalg.expm(2 * log_factor)
    turned = rotations.swapaxes(-1, -2) @ metric @ rotations
    np.testing.assert_allclose(turned, np.broadcast_to(metric, turned.shape), rtol=1e-9, atol=1e-9)


def test_constrain_lattice_is_idempotent_and_keeps_what_is_free():
    rng = np.random.default_rng(0)
    groups = np.arange(1, 231)
    k = rng.normal(size=(230, 6))
    once = constrain_lattice(k, groups)
    np.testing.assert_array_equal(constrain_lattice(once, groups), once)
    np.testing.assert_array_equal(once[lattice_mask(groups)], k[lattice_mask(groups)])


@pytest.mark.parametrize("group", [0, 231, -1, 2.0, "P1", None])
@pytest.mark.parametrize("function", [symbol, spaced_symbol, crystal_family, operations])
def test_what_is_no_group_is_refused_by_name(function, group):
    with pytest.raises(InputError, match=r"space group: must be .* from 1 to 230, got "):
        function(group)
