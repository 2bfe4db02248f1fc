"""Cell shapes for crystals of many sizes."""

import itertools

import jax
import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import take
from jaxcrys.crystal import num_atoms
from jaxcrys.crystal.buckets import (
    assign_shapes,
    choose_shapes,
    fit_sites,
    fitting_shapes,
    full_cell_cost,
    orbit_cost,
)
from jaxcrys.crystal.primitive import CellShape, primitive_cell
from tests.crystals import random_crystals

CRYSTALS = random_crystals(120, seed=4)


@pytest.mark.parametrize("limit", [1, 3, 8, 1000])
def test_every_crystal_fits_the_shape_it_gets(limit):
    shapes = choose_shapes(CRYSTALS, limit=limit)
    assert len(shapes) <= limit
    index = assign_shapes(CRYSTALS, shapes)
    for which, shape in enumerate(shapes):
        members = take(CRYSTALS, index == which)
        assert not primitive_cell(members, shape).overflow.any()


def total(shapes, cost):
    sizes = np.array([(s.sites, s.atoms, s.images) for s in shapes])
    return cost(*sizes.T)[assign_shapes(CRYSTALS, shapes)].sum()


@pytest.mark.parametrize("cost", [full_cell_cost, orbit_cost])
def test_more_shapes_cost_less(cost):
    limits = (1, 2, 4, 8, 16)
    costs = [total(choose_shapes(CRYSTALS, limit=limit, cost=cost), cost) for limit in limits]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] < costs[0]


@pytest.mark.parametrize("cost", [full_cell_cost, orbit_cost])
def test_two_shapes_are_near_the_best_two(cost):
    """Against every pair of a shape and one that holds all crystals."""
    shapes = choose_shapes(CRYSTALS, limit=1000)
    (largest,) = choose_shapes(CRYSTALS, limit=1)
    options = itertools.product(
        {s.sites for s in shapes}, {s.atoms for s in shapes}, {s.images for s in shapes}
    )
    best = min(total((CellShape(*option), largest), cost) for option in options)
    assert total(choose_shapes(CRYSTALS, limit=2, cost=cost), cost) <= 1.3 * best


def test_a_crystal_that_fits_nowhere_is_named():
    shapes = (CellShape(sites=3, atoms=1, images=1),)
    homeless = int(np.flatnonzero(~fitting_shapes(CRYSTALS, shapes).any(-1))[0])
    with pytest.raises(InputError, match=f"crystal {homeless}"):
        assign_shapes(CRYSTALS, shapes)


def test_site_slots_are_closed_and_opened():
    holes = jax.tree.map(np.array, take(CRYSTALS, slice(20)))
    holes.wyckoff[:, 0] = holes.species[:, 0] = holes.free[:, 0] = 0
    kept = (holes.wyckoff > 0).any(-1)
    holes = take(holes, kept)
    closed = fit_sites(holes, 2)
    wide = fit_sites(closed, 6)
    for before, narrow, after in zip(*(c.wyckoff for c in (holes, closed, wide)), strict=True):
        assert before[before > 0].tolist() == narrow[narrow > 0].tolist()
        assert after.tolist() == [*narrow.tolist(), 0, 0, 0, 0]
    np.testing.assert_array_equal(num_atoms(wide), num_atoms(holes))
    np.testing.assert_array_equal(wide.free[:, 2:], 0)
    with pytest.raises(InputError, match="more than 1 slots"):
        fit_sites(CRYSTALS, 1)
