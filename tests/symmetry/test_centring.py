"""Centring translations, the primitive cell, and tangent spaces."""

import numpy as np
import pytest
import spglib

from jaxcrys.crystal import Crystal, expand, num_atoms
from jaxcrys.crystal.primitive import CellShape, num_primitive_atoms, primitive_cell
from jaxcrys.symmetry import (
    NUM_POSITIONS,
    centring_count,
    centring_translations,
    expand_orbits,
    free_mask,
    group_of,
    load_tables,
    multiplicity,
    orbit_mean,
    pull_back,
)

ALL = np.arange(1, NUM_POSITIONS + 1)


def as_set(frac):
    return {tuple(x) for x in np.round(np.asarray(frac) % 1, 6) % 1}


def test_translations_are_those_of_spglib():
    for group in range(1, 231):
        found = spglib.get_symmetry_from_database(int(load_tables().group_hall_number[group]))
        pure = (found["rotations"] == np.eye(3, dtype=int)).all((1, 2))
        translations, mask = centring_translations(np.array(group))
        assert as_set(translations[mask]) == as_set(found["translations"][pure])
        assert mask.sum() == centring_count(np.array(group))
        assert (translations[0] == 0).all()


def test_primitive_atoms_times_images_are_the_full_cell():
    random = np.random.default_rng(0)
    free = random.random((NUM_POSITIONS, 1, 3)) * free_mask(ALL)[:, None]
    crystals = Crystal(
        group=group_of(ALL),
        wyckoff=ALL[:, None],
        species=np.ones((NUM_POSITIONS, 1), np.int32),
        free=free,
        lattice=np.zeros((NUM_POSITIONS, 6)),
    )
    full = expand(crystals, capacity=192)
    cell = primitive_cell(crystals, CellShape(sites=3, atoms=192, images=4))
    assert not cell.overflow.any()
    np.testing.assert_array_equal(cell.mask.sum(-1), num_primitive_atoms(crystals))
    np.testing.assert_array_equal(cell.mask.sum(-1) * cell.image_mask.sum(-1), num_atoms(crystals))
    for i in range(NUM_POSITIONS):
        images = cell.frac[i][cell.mask[i]][:, None] + cell.images[i][cell.image_mask[i]]
        assert as_set(images.reshape(-1, 3)) == as_set(full.frac[i][full.mask[i]])


def test_overflow_counts_what_is_missing():
    crystal = Crystal(
        group=np.array(225),
        wyckoff=np.array([1631]),
        species=np.array([1]),
        free=np.zeros((1, 3)),
        lattice=np.zeros(6),
    )
    crystal.wyckoff[0] = np.flatnonzero(load_tables().position_group == 225)[2]  # 8c
    assert primitive_cell(crystal, CellShape(sites=3, atoms=1, images=4)).overflow == 1
    assert primitive_cell(crystal, CellShape(sites=3, atoms=2, images=3)).overflow == 1
    assert primitive_cell(crystal, CellShape(sites=3, atoms=2, images=4)).overflow == 0


def test_pull_back_recovers_a_change_of_the_free_coordinates():
    """On every position: move the free coordinates, see how the atoms move, pull that back."""
    random = np.random.default_rng(1)
    alive = free_mask(ALL)[:, None]
    free = random.random((NUM_POSITIONS, 1, 3)) * alive
    change = 0.01 * random.normal(size=free.shape) * alive
    before = expand_orbits(ALL[:, None], free, capacity=192)
    after = expand_orbits(ALL[:, None], free + change, capacity=192)
    step = after.frac - before.frac
    step -= np.round(step)
    recovered = pull_back(step, before.row, before.site, before.mask, num_sites=1)
    np.testing.assert_allclose(recovered, change, atol=1e-6)


def test_pull_back_is_the_least_squares_solution():
    random = np.random.default_rng(2)
    tables = load_tables()
    for wyckoff in random.choice(ALL, 40, replace=False):
        orbit = expand_orbits(np.array([wyckoff]), np.zeros((1, 3)), capacity=192)
        vectors = random.normal(size=(192, 3)) * orbit.mask[:, None]
        found = pull_back(vectors, orbit.row, orbit.site, orbit.mask, num_sites=1)[0]
        count = int(multiplicity(np.array(wyckoff)))
        solved = [
            np.linalg.lstsq(tables.row_linear[row].astype(float), v, rcond=None)[0]
            for row, v in zip(orbit.row[:count], vectors[:count], strict=True)
        ]
        np.testing.assert_allclose(found, np.mean(solved, 0), atol=1e-5)


@pytest.mark.parametrize("num_sites", [2, 4])
def test_orbit_mean_leaves_empty_sites_at_zero(num_sites):
    values = np.array([[1.0], [3.0], [9.0], [7.0]])
    site, mask = np.array([0, 0, 1, 0]), np.array([True, True, True, False])
    expected = [[2.0], [9.0], [0.0], [0.0]][:num_sites]
    assert orbit_mean(values, site, mask, num_sites=num_sites).tolist() == expected
