"""Occupations of positions, against counting by hand and labels of whole crystals."""

import collections
import dataclasses

import jax
import numpy as np
import pytest

from jaxcrys.core.pytree import take
from jaxcrys.crystal import stack_crystals
from jaxcrys.crystal.convert import from_arrays
from jaxcrys.crystal.equivalents import random_equivalent
from jaxcrys.crystal.protostructure import protostructure_label
from jaxcrys.crystal.slots import from_slots, num_sites, slot_kinds, to_slots
from jaxcrys.data.parsing import parse
from jaxcrys.symmetry.tables import load_tables
from jaxcrys.symmetry.wyckoff import positions_of
from tests.crystals import random_crystals
from tests.templates import letters


@pytest.fixture(scope="module")
def crystals():
    return random_crystals(80, sites=6, seed=4)


decode = jax.jit(from_slots, static_argnames="sites")


def encoded(crystals):
    return jax.jit(to_slots)(crystals.group, crystals.wyckoff, crystals.species)


def test_slots_hold_what_counting_finds(crystals):
    slots = jax.device_get(encoded(crystals))
    dof = load_tables().position_dof
    for number, group in enumerate(crystals.group):
        element, count = np.zeros(27, int), np.zeros((27, 119), int)
        sites = collections.Counter(
            zip(crystals.wyckoff[number].tolist(), crystals.species[number].tolist(), strict=True)
        )
        for (wyckoff, species), times in sites.items():
            if wyckoff:
                place = wyckoff - positions_of(int(group))[0]
                if dof[wyckoff]:
                    count[place, species] = times
                else:
                    element[place] = species
        np.testing.assert_array_equal(slots.element[number], element)
        np.testing.assert_array_equal(slots.count[number], count)


def test_kinds_of_slots_are_those_of_pyxtal():
    fixed, free = map(np.asarray, jax.jit(slot_kinds)(np.arange(1, 231)))
    for group in (1, 2, 47, 62, 139, 166, 194, 225, 227, 230):
        moves = np.array([dof > 0 for _, dof in letters(group)])
        missing = (0, 27 - len(moves))
        np.testing.assert_array_equal(free[group - 1], np.pad(moves, missing))
        np.testing.assert_array_equal(fixed[group - 1], np.pad(~moves, missing))


def test_labels_survive_slots_and_equivalent_descriptions(crystals):
    check_labels(crystals)


def test_labels_of_real_crystals_survive(shared_rows):
    rows = shared_rows("mix_20/val", 60)
    check_labels(stack_crystals([from_arrays(*parse("cif", row["cif"])) for row in rows]))


def check_labels(crystals):
    sites = crystals.wyckoff.shape[-1]
    keys = jax.random.split(jax.random.key(1), len(crystals.group))
    moved = jax.jit(jax.vmap(random_equivalent))(keys, crystals)
    slots = encoded(moved)
    np.testing.assert_array_equal(jax.jit(num_sites)(slots), (crystals.wyckoff > 0).sum(-1))
    wyckoff, species = jax.device_get(decode(moved.group, slots, sites=sites))
    back = dataclasses.replace(
        jax.device_get(moved), wyckoff=wyckoff.astype(np.int32), species=species.astype(np.int32)
    )
    for number in range(len(crystals.group)):
        assert protostructure_label(take(back, number)) == protostructure_label(
            take(crystals, number)
        )


def test_padding_and_order_change_nothing(crystals):
    plain = encoded(crystals)
    wide = dataclasses.replace(
        crystals,
        wyckoff=np.pad(crystals.wyckoff[:, ::-1], ((0, 0), (2, 3))),
        species=np.pad(crystals.species[:, ::-1], ((0, 0), (2, 3))),
    )
    jax.tree.map(np.testing.assert_array_equal, encoded(wide), plain)


def test_sites_without_room_are_left_out(crystals):
    slots = encoded(crystals)
    whole = decode(crystals.group, slots, sites=9)
    part = decode(crystals.group, slots, sites=2)
    for one, other in zip(part, whole, strict=True):
        np.testing.assert_array_equal(one, np.asarray(other)[:, :2])
