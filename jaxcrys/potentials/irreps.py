"""How features of each degree turn, as tables: under rotations, and averaged over site symmetries.

Irreducible representations are e3nn's (Geiger and Smidt 2022), of parity (-1)^l: a vector of
functions Y of degree l fulfils Y(R r) = D(R) Y(r) for rotations and rotoinversions R.
"""

import functools

import numpy as np

from jaxcrys.core.typing import Float
from jaxcrys.symmetry.rotations import cartesian_rotations, rotation_index
from jaxcrys.symmetry.stabiliser import stabiliser, stabiliser_order
from jaxcrys.symmetry.tables import load_tables
from jaxcrys.symmetry.wyckoff import general_position, group_of


@functools.cache
def coupling(first: int, second: int, out: int) -> Float[np.ndarray, "i j o"]:
    """Clebsch-Gordan coefficients, scaled so that variances of order one stay so.

    Example:
        >>> coupling(1, 1, 0)[..., 0].round(4).diagonal().tolist()  # a scalar product over √3
        [0.5774, 0.5774, 0.5774]
    """
    import e3nn_jax as e3nn

    return np.asarray(e3nn.clebsch_gordan(first, second, out)) * np.sqrt(2 * out + 1)


@functools.cache
def rotation_matrices(degree: int) -> Float[np.ndarray, "g m m"]:
    """D of each of the 64 Cartesian rotations of crystals (``symmetry.rotations``).

    From degree to degree: D_l is the part of D_{l-1} ⊗ R that couples to l.

    Example:
        >>> rotation_matrices(3).shape
        (64, 7, 7)
    """
    rotations = cartesian_rotations()
    if degree == 0:
        return np.ones((len(rotations), 1, 1))
    lower, couple = rotation_matrices(degree - 1), coupling(degree - 1, 1, degree)
    return np.einsum("ijo,gia,gjb,abp->gop", couple, lower, rotations, couple, optimize=True)


@functools.cache
def site_projectors(degree: int) -> Float[np.ndarray, "w m m"]:
    """Mean of D over the site-symmetry group of each Wyckoff position, by its id.

    What is summed over one neighbour of each kind becomes what it is summed over all
    (``crystal.edges``).

    Example:
        >>> from jaxcrys.symmetry import position_id
        >>> site_projectors(1)[position_id(99, "a")].round(6).diagonal().tolist()  # polar along z
        [0.0, 0.0, 1.0]
    """
    wyckoff = np.arange(len(load_tables().position_group))
    first = load_tables().position_first_row[general_position(group_of(wyckoff))]
    found = stabiliser(wyckoff)
    turns = rotation_matrices(degree)[rotation_index(first[:, None] + found.operation)]
    total = (turns * found.mask[..., None, None]).sum(1)
    return total / np.maximum(stabiliser_order(wyckoff), 1)[:, None, None]
