"""A crystal in a subgroup against coordinates by hand, pymatgen's distances, and spglib."""

import dataclasses
from collections import defaultdict

import jax
import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher

from jaxcrys.core.errors import InputError
from jaxcrys.crystal import build_crystal, example_crystal, expand, num_atoms, validate
from jaxcrys.crystal.convert import detect_group, to_structure
from jaxcrys.crystal.describe import formula, wyckoff_string
from jaxcrys.crystal.subgroup import to_subgroup
from jaxcrys.geometry.lattice import coefficients_from_matrix, volume
from jaxcrys.symmetry import free_mask, lattice_mask, operations
from jaxcrys.symmetry.subgroups import compose, maximal_subgroups, subgroup_path
from tests.crystals import random_crystal, random_crystals
from tests.groups import each_group


def atoms(crystal):
    return expand(crystal, capacity=int(num_atoms(crystal)))


def relations_of(group, random, count=3):
    every = maximal_subgroups(group)
    return [every[i] for i in random.choice(len(every), min(count, len(every)), replace=False)]


def same_place(group, frac, species, cell):
    """Which atoms are the same modulo the lattice of the group, centring included."""
    centring = np.array([t for r, t in zip(*operations(group), strict=True) if is_unit(r)]) / 24
    apart = frac[:, None, None] - cell.frac[:, None] + centring
    near = (np.abs(apart - np.rint(apart)).max(-1) < 1e-8).any(-1)
    return near & (species[:, None] == cell.species)


def is_unit(matrix):
    return (matrix == np.eye(3)).all()


def distances(structure, cutoff):
    """Those between atoms of each pair of elements, unsorted."""
    found = defaultdict(list)
    for site, near in zip(structure, structure.get_all_neighbors(cutoff), strict=True):
        for other in near:
            found[site.specie.Z, other.specie.Z].append(other.nn_distance)
    return found


@each_group
def test_atoms_are_those_of_the_crystal(group):
    random = np.random.default_rng(group)
    for relation in relations_of(group, random):
        crystal = random_crystal(random, group=group, most_atoms=48)
        lower = to_subgroup(crystal, relation)
        validate(lower)
        old, new = atoms(crystal), atoms(lower)
        assert np.isclose(volume(new.lattice), volume(old.lattice) * np.linalg.det(relation.linear))
        assert len(new.species) == round(len(old.species) * np.linalg.det(relation.linear))
        # Each new atom, moved back to the old cell, is an old one of its element, and on each of
        # the old, modulo the lattice, falls the same share of the new.
        back = new.frac @ relation.linear.T + relation.shift
        found = same_place(group, back, new.species, old).sum(0)
        once = same_place(group, old.frac, old.species, old).sum(0)
        np.testing.assert_allclose(found / once, len(new.species) / len(old.species))
        # The new metric is Pᵀ G P.
        metric = old.lattice @ old.lattice.T
        expected = relation.linear.T @ metric @ relation.linear
        np.testing.assert_allclose(new.lattice @ new.lattice.T, expected, rtol=1e-9, atol=1e-9)


def distinct_crystal(random, group):
    """A crystal whose atoms keep some distance from each other, and its pymatgen structure."""
    for _ in range(1000):
        crystal = random_crystal(random, group=group, sites=2, most_atoms=12)
        structure = to_structure(crystal)
        if structure.is_valid(tol=0.6):
            return crystal, structure
    raise AssertionError("none found")


@pytest.mark.parametrize("group", [14, 62, 136, 152, 166, 194, 221, 225])
def test_neighbours_are_those_of_the_crystal(group):
    """By pymatgen, from the lattice and coordinates alone, not from the transformation."""
    random = np.random.default_rng(group)
    for relation in relations_of(group, random, 2):
        crystal, structure = distinct_crystal(random, group)
        lower = to_structure(to_subgroup(crystal, relation))
        old, new = distances(structure, 6.0), distances(lower, 6.0)
        assert old.keys() == new.keys()
        for pair in old:
            left, right = np.repeat(old[pair], len(lower)), np.repeat(new[pair], len(structure))
            np.testing.assert_allclose(np.sort(left), np.sort(right), atol=1e-6)


def test_a_chain_is_its_steps():
    random = np.random.default_rng(1)
    crystal = random_crystal(random, group=221)
    first, second = subgroup_path(221, 167)
    once = to_subgroup(crystal, compose(first, second))
    by_number = to_subgroup(crystal, 167)
    stepwise = to_subgroup(to_subgroup(crystal, first), second)
    for name in ("wyckoff", "species", "free", "lattice"):
        np.testing.assert_array_equal(getattr(once, name), getattr(by_number, name))
    np.testing.assert_allclose(once.lattice, stepwise.lattice, atol=1e-12)
    left, right = (wyckoff_string(c).split() for c in (once, stepwise))
    assert sorted(left) == sorted(right)
    matcher = StructureMatcher(scale=False)
    assert matcher.fit(to_structure(once), to_structure(stepwise))


def test_own_group_changes_nothing():
    crystal = example_crystal()
    same = to_subgroup(crystal, 225)
    for field in dataclasses.fields(crystal):
        np.testing.assert_allclose(getattr(same, field.name), getattr(crystal, field.name))


PEROVSKITE = [(56, "a"), (22, "b"), (8, "c")]
RUTILE = [(22, "a"), (8, "f", (0.305,))]


def perovskite():
    return build_crystal(221, PEROVSKITE, (4.0, 4.0, 4.0, 90, 90, 90))


def rutile():
    return build_crystal(136, RUTILE, (4.594, 4.594, 2.959, 90, 90, 90))


def lowered(crystal, seed):
    """Small changes of everything that the group leaves free."""
    random = np.random.default_rng(seed)
    free = crystal.free + random.uniform(-0.02, 0.02, crystal.free.shape)
    lattice = crystal.lattice + random.uniform(-0.03, 0.03, 6) * lattice_mask(crystal.group)
    return dataclasses.replace(
        crystal, free=np.where(free_mask(crystal.wyckoff), free % 1, 0), lattice=lattice
    )


@pytest.mark.parametrize(
    ("make", "group", "sites"),
    [
        (perovskite, 99, "Ba@1a Ti@1b O@1b O@2c"),
        (perovskite, 123, "Ba@1a Ti@1d O@1c O@2e"),
        (perovskite, 167, "Ba@6a Ti@6b O@18e"),
        (perovskite, 38, None),
        (perovskite, 62, None),
        (perovskite, 160, None),
        (rutile, 58, "Ti@2a O@4g"),
        (rutile, 14, None),
        (rutile, 102, None),
        (example_crystal, 166, None),
        (example_crystal, 12, None),
    ],
)
def test_famous_crystals(make, group, sites):
    crystal = make()
    lower = to_subgroup(crystal, group)
    validate(lower)
    if sites:  # a type of subgroup has several origins, which exchange letters
        found = sorted(site[:-1] for site in wyckoff_string(lower).split())
        assert found == sorted(site[:-1] for site in sites.split())
    assert formula(lower) == formula(crystal)
    matcher = StructureMatcher(scale=False)
    assert matcher.fit(to_structure(crystal), to_structure(lower))
    # The atoms still have the symmetry of the crystal; freed, they have that of the subgroup.
    assert detect_group(lower, 1e-4) == int(crystal.group)
    assert detect_group(lowered(lower, 0), 1e-4) == group


def test_sites_keep_their_element_and_can_be_ordered():
    """The elpasolite order: two elements on the octahedra of a perovskite."""
    crystal = perovskite()
    double = [to_subgroup(crystal, sub) for sub in maximal_subgroups(221) if sub.group == 225]
    lower = next(c for c in double if (c.species == 22).sum() == 2)
    species = lower.species.copy()
    species[np.flatnonzero(species == 22)[0]] = 42
    ordered = dataclasses.replace(lower, species=species)
    assert formula(ordered) == "Ba2TiMoO6"
    assert detect_group(ordered) == 225


def test_the_lattice_can_be_strained():
    lower = to_subgroup(example_crystal(), 139)
    matrix = np.diag([4.0, 4.0, 5.7])
    strained = dataclasses.replace(lower, lattice=coefficients_from_matrix(matrix))
    validate(strained)
    assert detect_group(lower, 1e-3) == 225
    assert detect_group(strained, 1e-3) == 139


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types_are_kept_and_empty_slots_left_out(dtype):
    crystal = random_crystal(np.random.default_rng(3), group=62, sites=2)
    crystal = dataclasses.replace(
        crystal,
        wyckoff=np.append(crystal.wyckoff, 0),
        species=np.append(crystal.species, 0),
        free=np.append(crystal.free, np.zeros((1, 3)), 0).astype(dtype),
        lattice=crystal.lattice.astype(dtype),
    )
    for relation in maximal_subgroups(62):
        lower = to_subgroup(crystal, relation)
        validate(lower)
        assert lower.free.dtype == lower.lattice.dtype == dtype
        assert (lower.wyckoff > 0).all()


def test_arrays_of_jax_give_arrays_of_numpy():
    crystal = rutile()
    there = jax.tree.map(jax.numpy.asarray, crystal)
    lower, expected = to_subgroup(there, 14), to_subgroup(crystal, 14)
    for field in dataclasses.fields(lower):
        found = getattr(lower, field.name)
        assert isinstance(found, np.ndarray)
        np.testing.assert_allclose(found, getattr(expected, field.name), atol=1e-6)


def test_wrong_input_is_refused():
    crystal = example_crystal()
    with pytest.raises(InputError, match="got a batch of"):
        to_subgroup(random_crystals(2), 1)
    with pytest.raises(InputError, match="is a subgroup of Pm-3m, but the crystal has Fm-3m"):
        to_subgroup(crystal, maximal_subgroups(221)[0])
    with pytest.raises(InputError, match=r"no subgroup of type Im-3m; its maximal subgroups are"):
        to_subgroup(rutile(), 229)
    with pytest.raises(InputError, match="space group number"):
        to_subgroup(crystal, 0)
