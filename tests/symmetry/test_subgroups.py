"""Every relation against spglib's operations, the graph against counts and pyxtal's lists.

pyxtal keeps a copy of the lists of the Bilbao Crystallographic Server, conjugates included.
"""

import functools
import itertools
import runpy
from collections import Counter, defaultdict
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse.csgraph import shortest_path

from jaxcrys.core.errors import InputError
from jaxcrys.symmetry import expand_orbits, load_tables, multiplicity, position_id, positions_of
from jaxcrys.symmetry.subgroups import (
    Subgroup,
    compose,
    identity,
    is_subgroup,
    maximal_subgroups,
    maximal_supergroups,
    splitting,
    subgroup_path,
)
from tests.groups import GROUPS, each_group

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")

UNIT = 2**10 * 3**5
"""Translations are rounded to this fraction to compare them."""


@pytest.fixture(scope="session")
def operations(spglib_operations):
    """spglib's rotations and fractional translations in the conventional cell."""

    @functools.cache
    def fractional(number):
        rotations, translations = spglib_operations(number)
        return rotations, translations / 24

    return fractional


def keys(rotations, translations):
    """A name for each operation modulo 1, unless its matrix is not integer."""
    whole = np.abs(rotations - np.rint(rotations)).max((1, 2)) < 1e-6
    shifts = np.rint(translations * UNIT).astype(int) % UNIT
    rows = np.concatenate([np.rint(rotations).astype(int).reshape(-1, 9), shifts], 1)
    return [row.tobytes() if good else None for row, good in zip(rows, whole, strict=True)]


def in_supergroup(relation, rotations, translations):
    """(P, p) (W, w) (P, p)⁻¹"""
    turned = relation.linear @ rotations @ np.linalg.inv(relation.linear)
    return turned, translations @ relation.linear.T + relation.shift - turned @ relation.shift


def in_subgroup(relation, rotations, translations):
    """(P, p)⁻¹ (W, w) (P, p)"""
    inverse = np.linalg.inv(relation.linear)
    moved = translations + rotations @ relation.shift - relation.shift
    return inverse @ rotations @ relation.linear, moved @ inverse.T


def copies(relation, points):
    """Points of the group's cell in the cell of the subgroup, with all their copies there."""
    most = np.ceil(np.abs(relation.linear).sum(1).max())
    vectors = np.array(list(itertools.product(np.arange(-most, most + 1), repeat=3)))
    inverse = np.linalg.inv(relation.linear)
    moved = (points[:, None] + vectors - relation.shift).reshape(-1, 3) @ inverse.T
    finer = UNIT * 36
    return np.unique(np.rint(moved * finer).astype(int) % finer, axis=0) / finer


@each_group
def test_operations_of_a_subgroup_are_operations_of_the_group(group, operations):
    parents, parent_translations = operations(group)
    known = set(keys(parents, parent_translations))
    for relation in maximal_subgroups(group):
        assert relation.supergroup == group
        rotations, translations = operations(relation.group)
        assert known >= set(keys(*in_supergroup(relation, rotations, translations)))
        # The new axes are translations of the group.
        assert known >= set(keys(np.tile(np.eye(3), (3, 1, 1)), relation.linear.T))
        cell = np.linalg.det(relation.linear)
        assert cell > 0
        assert np.isclose(len(parents) * cell, len(rotations) * relation.index)
        orders = [len(np.unique(r, axis=0)) for r in (parents, rotations)]
        assert relation.kind == ("k" if orders[0] == orders[1] else "t")
        if relation.kind == "t":
            assert relation.index * orders[1] == orders[0]


def homomorphisms_onto_two(rotations, translations):
    """The dimension over 𝔽₂ of Hom(G, ℤ/2): unknowns less independent equations.

    Unknown are the values at one operation for each matrix and at three basis translations, and
    f(g) + f(h) = f(gh) for all of them.
    """
    pure = translations[(rotations == np.eye(3)).all((1, 2))]
    vectors = [*np.eye(3), *(pure - np.rint(pure))]
    basis = next(
        b for b in map(np.array, itertools.combinations(vectors, 3))
        if np.isclose(abs(np.linalg.det(b)), 1 / len(pure))
    )  # fmt: skip
    matrices, first = np.unique(rotations, axis=0, return_index=True)
    shifts = translations[first]
    name = {matrix.tobytes(): i for i, matrix in enumerate(matrices)}

    def parities(vectors):
        bits = np.rint(vectors @ np.linalg.inv(basis)).astype(int) % 2
        return bits @ (1 << (len(matrices) + np.arange(3)))

    equations = set(parities((matrices @ basis.T).swapaxes(1, 2) - basis).ravel().tolist())
    for i, (matrix, shift) in enumerate(zip(matrices, shifts, strict=True)):
        product = [name[m.tobytes()] for m in np.ascontiguousarray(matrix @ matrices)]
        apart = parities(shifts @ matrix.T + shift - shifts[product])
        for j, (k, bits) in enumerate(zip(product, apart.tolist(), strict=True)):
            equations.add((1 << i) ^ (1 << j) ^ (1 << k) ^ bits)
    independent: dict[int, int] = {}
    for equation in equations:
        while equation and equation.bit_length() in independent:
            equation ^= independent[equation.bit_length()]
        if equation:
            independent[equation.bit_length()] = equation
    return len(matrices) + 3 - len(independent)


def test_there_are_as_many_subgroups_of_index_2_as_maps_onto_two_elements(operations):
    for group in GROUPS:
        found = [sub for sub in maximal_subgroups(group) if sub.index == 2]
        assert len(found) == 2 ** homomorphisms_onto_two(*operations(group)) - 1


def conjugators(first, second, operations):
    """Of the elements g of the group modulo the first's cell, how many have g H₁ g⁻¹ = H₂.

    Returns:
        That number and the number of all elements.
    """
    own = operations(first.group)
    block = np.unique(own[0], axis=0, return_index=True)[1]
    pure = own[1][(own[0] == np.eye(3)).all((1, 2))]
    generators = (
        np.concatenate([np.tile(np.eye(3), (len(pure) + 3, 1, 1)), own[0][block]]),
        np.concatenate([np.eye(3), pure, own[1][block]]),
    )
    known = set(keys(*operations(second.group)))
    rotations, translations = operations(first.supergroup)
    # The copies of the origin are the translations of the group modulo the cell, plus centring.
    lattice = copies(first._replace(shift=np.zeros(3)), np.zeros((1, 3))) @ first.linear.T
    turned = np.repeat(rotations, len(lattice), axis=0).astype(float)
    moved = (translations[:, None] + lattice).reshape(-1, 3)
    number = len(turned)
    for matrix, shift in zip(*in_supergroup(first, *generators), strict=True):
        image = turned @ matrix @ np.linalg.inv(turned)
        image_shift = turned @ shift + moved - np.einsum("gij,gj->gi", image, moved)
        kept = [key in known for key in keys(*in_subgroup(second, image, image_shift))]
        turned, moved = turned[kept], moved[kept]
        if not any(kept):
            break
    return len(turned), number


# What pyxtal's lists lack; nothing is there that we do not have.
PYXTAL_LACKS = defaultdict(Counter)
# I422 has two orthorhombic subgroups of index 2: I222, and F222 with the axes a - b, a + b, c.
PYXTAL_LACKS[97, "t"][22, 2] = 1
# P32 has three with the axes 2a + b, -a + b, c, as its mirror image P31, whose pyxtal has.
PYXTAL_LACKS[145, "k"][145, 3] = 3
# Of the three conjugate ones with these axes, whose origins are 0, a and a + b, one is missing.
for _group, _subgroup in [(147, 147), (149, 150), (187, 189)] + [
    (g, g) for g in (168, 171, 172, 173, 175, 176, 177, 178, 179, 180, 181, 182, 183, 184, 191, 192)
]:
    PYXTAL_LACKS[_group, "k"][_subgroup, 3] = 1


# Of each of these one subgroup has splittings whose multiplicities do not add up.
PYXTAL_MISCOUNTS = {(208, 214), (210, 212)}


@functools.cache
def pyxtal_lists(group, kind):
    """(type, index), and the splitting of each position into multiplicities, of each subgroup."""
    from pyxtal.symmetry import Group

    found = getattr(Group(group), f"get_max_{kind}_subgroup")()
    parts = [
        tuple(tuple(sorted(int(p[:-1]) for p in position)) for position in subgroup)
        for subgroup in found["relations"]
    ]
    every = zip(found["subgroup"], found["index"], parts, strict=True)
    return [((int(s), int(i)), p) for s, i, p in every if kind == "t" or i <= 4]


@each_group
def test_types_and_numbers_of_subgroups_are_those_of_pyxtal(group, operations):
    for kind in "tk":
        ours = Counter()
        for sub in maximal_subgroups(group):
            if sub.kind == kind:
                normal, number = conjugators(sub, sub, operations)
                ours[sub.group, sub.index] += number // normal
        theirs = Counter(name for name, _ in pyxtal_lists(group, kind))
        assert ours == theirs + PYXTAL_LACKS[group, kind]


@each_group
def test_no_two_subgroups_are_conjugate(group, operations):
    for first, second in itertools.combinations(maximal_subgroups(group), 2):
        if (first.kind, first.group, first.index) == (second.kind, second.group, second.index):
            assert conjugators(first, second, operations)[0] == 0


@each_group
def test_positions_split_as_in_pyxtal(group):
    size = load_tables().position_multiplicity
    own_size = size[list(positions_of(group))]
    for kind in "tk":
        ours = set()
        for sub in maximal_subgroups(group):
            parts = tuple(
                tuple(sorted(int(size[part.wyckoff]) for part in splitting(sub, wyckoff)))
                for wyckoff in positions_of(group)
            )
            assert np.allclose([sum(p) for p in parts], np.linalg.det(sub.linear) * own_size)
            if sub.kind == kind:
                ours.add(((sub.group, sub.index), parts))
        theirs = set()
        for name, parts in pyxtal_lists(group, kind):
            ratios = np.array([sum(p) for p in parts]) / own_size
            if np.ptp(ratios) == 0:
                theirs.add((name, parts))
            else:
                assert (group, name[0]) in PYXTAL_MISCOUNTS
        assert theirs <= ours
        assert {name for name, _ in ours - theirs} <= PYXTAL_LACKS[group, kind].keys()


def atoms_of(wyckoff, free):
    orbits = expand_orbits(np.array([wyckoff]), free[None], capacity=192)
    return orbits.frac[orbits.mask]


@each_group
def test_split_orbits_are_the_atoms_of_the_orbit(group, same_points):
    random = np.random.default_rng(group)
    for relation in maximal_subgroups(group):
        wyckoff = int(random.choice(positions_of(group)))
        free = random.integers(0, UNIT, 3) / UNIT
        found = [
            atoms_of(part.wyckoff, part.linear @ free + part.translation)
            for part in splitting(relation, wyckoff)
        ]
        assert same_points(np.concatenate(found), copies(relation, atoms_of(wyckoff, free)), 1e-6)


def test_all_shortest_chains_split_exactly():
    random = np.random.default_rng(0)
    size = load_tables().position_multiplicity
    pairs = [(g, h) for g in GROUPS for h in GROUPS if is_subgroup(h, g)]
    for group, subgroup in random.choice(pairs, 150, replace=False).tolist():
        relation = functools.reduce(compose, subgroup_path(group, subgroup), identity(group))
        wyckoff = int(random.choice(positions_of(group)))
        parts = [int(size[part.wyckoff]) for part in splitting(relation, wyckoff)]
        assert np.isclose(sum(parts), size[wyckoff] * np.linalg.det(relation.linear))


def test_edges_up_are_the_edges_down():
    down = [id(r) for group in GROUPS for r in maximal_subgroups(group)]
    up = [id(r) for group in GROUPS for r in maximal_supergroups(group)]
    assert sorted(down) == sorted(up)
    assert all(r.group == group for group in GROUPS for r in maximal_supergroups(group))


def test_paths_are_the_shortest():
    weight = np.full((231, 231), np.inf)
    for group in GROUPS:
        for sub in maximal_subgroups(group):
            weight[group, sub.group] = min(weight[group, sub.group], np.log(sub.index))
    length = np.exp(shortest_path(weight))
    for group, subgroup in itertools.product(GROUPS, GROUPS):
        expected = length[group, subgroup]
        assert is_subgroup(subgroup, group) == (expected < 193)
        if expected < 193:
            chain = subgroup_path(group, subgroup)
            assert np.isclose(np.prod([s.index for s in chain]), expected)
            ends = [(s.supergroup, s.group) for s in chain]
            assert [group, *(b for _, b in ends)] == [*(a for a, _ in ends), subgroup]


@pytest.mark.parametrize(
    ("group", "subgroup", "index", "kind"),
    [
        (221, 99, 6, "t"),  # perovskite, polar and tetragonal
        (221, 160, 8, "t"),
        (221, 167, 8, "tk"),  # tilted octahedra a⁻a⁻a⁻
        (221, 62, 24, "tk"),  # a⁻b⁺a⁻
        (136, 14, 4, "t"),  # rutile
        (194, 1, 24, "t"),
        (227, 1, 48, "t"),
        (14, 14, 1, ""),
    ],
)
def test_chains_compose(operations, same_points, group, subgroup, index, kind):
    relation = functools.reduce(compose, subgroup_path(group, subgroup), identity(group))
    assert (relation.index, relation.kind) == (index, kind)
    known = set(keys(*operations(group)))
    own = operations(subgroup)
    assert known >= set(keys(*in_supergroup(relation, *own)))
    volume = np.linalg.det(relation.linear)
    assert np.isclose(len(operations(group)[0]) * volume, len(own[0]) * index)
    free = np.random.default_rng(0).integers(0, UNIT, 3) / UNIT
    for wyckoff in positions_of(group)[::3]:
        parts = splitting(relation, wyckoff)
        atoms = [atoms_of(p.wyckoff, p.linear @ free + p.translation) for p in parts]
        assert same_points(np.concatenate(atoms), copies(relation, atoms_of(wyckoff, free)), 1e-6)


def test_known_chains():
    assert [s.group for s in subgroup_path(221, 99)] == [123, 99]
    assert [s.group for s in subgroup_path(136, 14)] == [58, 14]
    # Doubled perovskite: Fm-3m, with the two kinds of octahedra.
    double = next(sub for sub in maximal_subgroups(221) if sub.group == 225)
    np.testing.assert_array_equal(double.linear, 2 * np.eye(3))
    octahedra = [w for w in (position_id(221, "a"), position_id(221, "b"))
                 if len(splitting(double, w)) == 2]  # fmt: skip
    assert len(octahedra) == 1
    parts = [p.wyckoff for p in splitting(double, octahedra[0])]
    assert parts == [position_id(225, "a"), position_id(225, "b")]
    assert multiplicity(np.array(parts)).tolist() == [4, 4]


def test_what_is_no_subgroup_is_refused():
    with pytest.raises(InputError, match="has no subgroup of type Pm-3m"):
        subgroup_path(99, 221)
    with pytest.raises(InputError, match=r"of index up to 4, but of 6; its maximal .* P4/mmm"):
        subgroup_path(221, 99, max_index=4)
    with pytest.raises(InputError, match="space group number"):
        maximal_subgroups(231)
    with pytest.raises(InputError, match="space group number"):
        is_subgroup(0, 1)
    first = maximal_subgroups(221)[0]
    with pytest.raises(InputError, match="cannot follow"):
        compose(first, first)
    with pytest.raises(InputError, match="no position of Pm-3m"):
        splitting(first, 1)
    wrong = Subgroup(221, 99, 6, "t", np.eye(3), np.array([0.25, 0, 0]))
    with pytest.raises(InputError, match="does not lead to a subgroup"):
        splitting(wrong, position_id(221, "j"))
    with pytest.raises(InputError, match="fractions"):
        splitting(wrong._replace(shift=np.array([0.1234567, 0, 0])), position_id(221, "j"))


def test_file_is_small():
    file = resources.files("jaxcrys.symmetry") / "data" / "subgroups.npz"
    assert len(file.read_bytes()) < 20_000


@pytest.mark.slow
@pytest.mark.parametrize("group", [3, 62, 146, 186, 215])
def test_generator_makes_the_same_table(group, monkeypatch):
    """Of some groups; ``tools/make_subgroup_tables.py --check`` takes a minute for all."""
    tools = Path(__file__).parents[2] / "tools"
    monkeypatch.syspath_prepend(tools)
    made = runpy.run_path(str(tools / "make_subgroup_tables.py"))["relations"](group)
    for new, stored in zip(made, maximal_subgroups(group), strict=True):
        assert (new.subgroup, new.index) == (stored.group, stored.index)
        np.testing.assert_allclose(new.linear, stored.linear)
        np.testing.assert_allclose(new.shift, stored.shift)
