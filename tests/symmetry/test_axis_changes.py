"""Changes of oblique bases against brute force over origins, with spglib's operations."""

import itertools

import numpy as np
import pytest

from jaxcrys.symmetry import load_tables, positions_of, representative
from jaxcrys.symmetry.axis_changes import move_positions, origin_shifts
from jaxcrys.symmetry.normalisers import polar_axes

UNIT = 24
GRID = np.array(list(itertools.product(range(0, UNIT, 2), repeat=3)))


def matrices(group: int, count: int) -> list[np.ndarray]:
    random = np.random.default_rng(group)
    found: list[np.ndarray] = []
    while len(found) < count:
        matrix = random.integers(-2, 3, (3, 3))
        if group > 2:
            matrix[1, ::2] = matrix[::2, 1] = 0
            matrix[1, 1] = random.choice([1, -1])
        if abs(round(np.linalg.det(matrix))) == 1:
            found.append(matrix)
    return found


def keys(rotations: np.ndarray, shifts: np.ndarray) -> set[bytes]:
    rows = np.concatenate([rotations.reshape(-1, 9), shifts.reshape(-1, 3) % UNIT], 1)
    return {row.tobytes() for row in rows.astype(np.int8)}


@pytest.mark.parametrize("group", range(1, 16))
def test_shifts_are_all_that_map_the_group_to_itself(group, spglib_operations):
    rotations, shifts = spglib_operations(group)
    polar = polar_axes(np.asarray(group))
    own = keys(rotations, shifts)
    trial = GRID[~GRID[:, polar].any(1)]
    for matrix in matrices(group, 6):
        inverse = np.rint(np.linalg.inv(matrix)).astype(int)
        turned = matrix @ rotations @ inverse
        expected = set()
        for shift in trial:
            if keys(turned, shifts @ matrix.T + shift - turned @ shift) == own:
                expected.add(tuple(shift))
        found = origin_shifts(group, matrix)
        assert {tuple(np.rint(p * UNIT).astype(int)) for p in found} == expected


@pytest.mark.parametrize("group", range(1, 16))
def test_sites_move_with_the_axes(group, spglib_operations):
    random = np.random.default_rng(group)
    ids = np.asarray(positions_of(group))
    free = random.random((len(ids), 3)) * (np.arange(3) < load_tables().position_dof[ids][:, None])
    rotations, translations = spglib_operations(group)
    for matrix in matrices(group, 12):
        shifts = origin_shifts(group, matrix)
        if not len(shifts):
            continue
        moved = move_positions(group, ids, matrix, shifts)
        u = (moved.linear * free[:, None]).sum(-1) + moved.translation
        for p, shift in enumerate(shifts):
            expected = representative(ids, free) @ matrix.T + shift
            point = representative(moved.wyckoff[p], u[p])
            images = (rotations[:, None] * point[:, None]).sum(-1) + translations[:, None] / UNIT
            apart = images - expected
            assert (np.abs(apart - np.rint(apart)).max(-1) < 1e-9).any(0).all()
