"""Space groups as bits: round trip, and all 230 against brute force and against pyxtal."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import spglib
from pyxtal.symmetry import Group
from scipy.spatial.transform import Rotation

from jaxcrys.symmetry.group_bits import (
    GROUP_ELEMENTS,
    LATTICE_TYPES,
    group_bits,
    group_from_bits,
    lattice_type,
)
from jaxcrys.symmetry.groups import operations
from jaxcrys.symmetry.symmetry_bits import SYMMETRY_AXES
from jaxcrys.symmetry.tables import load_tables
from tests.groups import GROUPS, each_group

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")

ALL = np.arange(231)
SHIFTS = np.array(list(itertools.product((-1, 0, 1), repeat=3)))


def names_on(bits):
    return {GROUP_ELEMENTS[i] for i in np.flatnonzero(bits)}


def test_bits_and_lattice_type_name_the_group():
    np.testing.assert_array_equal(group_from_bits(group_bits(ALL), lattice_type(ALL)), ALL)
    assert len(np.unique(group_bits(ALL[1:]), axis=0)) == 166  # without the lattice type


def test_bits_that_no_group_has():
    other = (lattice_type(ALL) + 1) % len(LATTICE_TYPES)
    found = group_from_bits(group_bits(ALL), other)
    known = {(group_bits(ALL)[g].tobytes(), int(lattice_type(ALL)[g])): g for g in GROUPS}
    expected = [known.get((group_bits(ALL)[g].tobytes(), int(other[g])), 0) for g in ALL]
    assert found.tolist() == expected
    assert group_from_bits(np.ones((15, 26), bool), np.array(0)) == 0


def test_lattice_types_are_those_of_spglib():
    for group in GROUPS:
        kind = spglib.get_spacegroup_type(int(load_tables().group_hall_number[group]))
        assert kind is not None
        assert LATTICE_TYPES[lattice_type(np.array(group))] == kind.international_short[0]


def cell_of(group):
    hexagonal = load_tables().group_family[group] == 4
    return np.array([[1, -0.5, 0], [0, np.sqrt(3) / 2, 0], [0, 0, 1]]) if hexagonal else np.eye(3)


def screw_or_glide(rotation, shifts, cell):
    """Axis index and name, from powers of the operation: W^k (x) = x + k times its glide vector."""
    sign = round(np.linalg.det(rotation))
    cartesian = cell @ rotation @ np.linalg.inv(cell)
    vector = Rotation.from_matrix(sign * cartesian).as_rotvec()
    angle = np.linalg.norm(vector)
    if angle < 1e-9:
        return range(15), {1: "1", -1: "-1"}[sign]
    order = round(2 * np.pi / angle)
    normals = np.array(SYMMETRY_AXES) @ np.linalg.inv(cell)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    axis = int(np.abs(normals @ vector).argmax())
    if sign == -1 and order > 2:
        return [axis], f"-{order}"
    moved = np.zeros_like(shifts)
    for _ in range(order):
        moved = moved @ rotation.T + shifts
    glides = moved / order
    if sign == -1:
        found = set(map(tuple, np.abs(glides).round(9).tolist()))
        vectors = {"m": (0, 0, 0), "a": (0.5, 0, 0), "b": (0, 0.5, 0), "c": (0, 0, 0.5)}
        named = [name for name, vector in vectors.items() if vector in found]
        other = "n" if any(np.isin(glide, (0, 0.5, 1)).all() for glide in found) else "d"
        return [axis], (named or [other])[0]
    edges = 2 * SHIFTS[:, None] + SHIFTS  # all vectors of components up to 3
    edges = edges.reshape(-1, 3) @ cell.T
    parallel = np.abs(np.cross(edges, vector)).max(-1) < 1e-9
    period = np.linalg.norm(edges[parallel], axis=-1)
    period = period[period > 1e-9].min()
    numbers = glides @ cell.T @ (vector / angle) / period * order
    assert np.allclose(numbers, np.rint(numbers))
    number = int((np.rint(numbers) % order).min())
    return [axis], f"{order}_{number}" if number else f"{order}"


@each_group
def test_operations_have_the_names_that_their_powers_give(group):
    rotations, translations = operations(group)
    block = len(rotations) // load_tables().group_centring[group]
    expected = np.zeros((15, 26), bool)
    for rotation, translation in zip(rotations[:block], translations[:block], strict=True):
        shifts = translation / 24 + SHIFTS
        axis, name = screw_or_glide(rotation.astype(int), shifts, cell_of(group))
        expected[list(axis), GROUP_ELEMENTS.index(name)] = True
    np.testing.assert_array_equal(group_bits(np.array(group)), expected)


def test_first_block_is_the_list_of_pyxtal():
    """The choice among operations that differ by a centring is that of the International Tables."""
    for group in GROUPS:
        rotations, translations = operations(group)
        block = len(rotations) // load_tables().group_centring[group]
        matrices = np.array([op.affine_matrix for op in Group(group)[0].ops[:block]])
        theirs = np.concatenate(
            [matrices[:, :3, :3].reshape(-1, 9), np.rint(matrices[:, :3, 3] * 24) % 24], 1
        )
        ours = np.concatenate([rotations.reshape(-1, 9), translations], 1)[:block]
        assert set(map(tuple, ours.tolist())) == set(map(tuple, theirs.astype(int).tolist()))


# pyxtal's base symbols; what it has besides are products of these on the same axis.
PYXTAL = ("1", "-1", "2", "2_1", "m", "a", "b", "c", "n", "d",
          "3", "3_1", "3_2", "4", "4_1", "4_2", "4_3", "-4")  # fmt: skip
NAMED_AXES = {"xy": (1, -1, 0), "XY": (1, 1, 0), "yz": (0, 1, -1), "YZ": (0, 1, 1),
         "zx": (-1, 0, 1), "ZX": (1, 0, 1), "x": (1, 0, 0), "y": (0, 1, 0),
         "z": (0, 0, 1)}  # fmt: skip
# What we have there, what pyxtal has instead, and on which axes of which groups.
KNOWN = [
    # A mirror by the symbols: P4bm, P-42_1m, P4/nbm, P4_2/nnm, P4_2/ncm, Pn-3m. pyxtal compares
    # the tabulated translation, (1/2, 1/2, 0) say, as a whole with the glide vectors, though for a
    # diagonal plane part of it only moves the plane. P4bm has its b by hand.
    ("m", "b", {100: "xy XY"}),
    ("m", "n", {113: "xy XY", 125: "xy", 134: "xy", 138: "XY", 224: "XY YZ ZX"}),
    # A glide along an edge of the cell. For the same reason pyxtal takes planes that symmetry makes
    # equivalent for different glides.
    ("a", "n", dict.fromkeys((218, 219, 222, 223, 226, 228), "yz")),
    ("b", "n", dict.fromkeys((218, 219, 222, 223, 226, 228), "zx")),
    ("a", "c", dict.fromkeys((218, 219, 223, 226), "YZ")),
    ("b", "c", dict.fromkeys((218, 219, 223, 226), "ZX")),
    # The centring makes a plane d and also m (Fd-3m) or c (Fd-3c); d is tabulated first. pyxtal has
    # the other in these two groups, by hand.
    ("d", "m", {227: "XY YZ ZX"}),
    ("d", "c", {228: "XY YZ ZX"}),
    # The centring makes an axis 2_1 and also 2 (I-43d); 2_1 is tabulated first. pyxtal has no name
    # for 2_1 with -4, and turns it into 2.
    ("2_1", "2", {220: "x y z"}),
]
# On hexagonal axes pyxtal misplaces what lies along [100]: see test_symmetry_bits.
MISPLACED = [150, 152, *range(154, 157), 158, 160, 161, *range(164, 168), *range(177, 195)]


def test_bits_are_those_of_pyxtal_but_for_the_known_ones():
    differing = {}
    for group in GROUPS:
        theirs = Group(group).get_spg_symmetry_object().to_matrix_representation()
        for axis, ours, row in zip(SYMMETRY_AXES, group_bits(np.array(group)), theirs, strict=True):
            named = {PYXTAL[i] for i in np.flatnonzero(row)}
            if names_on(ours) & set(PYXTAL) != named:
                differing[group, axis] = names_on(ours) - named, named - names_on(ours)
    known = {
        (group, NAMED_AXES[name]): ({ours}, {theirs})
        for ours, theirs, where in KNOWN
        for group, names in where.items()
        for name in names.split()
    }
    hexagonal = {key: value for key, value in differing.items() if 143 <= key[0] <= 194}
    assert differing == known | hexagonal
    assert {axis for _, axis in hexagonal} == {(1, 0, 0), (2, -1, 0)}
    assert sorted(group for group, axis in hexagonal if axis == (2, -1, 0)) == MISPLACED
    for group in MISPLACED:
        _, more = differing[group, (2, -1, 0)]
        assert not more
        assert names_on(group_bits(np.array(group))[SYMMETRY_AXES.index((2, -1, 0))]) - {"1", "-1"}


def test_groups_without_an_element_along_100_are_not_misplaced():
    along = group_bits(ALL)[:, SYMMETRY_AXES.index((2, -1, 0)), 2:].any(-1)
    assert np.flatnonzero(along).tolist() == MISPLACED


def test_host_and_device_agree():
    def there_and_back(group):
        bits, lattice = group_bits(group), lattice_type(group)
        return bits, lattice, group_from_bits(bits, lattice)

    groups = np.arange(230).reshape(5, 46) + 1
    for function in (jax.jit(there_and_back), jax.jit(jax.vmap(there_and_back))):
        for ours, theirs in zip(function(jnp.asarray(groups)), there_and_back(groups), strict=True):
            np.testing.assert_array_equal(np.asarray(ours), theirs)
