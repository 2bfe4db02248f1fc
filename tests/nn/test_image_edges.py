"""Nearest symmetry images, against the distances that pymatgen finds in the expanded cell."""

import jax
import numpy as np
import pytest

from jaxcrys.crystal import stack_crystals
from jaxcrys.crystal.convert import to_structure
from jaxcrys.geometry.lattice import matrix_from_coefficients
from jaxcrys.nn.image_edges import nearest_images
from jaxcrys.symmetry.orbits import representative
from jaxcrys.symmetry.wyckoff import load_tables
from tests.crystals import random_crystal

COUNT = 3
RIGHT_ANGLED = (16, 62, 63, 71, 139, 216, 221, 225, 227, 229)
"""Groups in whose cells the wrapped difference is the shortest."""


@pytest.fixture(scope="module")
def found():
    random = np.random.default_rng(3)
    crystals = [
        random_crystal(random, group=group, sites=4) for group in RIGHT_ANGLED for _ in range(4)
    ]
    batch = stack_crystals(crystals)
    matrix = matrix_from_coefficients(batch.lattice)
    run = jax.jit(nearest_images, static_argnames="count")
    edges = run(batch.wyckoff, batch.free, matrix, count=COUNT)
    vectors = np.einsum("bpqi,bij->bpqj", edges.difference, matrix)
    return crystals, np.linalg.norm(vectors, axis=-1), np.asarray(edges.mask)


def atoms_of(crystal):
    """For each site, the rows of its atoms in the expanded structure."""
    sizes = load_tables().position_multiplicity[crystal.wyckoff[crystal.wyckoff > 0]]
    ends = np.cumsum(sizes)
    return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]


def test_lengths_are_those_of_pymatgen(found):
    for crystal, lengths, mask in zip(*found, strict=True):
        structure = to_structure(crystal)
        first = np.asarray(representative(crystal.wyckoff, crystal.free))
        for p, _ in enumerate(atoms_of(crystal)):
            for q, rows in enumerate(atoms_of(crystal)):
                (true,) = structure.lattice.get_all_distances(first[p], structure.frac_coords[rows])
                kept = slice(q * COUNT, (q + 1) * COUNT)
                assert mask[p, kept].sum() == min(COUNT, len(true))
                np.testing.assert_allclose(
                    lengths[p, kept][mask[p, kept]], np.sort(true)[:COUNT], atol=2e-4
                )


def test_empty_slots_send_nothing(found):
    for crystal, lengths, mask in zip(*found, strict=True):
        empty = np.repeat(crystal.wyckoff == 0, COUNT)
        assert not mask[:, empty].any()
        assert not lengths[~mask].any()
