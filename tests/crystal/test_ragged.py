"""Crystals without padding hold what the padded ones do, in memory and mapped from a file."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import take
from jaxcrys.crystal.buckets import assign_shapes, choose_shapes, fit_sites
from jaxcrys.crystal.ragged import concatenate, to_ragged
from jaxcrys.crystal.storage import load_crystals, map_crystals, save_crystals, to_arrays
from jaxcrys.symmetry.centring import centring_count
from jaxcrys.symmetry.wyckoff import multiplicity_modulo_centring
from tests.crystals import random_crystals

CRYSTALS = random_crystals(200, sites=6, seed=3)
RAGGED = to_ragged(CRYSTALS)
ROWS = np.array([7, 199, 0, 7, 42])


def same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def with_gaps(crystals):
    """The same sites in twice as many slots, every other one empty."""

    def spread(leaf):
        out = np.zeros((len(leaf), 2 * leaf.shape[1], *leaf.shape[2:]), leaf.dtype)
        out[:, 1::2] = leaf
        return out

    names = ("wyckoff", "species", "free")
    return dataclasses.replace(crystals, **{n: spread(getattr(crystals, n)) for n in names})


@pytest.mark.parametrize("sites", [0, 6, 9])
def test_batches_are_padded_rows(sites):
    same(RAGGED.batch(ROWS, sites), fit_sites(take(CRYSTALS, ROWS), sites or 6))
    same(RAGGED.select(ROWS).batch(sites=sites), fit_sites(take(CRYSTALS, ROWS), sites or 6))


def test_gaps_are_left_out():
    ragged = to_ragged(with_gaps(CRYSTALS))
    assert ragged.sites == 12
    same(ragged.batch(sites=6), CRYSTALS)


def test_too_few_slots_are_refused():
    most = int(RAGGED.count.max())
    with pytest.raises(InputError, match=f"a crystal has {most} sites, more than {most - 1} slots"):
        RAGGED.batch(sites=most - 1)


def test_sizes_are_those_of_the_padded_crystals():
    atoms = [int(multiplicity_modulo_centring(row).sum()) for row in CRYSTALS.wyckoff]
    expected = [np.count_nonzero(CRYSTALS.wyckoff, axis=1), atoms, centring_count(CRYSTALS.group)]
    np.testing.assert_array_equal(RAGGED.sizes(), np.transpose(expected))
    np.testing.assert_array_equal(RAGGED.select(ROWS).sizes(), np.transpose(expected)[ROWS])
    shapes = choose_shapes(CRYSTALS, limit=4)
    assert choose_shapes(RAGGED.select(slice(90)), RAGGED.select(slice(90, 200)), limit=4) == shapes
    np.testing.assert_array_equal(assign_shapes(RAGGED, shapes), assign_shapes(CRYSTALS, shapes))


def test_parts_below_each_other_are_the_whole():
    parts = [RAGGED.select(slice(50, 200)), to_ragged(with_gaps(take(CRYSTALS, slice(50))))]
    together = concatenate(parts)
    order = np.r_[50:200, :50]
    same(together.batch(sites=6), take(CRYSTALS, order))
    assert together.sites == 12


def test_mapped_files_hold_what_was_saved(tmp_path):
    path = tmp_path / "crystals.npz"
    save_crystals(path, RAGGED.select(ROWS))
    mapped = map_crystals(tmp_path)
    assert isinstance(mapped.free, np.memmap)
    same(mapped.batch(), load_crystals(path))
    same(mapped.batch(), take(CRYSTALS, ROWS))
    # numpy's own reader finds the same arrays
    with np.load(path) as stored:
        for name, values in to_arrays(mapped).items():
            np.testing.assert_array_equal(stored[name], values)


def test_files_that_cannot_be_mapped_are_named(tmp_path):
    whole = tmp_path / "whole.npz"
    save_crystals(whole, CRYSTALS)
    content, arrays = whole.read_bytes(), to_arrays(CRYSTALS)
    bad = tmp_path / "bad.npz"
    for damaged in (b"", content[: len(content) // 2], b"not an archive", content[100:]):
        bad.write_bytes(damaged)
        with pytest.raises(InputError, match=r"bad\.npz: is not a readable file of crystals"):
            map_crystals(bad)
    np.savez_compressed(bad, **arrays)
    with pytest.raises(InputError, match="is compressed"):
        map_crystals(bad)
    np.savez(bad, **arrays | {"wyckoff": arrays["wyckoff"][:-1]})
    with pytest.raises(InputError, match="wyckoff holds"):
        map_crystals(bad)
    np.savez(bad, **{name: array for name, array in arrays.items() if name != "free"})
    with pytest.raises(InputError, match="free"):
        load_crystals(bad)
