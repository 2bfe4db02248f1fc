"""Oriented symbols: counts, round trips, and the symbols of pyxtal, moyopy and spglib."""

import collections

import jax
import jax.numpy as jnp
import moyopy
import numpy as np
import pytest
import spglib
from pyxtal.symmetry import Group

from jaxcrys.core.errors import InputError
from jaxcrys.symmetry.site_symmetry import (
    MAX_SHARING,
    SITE_SYMMETRIES,
    position_from_site_symmetry,
    site_symmetry_id,
    site_symmetry_index,
    site_symmetry_symbol,
)
from jaxcrys.symmetry.tables import load_tables
from jaxcrys.symmetry.wyckoff import group_of, position_id, positions_of
from tests.groups import GROUPS, each_group

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")

IDS = np.arange(1732)


def symbol_of(wyckoff):
    return site_symmetry_symbol(int(site_symmetry_id(np.array(wyckoff))))


def test_symbols_are_those_of_the_tables_in_order():
    stored = load_tables().position_site_symmetry[1:].tolist()
    assert [symbol_of(i) for i in IDS[1:]] == stored
    assert sorted(set(stored)) == list(SITE_SYMMETRIES)
    assert len(SITE_SYMMETRIES) == 78


def test_how_many_positions_share_their_symbol():
    keys = list(zip(group_of(IDS[1:]).tolist(), site_symmetry_id(IDS[1:]).tolist(), strict=True))
    counts = collections.Counter(keys)
    assert sum(counts[key] > 1 for key in keys) == 997
    assert max(counts.values()) == MAX_SHARING == site_symmetry_index(IDS).max() + 1
    assert counts[2, SITE_SYMMETRIES.index("-1") + 1] == MAX_SHARING


def test_enumeration_counts_the_same_symbol_in_the_order_of_letters():
    for group in GROUPS:
        seen = collections.Counter()
        for wyckoff in positions_of(group):
            assert site_symmetry_index(np.array(wyckoff)) == seen[symbol_of(wyckoff)]
            seen[symbol_of(wyckoff)] += 1


def test_symbol_and_enumeration_name_the_position():
    found = position_from_site_symmetry(
        group_of(IDS), site_symmetry_id(IDS), site_symmetry_index(IDS)
    )
    np.testing.assert_array_equal(found, IDS)


def test_every_combination_that_is_no_position_is_0():
    group, symbol, index = np.meshgrid(np.arange(231), np.arange(79), np.arange(-2, 11))
    found = position_from_site_symmetry(group, symbol, index)
    assert sorted(found[found > 0].tolist()) == IDS[1:].tolist()
    at = found > 0
    np.testing.assert_array_equal(group_of(found[at]), group[at])
    np.testing.assert_array_equal(site_symmetry_id(found[at]), symbol[at])
    np.testing.assert_array_equal(site_symmetry_index(found[at]), index[at])


def test_empty_slot():
    zero = np.array(0)
    assert site_symmetry_id(zero) == site_symmetry_index(zero) == 0
    assert position_from_site_symmetry(zero, zero, zero) == 0


def test_host_and_device_agree():
    ids = jnp.asarray(IDS.reshape(4, 433))

    @jax.jit
    def there_and_back(wyckoff):
        parts = group_of(wyckoff), site_symmetry_id(wyckoff), site_symmetry_index(wyckoff)
        return position_from_site_symmetry(*parts), *parts

    for function in (there_and_back, jax.vmap(there_and_back)):
        found = function(ids)
        expected = ids, group_of(IDS), site_symmetry_id(IDS), site_symmetry_index(IDS)
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(np.asarray(ours).ravel(), np.asarray(theirs).ravel())
    everywhere = jax.jit(position_from_site_symmetry)(jnp.array(2), jnp.array(1), jnp.arange(-9, 9))
    expected = position_from_site_symmetry(np.array(2), np.array(1), np.arange(-9, 9))
    np.testing.assert_array_equal(np.asarray(everywhere), expected)


@pytest.mark.parametrize("symbol", [0, -1, 79])
def test_unknown_ids_are_refused(symbol):
    with pytest.raises(InputError, match="site symmetry: must be an id from 1 to 78"):
        site_symmetry_symbol(symbol)


def test_symbols_are_those_of_pyxtal():
    for group in GROUPS:
        for position in Group(group):
            position.get_site_symmetry()
            assert symbol_of(position_id(group, position.letter)) == position.site_symm


def crystal_on_every_position(group):
    """A lattice, fractional points and numbers: each position once, general positions thrice.

    The general ones see to it that the crystal has no more symmetry than the group.
    """
    tables = load_tables()
    ids = [*positions_of(group), *[positions_of(group)[-1]] * 2]
    rng = np.random.default_rng(group)
    points, numbers = [], []
    for number, wyckoff in enumerate(ids, 1):
        first = tables.position_first_row[wyckoff]
        rows = slice(first, first + tables.position_multiplicity[wyckoff])
        orbit = tables.row_linear[rows] @ rng.random(3) + tables.row_translation[rows] / 24
        points += [*(orbit % 1)]
        numbers += [number] * len(orbit)
    family = int(tables.group_family[group])
    basis = np.diag({3: (7, 7, 9), 4: (7, 7, 9), 5: (8, 8, 8)}.get(family, (7, 8, 9))).astype(float)
    if family <= 1:
        basis[2, 0] = -1.7
    if family == 0:
        basis[1, 0], basis[2, 1] = 0.9, 1.3
    if family == 4:
        basis[1] = -3.5, 3.5 * np.sqrt(3), 0
    return basis, np.array(points), numbers


@each_group
def test_symbols_are_those_of_moyopy_and_spglib(group):
    """Another choice of origin permutes the letters, so letters and symbols are compared as a set.

    Spglib gives the symbol of the standard setting of its own, which is that of origin choice 1
    in some groups; symbols do not depend on the origin.
    """
    ours = sorted(
        (str(load_tables().position_letter[i]), symbol_of(i)) for i in positions_of(group)
    )
    basis, points, numbers = crystal_on_every_position(group)
    cell = moyopy.Cell(basis.tolist(), points.tolist(), numbers)
    found = moyopy.MoyoDataset(cell, symprec=1e-4, setting=moyopy.Setting.standard())
    assert found.number == group
    positions = found.normalizer_wyckoff_positions().wyckoffs
    assert sorted({(p.letter, p.site_symmetry) for p in positions}) == ours

    dataset = spglib.get_symmetry_dataset((basis, points, numbers), symprec=1e-4)
    assert dataset is not None
    assert dataset.number == group
    theirs = set(zip(dataset.wyckoffs, dataset.site_symmetry_symbols, strict=True))
    assert sorted(theirs) == ours
