"""What holds for every position and every free coordinate: properties of the expansion."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from jaxcrys.geometry import wrap
from jaxcrys.symmetry import (
    degrees_of_freedom,
    expand_orbits,
    group_of,
    load_tables,
    multiplicity,
    positions_of,
    representative,
)

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")

CAPACITY = 192 * 4
settings = hypothesis.settings(deadline=None, derandomize=True, max_examples=60, database=None)
coordinates = st.lists(
    st.floats(0, 1, exclude_max=True, allow_subnormal=False), min_size=3, max_size=3
)
positions = st.integers(1, 1731)


@st.composite
def sites(draw):
    """One to four sites of one group: ids and free coordinates."""
    ids = positions_of(draw(st.integers(1, 230)))
    wyckoff = draw(st.lists(st.sampled_from(ids), min_size=1, max_size=4))
    free = draw(st.lists(coordinates, min_size=len(wyckoff), max_size=len(wyckoff)))
    return np.array(wyckoff), np.array(free)


def atoms_of(orbits):
    return orbits.frac[orbits.mask], orbits.site[orbits.mask]


def distance_mod_1(left, right):
    return np.abs(left - right - np.rint(left - right)).max(-1)


@settings
@hypothesis.given(positions, coordinates, st.randoms(use_true_random=False))
def test_atoms_of_an_orbit_are_permuted_by_each_operation(spglib_operations, wyckoff, free, random):
    """Invariance as a multiset: free coordinates may put atoms of an orbit upon each other."""
    frac, _ = atoms_of(expand_orbits(np.array([wyckoff]), np.array([free]), capacity=192))
    rotations, translations = spglib_operations(int(group_of(np.array(wyckoff))))
    chosen = random.randrange(len(rotations))
    moved = frac @ rotations[chosen].T + translations[chosen] / 24
    near = distance_mod_1(moved[:, None], frac[None]) < 1e-9
    # Where several atoms coincide, as many must come as were there.
    crowd = (distance_mod_1(frac[:, None], frac[None]) < 1e-9).sum(0)
    assert (near.sum(0) == crowd).all()
    assert near.any(1).all()


@settings
@hypothesis.given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.sampled_from(["f4", "f8"]))
def test_wrap_is_idempotent_and_stays_below_one(values, dtype):
    once = wrap(np.array(values, dtype))
    assert ((once >= 0) & (once < 1)).all()
    np.testing.assert_array_equal(wrap(once), once)


@settings
@hypothesis.given(positions, coordinates)
def test_left_inverse_recovers_the_free_coordinates(wyckoff, free):
    tables = load_tables()
    shift = tables.row_translation[tables.position_first_row[wyckoff]] / 24
    point = representative(np.array(wyckoff), np.array(free))
    found = tables.position_left_inverse[wyckoff] @ (point - shift)
    dof = degrees_of_freedom(np.array(wyckoff))
    assert (distance_mod_1(found[:dof, None], np.array(free)[:dof, None]) < 1e-9).all()
    assert not found[dof:].any()


@settings
@hypothesis.given(sites(), st.data())
def test_padding_and_dead_coordinates_change_nothing(crystal, data):
    wyckoff, free = crystal
    expected, site = atoms_of(expand_orbits(wyckoff, free, capacity=CAPACITY))
    # Empty slots anywhere, and any values where nothing is free.
    at = sorted(data.draw(st.lists(st.integers(0, len(wyckoff)), min_size=1, max_size=3)))
    junk = st.floats(-1e3, 1e3)
    padded = np.insert(wyckoff, at, 0)
    padded_free = np.insert(free, at, data.draw(junk), axis=0)
    dead = np.arange(3) >= degrees_of_freedom(padded)[:, None]
    padded_free[dead] = data.draw(junk)
    orbits = expand_orbits(padded, padded_free, capacity=CAPACITY)
    found, new_site = atoms_of(orbits)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.flatnonzero(padded)[site], new_site)
    for name in ("frac", "site", "row"):
        assert not getattr(orbits, name)[~orbits.mask].any()


@settings
@hypothesis.given(sites(), st.randoms(use_true_random=False))
def test_permuting_sites_permutes_atoms(crystal, random):
    wyckoff, free = crystal
    order = np.array(random.sample(range(len(wyckoff)), len(wyckoff)))
    expected, site = atoms_of(expand_orbits(wyckoff, free, capacity=CAPACITY))
    found, new_site = atoms_of(expand_orbits(wyckoff[order], free[order], capacity=CAPACITY))
    for new, old in enumerate(order):
        np.testing.assert_array_equal(found[new_site == new], expected[site == old])


@settings
@hypothesis.given(sites())
def test_first_atom_of_each_site_is_its_representative(crystal):
    wyckoff, free = crystal
    orbits = expand_orbits(wyckoff, free, capacity=CAPACITY)
    first = np.cumsum(multiplicity(wyckoff)) - multiplicity(wyckoff)
    np.testing.assert_array_equal(orbits.frac[first], representative(wyckoff, free))
    assert int(orbits.overflow) == 0
    assert orbits.mask.sum() == multiplicity(wyckoff).sum()


@settings
@hypothesis.given(sites(), st.integers(0, 100))
def test_what_does_not_fit_is_counted(crystal, capacity):
    wyckoff, free = crystal
    whole = expand_orbits(wyckoff, free, capacity=CAPACITY)
    cut = expand_orbits(wyckoff, free, capacity=capacity)
    total = int(multiplicity(wyckoff).sum())
    assert int(cut.overflow) == max(total - capacity, 0)
    np.testing.assert_array_equal(cut.frac, whole.frac[:capacity])
    np.testing.assert_array_equal(cut.mask, whole.mask[:capacity])


def test_atoms_modulo_centring_times_lattice_points_are_all_atoms(same_points, spglib_operations):
    """``modulo_centring`` keeps one atom of each set that spglib's pure translations connect."""
    rng = np.random.default_rng(0)
    for wyckoff in range(1, 1732):
        free = rng.random((1, 3))
        whole, _ = atoms_of(expand_orbits(np.array([wyckoff]), free, capacity=192))
        some, _ = atoms_of(
            expand_orbits(np.array([wyckoff]), free, capacity=192, modulo_centring=True)
        )
        rotations, translations = spglib_operations(int(group_of(np.array(wyckoff))))
        pure = translations[(rotations == np.eye(3)).all((1, 2))] / 24
        copies = (some[:, None] + pure).reshape(-1, 3)
        assert same_points(copies, whole, 1e-9)
