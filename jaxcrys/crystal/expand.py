"""The symmetry expander: from an asymmetric unit to the full unit cell."""

import numpy as np

from jaxcrys.core.typing import ArrayLike, Float, Int, namespace
from jaxcrys.crystal.types import Crystal, UnitCell
from jaxcrys.geometry.lattice import matrix_from_coefficients
from jaxcrys.symmetry.orbits import expand_orbits
from jaxcrys.symmetry.tables import load_tables, lookup
from jaxcrys.symmetry.wyckoff import multiplicity


def num_atoms(crystal: Crystal) -> Int[ArrayLike, "*b"]:
    """Atoms in the conventional unit cell.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> int(num_atoms(example_crystal()))
        8
    """
    return multiplicity(crystal.wyckoff).sum(-1)


def atomic_length(crystal: Crystal) -> Float[ArrayLike, "*b"]:
    """Cube root of the volume per atom, Å.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> round(float(atomic_length(example_crystal())), 3)
        2.82
    """
    xp = namespace(crystal.lattice)
    atoms = xp.maximum(num_atoms(crystal), 1).astype(crystal.lattice.dtype)
    size = xp.exp(crystal.lattice[..., 5] / np.sqrt(3, dtype=np.float32))
    return size / atoms ** np.float32(1 / 3)


def expand(crystal: Crystal, *, capacity: int) -> UnitCell:
    """Write out every atom of the conventional unit cell.

    Pure; works in jit and on batches of crystals of different groups without recompiling, and is
    differentiable in ``free`` and ``lattice``. NumPy in, NumPy out; JAX in, JAX out.

    Args:
        crystal: one crystal or a batch of them.
        capacity: number of atom slots n. Atoms beyond it are left out and counted in
            ``overflow``, which the caller must check outside jit.

    Returns:
        The cell, padded to ``capacity`` atoms, ordered by site.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> cell = expand(example_crystal(), capacity=10)
        >>> cell.species.tolist()
        [11, 11, 11, 11, 17, 17, 17, 17, 0, 0]
    """
    xp = namespace(crystal.wyckoff, crystal.free, crystal.lattice)
    orbits = expand_orbits(crystal.wyckoff, crystal.free, capacity=capacity)
    species = xp.take_along_axis(xp.asarray(crystal.species), orbits.site, -1)
    return UnitCell(
        lattice=matrix_from_coefficients(crystal.lattice),
        frac=orbits.frac,
        species=xp.where(orbits.mask, species, 0),
        mask=orbits.mask,
        site=orbits.site,
        operation=xp.where(orbits.mask, lookup(load_tables().row_operation, orbits.row), 0),
        overflow=orbits.overflow,
    )
