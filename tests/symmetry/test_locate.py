"""Points are found on the Wyckoff position that spglib gives them."""

import numpy as np
import pytest
import spglib

from jaxcrys.core.errors import InputError
from jaxcrys.geometry import wrap
from jaxcrys.symmetry import load_tables, operations, positions_of
from jaxcrys.symmetry.locate import locate, row_left_inverse
from tests.groups import each_group

UNIT = 24


def test_left_inverses_of_all_rows():
    tables = load_tables()
    position = np.repeat(np.arange(1732), tables.position_multiplicity)
    product = row_left_inverse() @ tables.row_linear.astype(int)
    live = np.arange(3) < tables.position_dof[position][:, None]
    assert (product == np.eye(3, dtype=int) * live[:, None]).all()


@each_group
def test_images_of_each_position_lie_on_it(group):
    """After any operation and any lattice translation, with the coordinates that lead back."""
    random = np.random.default_rng(group)
    tables = load_tables()
    ids = np.asarray(positions_of(group))
    rotations, shifts = operations(group)
    for _ in range(3):
        chosen = random.integers(0, len(rotations), len(ids))
        first = tables.position_first_row[ids]
        linear = rotations[chosen].astype(int) @ tables.row_linear[first]
        translation = tables.row_translation[first] / UNIT
        moved = (rotations[chosen] * translation[:, None]).sum(-1) + shifts[chosen] / UNIT
        moved += random.integers(-3, 4, (len(ids), 3))
        found = locate(group, linear, moved)
        assert (found.wyckoff == ids).all()
        # The same orbit: the coordinates found give the point on some row of the position.
        free = random.random((len(ids), 3))
        for i, wyckoff in enumerate(ids):
            rows = slice(first[i], first[i] + tables.position_multiplicity[wyckoff])
            u = found.linear[i] @ free[i] + found.translation[i]
            orbit = tables.row_linear[rows] @ u + tables.row_translation[rows] / UNIT
            apart = orbit - (linear[i] @ free[i] + moved[i])
            assert (np.abs(apart - np.rint(apart)).max(-1) < 1e-9).any()


def test_special_points_of_the_general_position_get_their_own_letter():
    """Against spglib's letters, on random points with coordinates in 1/8 or 1/6."""
    random = np.random.default_rng(0)
    letters = load_tables().position_letter
    lattices = {5: np.eye(3) * 7, 4: np.array([[7, 0, 0], [-3.5, 3.5 * 3**0.5, 0], [0, 0, 9]])}
    for group in (160, 166, 194, 215, 221, 225, 227, 229, 230):
        lattice = lattices[int(load_tables().group_family[group])]
        rotations, shifts = operations(group)
        general = random.random(3)
        for _ in range(10):
            point = random.integers(0, 8, 3) / 8 if lattice[0, 1] == 0 else (
                random.integers(0, 6, 3) / 6
            )  # fmt: skip
            atoms = [wrap(rotations @ x + shifts / UNIT) for x in (point, general)]
            orbit = np.unique(np.round(atoms[0], 6) % 1, axis=0)
            cell = (
                lattice,
                np.concatenate([orbit, atoms[1]]),
                [1] * len(orbit) + [2] * len(atoms[1]),
            )
            hall_number = int(load_tables().group_hall_number[group])
            dataset = spglib.get_symmetry_dataset(cell, symprec=1e-4, hall_number=hall_number)
            assert dataset is not None
            found = locate(group, np.zeros((3, 3)), point)
            assert np.asarray(letters[found.wyckoff]) == dataset.wyckoffs[0]


def test_coordinates_must_be_finite():
    with pytest.raises(InputError, match="finite"):
        locate(1, np.zeros((3, 3)), np.array([np.nan, 0, 0]))
