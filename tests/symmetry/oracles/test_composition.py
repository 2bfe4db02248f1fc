"""Exact composition against loops over all multisets, and against integer programming."""

import functools
from collections import Counter

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from scipy import optimize

from jaxcrys.core.errors import InputError
from jaxcrys.symmetry.oracles.composition import choices, place, site_arrays, start
from jaxcrys.symmetry.oracles.menu import NEVER, fewest_sites, menu_of, orbit_sizes
from jaxcrys.symmetry.oracles.reachability import (
    check_reachable,
    ranges,
    reachable_groups,
    reachable_units,
)
from jaxcrys.symmetry.wyckoff import group_of, multiplicity, position_label
from tests.templates import GROUPS, lattice_points, letters, random_case

CASES = 66
"""Random cases of each of 19 groups."""


@functools.cache
def cases(group):
    rng = np.random.default_rng(group)
    return [random_case(group, rng) for _ in range(CASES)]


def atoms_of(group, sites):
    """Atoms of each element in the conventional cell, by pyxtal's multiplicities."""
    found = Counter()
    for position, number in sites:
        found[number] += letters(group)[position][0]
    return found


def draw(state, rng):
    """A random one of the choices, as position and column."""
    options = np.argwhere(choices(state).mask)
    return options[rng.integers(len(options))].tolist()


def test_there_are_enough_cases_of_both_kinds():
    every = [case for group in GROUPS for case in cases(group)]
    assert len(every) >= 1200
    assert 200 < sum(not case.templates for case in every) < 1000
    assert 300 < sum(case.max_sites is not None for case in every) < 900


@pytest.mark.parametrize("group", GROUPS)
def test_orbit_sizes_are_those_of_pyxtal(group):
    points = lattice_points(group)
    expected = [(size // points, dof == 0) for size, dof in letters(group)]
    assert list(orbit_sizes(group)) == expected


@pytest.mark.parametrize("group", GROUPS)
def test_reachable_is_what_some_template_makes(group):
    for case in cases(group):
        expected = tuple(unit for unit in case.units if case.by_unit[unit])
        assert reachable_units(*case.arguments, **case.limits) == expected, case


@pytest.mark.parametrize("group", GROUPS)
def test_choices_are_those_that_some_template_continues(group):
    rng = np.random.default_rng(group)
    for case in cases(group):
        if not case.templates:
            continue
        state = start(*case.arguments, **case.limits)
        every = [Counter(sites) for sites in case.templates]
        while True:
            chosen = Counter(state.sites)
            expected = np.zeros((27, len(state.elements)), bool)
            for sites in every:
                if chosen <= sites:
                    for position, number in sites - chosen:
                        expected[position, state.elements.index(number)] = True
            found = choices(state)
            np.testing.assert_array_equal(found.mask, expected, err_msg=str((case, state)))
            assert found.may_stop == (chosen in every)
            if not expected.any():
                break
            state = place(state, *draw(state, rng))
        assert tuple(sorted(state.sites)) in case.templates


@pytest.mark.parametrize("group", GROUPS)
def test_every_template_is_made_in_any_order(group):
    rng = np.random.default_rng(group)
    for case in cases(group):
        for sites in sorted(case.templates)[:: max(1, len(case.templates) // 3)]:
            state = start(*case.arguments, **case.limits)
            for i in rng.permutation(len(sites)):
                position, number = sites[i]
                state = place(state, position, state.elements.index(number))
            assert choices(state).may_stop
            assert tuple(sorted(state.sites)) == sites


def fewest_by_program(group, counts):
    """Fewest sites by integer programming: a variable for each position and element."""
    sizes = np.array([size for size, _ in letters(group)]) // lattice_points(group)
    single = [i for i, (_, dof) in enumerate(letters(group)) if dof == 0]
    shape = (len(counts), len(sizes))
    makes = np.array([np.where(np.arange(shape[0])[:, None] == e, sizes, 0).ravel()
                      for e in range(shape[0])])  # fmt: skip
    uses = [np.tile(np.arange(shape[1]) == i, shape[0]) for i in single]
    constraints = [optimize.LinearConstraint(makes, counts, counts)]
    if uses:
        constraints.append(optimize.LinearConstraint(np.array(uses, float), 0, 1))
    size = shape[0] * shape[1]
    found = optimize.milp(np.ones(size), constraints=constraints, integrality=np.ones(size))
    return round(found.fun) if found.success else NEVER


def test_fewest_sites_are_those_of_integer_programming():
    """Compositions too large for loops, in any group."""
    rng = np.random.default_rng(0)
    reachable = 0
    for _ in range(250):
        group = int(rng.integers(1, 231))
        counts = rng.integers(1, 40, rng.integers(1, 5)).tolist()
        menu = menu_of(group)
        found = fewest_sites(menu, counts, menu.full)
        assert found == fewest_by_program(group, counts), (group, counts)
        reachable += found < NEVER
    assert 50 < reachable < 200


settings = hypothesis.settings(deadline=None, derandomize=True, max_examples=100, database=None)
formulas = st.dictionaries(st.integers(1, 100), st.integers(1, 6), min_size=1, max_size=4)


@settings
@hypothesis.given(
    formulas,
    st.integers(1, 230),
    st.sampled_from([None, 4, 8]),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_random_decodings_end_at_the_formula(counts, group, max_sites, primitive, random):
    limits = {"primitive": primitive, "max_sites": max_sites}
    units = reachable_units(counts, group, range(1, 7), **limits)
    hypothesis.assume(units)
    state = start(counts, group, range(1, 7), **limits)
    while True:
        found = choices(state)
        options = np.argwhere(found.mask).tolist()
        assert options or found.may_stop
        if found.may_stop and (not options or random.random() < 0.3):
            break
        state = place(state, *random.choice(options))
    assert max_sites is None or len(state.sites) <= max_sites
    atoms = atoms_of(group, state.sites)
    points = lattice_points(group) if primitive else 1
    assert [atoms == {e: points * n * z for e, n in counts.items()} for z in units].count(True) == 1


def test_scarce_positions_are_weighed_against_sites():
    """Two elements want the same position; one of them can do without, at the cost of sites."""
    menu = menu_of(123)  # single-use 1, 1, 1, 1, 2, 2; reusable 2, 4, 8, 16
    assert fewest_sites(menu, [1, 1, 1, 1], menu.full) == 4
    assert fewest_sites(menu, [1, 1, 1, 1, 1], menu.full) == NEVER
    assert fewest_sites(menu, [3, 3, 3, 3], menu.full) == 8
    menu = menu_of(225)  # single-use 1, 1, 2, 6; reusable 6, 8, ...
    assert fewest_sites(menu, [2], menu.full) == 1
    assert fewest_sites(menu, [2, 2], menu.full) == 3
    assert fewest_sites(menu, [2, 2, 2], menu.full) == NEVER


def test_states_are_not_changed_by_what_is_done_with_them():
    state = start({11: 1, 17: 1}, 225, 4)
    before = choices(state).mask.copy()
    choices(state).mask[:] = False
    place(state, 0, 0)
    np.testing.assert_array_equal(choices(state).mask, before)
    assert state.sites == ()
    assert hash(state) == hash(start({17: 1, 11: 1}, 225, [4, 4]))


def test_all_groups_at_once_are_each_group_alone():
    counts = {22: 1, 56: 1, 8: 3}
    found = reachable_groups(counts, range(1, 5), max_sites=4)
    for group in range(1, 231):
        alone = reachable_units(counts, group, range(1, 5), max_sites=4)
        assert found.get(group, ()) == alone
    # Perovskites: the ideal one, tetragonal PbTiO3, rhombohedral and orthorhombic BaTiO3.
    assert {221, 99, 160, 38} <= set(found)
    assert reachable_groups({1: 1}, 1, max_sites=1)[2] == (1,)
    assert set(reachable_groups({1: 1}, 1, primitive=True)) >= {216, 221, 225, 229}


def test_sites_become_padded_arrays():
    wyckoff, species = site_arrays(225, ((0, 11), (1, 17)), capacity=4)
    assert [position_label(i) for i in wyckoff[:2]] == ["4a", "4b"]
    assert wyckoff[2:].tolist() == [0, 0]
    assert species.tolist() == [11, 17, 0, 0]
    assert group_of(wyckoff).tolist() == [225, 225, 0, 0]
    assert multiplicity(wyckoff).sum() == 8
    assert site_arrays(1, ())[0].shape == (0,)


def test_what_cannot_be_made_is_refused_with_the_groups_that_can():
    with pytest.raises(InputError) as refused:
        check_reachable({11: 1, 17: 2}, 225, 1)
    assert str(refused.value) == (
        "composition: space group 225 (Fm-3m) cannot hold NaCl2 "
        "with Z = 1 in the conventional cell; it can with Z = 4, 12, 16, 24; groups that can, by "
        "smallest Z: Z = 1: 1-3, 6, 10, 16, 25, 47, 75, 81, 83, 89, 99, 111, 115, 123, 143, 147, "
        "149-150, 156-157, 162, 164, 168, 174-175, 177, 183, 187, 189, 191"
    )
    with pytest.raises(InputError, match=r"with Z = 2-3 in the primitive cell and at most 1 sites"):
        start({11: 1, 17: 1}, 14, [3, 2], primitive=True, max_sites=1)
    with pytest.raises(InputError, match=r"it cannot with a small Z either$"):
        start({1: 1, 2: 1, 3: 1}, 1, 1, max_sites=2)


@pytest.mark.parametrize(
    ("arguments", "limits", "match"),
    [
        (({}, 1, 1), {}, "composition: must map atomic numbers to positive whole numbers"),
        (({11: 0}, 1, 1), {}, "composition: must map .* got {11: 0}; write NaCl as"),
        (({11: 1.5}, 1, 1), {}, "composition: must map"),
        (({"Na": 1}, 1, 1), {}, "composition: must map"),
        (({119: 1}, 1, 1), {}, "composition: must map"),
        (({11: 1}, 0, 1), {}, "must be a space group number from 1 to 230, got 0"),
        (({11: 1}, 231, 1), {}, "must be a space group number"),
        (({11: 1}, 1, ()), {}, r"Z: must be positive whole numbers, got \(\)"),
        (({11: 1}, 1, 0), {}, "Z: must be positive whole numbers, got 0"),
        (({11: 1}, 1, [1, -1]), {}, "Z: must be"),
        (({11: 1}, 1, 1), {"max_sites": 0}, "max_sites: must be a positive number of sites"),
        (({11: 1}, 1, 10**9), {}, "composition: Z = 1000000000 asks for more than 2000 atoms"),
    ],
)
def test_senseless_arguments_are_refused(arguments, limits, match):
    with pytest.raises(InputError, match=match):
        start(*arguments, **limits)


@pytest.mark.parametrize(("position", "element"), [(0, 2), (12, 0), (-1, 0), (2, 0), (0, -1)])
def test_sites_out_of_reach_are_refused(position, element):
    with pytest.raises(InputError, match="leaves the formula out of reach; choose where the mask"):
        place(start({11: 1, 17: 1}, 225, 4), position, element)


def test_single_use_positions_are_refused_the_second_time():
    state = place(start({11: 2}, 2, 1), 0, 0)
    with pytest.raises(InputError, match="out of reach"):
        place(state, 0, 0)
    with pytest.raises(InputError, match="2 sites do not fit into 1 slots"):
        site_arrays(2, place(state, 1, 0).sites, capacity=1)
    with pytest.raises(InputError, match="group 2 has positions 0 to 8"):
        site_arrays(2, [(9, 1)])


def test_runs_of_numbers():
    assert ranges([]) == ""
    assert ranges([5]) == "5"
    assert ranges([1, 2, 4, 5, 6, 9]) == "1-2, 4-6, 9"
