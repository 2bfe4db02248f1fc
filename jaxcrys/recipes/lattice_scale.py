"""Lattice coefficients in standard units, for processes that expect numbers of order one.

k6 is shifted from the volume of the cell, exp(√3 k6), to the volume per atom, which hardly depends
on the size of the cell; then each coefficient is centred and scaled by its statistics over the
training set, where it is free.
"""

import numpy as np

from jaxcrys.core.typing import ArrayLike, Float, namespace
from jaxcrys.crystal.expand import num_atoms
from jaxcrys.crystal.types import Crystal
from jaxcrys.symmetry.groups import constrain_lattice, lattice_mask

SMALLEST_VARIANCE = 1e-6
DEFAULT_SCALE = 0.1
"""Of a coefficient that is nowhere free, or nowhere different."""

Statistics = tuple[float, ...]
"""One number for each of the six coefficients."""


def fit_scale(crystals: Crystal) -> tuple[Statistics, Statistics]:
    """Mean and standard deviation of each coefficient over the crystals in which it is free.

    Example:
        >>> from jaxcrys.crystal import example_crystal, stack_crystals
        >>> mean, scale = fit_scale(stack_crystals([example_crystal()]))
        >>> round(float(np.exp(np.sqrt(3) * mean[5])), 2)  # Å^3 per atom
        22.43
    """
    mask = np.asarray(lattice_mask(np.asarray(crystals.group)))
    values = np.where(mask, per_atom(np.asarray(crystals.lattice), crystals), 0)
    count = np.maximum(mask.sum(0), 1)
    mean = values.sum(0) / count
    variance = (np.where(mask, values - mean, 0) ** 2).sum(0) / count
    scale = np.where(variance > SMALLEST_VARIANCE, np.sqrt(variance), DEFAULT_SCALE)
    return tuple(mean.tolist()), tuple(scale.tolist())


def to_standard(crystals: Crystal, mean: Statistics, scale: Statistics) -> Float[ArrayLike, "*b 6"]:
    """Coefficients in standard units, 0 where the group fixes them."""
    xp = namespace(crystals.lattice)
    dtype = crystals.lattice.dtype
    centred = per_atom(crystals.lattice, crystals) - xp.asarray(mean, dtype)
    return xp.where(lattice_mask(crystals.group), centred / xp.asarray(scale, dtype), 0)


def from_standard(
    standard: Float[ArrayLike, "*b 6"], crystals: Crystal, mean: Statistics, scale: Statistics
) -> Float[ArrayLike, "*b 6"]:
    """Inverse of :func:`to_standard`, for the groups and sizes of ``crystals``.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> crystal, statistics = example_crystal(), ((0.1,) * 6, (2.0,) * 6)
        >>> back = from_standard(to_standard(crystal, *statistics), crystal, *statistics)
        >>> bool(np.allclose(back, crystal.lattice))
        True
    """
    xp = namespace(standard)
    dtype = standard.dtype
    lattice = standard * xp.asarray(scale, dtype) + xp.asarray(mean, dtype)
    return constrain_lattice(per_atom(lattice, crystals, sign=-1), crystals.group)


def per_atom(
    lattice: Float[ArrayLike, "*b 6"], crystals: Crystal, *, sign: int = 1
) -> Float[ArrayLike, "*b 6"]:
    """Shift k6 from the volume of the cell to the volume per atom, or back with ``sign=-1``."""
    xp = namespace(lattice)
    atoms = xp.asarray(xp.maximum(num_atoms(crystals), 1), lattice.dtype)
    shift = xp.log(atoms) / np.asarray(np.sqrt(3), lattice.dtype)
    last = xp.asarray(np.eye(6)[5], lattice.dtype)
    return lattice - sign * shift[..., None] * last
