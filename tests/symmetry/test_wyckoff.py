"""Look-ups by group, letter and id, and what they say to wrong input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.symmetry import (
    degrees_of_freedom,
    free_mask,
    general_position,
    group_of,
    load_tables,
    multiplicity,
    position_id,
    position_label,
    positions_of,
)

# International Tables A, copied by hand.
LABELS = {
    1: "1a",
    14: "2a 2b 2c 2d 4e",
    62: "4a 4b 4c 8d",
    166: "3a 3b 6c 9d 9e 18f 18g 18h 36i",
    194: "2a 2b 2c 2d 4e 4f 6g 6h 12i 12j 12k 24l",
    225: "4a 4b 8c 24d 24e 32f 48g 48h 48i 96j 96k 192l",
    227: "8a 8b 16c 16d 32e 48f 96g 96h 192i",
}
SITE_SYMMETRY = {
    (194, "a"): "-3m.",
    (194, "c"): "-6m2",
    (194, "h"): "mm2",
    (227, "a"): "-43m",
    (227, "c"): ".-3m",
    (225, "d"): "m.mm",
    (136, "a"): "m.mm",
    (62, "c"): ".m.",
}


@pytest.mark.parametrize("group", LABELS)
def test_labels_are_those_of_the_international_tables(group):
    assert [position_label(i) for i in positions_of(group)] == LABELS[group].split()


@pytest.mark.parametrize(("group", "letter"), SITE_SYMMETRY)
def test_site_symmetry_is_that_of_the_international_tables(group, letter):
    found = load_tables().position_site_symmetry[position_id(group, letter)]
    assert found == SITE_SYMMETRY[group, letter]


def test_positions_of_all_groups_are_all_positions_in_order():
    ids = [i for group in range(1, 231) for i in positions_of(group)]
    assert ids == list(range(1, 1732))
    assert all(group_of(np.array(positions_of(g))).tolist() == [g] * len(positions_of(g))
               for g in range(1, 231))  # fmt: skip


def test_labels_name_positions_uniquely():
    for group in range(1, 231):
        for wyckoff in positions_of(group):
            label = position_label(wyckoff)
            assert position_id(group, label) == wyckoff
            assert position_id(group, f" {label.lstrip('0123456789')} ") == wyckoff


def test_general_position_is_the_last_and_the_only_one_without_symmetry():
    groups = np.arange(1, 231)
    general = general_position(groups)
    assert (degrees_of_freedom(general) == 3).all()
    assert (multiplicity(np.arange(1, 1732)) <= multiplicity(general)[
        group_of(np.arange(1, 1732)) - 1]).all()  # fmt: skip
    unsymmetric = np.flatnonzero(load_tables().position_site_symmetry == "1")
    assert unsymmetric.tolist() == general.tolist()


def test_free_mask_marks_the_first_coordinates():
    ids = np.arange(1732)
    mask = free_mask(ids)
    assert (mask.sum(-1) == degrees_of_freedom(ids)).all()
    assert (mask[:, :-1] >= mask[:, 1:]).all()


@pytest.mark.parametrize("function", [multiplicity, degrees_of_freedom, group_of, free_mask])
def test_host_and_device_agree(function):
    ids = np.arange(1732).reshape(4, 433)
    on_device = jax.jit(jax.vmap(function))(jnp.asarray(ids))
    np.testing.assert_array_equal(np.asarray(on_device), function(ids))


@pytest.mark.parametrize("label", ["z", "", "4", "8a", "a4", "ab", "4 a", "A"])
def test_unknown_labels_are_refused_with_those_that_exist(label):
    with pytest.raises(InputError, match=r"Wyckoff position: group 225 has no .*; it has 4a, 4b"):
        position_id(225, label)


@pytest.mark.parametrize("group", [0, -1, 231, 1.5, "225"])
def test_unknown_groups_are_refused(group):
    for ask in (positions_of, lambda g: position_id(g, "a")):
        with pytest.raises(InputError, match="must be a space group number from 1 to 230"):
            ask(group)
