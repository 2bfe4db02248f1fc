"""Is the symmetry exact? The group's operations against the atoms as written."""

from typing import NamedTuple

import numpy as np

from jaxcrys.core.typing import Float, Int


class SymmetryCheck(NamedTuple):
    """What every operation of a group does to the atoms of a cell.

    Attributes:
        deviation: largest distance in Å from an image of an atom to the nearest atom of the same
            element; infinite if there is none.
        strain: largest relative change of the metric of the lattice under an operation.
    """

    deviation: float
    strain: float


def check_symmetry(
    lattice: Float[np.ndarray, "3 3"],
    frac: Float[np.ndarray, "n 3"],
    species: Int[np.ndarray, "n"],
    rotations: Int[np.ndarray, "o 3 3"],
    translations: Float[np.ndarray, "o 3"],
) -> SymmetryCheck:
    """Apply operations to a cell and measure how far atoms land from atoms of the same element.

    Args:
        lattice: rows are the vectors in Å.
        frac: fractional coordinates.
        species: atomic numbers.
        rotations: rotation parts in the basis of the lattice.
        translations: fractional translations.

    Example:
        >>> identity = np.eye(3, dtype=int)[None], np.zeros((1, 3))
        >>> check_symmetry(np.eye(3), np.zeros((1, 3)), np.array([1]), *identity)
        SymmetryCheck(deviation=0.0, strain=0.0)
    """
    metric = lattice @ lattice.T
    turned = np.einsum("oji,jk,okl->oil", rotations, metric, rotations)
    strain = float(np.abs(turned - metric).max() / np.abs(metric).max())
    deviation = 0.0
    for element in np.unique(species):
        atoms = frac[species == element]
        images = np.einsum("oij,nj->oni", rotations, atoms) + translations[:, None]
        difference = images[:, :, None] - atoms
        difference -= np.round(difference)
        distances = np.linalg.norm(difference @ lattice, axis=-1)
        deviation = max(deviation, float(distances.min(-1).max()))
    return SymmetryCheck(deviation, strain)
