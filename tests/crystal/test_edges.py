"""Edges against pymatgen's neighbours, and what one of each kind stands for."""

import numpy as np
import pytest

from jaxcrys.core.pytree import take
from jaxcrys.crystal import build_crystal, example_crystal
from jaxcrys.crystal.cif_reader import read_cif
from jaxcrys.crystal.convert import from_arrays, to_structure
from jaxcrys.crystal.edges import find_edges
from jaxcrys.crystal.packed import Capacity, edge_vectors, pack, room_for, rounded, unpack
from jaxcrys.symmetry import load_tables
from tests.crystals import GROUPS, random_crystals, spaced_crystal

CUTOFF = 5.0


def crystals():
    random = np.random.default_rng(0)
    return [spaced_crystal(random, group=group) for group in GROUPS]


def lengths(crystal, cutoff=CUTOFF):
    edges = find_edges(crystal, cutoff)
    packed, free, lattice = pack([crystal], [edges], room_for([crystal], [edges]))
    return edges, np.linalg.norm(
        edge_vectors(packed, free.astype(float), lattice.astype(float)), axis=-1
    )


@pytest.mark.parametrize("crystal", crystals(), ids=lambda crystal: int(crystal.group))
def test_distances_and_numbers_are_those_of_pymatgen(crystal):
    edges, length = lengths(crystal)
    structure = to_structure(crystal)
    multiplicity = load_tables().position_multiplicity[np.asarray(crystal.wyckoff)]
    first = np.cumsum(np.r_[0, multiplicity[:-1]])
    for site in np.flatnonzero(np.asarray(crystal.wyckoff)):
        expected = sorted(
            neighbour.nn_distance
            for neighbour in structure.get_neighbors(structure[int(first[site])], CUTOFF)
        )
        own = edges.receiver == site
        found = np.sort(np.repeat(length[own], edges.alike[own]))
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_real_crystals_have_all_their_neighbours(shared_rows):
    for row in shared_rows("mp_20_biternary/val", 40) + shared_rows("mix_52/val", 20):
        crystal = from_arrays(*read_cif(row["cif"]))
        edges, structure = find_edges(crystal, 6.0), to_structure(crystal)
        multiplicity = load_tables().position_multiplicity[np.asarray(crystal.wyckoff)]
        first = np.cumsum(np.r_[0, multiplicity[:-1]])
        expected = [len(structure.get_neighbors(structure[int(i)], 6.0)) for i in first]
        assert np.bincount(edges.receiver, edges.alike).tolist() == expected


def test_few_edges_stand_for_many_where_symmetry_is_high():
    edges = find_edges(example_crystal(), 6.0)
    assert edges.alike.sum() == 2 * (6 + 12 + 8 + 6)
    assert len(edges.receiver) == 2 * 4


@pytest.mark.parametrize("broken", [np.nan, np.inf, -60.0])
def test_cells_without_end_have_no_edges(broken):
    crystal = example_crystal()
    crystal.lattice[5] = broken
    assert find_edges(crystal, CUTOFF) is None


def test_crystals_come_back_as_they_were_packed():
    batch = random_crystals(5, seed=3)
    singles = [take(batch, i) for i in range(5)]
    edges = [find_edges(single, 3.0) for single in singles]
    room = rounded(Capacity(9, 30, 300, 3000))
    again = unpack(*pack(singles, edges, room))
    assert len(again) == 5
    for one, other in zip(singles, again, strict=True):
        used = one.wyckoff > 0
        for name in ("wyckoff", "species", "free"):
            np.testing.assert_allclose(getattr(one, name)[used], getattr(other, name), atol=1e-6)
        np.testing.assert_allclose(one.lattice, other.lattice, rtol=1e-6)


def test_coordinates_beyond_the_cell_change_nothing():
    inside = build_crystal(99, [(22, "a", (0.1,)), (8, "a", (0.6,))], (4, 4, 4.2, 90, 90, 90))
    outside = build_crystal(99, [(22, "a", (0.1,)), (8, "a", (0.6,))], (4, 4, 4.2, 90, 90, 90))
    outside.free[0, 0] += 3
    np.testing.assert_allclose(np.sort(lengths(inside)[1]), np.sort(lengths(outside)[1]), atol=1e-5)
