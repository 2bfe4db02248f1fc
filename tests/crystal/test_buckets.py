"""Cell shapes for crystals of many sizes."""

import itertools

import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import take
from jaxcrys.crystal.buckets import assign_shapes, choose_shapes, fitting_shapes
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


def test_more_shapes_cost_less():
    def cost(limit):
        shapes = choose_shapes(CRYSTALS, limit=limit)
        return sum(shapes[i].edges for i in assign_shapes(CRYSTALS, shapes))

    costs = [cost(limit) for limit in (1, 2, 4, 8, 16)]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] < costs[0]


def test_two_shapes_are_near_the_best_two():
    """Against every pair of unions that holds all crystals."""
    shapes = choose_shapes(CRYSTALS, limit=1000)
    (largest,) = choose_shapes(CRYSTALS, limit=1)
    options = [
        CellShape(a, i)
        for a, i in itertools.product({s.atoms for s in shapes}, {s.images for s in shapes})
    ]

    def cost(pair):
        pair = tuple(sorted(pair, key=lambda s: s.edges))
        return sum(pair[i].edges for i in assign_shapes(CRYSTALS, pair))

    best = min(cost((option, largest)) for option in options)
    assert cost(choose_shapes(CRYSTALS, limit=2)) <= 1.3 * best


def test_a_crystal_that_fits_nowhere_is_named():
    shapes = (CellShape(atoms=1, images=1),)
    homeless = int(np.flatnonzero(~fitting_shapes(CRYSTALS, shapes).any(-1))[0])
    with pytest.raises(InputError, match=f"crystal {homeless}"):
        assign_shapes(CRYSTALS, shapes)
