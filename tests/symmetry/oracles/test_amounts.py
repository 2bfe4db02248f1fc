"""Numbers of atoms and sites that can still be reached, against brute force."""

import itertools

import jax
import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.symmetry.oracles import can_finish, make_amounts
from jaxcrys.symmetry.oracles.menu import orbit_sizes
from jaxcrys.symmetry.wyckoff import positions_of

GROUPS = (1, 2, 47, 62, 123, 166, 194, 221, 225, 227)
MOST_SITES, MOST_ATOMS = 3, 26


def templates(group, most_sites):
    """All multisets of positions, as sorted tuples of local indices, by trying every one."""
    sizes = orbit_sizes(group)
    for count in range(most_sites + 1):
        for sites in itertools.combinations_with_replacement(range(len(sizes)), count):
            if all(sites.count(i) == 1 for i in sites if sizes[i][1]):
                yield sites


def ways(group, begin, wanted, fewest, most):
    """Whether some template of the right amounts holds the sites, by trying every one."""
    sizes = orbit_sizes(group)
    for sites in templates(group, len(begin) + MOST_SITES):
        rest = list(sites)
        if not all(i in rest and not rest.remove(i) for i in begin):
            continue
        if fewest <= len(rest) <= most and sum(sizes[i][0] for i in sites) in wanted:
            return True
    return False


@pytest.mark.parametrize("group", GROUPS)
def test_against_every_template(group):
    random = np.random.default_rng(group)
    found = []
    for _ in range(12):
        low = int(random.integers(1, MOST_ATOMS))
        wanted = range(low, low + int(random.integers(1, 4)))
        begins = [*templates(group, 1)]
        begin = begins[random.integers(len(begins))]
        fewest = int(random.integers(0, 3))
        most = int(random.integers(fewest, MOST_SITES + 1))
        wyckoff = np.zeros(6, np.int32)
        wyckoff[: len(begin)] = [positions_of(group)[i] for i in begin]
        amounts = make_amounts(wanted)
        given = np.array(group), wyckoff, np.array(fewest), np.array(most)
        answer = bool(can_finish(amounts, *given))
        assert answer == ways(group, begin, wanted, fewest, most)
        assert bool(jax.jit(can_finish)(amounts, *given)) == answer
        found.append(answer)
    assert any(found)


def test_limits_on_all_sites():
    amounts = make_amounts(range(1, 20), sites=(2, 2))
    nothing, one = np.zeros(5, np.int32), np.array([1, 0, 0, 0, 0])
    group, zero, many = np.array(1), np.array(0), np.array(5)
    assert can_finish(amounts, group, nothing, zero, many)
    assert not can_finish(amounts, group, nothing, np.array(3), many)
    assert can_finish(amounts, group, one, np.array(1), np.array(1))
    assert not can_finish(amounts, group, one, zero, zero)  # one site is too few


def test_more_sites_than_a_word_has_bits():
    """In P1 so many atoms take so many sites."""
    for atoms in (31, 32, 40, 63):
        amounts = make_amounts([atoms])
        nothing = np.zeros(70, np.int32)
        for bound in (atoms - 1, atoms):
            answer = can_finish(amounts, np.array(1), nothing, np.array(0), np.array(bound))
            assert bool(answer) == (bound >= atoms)


@pytest.mark.parametrize(
    ("atoms", "sites", "message"),
    [([], (1, 3), "atoms"), ([0], (1, 3), "atoms"), ([3], (2, 1), "sites"), ([3], (0, 1), "sites")],
)
def test_bad_amounts_are_named(atoms, sites, message):
    with pytest.raises(InputError, match=message):
        make_amounts(atoms, sites=sites)
