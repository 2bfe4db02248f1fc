"""A few static cell shapes for crystals of many sizes (host side).

Programs are compiled once for each shape, and padding costs time: shapes are merged greedily, each
time the two whose union wastes the least, until few enough are left. What a crystal of some shape
costs depends on the network, so it is given as a function.
"""

from collections.abc import Sequence
from typing import Protocol

import jax
import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import Bool, Float, Int
from jaxcrys.crystal.primitive import CellShape, num_primitive_atoms
from jaxcrys.crystal.ragged import Ragged
from jaxcrys.crystal.types import Crystal
from jaxcrys.symmetry.centring import centring_count

WIDTHS = (4, 9, 20, 40, 80, 160)
"""Numbers of site slots that programs are compiled for; wider crystals have their own."""


class Cost(Protocol):
    """What one crystal of a shape costs, in any unit; for arrays of sizes."""

    def __call__(
        self,
        sites: Int[np.ndarray, "*m"],
        atoms: Int[np.ndarray, "*m"],
        images: Int[np.ndarray, "*m"],
    ) -> Float[np.ndarray, "*m"]:
        """Return the cost of each shape."""
        ...


def full_cell_cost(
    sites: Int[np.ndarray, "*m"], atoms: Int[np.ndarray, "*m"], images: Int[np.ndarray, "*m"]
) -> Int[np.ndarray, "*m"]:
    """Pairs of a receiving atom and a sending image, all with all."""
    del sites
    return atoms**2 * images


def orbit_cost(
    sites: Int[np.ndarray, "*m"], atoms: Int[np.ndarray, "*m"], images: Int[np.ndarray, "*m"]
) -> Int[np.ndarray, "*m"]:
    """Pairs of a receiving site and a sending atom of the primitive cell."""
    del images
    return sites * atoms


def choose_shapes(
    *crystals: Crystal | Ragged, limit: int, cost: Cost = full_cell_cost
) -> tuple[CellShape, ...]:
    """At most ``limit`` shapes that hold all crystals of some batches, the cheapest first.

    Example:
        >>> from jaxcrys.crystal import example_crystal, stack_crystals
        >>> choose_shapes(stack_crystals([example_crystal()]), limit=4)
        (CellShape(sites=2, atoms=2, images=4),)
    """
    sizes = np.concatenate([_sizes(batch) for batch in crystals])
    shapes, counts = np.unique(sizes, axis=0, return_counts=True)
    while len(shapes) > limit:
        unions = np.maximum(shapes[:, None], shapes)
        excess = cost(*np.moveaxis(unions, -1, 0)) - cost(*shapes.T)[:, None]
        waste = excess * counts[:, None]
        waste = waste + waste.T
        np.fill_diagonal(waste, np.iinfo(waste.dtype).max)
        first, second = np.unravel_index(waste.argmin(), waste.shape)
        shapes[first] = unions[first, second]
        counts[first] += counts[second]
        shapes, counts = np.delete(shapes, second, 0), np.delete(counts, second)
    order = np.lexsort((*shapes.T, cost(*shapes.T)))
    return tuple(CellShape(*map(int, shape)) for shape in shapes[order])


def shape_sizes(shapes: Sequence[CellShape]) -> Int[np.ndarray, "m 3"]:
    """Sites, atoms and images of each shape."""
    return np.array([(shape.sites, shape.atoms, shape.images) for shape in shapes])


def fitting_shapes(
    crystals: Crystal | Ragged, shapes: tuple[CellShape, ...]
) -> Bool[np.ndarray, "b m"]:
    """Which of the m shapes hold each crystal."""
    return np.all(_sizes(crystals)[:, None, :] <= shape_sizes(shapes), axis=-1)


def assign_shapes(
    crystals: Crystal | Ragged, shapes: tuple[CellShape, ...]
) -> Int[np.ndarray, "b"]:
    """Index of the first, that is the cheapest, shape that holds each crystal.

    Raises:
        InputError: if a crystal fits none of them.
    """
    fits = fitting_shapes(crystals, shapes)
    homeless = np.flatnonzero(~fits.any(-1))
    if len(homeless):
        sites, atoms, images = _sizes(crystals)[homeless[0]]
        raise InputError(
            f"crystal {homeless[0]}",
            f"has {sites} sites, {atoms} atoms in the primitive cell and {images} lattice points "
            f"in the conventional cell, more than any of the shapes {shapes}",
        )
    return np.argmax(fits, -1)


def slot_widths(occupied: Int[np.ndarray, "b"]) -> Int[np.ndarray, "b"]:
    """In how many slots, of a few choices, crystals of so many sites are held.

    Example:
        >>> slot_widths(np.array([1, 4, 5, 33])).tolist()
        [4, 4, 9, 40]
    """
    choice = np.searchsorted(WIDTHS, occupied)
    return np.where(occupied > WIDTHS[-1], occupied, np.append(WIDTHS, 0)[choice])


def fit_sites(crystals: Crystal, sites: int) -> Crystal:
    """Crystals with another number of site slots, the occupied ones first and in their order.

    Raises:
        InputError: if a crystal has more sites.

    Example:
        >>> from jaxcrys.crystal import example_crystal, stack_crystals
        >>> fit_sites(stack_crystals([example_crystal()], capacity=5), 3).wyckoff.shape
        (1, 3)
    """
    wyckoff = np.asarray(crystals.wyckoff)
    most = int((wyckoff > 0).sum(-1).max())
    if most > sites:
        raise InputError("sites", f"a crystal has {most} sites, more than {sites} slots")
    order = np.argsort(wyckoff == 0, axis=-1, kind="stable")[..., :sites]
    room = max(sites - wyckoff.shape[-1], 0)

    def fitted(name: str) -> np.ndarray:
        values = np.asarray(getattr(crystals, name))
        batch, more = wyckoff.ndim - 1, values.ndim - wyckoff.ndim
        taken = np.take_along_axis(values, order.reshape(*order.shape, *[1] * more), batch)
        return np.pad(taken, [(0, 0)] * batch + [(0, room)] + [(0, 0)] * more)

    return Crystal(
        group=crystals.group,
        wyckoff=fitted("wyckoff"),
        species=fitted("species"),
        free=fitted("free"),
        lattice=crystals.lattice,
    )


def _sizes(crystals: Crystal | Ragged) -> Int[np.ndarray, "b 3"]:
    """Sites, atoms of the primitive cell and lattice points of each crystal."""
    if isinstance(crystals, Ragged):
        return crystals.sizes()
    sizes = (
        (np.asarray(crystals.wyckoff) > 0).sum(-1),
        num_primitive_atoms(crystals),
        centring_count(crystals.group),
    )
    return np.stack([np.asarray(size, np.int64) for size in sizes], -1)


def join_crystals(batches: Sequence[Crystal]) -> Crystal:
    """Batches below each other, in as many slots as the widest has.

    Example:
        >>> from jaxcrys.crystal import example_crystal, stack_crystals
        >>> narrow, wide = (stack_crystals([example_crystal()], capacity=n) for n in (2, 5))
        >>> join_crystals([narrow, wide]).wyckoff.shape
        (2, 5)
    """
    sites = max(batch.wyckoff.shape[-1] for batch in batches)
    wide = [fit_sites(batch, sites) for batch in batches]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *wide)
