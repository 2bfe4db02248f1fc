"""Match rate, validity and symmetry checks, on crystals whose answer is known."""

import dataclasses

import numpy as np
import pytest
import spglib
from pymatgen.analysis.structure_matcher import StructureMatcher

from jaxcrys.core.pytree import take
from jaxcrys.crystal import build_crystal, expand, num_atoms, stack_crystals
from jaxcrys.crystal.convert import to_structure
from jaxcrys.crystal.describe import formula
from jaxcrys.evaluation import (
    check_symmetry,
    composition_valid,
    distances_plausible,
    match_rate,
    match_structures,
    structure_valid,
)
from jaxcrys.symmetry import load_tables, operations
from tests.crystals import GROUPS, random_crystal

RUTILE = build_crystal(136, [(22, "a"), (8, "f", (0.305,))], (4.594, 4.594, 2.959, 90, 90, 90))


def moved(x):
    free = np.array(RUTILE.free)
    free[1, 0] = x
    return dataclasses.replace(RUTILE, free=free)


def test_matching_is_pymatgens_with_the_published_tolerances():
    predictions = stack_crystals([moved(0.305), moved(0.29), moved(0.05)])
    references = stack_crystals([RUTILE] * 3)
    matcher = StructureMatcher(stol=0.5, ltol=0.3, angle_tol=10)
    found = match_structures(predictions, references)
    for i, value in enumerate(found):
        expected = matcher.get_rms_dist(to_structure(take(predictions, i)), to_structure(RUTILE))
        assert (value is None) == (expected is None)
        assert value is None or value == pytest.approx(expected[0], abs=1e-9)
    assert found[0] == pytest.approx(0, abs=1e-6)
    assert 0 < found[1] < 0.1


def test_many_processes_say_the_same():
    predictions = stack_crystals([moved(x) for x in (0.305, 0.29, 0.05)] * 7)
    references = stack_crystals([RUTILE] * 21)
    alone = match_structures(predictions, references)
    assert match_structures(predictions, references, workers=2) == alone


@pytest.mark.parametrize("k5", [9.0, -9.0, 40.0, np.nan])
def test_collapsed_cells_match_nothing_and_end_at_once(k5):
    lattice = np.array(RUTILE.lattice)
    lattice[4] = k5
    thin = stack_crystals([dataclasses.replace(RUTILE, lattice=lattice)])
    assert match_structures(thin, stack_crystals([RUTILE])) == [None]


def test_no_match_at_all():
    rate, error = match_rate([None, None])
    assert rate == 0
    assert np.isnan(error)


def test_plausible_distances_follow_pymatgens_radii():
    """By brute force over pymatgen's neighbours and its atomic radii."""
    random = np.random.default_rng(3)
    verdicts = set()
    for group in (2, 14, 62, 136, 166, 225):
        crystal = random_crystal(random, group=group, sites=2, most_atoms=8)
        lattice = np.array(crystal.lattice)
        lattice[5] += random.normal() * 0.4
        crystal = dataclasses.replace(crystal, lattice=lattice)
        crystal.species[:] = np.where(crystal.species > 0, random.integers(3, 80, 2), 0)
        structure = to_structure(crystal)
        expected = all(
            neighbour.nn_distance
            >= 0.5 * (0.7 + site.specie.atomic_radius + neighbour.specie.atomic_radius)
            for site in structure
            for neighbour in structure.get_neighbors(site, 4.0)
            if site.specie.atomic_radius and neighbour.specie.atomic_radius
        )
        assert distances_plausible(crystal) == expected
        verdicts.add(expected)
    assert verdicts == {True, False}


def test_close_atoms_are_not_valid():
    assert structure_valid(RUTILE)
    assert not structure_valid(moved(0.01))
    assert not structure_valid(dataclasses.replace(RUTILE, lattice=np.full(6, np.nan)))


def test_charge_neutrality():
    assert composition_valid(RUTILE)
    species = np.array(RUTILE.species)
    species[1] = 9  # TiF2 has Ti in a known state, TiHe2 cannot be neutral
    assert composition_valid(dataclasses.replace(RUTILE, species=species))
    for number in (2, 112):  # of copernicium nothing is known
        species[1] = number
        assert not composition_valid(dataclasses.replace(RUTILE, species=species))


def test_compositions_are_judged_as_smact_judges_them():
    from smact.screening import smact_validity

    random, verdicts = np.random.default_rng(0), []
    for _ in range(400):
        count = int(random.integers(1, 6))
        chosen = random.choice(np.arange(1, 104), count, replace=False)
        atoms = np.repeat(chosen, random.integers(1, 5, count))
        sites = [(int(number), "a", random.random(3)) for number in atoms]
        crystal = build_crystal(1, sites, (9, 9, 9, 80, 85, 95))
        expected = smact_validity(
            formula(crystal), include_alloys=True, oxidation_states_set="smact14"
        )
        assert composition_valid(crystal) == expected
        verdicts.append(expected)
    assert 50 < sum(verdicts) < 350


@pytest.mark.parametrize("group", GROUPS)
def test_symmetry_check_sees_a_broken_operation(group):
    crystal = random_crystal(np.random.default_rng(group), group=group)
    cell = expand(crystal, capacity=int(num_atoms(crystal)))
    found = spglib.get_symmetry_from_database(int(load_tables().group_hall_number[group]))
    rules = found["rotations"], found["translations"]
    check = check_symmetry(cell.lattice, cell.frac, cell.species, *rules)
    assert check.deviation < 1e-9
    assert check.strain < 1e-12
    if len(operations(group)[0]) > 1:
        frac = np.array(cell.frac)
        frac[0] += [0.013, 0.007, 0.011]
        broken = check_symmetry(cell.lattice, frac, cell.species, *rules)
        assert broken.deviation > 0.01


def test_symmetry_check_sees_a_strained_lattice():
    cell = expand(RUTILE, capacity=6)
    rotations, translations = operations(136)
    lattice = cell.lattice * np.array([1, 1.01, 1])[:, None]
    strained = check_symmetry(lattice, cell.frac, cell.species, rotations, translations / 24)
    assert strained.strain > 0.005
