"""Crystals moved at random within their symmetry (host side)."""

import dataclasses

import numpy as np

from jaxcrys.crystal.types import Crystal
from jaxcrys.geometry.lattice import matrix_from_coefficients
from jaxcrys.symmetry.groups import lattice_mask
from jaxcrys.symmetry.metric import tangent_gram
from jaxcrys.symmetry.wyckoff import free_mask


def disturb(
    crystal: Crystal, random: np.random.Generator, *, atoms: float = 0.1, lattice: float = 0.0
) -> Crystal:
    """Move free coordinates and free lattice coefficients; group and positions stay.

    With the Gram matrix G = C Cᵀ of a site's tangent basis, its free coordinates change by C⁻ᵀ ξ
    with normal ξ: in space that is isotropic within the tangent space.

    Args:
        crystal: a single crystal or a batch of them.
        random: numbers come from here.
        atoms: standard deviation of a move along each free direction of space, Å.
        lattice: standard deviation of each free lattice coefficient.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> moved = disturb(example_crystal(), np.random.default_rng(0), lattice=0.05)
        >>> int(moved.group), bool((moved.lattice != example_crystal().lattice).any())
        (225, True)
    """
    wyckoff = np.asarray(crystal.wyckoff)
    matrix = np.asarray(matrix_from_coefficients(np.asarray(crystal.lattice, float)))
    metric = (matrix @ matrix.swapaxes(-1, -2))[..., None, :, :]
    gram = np.asarray(tangent_gram(wyckoff, np.broadcast_to(metric, (*wyckoff.shape, 3, 3))))
    white = random.normal(size=(*wyckoff.shape, 3)) * atoms
    root = np.linalg.cholesky(gram).swapaxes(-1, -2)
    step = np.linalg.solve(root, white[..., None])[..., 0]
    change = random.normal(size=np.shape(crystal.lattice)) * lattice
    return dataclasses.replace(
        crystal,
        free=np.where(free_mask(wyckoff), (np.asarray(crystal.free) + step) % 1.0, 0),
        lattice=crystal.lattice + np.where(lattice_mask(crystal.group), change, 0),
    )
