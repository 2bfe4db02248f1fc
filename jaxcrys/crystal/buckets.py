"""A few static cell shapes for crystals of many sizes (host side).

Programs are compiled once for each shape, and padding costs time: shapes are merged greedily, each
time the two whose union wastes the fewest edges, until few enough are left.
"""

import itertools
from collections import Counter

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import Bool, Int
from jaxcrys.crystal.primitive import CellShape, num_primitive_atoms
from jaxcrys.crystal.types import Crystal
from jaxcrys.symmetry.centring import centring_count


def choose_shapes(crystals: Crystal, *, limit: int) -> tuple[CellShape, ...]:
    """At most ``limit`` shapes that hold all crystals, the cheapest first.

    Example:
        >>> from jaxcrys.crystal import example_crystal, stack_crystals
        >>> choose_shapes(stack_crystals([example_crystal()]), limit=4)
        (CellShape(atoms=2, images=4),)
    """
    sizes = _sizes(crystals)
    counts = Counter(CellShape(int(atoms), int(images)) for atoms, images in sizes)
    while len(counts) > limit:
        pairs = itertools.combinations(counts, 2)
        first, second = min(pairs, key=lambda pair: _waste(counts, *pair))
        merged = _union(first, second)
        total = counts.pop(first) + counts.pop(second)
        counts[merged] += total
    return tuple(sorted(counts, key=lambda shape: (shape.edges, shape.atoms)))


def fitting_shapes(crystals: Crystal, shapes: tuple[CellShape, ...]) -> Bool[np.ndarray, "b m"]:
    """Which of the m shapes hold each crystal."""
    limits = np.array([(shape.atoms, shape.images) for shape in shapes])
    return np.all(_sizes(crystals)[:, None, :] <= limits, axis=-1)


def assign_shapes(crystals: Crystal, shapes: tuple[CellShape, ...]) -> Int[np.ndarray, "b"]:
    """Index of the first, that is the cheapest, shape that holds each crystal.

    Raises:
        InputError: if a crystal fits none of them.
    """
    fits = fitting_shapes(crystals, shapes)
    homeless = np.flatnonzero(~fits.any(-1))
    if len(homeless):
        atoms, images = _sizes(crystals)[homeless[0]]
        raise InputError(
            f"crystal {homeless[0]}",
            f"has {atoms} atoms in the primitive cell and {images} lattice points in the "
            f"conventional cell, more than any of the shapes {shapes}",
        )
    return np.argmax(fits, -1)


def _sizes(crystals: Crystal) -> np.ndarray:
    return np.stack(
        [np.asarray(num_primitive_atoms(crystals)), np.asarray(centring_count(crystals.group))], -1
    )


def _union(first: CellShape, second: CellShape) -> CellShape:
    return CellShape(max(first.atoms, second.atoms), max(first.images, second.images))


def _waste(counts: Counter[CellShape], first: CellShape, second: CellShape) -> int:
    merged = _union(first, second).edges
    return sum((merged - shape.edges) * counts[shape] for shape in (first, second))
