"""Stabilisers of all positions against spglib's operations, exactly, and against their symbols."""

import functools
import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import spglib

from jaxcrys.symmetry.groups import operations
from jaxcrys.symmetry.stabiliser import (
    MAX_STABILISER,
    stabiliser,
    stabiliser_order,
    stabiliser_rotations,
)
from jaxcrys.symmetry.tables import load_tables
from jaxcrys.symmetry.wyckoff import general_position, multiplicity, positions_of
from tests.groups import GROUPS, each_group

UNIT, PRIME = 24, 10007
POSITIONS = range(1, 1732)


def elements_of(wyckoff):
    """Rotations and whole translations w + n, in 1/24, of a stabiliser."""
    operation, lattice, mask = stabiliser(np.array(wyckoff))
    rotations, translations = operations(int(load_tables().position_group[wyckoff]))
    chosen = operation[mask]
    return rotations[chosen].astype(int), translations[chosen].astype(int) + UNIT * lattice[mask]


def representative_of(wyckoff):
    tables = load_tables()
    row = tables.position_first_row[wyckoff]
    return tables.row_linear[row].astype(int), tables.row_translation[row].astype(int)


def test_order_times_multiplicity_is_the_number_of_operations():
    ids = np.array(POSITIONS)
    whole = multiplicity(general_position(load_tables().position_group[ids]))
    order = stabiliser_order(ids)
    np.testing.assert_array_equal(order * multiplicity(ids), whole)
    np.testing.assert_array_equal(order, stabiliser(ids).mask.sum(-1))
    assert order.max() == MAX_STABILISER


def test_operations_with_their_translations_fix_the_representative(random_integers):
    """Not modulo 1: W x + w + n is x itself, in integers."""
    for wyckoff in POSITIONS:
        linear, shift = representative_of(wyckoff)
        point = linear @ random_integers(wyckoff) + shift * PRIME
        rotations, translations = elements_of(wyckoff)
        assert (rotations @ point + translations * PRIME == point).all()


@each_group
def test_rotations_are_those_of_spglib(group, exact_images, random_integers, spglib_operations):
    rotations, _ = spglib_operations(group)
    for wyckoff in positions_of(group):
        linear, shift = representative_of(wyckoff)
        point = linear @ random_integers(wyckoff) + shift * PRIME
        moved = exact_images(group, point) - point
        theirs = rotations[(moved % (UNIT * PRIME) == 0).all(-1)]
        ours, _ = elements_of(wyckoff)
        assert sorted(map(bytes, ours)) == sorted(map(bytes, theirs))


def test_stabilisers_are_groups():
    """Products and inverses, lattice translations included, stay within."""
    seen = set()
    for wyckoff in POSITIONS:
        rotations, shifts = elements_of(wyckoff)
        if (key := rotations.tobytes() + shifts.tobytes()) in seen:
            continue
        seen.add(key)
        elements = {(r.tobytes(), s.tobytes()) for r, s in zip(rotations, shifts, strict=True)}
        product = np.einsum("aij,bjk->abik", rotations, rotations)
        shift = np.einsum("aij,bj->abi", rotations, shifts) + shifts[:, None]
        for a, b in itertools.product(range(len(rotations)), repeat=2):
            assert (product[a, b].tobytes(), shift[a, b].tobytes()) in elements
        inverse = np.rint(np.linalg.inv(rotations)).astype(int)
        back = -np.einsum("aij,aj->ai", inverse, shifts)
        assert {(r.tobytes(), s.tobytes()) for r, s in zip(inverse, back, strict=True)} == elements
        # No operation twice, and no pure translation: rotations alone tell them apart.
        assert len({r.tobytes() for r in rotations}) == len(rotations)


def test_identity_comes_first_and_padding_is_zero():
    found = stabiliser(np.arange(1732))
    assert found.mask[1:, 0].all()
    assert not found.mask[0].any()
    assert not found.operation[:, 0].any()
    assert not found.translation[:, 0].any()
    assert not found.operation[~found.mask].any()
    assert not found.translation[~found.mask].any()
    later = found.mask[:, 1:]
    assert (np.diff(found.operation, axis=1)[later] > 0).all()


def test_capacity_cuts_the_last_slots():
    ids = np.arange(1732)
    for whole, cut in zip(stabiliser(ids), stabiliser(ids, 5), strict=True):
        np.testing.assert_array_equal(cut, whole[:, :5])
    np.testing.assert_array_equal(stabiliser_rotations(ids, 5), stabiliser_rotations(ids)[:, :5])


ALIAS = {"2mm": "mm2", "m2m": "mm2", "-4m2": "-42m", "-62m": "-6m2"}


def test_point_group_is_that_of_the_symbol():
    symbols = load_tables().position_site_symmetry

    @functools.cache
    def point_group(rotations):
        found = spglib.get_pointgroup(np.frombuffer(rotations, int).reshape(-1, 3, 3))
        return found[0].strip()

    for wyckoff in POSITIONS:
        rotations, _ = elements_of(wyckoff)
        bare = str(symbols[wyckoff]).replace(".", "")
        assert point_group(rotations.tobytes()) == ALIAS.get(bare, bare)


# Symmetry directions [uvw] of the places of a symbol (International Tables A, table 2.1.3.1).
FACES = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
SPACE_DIAGONALS = [(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)]
EDGES = [(1, -1, 0), (1, 1, 0), (0, 1, -1), (0, 1, 1), (-1, 0, 1), (1, 0, 1)]
HEXAGONAL = [[(0, 0, 1)], [(1, 0, 0), (0, 1, 0), (1, 1, 0)], [(1, -1, 0), (1, 2, 0), (2, 1, 0)]]


def places(group):
    if group <= 2:
        return []
    if group <= 15:
        return [FACES[1:2]]
    if group <= 74:
        return [[face] for face in FACES]
    if group <= 142:
        return [FACES[2:], FACES[:2], EDGES[:2]]
    if group <= 194:
        rhombohedral = group in (146, 148, 155, 160, 161, 166, 167)
        return HEXAGONAL[: 2 if rhombohedral else 3]
    return [FACES, SPACE_DIAGONALS, EDGES]


def kinds_along(direction, rotations):
    """Names of the rotations and rotoinversions, identity and inversion apart, about [uvw]."""
    names = {(1, -1): "2", (1, 0): "3", (1, 1): "4", (1, 2): "6",
             (-1, 1): "m", (-1, 0): "-3", (-1, -1): "-4", (-1, -2): "-6"}  # fmt: skip
    sign = np.rint(np.linalg.det(rotations)).astype(int)
    about = (rotations @ direction == sign[:, None] * direction).all(-1)
    traces = np.trace(rotations, axis1=1, axis2=2)
    found = {names.get((int(s), int(t))) for s, t in zip(sign[about], traces[about], strict=True)}
    return found - {None}


def token(kinds):
    """What a symbol may write for the elements of one direction, m being short for 2/m and 4/m."""
    if {"2", "m"} <= kinds and not kinds - {"2", "m"}:
        return {"2/m", "m"}
    for highest in ("6", "4"):
        if highest in kinds:
            return {f"{highest}/m", "m"} if "m" in kinds else {highest}
    for highest in ("-6", "-4", "-3", "3", "2", "m"):
        if highest in kinds:
            return {highest}
    return set()


def fits(tokens, directions, rotations):
    """Whether these tokens are the different elements along the directions of one place."""
    along = [token(kinds_along(np.array(d), rotations)) for d in directions]
    along = [names for names in along if names]
    if tokens == ["."]:
        return not along
    return all(any(t in names for names in along) for t in tokens) and all(
        names & set(tokens) for names in along
    )


def test_orientation_is_that_of_the_symbol():
    """There is a way to give the parts of the symbol to its places that fits the operations."""
    symbols = load_tables().position_site_symmetry

    @functools.cache
    def consistent(symbol, group, rotations):
        rotations = np.frombuffer(rotations, int).reshape(-1, 3, 3)
        where = places(group)
        if symbol in ("1", "-1"):
            return not any(kinds_along(np.array(d), rotations) for p in where for d in p)
        tokens = re.findall(r"-?[2346](?:/m)?|m|\.", symbol)
        cuts = itertools.combinations(range(1, len(tokens)), len(where) - 1)
        splits = [[tokens[a:b] for a, b in itertools.pairwise((0, *cut, None))] for cut in cuts]
        return any(
            all(fits(t, p, rotations) for t, p in zip(split, where, strict=True))
            for split in splits
        )

    for wyckoff in POSITIONS:
        group = int(load_tables().position_group[wyckoff])
        rotations, _ = elements_of(wyckoff)
        key = min(g for g in GROUPS if places(g) == places(group))
        assert consistent(str(symbols[wyckoff]), key, rotations.tobytes()), wyckoff


@pytest.mark.parametrize("function", [stabiliser, stabiliser_order, stabiliser_rotations])
def test_host_and_device_agree(function):
    ids = np.arange(1732).reshape(4, 433)
    on_host = function(ids)
    for on_device in (jax.jit(function), jax.jit(jax.vmap(function))):
        for ours, theirs in zip(
            jax.tree.leaves(on_device(jnp.asarray(ids))), jax.tree.leaves(on_host), strict=True
        ):
            np.testing.assert_array_equal(np.asarray(ours), theirs)
