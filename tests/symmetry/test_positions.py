"""Every Wyckoff position against spglib's operations, exactly, and against moyopy's database."""

import functools
import re
from fractions import Fraction

import moyopy
import numpy as np
import pytest
import spglib

from jaxcrys.symmetry import load_tables, positions_of
from tests.groups import each_group

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")

PRIME = 10007


def rows_of(wyckoff):
    tables = load_tables()
    first = tables.position_first_row[wyckoff]
    rows = slice(first, first + tables.position_multiplicity[wyckoff])
    return tables.row_linear[rows], tables.row_translation[rows]


def point_group(symbol: str) -> str:
    """The point-group type of an oriented site-symmetry symbol: ``2.mm`` is an ``mm2``."""
    bare = symbol.replace(".", "")
    alias = {"2mm": "mm2", "m2m": "mm2", "-4m2": "-42m", "-62m": "-6m2"}
    return alias.get(bare, bare)


@each_group
def test_orbit_and_stabiliser(group, exact_images, exact_rows, random_integers, spglib_operations):
    """Orbits are spglib's, |orbit| |stabiliser| = |G|, and the symbol names the stabiliser."""
    tables = load_tables()
    rotations, _ = spglib_operations(group)
    for wyckoff in positions_of(group):
        atoms = exact_rows(*rows_of(wyckoff), random_integers(wyckoff))
        images = exact_images(group, atoms[0])
        assert set(map(tuple, atoms)) == set(map(tuple, images))
        stabiliser = (images == atoms[0]).all(-1)
        assert len(set(map(tuple, atoms))) == tables.position_multiplicity[wyckoff]
        assert len(atoms) * stabiliser.sum() == len(images)
        symbol = str(tables.position_site_symmetry[wyckoff])
        found = spglib.get_pointgroup(rotations[stabiliser])
        assert found is not None
        assert point_group(symbol) == found[0].strip()


def test_the_point_group_decides_the_degrees_of_freedom(
    exact_images, exact_rows, random_integers, spglib_operations
):
    """A site can move where the average over its stabiliser's rotations leaves it."""
    tables = load_tables()
    for wyckoff in range(1, 1732):
        group = int(tables.position_group[wyckoff])
        rotations, _ = spglib_operations(group)
        atom = exact_rows(*rows_of(wyckoff), random_integers(wyckoff))[0]
        stabiliser = (exact_images(group, atom) == atom).all(-1)
        projector = rotations[stabiliser].mean(0)
        dof = tables.position_dof[wyckoff]
        assert round(np.trace(projector)) == dof
        tangent = tables.row_linear[tables.position_first_row[wyckoff]].astype(float)
        np.testing.assert_allclose(projector @ tangent, tangent, atol=1e-12)


def parse_triplet(text: str) -> tuple[np.ndarray, np.ndarray]:
    """``x,2x,z+1/4`` as an integer matrix and a translation in 1/24."""
    linear, translation = np.zeros((3, 3), int), np.zeros(3, int)
    for row, expression in enumerate(text.split(",")):
        for sign, number, variable in re.findall(r"([+-]?)(\d+(?:/\d+)?)?([xyz]?)", expression):
            if number or variable:
                value = Fraction(number or 1) * (-1 if sign == "-" else 1)
                if variable:
                    linear[row, "xyz".index(variable)] = int(value)
                else:
                    translation[row] = int(value * 24)
    return linear, translation


@functools.cache
def moyopy_database(group: int) -> dict[str, moyopy.WyckoffPosition]:
    """All positions of a group in moyopy's database, by letter.

    The database is reached through a structure of two general orbits, which pin the group, and
    one orbit on each position. Moyopy may pick another origin for it, which permutes the letters,
    but the set of letters, and what is said of each, is that of the standard setting.
    """
    tables = load_tables()
    ids = [*positions_of(group), *[positions_of(group)[-1]] * 2]
    rng = np.random.default_rng(group)
    points, numbers = [], []
    for number, wyckoff in enumerate(ids, 1):
        linear, translation = rows_of(wyckoff)
        points += [*((linear @ rng.random(3) + translation / 24) % 1)]
        numbers += [number] * len(linear)
    lengths = {0: (7, 8, 9), 1: (7, 8, 9), 2: (7, 8, 9), 5: (8, 8, 8)}
    family = int(tables.group_family[group])
    basis = np.diag(lengths.get(family, (7, 7, 9))).astype(float)
    if family <= 1:
        basis[2, 0] = -1.7
    if family == 0:
        basis[1, 0], basis[2, 1] = 0.9, 1.3
    if family == 4:
        basis[1] = -3.5, 3.5 * np.sqrt(3), 0
    cell = moyopy.Cell(basis.tolist(), np.array(points).tolist(), numbers)
    found = moyopy.MoyoDataset(cell, symprec=1e-4, setting=moyopy.Setting.standard())
    assert found.number == group
    return {p.letter: p for p in found.normalizer_wyckoff_positions().wyckoffs}


@each_group
def test_positions_equal_those_of_moyopy(
    group, hall_number, exact_images, exact_rows, random_integers
):
    tables = load_tables()
    theirs = moyopy_database(group)
    letters = [str(tables.position_letter[i]) for i in positions_of(group)]
    assert sorted(letters) == sorted(theirs)
    for wyckoff, letter in zip(positions_of(group), letters, strict=True):
        other = theirs[letter]
        assert other.hall_number == hall_number(group)
        assert other.multiplicity == tables.position_multiplicity[wyckoff]
        assert other.site_symmetry == tables.position_site_symmetry[wyckoff]
        # A point that their representative makes lies on our position of that letter.
        linear, translation = parse_triplet(other.coordinates)
        theirs_point = exact_rows(linear, translation, random_integers(wyckoff))
        orbit = exact_images(group, theirs_point)
        ours, shift = (array[0].astype(int) for array in rows_of(wyckoff))
        free = (orbit - shift * PRIME) @ tables.position_left_inverse[wyckoff].T.astype(int)
        rebuilt = (free @ ours.T + shift * PRIME) % (24 * PRIME)
        assert (rebuilt == orbit).all(-1).any()
