"""Oracles that share nothing with the package: spglib's database and exact integer points."""

import functools

import numpy as np
import pytest
import spglib

UNIT = 24
PRIME = 10007
MODULUS = UNIT * PRIME
"""Points with coordinates in 1/240168 are exact integers, and random ones are general."""


@functools.cache
def all_settings() -> dict[int, dict[str, int]]:
    """Hall number by group and by spglib's name of the setting, the first of each name."""
    settings: dict[int, dict[str, int]] = {group: {} for group in range(1, 231)}
    for hall in range(1, 531):
        kind = spglib.get_spacegroup_type(hall)
        assert kind is not None
        settings[kind.number].setdefault(kind.choice, hall)
    return settings


def standard_setting(number: int) -> int:
    """Hall number of ITA's standard: origin choice 2, hexagonal axes, or b with cell choice 1."""
    settings = all_settings()[number]
    (name,) = {"2", "H", "b", "b1"} & set(settings) or {""}
    return settings[name]


@functools.cache
def group_operations(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Rotations and translations (in 1/24) of the group by spglib."""
    found = spglib.get_symmetry_from_database(standard_setting(number))
    assert found is not None
    return found["rotations"].astype(int), np.rint(found["translations"] * UNIT).astype(int)


@pytest.fixture(scope="session")
def hall_number():
    return standard_setting


@pytest.fixture(scope="session")
def spglib_operations():
    return group_operations


@pytest.fixture(scope="session")
def exact_images():
    """All images, duplicates included, of an integer point under spglib's operations."""

    def images(group: int, point: np.ndarray) -> np.ndarray:
        rotations, translations = group_operations(group)
        return (rotations @ point + translations * PRIME) % MODULUS

    return images


@pytest.fixture(scope="session")
def exact_rows():
    """Evaluate affine rows at integer free coordinates, exactly."""

    def rows(linear: np.ndarray, translation: np.ndarray, free: np.ndarray) -> np.ndarray:
        return (linear.astype(int) @ free + translation.astype(int) * PRIME) % MODULUS

    return rows


@pytest.fixture(scope="session")
def random_integers():
    return lambda seed: np.random.default_rng(seed).integers(0, MODULUS, 3)


@pytest.fixture(scope="session")
def same_points():
    """Whether two lists of points are the same set modulo 1, none twice."""

    def same(left, right, tolerance: float) -> bool:
        left, right = np.asarray(left, float), np.asarray(right, float)
        if left.shape != right.shape:
            return False
        apart = left[:, None] - right[None]
        near = np.abs(apart - np.rint(apart)).max(-1) < tolerance
        return bool((near.sum(0) == 1).all() and (near.sum(1) == 1).all())

    return same
