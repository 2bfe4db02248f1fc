"""Masks of legal positions and elements against loops in Python."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcrys.symmetry.oracles.legal import (
    legal_elements,
    legal_positions,
    may_stop,
    missing_elements,
    most_further_sites,
)
from jaxcrys.symmetry.wyckoff import (
    MAX_POSITIONS,
    local_index,
    position_at,
    position_slots,
    positions_of,
)
from tests.templates import GROUPS, lattice_points, letters

SITES = 6


def random_sites(group, rng, sites=SITES):
    """Local indices of a random template in random slots, None in empty ones."""
    chosen = [None] * sites
    for slot in rng.permutation(sites)[: rng.integers(0, sites + 1)]:
        position = int(rng.integers(len(letters(group))))
        if letters(group)[position][1] or position not in chosen:
            chosen[slot] = position
    return chosen


def as_ids(group, chosen):
    return np.array([0 if i is None else positions_of(group)[i] for i in chosen], np.int32)


def atoms_in(group, chosen, primitive):
    points = lattice_points(group) if primitive else 1
    return sum(letters(group)[i][0] // points for i in chosen if i is not None)


def legal_by_hand(group, chosen, max_atoms, primitive):
    """Try each position: all rules, one after the other."""
    legal = []
    for i, (_, dof) in enumerate(letters(group)):
        twice = dof == 0 and i in chosen
        atoms = atoms_in(group, [*chosen, i], primitive)
        full = None not in chosen
        legal.append(not twice and not full and (max_atoms is None or atoms <= max_atoms))
    return legal + [False] * (MAX_POSITIONS - len(legal))


def most_by_hand(group, chosen, max_atoms, primitive):
    """Longest way on, by trying all; equal positions are tried once."""
    slots = chosen.count(None)
    if slots == 0:
        return 0
    tried, best = set(), 0
    for i in np.flatnonzero(legal_by_hand(group, chosen, max_atoms, primitive)).tolist():
        if letters(group)[i] not in tried:
            tried.add(letters(group)[i])
            after = chosen.copy()
            after[after.index(None)] = i
            best = max(best, 1 + most_by_hand(group, after, max_atoms, primitive))
            if best == slots:
                break
    return best


@functools.cache
def situations(count=120):
    rng = np.random.default_rng(0)
    groups = rng.choice(GROUPS, count)
    chosen = [random_sites(int(group), rng) for group in groups]
    return groups, chosen, rng.integers(0, 60, count)


@pytest.mark.parametrize("function", [local_index, position_slots])
def test_indices_on_the_device_are_those_on_the_host(function):
    values = np.arange(1732 if function is local_index else 231).reshape(-1, 1)
    on_device = jax.jit(jax.vmap(function))(jnp.asarray(values))
    np.testing.assert_array_equal(np.asarray(on_device), function(values))


def test_local_indices_and_ids_are_inverse():
    for group in range(1, 231):
        ids = np.array(positions_of(group))
        assert local_index(ids).tolist() == list(range(len(ids)))
        assert position_at(np.array(group), np.arange(len(ids))).tolist() == ids.tolist()
        slots = position_slots(np.array(group))
        assert slots.tolist() == ids.tolist() + [0] * (MAX_POSITIONS - len(ids))
    assert position_at(np.array([225, 225, 230]), np.array([-1, 12, 8])).tolist() == [0, 0, 0]
    assert local_index(np.array([[0, 1]])).tolist() == [[-1, 0]]


@pytest.mark.parametrize("primitive", [False, True])
def test_legal_positions_are_those_found_by_trying(primitive):
    groups, chosen, limits = situations()
    ids = np.array([as_ids(g, c) for g, c in zip(groups, chosen, strict=True)])
    found = legal_positions(groups, ids, max_atoms=limits, primitive=primitive)
    free = legal_positions(groups, ids)
    for i, (group, sites) in enumerate(zip(groups.tolist(), chosen, strict=True)):
        assert found[i].tolist() == legal_by_hand(group, sites, limits[i], primitive)
        assert free[i].tolist() == legal_by_hand(group, sites, None, primitive)


@pytest.mark.parametrize("primitive", [False, True])
def test_most_further_sites_are_the_longest_way_on(primitive):
    groups, chosen, _ = situations()
    limits = np.random.default_rng(1).integers(0, 50, len(groups))
    ids = np.array([as_ids(g, c) for g, c in zip(groups, chosen, strict=True)])
    found = most_further_sites(groups, ids, max_atoms=limits, primitive=primitive)
    expected = [
        most_by_hand(int(g), c, int(n), primitive)
        for g, c, n in zip(groups, chosen, limits, strict=True)
    ]
    assert found.tolist() == expected
    assert most_further_sites(groups, ids).tolist() == [c.count(None) for c in chosen]


@pytest.mark.parametrize("further", [0, 1, 2])
def test_further_sites_are_kept_possible(further):
    groups, chosen, limits = situations()
    ids = np.array([as_ids(g, c) for g, c in zip(groups, chosen, strict=True)])
    wanted = np.full(len(groups), further)
    found = legal_positions(groups, ids, max_atoms=limits, primitive=True, further=wanted)
    for i, (group, sites) in enumerate(zip(groups.tolist(), chosen, strict=True)):
        expected = legal_by_hand(group, sites, limits[i], True)
        for position in np.flatnonzero(expected):
            after = sites.copy()
            after[after.index(None)] = int(position)
            expected[position] = most_by_hand(group, after, limits[i], True) >= further
        assert found[i].tolist() == expected


def test_positions_on_the_device_are_those_on_the_host_and_compile_once():
    groups, chosen, limits = situations()
    ids = np.array([as_ids(g, c) for g, c in zip(groups, chosen, strict=True)])

    @jax.jit
    def both(group, wyckoff, max_atoms, further):
        limits = {"max_atoms": max_atoms, "primitive": True}
        return (
            legal_positions(group, wyckoff, further=further, **limits),
            most_further_sites(group, wyckoff, **limits),
        )

    mask, most = both(*map(jnp.asarray, (groups, ids, limits, limits % 3)))
    np.testing.assert_array_equal(
        np.asarray(mask),
        legal_positions(groups, ids, max_atoms=limits, primitive=True, further=limits % 3),
    )
    np.testing.assert_array_equal(
        np.asarray(most), most_further_sites(groups, ids, max_atoms=limits, primitive=True)
    )
    both(*map(jnp.asarray, (groups[::-1].copy(), ids[::-1].copy(), limits, limits % 3)))
    assert both._cache_size() == 1
    mapped = jax.vmap(both)(*map(jnp.asarray, (groups, ids, limits, limits % 3)))
    np.testing.assert_array_equal(np.asarray(mapped[0]), np.asarray(mask))
    np.testing.assert_array_equal(np.asarray(mapped[1]), np.asarray(most))


def test_where_empty_slots_stand_does_not_matter():
    rng = np.random.default_rng(2)
    groups, chosen, limits = situations()
    ids = np.array([as_ids(g, c) for g, c in zip(groups, chosen, strict=True)])
    shuffled = rng.permuted(ids, axis=1)
    expected = legal_positions(groups, ids, max_atoms=limits, further=1)
    found = legal_positions(groups, shuffled, max_atoms=limits, further=1)
    np.testing.assert_array_equal(found, expected)
    shaped = legal_positions(
        groups.reshape(4, 30), ids.reshape(4, 30, SITES), max_atoms=limits.reshape(4, 30), further=1
    )
    np.testing.assert_array_equal(shaped.reshape(-1, MAX_POSITIONS), expected)


def elements_by_hand(species, allowed, required, remaining):
    """Legal atomic numbers by the rules."""
    missing = {e for e in required if e not in species}
    room = species.count(0) if remaining is None else min(species.count(0), remaining)
    if room == 0 or len(missing) > room:
        return set()
    return missing if len(missing) == room else allowed | required


def masks(sets, size=12):
    return np.array([[number in chosen for number in range(size)] for chosen in sets])


@pytest.mark.parametrize("limited", [False, True])
def test_legal_elements_are_those_of_the_rules(limited):
    rng = np.random.default_rng(3)
    species = rng.integers(1, 12, (300, 4)) * (rng.random((300, 4)) < 0.5)
    allowed = [set(rng.integers(1, 12, 5).tolist()) for _ in species]
    required = [set(rng.integers(1, 12, rng.integers(0, 4)).tolist()) for _ in species]
    remaining = rng.integers(0, 5, 300)
    limits = {"remaining": remaining} if limited else {}
    legal = functools.partial(legal_elements, allowed=masks(allowed), required=masks(required))
    found = legal(species, **limits)
    for i, row in enumerate(species.tolist()):
        room = int(remaining[i]) if limited else None
        assert set(np.flatnonzero(found[i])) == elements_by_hand(row, allowed[i], required[i], room)
        missing = required[i] - set(row)
        assert set(np.flatnonzero(missing_elements(species, masks(required))[i])) == missing
        assert may_stop(species, masks(required))[i] == (not missing and any(row))
    jitted = jax.jit(jax.vmap(lambda *a: legal_elements(*a[:1], allowed=a[1], required=a[2])))
    arrays = map(jnp.asarray, (species, masks(allowed), masks(required)))
    np.testing.assert_array_equal(np.asarray(jitted(*arrays)), legal(species))


def test_the_empty_slot_is_no_element():
    everything = np.ones(5, bool)
    legal = legal_elements(np.zeros(3, int), allowed=everything, required=np.zeros(5, bool))
    assert legal.tolist() == [False, True, True, True, True]


def test_required_elements_always_come_in():
    """Random choices under all masks together: no dead end, and all required elements are there."""
    rng = np.random.default_rng(4)
    for _ in range(150):
        group = np.array(int(rng.choice(GROUPS)))
        required = np.isin(np.arange(20), rng.choice(np.arange(1, 20), 2, replace=False))
        allowed = rng.random(20) < 0.3
        limits = {"max_atoms": int(rng.integers(4, 20)), "primitive": True}
        wyckoff, species = np.zeros((2, 5), int)
        if most_further_sites(group, wyckoff, **limits) < 2:
            continue
        for slot in range(5):
            missing = missing_elements(species, required).sum()
            room = most_further_sites(group, wyckoff, **limits)
            elements = np.flatnonzero(
                legal_elements(species, allowed=allowed, required=required, remaining=room)
            )
            if not len(elements):
                break
            element = rng.choice(elements)
            after = int(missing) - int(required[element] and element not in species)
            options = legal_positions(group, wyckoff, further=np.array(after), **limits)
            assert options.any()
            position = rng.choice(np.flatnonzero(options))
            wyckoff[slot], species[slot] = position_slots(group)[position], element
        assert may_stop(species, required)
