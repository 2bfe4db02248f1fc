"""Who is the same as whom: against pymatgen's own grouping."""

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher

from jaxcrys.crystal import build_crystal
from jaxcrys.crystal.cif_reader import read_cif
from jaxcrys.crystal.convert import from_arrays, structure_from_raw
from jaxcrys.crystal.disturb import disturb
from jaxcrys.evaluation.examine import Task, examine
from jaxcrys.evaluation.pairs import (
    MATCH,
    Pair,
    compare,
    first_of_kind,
    in_reference,
    same_formula,
)
from jaxcrys.evaluation.samples import of_crystal
from jaxcrys.evaluation.validity import as_cell
from tests.evaluation.sets import salts


def plain(crystal):
    return [part.tolist() for part in as_cell(crystal)]


@pytest.fixture(scope="module")
def crystals():
    """Salts, each three times: as it is, a little and a lot away from it, and in cells of P1."""
    random = np.random.default_rng(3)
    rutile = salts()[6]
    moved = [disturb(rutile, random, atoms=0.02), disturb(rutile, random, lattice=0.3)]
    larger = [build_crystal(225, [(11, "a"), (17, "b")], (a, a, a, 90, 90, 90)) for a in (4, 9)]
    return [*salts(), *moved, *larger, *salts()[:3]]


def test_those_kept_are_those_that_pymatgen_keeps(crystals):
    rows = [examine(Task(of_crystal(crystal, str(i)))) for i, crystal in enumerate(crystals)]
    pairs = same_formula(rows)
    same = [pair for pair in pairs if compare(Pair(*(rows[i]["cell"] for i in pair)))[0]]
    kept = first_of_kind(len(rows), same)
    structures = [structure_from_raw(as_cell(crystal)) for crystal in crystals]
    for index, structure in enumerate(structures):
        structure.properties["index"] = index
    matcher = StructureMatcher(ltol=MATCH.ltol, stol=MATCH.stol, angle_tol=MATCH.angle_tol)
    groups = matcher.group_structures(structures)
    firsts = sorted(min(each.properties["index"] for each in group) for group in groups)
    assert [index for index, first in enumerate(kept) if index == first] == firsts
    assert 8 < len(firsts) < len(crystals) - 1


def test_kept_ones_decide_not_dropped_ones():
    chain = [(0, 1), (1, 2), (2, 3)]
    assert first_of_kind(4, chain) == [0, 0, 2, 2]


def test_strict_rules_narrow_and_disorder_widens():
    long, longer = (
        build_crystal(123, [(22, "a"), (8, "d")], (3.0, 3.0, c, 90, 90, 90)) for c in (3.0, 3.6)
    )
    assert compare(Pair(plain(long), plain(longer))) == [True, False, True]
    # Copper and gold on a simple cubic lattice, alternating in three directions and in one.
    rocksalt = build_crystal(225, [(29, "a"), (79, "b")], (5, 5, 5, 90, 90, 90))
    layers = build_crystal(123, [(29, "a"), (79, "b")], (2.5, 2.5, 5, 90, 90, 90))
    assert compare(Pair(plain(rocksalt), plain(layers))) == [False, False, True]
    salt = build_crystal(123, [(11, "a"), (17, "b")], (2.8, 2.8, 5.6, 90, 90, 90))
    assert compare(Pair(plain(salts()[0]), plain(salt))) == [False, False, False]


def test_only_references_of_the_formula_are_asked():
    rows = [{"formula": "NaCl"}, {"reason": "unreadable"}, {"formula": "Si"}]
    assert in_reference(rows, ["Si", "NaCl", "NaCl"]) == [(0, 1), (0, 2), (2, 0)]


@pytest.mark.slow
def test_three_hundred_real_crystals_are_grouped_as_by_pymatgen(shared_rows):
    texts = [row["cif"] for row in shared_rows("mp_20_biternary/test", 250)]
    crystals = [from_arrays(*read_cif(text)) for text in texts]
    moved = [disturb(one, np.random.default_rng(0), atoms=0.03) for one in crystals[:50]]
    test_those_kept_are_those_that_pymatgen_keeps([*crystals, *moved])
