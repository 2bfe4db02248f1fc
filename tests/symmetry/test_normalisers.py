"""Descriptions against spglib's operations, pymatgen's relabellings and the group axioms."""

import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcrys.symmetry import load_tables, positions_of, representative
from jaxcrys.symmetry.normalisers import (
    description_row,
    enantiomorph,
    load_normalisers,
    num_descriptions,
    polar_axes,
    position_permutations,
    redescribe_sites,
    shift_origin,
)
from tests.groups import each_group

UNIT = 24
PRIME = 10007
MODULUS = UNIT * PRIME

OBLIQUE = {2: 1344, 3: 24, 10: 48, 11: 24, 12: 16, 13: 8, 14: 8}
"""Permutations of the positions by all changes of oblique axes; pymatgen knows those of the origin
only: 8, 4, 8, 4, 4, 4, 4."""

MIRRORED = {22: 24, 93: 4, 98: 2, 208: 2, 214: 1}
"""Permutations that keep the handedness in groups where the mirror image has others; pymatgen's
list does not tell them apart."""


def rows_of(group: int) -> np.ndarray:
    count = int(num_descriptions(np.asarray(group), mirror=True))
    return description_row(np.asarray(group), np.arange(count))


def as_set(rotations: np.ndarray, shifts: np.ndarray) -> set[bytes]:
    rows = np.concatenate([rotations.reshape(len(rotations), 9), shifts % UNIT], 1)
    return {row.tobytes() for row in rows.astype(np.int8)}


@each_group
def test_each_description_maps_the_group_to_itself(group, spglib_operations):
    table = load_normalisers()
    rotations, shifts = spglib_operations(group)
    for row in rows_of(group):
        linear, shift = table.description_linear[row].astype(int), table.description_shift[row]
        inverse = np.rint(np.linalg.inv(linear)).astype(int)
        turned = linear @ rotations @ inverse
        moved = shifts @ linear.T + shift - turned @ shift
        target = spglib_operations(int(table.description_target[row]))
        assert as_set(turned, moved) == as_set(*target)


@each_group
def test_positions_and_coordinates_go_where_the_change_of_axes_takes_them(
    group, spglib_operations, random_integers
):
    table, tables = load_normalisers(), load_tables()
    ids = np.asarray(positions_of(group))
    free = np.stack([random_integers(int(i)) for i in ids])

    def points(positions, coordinates):
        first = tables.position_first_row[positions]
        linear = tables.row_linear[first].astype(int)
        shift = tables.row_translation[first].astype(int) * PRIME
        return ((linear * coordinates[..., None, :]).sum(-1) + shift) % MODULUS

    for row in rows_of(group)[:48]:
        change = table.description_linear[row].astype(int)
        moved = points(ids, free) @ change.T + table.description_shift[row].astype(int) * PRIME
        maps = table.description_first_map[row] + np.arange(len(ids))
        u = (table.map_linear[maps] * free[:, None, :]).sum(-1)
        found = points(table.map_wyckoff[maps], u + table.map_translation[maps].astype(int) * PRIME)
        rotations, shifts = spglib_operations(int(table.description_target[row]))
        images = (np.einsum("oij,wj->woi", rotations, found) + shifts * PRIME) % MODULUS
        assert (images == (moved % MODULUS)[:, None]).all(-1).any(-1).all()


@each_group
def test_permutations_of_the_positions_are_those_of_pymatgen(group, pymatgen_prototypes):
    listed = pymatgen_prototypes.WYCKOFF_POSITION_RELAB_DICT[str(group)]
    letters = [str(load_tables().position_letter[i]) for i in positions_of(group)]
    theirs = {
        tuple(letters.index(relabelling[ord(letter)]) for letter in letters)
        for relabelling in ({int(k): v for k, v in entry.items()} for entry in listed)
    }
    ours = set(map(tuple, position_permutations(group).tolist()))
    proper = set(map(tuple, position_permutations(group, mirror=False).tolist()))
    if group in OBLIQUE:
        assert len(ours) == OBLIQUE[group]
        assert theirs < ours
    else:
        assert ours == theirs
    assert len(proper) == MIRRORED.get(group, len(ours))


@each_group
def test_permutations_form_a_group(group):
    permutations = position_permutations(group)
    known = set(map(tuple, permutations.tolist()))
    assert tuple(range(len(positions_of(group)))) in known
    some = permutations[:: max(1, len(permutations) // 40)]
    products = {tuple(p) for q in some for p in permutations[:, q].tolist()}
    assert products <= known


def test_enantiomorphs_are_the_22_groups_without_improper_change():
    groups = np.arange(1, 231)
    partner = enantiomorph(groups)
    pairs = [(int(g), int(p)) for g, p in zip(groups, partner, strict=True) if g < p]
    assert len(pairs) == 11
    assert (152, 154) in pairs
    assert (enantiomorph(partner) == groups).all()
    table = load_normalisers()
    for group, other in pairs:
        rows = rows_of(group)
        crossing = table.description_target[rows] == other
        assert crossing.sum() == (~crossing).sum()
        assert (table.description_handedness[rows] == np.where(crossing, -1, 1)).all()


def test_number_of_descriptions_is_that_of_the_international_tables():
    """Index of the group in its Euclidean normaliser (affine where axes may be exchanged)."""
    index = {47: 8, 62: 8, 99: 4, 123: 4, 139: 2, 160: 2, 166: 2, 187: 12, 194: 2, 216: 8, 225: 2,
             227: 2, 229: 1, 230: 1}  # fmt: skip
    for group, expected in index.items():
        assert num_descriptions(np.asarray(group), axes=False) == expected
    # Axes of Pmmm, Immm and Fmmm may be permuted in all six ways, of P222_1 and Cmmm in two.
    for group, ways in {47: 6, 71: 6, 69: 6, 17: 2, 65: 2, 62: 1}.items():
        every = num_descriptions(np.asarray(group))
        assert every == ways * num_descriptions(np.asarray(group), axes=False)


def test_polar_axes_are_those_that_no_rotation_changes(spglib_operations):
    for group in range(1, 231):
        mean = spglib_operations(group)[0].mean(0)
        assert polar_axes(np.asarray(group)).tolist() == (mean == np.eye(3)).all(1).tolist()


def test_batches_jit_and_numpy_agree():
    random = np.random.default_rng(0)
    group = random.integers(1, 231, 200)
    wyckoff = np.array([random.choice(np.asarray(positions_of(int(g))), 3) for g in group])
    wyckoff[:, 2] = 0
    free = random.random((200, 3, 3))
    row = description_row(group, random.integers(0, num_descriptions(group, mirror=True)))
    expected, moved = redescribe_sites(wyckoff, free, row)
    found, jitted = jax.jit(redescribe_sites)(
        jnp.asarray(wyckoff), jnp.asarray(free, jnp.float32), jnp.asarray(row)
    )
    np.testing.assert_array_equal(found, expected)
    apart = np.abs(np.asarray(jitted) - moved)
    assert np.minimum(apart, 1 - apart).max() < 1e-5
    assert not expected[:, 2].any()
    assert not moved[:, 2].any()


def test_a_polar_shift_moves_the_representative():
    random = np.random.default_rng(1)
    for group in (1, 3, 6, 33, 79, 146, 160, 186):
        ids = np.asarray(positions_of(group))
        free = random.random((len(ids), 3)) * (
            np.arange(3) < load_tables().position_dof[ids][:, None]
        )
        shift = random.random(3) * polar_axes(np.asarray(group))
        moved = representative(ids, shift_origin(ids, free, shift))
        apart = moved - representative(ids, free) - shift
        assert np.abs(apart - np.rint(apart)).max() < 1e-12


@pytest.mark.parametrize("group", [62, 154, 225])
def test_the_table_is_what_its_tool_makes(group, monkeypatch):
    """Of some groups; ``tools/make_normaliser_tables.py --check`` takes a minute for all."""
    tools = Path(__file__).parents[2] / "tools"
    monkeypatch.syspath_prepend(tools)
    tool = runpy.run_path(str(tools / "make_normaliser_tables.py"))
    matrices = tool["by_size"](tool["CANDIDATES"][int(load_tables().group_family[group])]())
    made = {
        (linear.tobytes(), tuple(shift.tolist()))
        for linear, shift, *_ in tool["descriptions"](group, group, matrices)
    }
    table = load_normalisers()
    rows = rows_of(group)
    stored = {
        (
            table.description_linear[r].astype(int).tobytes(),
            tuple(table.description_shift[r].tolist()),
        )
        for r in rows[table.description_target[rows] == group]
    }
    assert made == stored
