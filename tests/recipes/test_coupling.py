"""Starts are led to the nearest equivalent description: against brute force over all of them."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcrys.core.pytree import take
from jaxcrys.crystal import stack_crystals
from jaxcrys.crystal.canonical import canonical_form
from jaxcrys.crystal.equivalents import equivalents
from jaxcrys.geometry.lattice import matrix_from_coefficients
from jaxcrys.recipes.coupling import couple
from jaxcrys.symmetry import free_mask, polar_axes, self_maps
from jaxcrys.symmetry.metric import tangent_gram
from tests.crystals import random_crystal
from tests.devices import on_device

GROUPS = (2, 14, 19, 61, 62, 88, 136, 148, 166, 176, 198, 205, 225)
POLAR = (1, 4, 8, 33, 79, 146, 160, 186)


def batch_of(groups, *, sites=3, seed=0, elements=90):
    random = np.random.default_rng(seed)
    crystals = []
    for group in groups:
        crystal = random_crystal(random, group=group, sites=sites, most_atoms=8)
        crystal.species[:] = np.where(crystal.species > 0, random.integers(1, elements, sites), 0)
        crystals.append(crystal)
    return stack_crystals(crystals, capacity=sites)


def coupled(crystals, seed=0):
    random = np.random.default_rng(seed)
    start = np.where(free_mask(crystals.wyckoff), random.random(crystals.free.shape), 0)
    single = on_device(crystals)
    moved, end = jax.jit(couple)(single, jnp.asarray(start, jnp.float32))
    return start, np.asarray(moved), np.asarray(end)


def gram_of(crystal):
    lattice = matrix_from_coefficients(crystal.lattice)
    metric = np.broadcast_to(lattice @ lattice.T, (len(crystal.wyckoff), 3, 3))
    return np.asarray(tangent_gram(crystal.wyckoff, metric))


def squared(delta, gram):
    delta = delta - np.round(delta)
    return np.einsum("...i,...ij,...j->...", delta, gram, delta)


def shortest(crystal, start):
    """Over descriptions, representatives and orders of like sites: least total squared way."""
    gram = gram_of(crystal)
    used = np.flatnonzero(crystal.wyckoff)
    kinds = [(crystal.wyckoff[i], crystal.species[i]) for i in used]
    orders = [
        order
        for order in itertools.permutations(range(len(used)))
        if all(kinds[i] == kinds[j] for i, j in enumerate(order))
    ]
    linear, shift, mask = self_maps(crystal.wyckoff)
    best = np.inf
    every = equivalents(crystal, axes=False)
    for index in range(len(every.group)):
        if (every.wyckoff[index] != crystal.wyckoff).any():
            continue
        images = np.einsum("soij,sj->soi", linear, every.free[index]) + shift
        cost = np.array([
            [squared(images[j] - start[i], gram[i])[mask[j]].min() for j in used] for i in used
        ])  # fmt: skip
        best = min(best, min(sum(cost[i, o[i]] for i in range(len(used))) for o in orders))
    return best


@pytest.mark.parametrize("seed", range(4))
def test_the_way_is_the_shortest_where_sites_differ(seed):
    crystals = batch_of(GROUPS, seed=seed)
    start, moved, end = coupled(crystals, seed)
    np.testing.assert_allclose(moved, start, atol=1e-6)  # no polar axis, no shift
    for i in range(len(GROUPS)):
        one = take(crystals, i)
        found = squared(end[i] - moved[i], gram_of(one)).sum()
        assert found == pytest.approx(shortest(one, start[i]), rel=1e-3, abs=1e-4)


def test_like_sites_are_matched_greedily():
    """Never shorter than the best, and shorter on the whole than in the order given."""
    groups = (2, 14, 62, 148) * 6
    crystals = batch_of(groups, sites=4, seed=7, elements=2)
    start, moved, end = coupled(crystals, 7)
    best, found, given = np.zeros((3, len(groups)))
    for i in range(len(groups)):
        one = take(crystals, i)
        gram = gram_of(one)
        best[i] = shortest(one, start[i])
        found[i] = squared(end[i] - moved[i], gram).sum()
        given[i] = squared(one.free - start[i], gram).sum()
    assert (found > best - 1e-3).all()
    assert found.sum() < 1.3 * best.sum()
    assert found.sum() < 0.7 * given.sum()


@pytest.mark.parametrize("groups", [GROUPS, POLAR])
def test_the_end_is_the_same_crystal(groups):
    crystals = batch_of(groups, seed=11)
    start, moved, end = coupled(crystals, 11)
    polar = np.asarray(polar_axes(np.array(groups)))
    for i in range(len(groups)):
        one = take(crystals, i)
        same = type(one)(one.group, one.wyckoff, one.species, end[i].astype(float), one.lattice)
        before, after = canonical_form(one), canonical_form(same)
        apart = before.free - after.free
        assert np.abs(apart - np.rint(apart)).max() < 1e-4
        np.testing.assert_array_equal(before.wyckoff, after.wyckoff)
        if not polar[i].any():
            np.testing.assert_allclose(moved[i], start[i], atol=1e-6)


def test_polar_starts_are_shifted_as_a_whole():
    crystals = batch_of(POLAR, seed=12)
    start, moved, _ = coupled(crystals, 12)
    shift = moved - start
    shift = np.where(free_mask(crystals.wyckoff), shift - np.round(shift), 0)
    for i, group in enumerate(POLAR):
        if group == 1:  # every coordinate is polar: all sites move alike
            used = crystals.wyckoff[i] > 0
            turns = shift[i][used] - shift[i][used][0]
            np.testing.assert_allclose(turns - np.round(turns), 0, atol=1e-5)
