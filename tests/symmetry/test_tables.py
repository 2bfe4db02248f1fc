"""The tables are those of the 230 groups: counts, operations, orbits, and their own generator."""

import subprocess
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from jaxcrys.symmetry import NUM_GROUPS, NUM_POSITIONS, load_tables, operations
from tests.groups import GROUPS, each_group

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")

POSITIONS = range(1, 1732)


def as_set(linear, translation):
    return {
        (*a.ravel().tolist(), *t.tolist()) for a, t in zip(linear, translation % 24, strict=True)
    }


def rows_of(wyckoff):
    tables = load_tables()
    first = tables.position_first_row[wyckoff]
    return slice(first, first + tables.position_multiplicity[wyckoff])


def test_counts_of_the_international_tables():
    tables = load_tables()
    assert (NUM_GROUPS, NUM_POSITIONS) == (230, 1731)
    assert tables.position_multiplicity.sum() == len(tables.row_linear) == 14433
    assert np.bincount(tables.position_dof[1:]).tolist() == [616, 718, 167, 230]
    per_group = np.bincount(tables.position_group[1:])[1:]
    assert (per_group.min(), per_group.max(), int(per_group.argmax()) + 1) == (1, 27, 47)


def test_empty_slot_is_all_zero():
    tables = load_tables()
    for name in ("group", "multiplicity", "dof", "first_row", "left_inverse"):
        assert not getattr(tables, f"position_{name}")[0].any()


def test_tables_are_read_only():
    for array in load_tables():
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[0]


def test_hall_numbers_are_those_of_the_standard_setting(hall_number):
    ours = load_tables().group_hall_number[1:].tolist()
    assert ours == [hall_number(group) for group in GROUPS]


@each_group
def test_operations_equal_those_of_spglib(group, spglib_operations):
    ours, theirs = as_set(*operations(group)), as_set(*spglib_operations(group))
    assert ours == theirs
    assert len(ours) == len(operations(group)[0])


def test_operations_form_a_group():
    for group in GROUPS:
        rotations, translations = operations(group)
        rotations = rotations.astype(int)
        elements = as_set(rotations, translations)
        assert (rotations[0] == np.eye(3)).all()
        assert not translations[0].any()
        product = np.einsum("aij,bjk->abik", rotations, rotations).reshape(-1, 3, 3)
        shift = np.einsum("aij,bj->abi", rotations, translations) + translations[:, None]
        keys = np.concatenate([product.reshape(-1, 9), shift.reshape(-1, 3) % 24], 1)
        unique, counts = np.unique(keys, axis=0, return_counts=True)
        assert set(map(tuple, unique.tolist())) == elements
        # Each product appears |G| times, so every element has an inverse.
        assert (counts == len(elements)).all()


def test_centring_copies_follow_block_by_block():
    tables = load_tables()
    for wyckoff in POSITIONS:
        group = tables.position_group[wyckoff]
        rotations, translations = operations(group)
        centres = translations[(rotations == np.eye(3)).all((1, 2))]
        assert len(centres) == tables.group_centring[group]
        rows = rows_of(wyckoff)
        linear = tables.row_linear[rows].reshape(len(centres), -1, 3, 3)
        translation = tables.row_translation[rows].reshape(len(centres), -1, 3).astype(int)
        assert (linear == linear[0]).all()
        assert ((translation - translation[0] - centres[:, None]) % 24 == 0).all()


def test_each_row_is_its_operation_applied_to_the_representative():
    tables = load_tables()
    for wyckoff in POSITIONS:
        rotations, translations = operations(tables.position_group[wyckoff])
        rows = rows_of(wyckoff)
        linear = tables.row_linear[rows].astype(int)
        translation = tables.row_translation[rows].astype(int)
        chosen = tables.row_operation[rows]
        assert (rotations[chosen].astype(int) @ linear[0] == linear).all()
        moved = rotations[chosen].astype(int) @ translation[0] + translations[chosen]
        assert ((moved - translation) % 24 == 0).all()


def test_free_coordinates_come_first_and_dead_columns_are_zero():
    tables = load_tables()
    for wyckoff in POSITIONS:
        dof = tables.position_dof[wyckoff]
        linear = tables.row_linear[rows_of(wyckoff)]
        assert not linear[:, :, dof:].any()
        assert all(np.linalg.matrix_rank(a) == dof for a in linear.astype(float))


def test_file_is_small():
    file = resources.files("jaxcrys.symmetry") / "data" / "wyckoff.npz"
    assert len(file.read_bytes()) < 300_000


@pytest.mark.slow
def test_generator_makes_the_same_tables():
    tool = Path(__file__).parents[2] / "tools" / "make_symmetry_tables.py"
    subprocess.run([sys.executable, tool, "--check"], check=True, timeout=120)
