"""One canonical form for all descriptions of a crystal: origins, axes, bases, mirror images."""

import jax
import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher

from jaxcrys.crystal import validate
from jaxcrys.crystal.canonical import canonical_form
from jaxcrys.crystal.convert import from_structure, to_structure
from jaxcrys.crystal.equivalents import redescribe
from jaxcrys.symmetry.normalisers import num_descriptions
from tests.crystals import exact_crystal, random_crystal
from tests.groups import each_group

OBLIQUE_BASES = np.array([[[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[1, 1, 0], [0, 1, 0], [0, 0, 1]],
                          [[1, 0, 1], [0, 1, 1], [0, 0, 1]], [[2, 1, 0], [1, 1, 0], [0, -1, 1]],
                          [[0, 0, 1], [1, 0, -1], [0, 1, 2]]])  # fmt: skip


def assert_same(found, expected, tolerance=1e-5):
    assert found.group == expected.group
    assert (found.wyckoff == expected.wyckoff).all()
    assert (found.species == expected.species).all()
    apart = found.free - expected.free
    assert np.abs(apart - np.rint(apart)).max() < tolerance
    np.testing.assert_allclose(found.lattice, expected.lattice, atol=tolerance)


@each_group
def test_the_form_does_not_depend_on_the_description(group):
    random = np.random.default_rng(group)
    crystal = random_crystal(random, group=group, sites=4)
    form = canonical_form(crystal)
    validate(form)
    strict = canonical_form(crystal, mirror=False)
    for mirror, expected in ((True, form), (False, strict)):
        count = int(num_descriptions(np.asarray(group), mirror=mirror))
        for index in random.integers(0, count, 3):
            moved = redescribe(crystal, np.asarray(index), shift=random.random(3))
            moved = jax.tree.map(np.asarray, moved)
            assert_same(canonical_form(moved, mirror=mirror), expected)
    assert_same(canonical_form(form), form)


@pytest.mark.parametrize("group", [1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 13, 14, 15])
def test_the_form_does_not_depend_on_the_lattice_basis(group):
    """Through atoms, an oblique basis, and spglib's choice of a standard cell."""
    random = np.random.default_rng(group)
    crystal = exact_crystal(random, group=group)
    form = canonical_form(crystal)
    structure = to_structure(crystal)
    for basis in OBLIQUE_BASES:
        moved = structure.copy()
        moved.make_supercell(basis)
        moved.translate_sites(range(len(moved)), random.random(3))
        found = from_structure(moved, symprec=1e-3)
        assert_same(canonical_form(found), form, 1e-4)


@pytest.mark.parametrize("group", [1, 4, 14, 19, 33, 61, 76, 99, 146, 152, 167, 186, 198, 205])
def test_the_form_shows_the_same_atoms(group):
    crystal = random_crystal(np.random.default_rng(group), group=group, sites=3, most_atoms=12)
    matcher = StructureMatcher(primitive_cell=False, ltol=0.01, stol=0.01, angle_tol=0.5)
    assert matcher.fit(to_structure(crystal), to_structure(canonical_form(crystal)))


def test_different_coordinates_give_different_forms():
    random = np.random.default_rng(0)
    for group in (14, 62, 136, 167):
        one = random_crystal(random, group=group, sites=2)
        free = np.where(one.free > 0, (one.free + 0.07) % 1, 0)
        other = type(one)(one.group, one.wyckoff, one.species, free, one.lattice)
        if (one.free > 0).any():
            apart = canonical_form(one).free - canonical_form(other).free
            assert np.abs(apart - np.rint(apart)).max() > 1e-3
