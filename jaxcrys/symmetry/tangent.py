"""From displacements of atoms to displacements in the free coordinates of their orbits."""

import functools

import numpy as np

from jaxcrys.core.typing import ArrayLike, Bool, Float, Int, namespace
from jaxcrys.symmetry.tables import load_tables, lookup


@functools.cache
def _pseudo_inverses() -> np.ndarray:
    return np.linalg.pinv(load_tables().row_linear.astype(float)).astype(np.float32)


def pull_back(
    vectors: Float[ArrayLike, "*b n 3"],
    row: Int[ArrayLike, "*b n"],
    site: Int[ArrayLike, "*b n"],
    mask: Bool[ArrayLike, "*b n"],
    *,
    num_sites: int,
) -> Float[ArrayLike, "*b s 3"]:
    """Project a vector on each atom onto its Wyckoff tangent space, and average over the orbit.

    An atom moves as x_i = A_i u + t_i with the free coordinates u of its site, so the displacement
    v_i, in fractional coordinates, asks for the change A_i⁺ v_i of u (⁺ is the pseudo-inverse); the
    site takes the mean of what its atoms ask for (DiffCSP++, section 4.2).

    Args:
        vectors: fractional displacement of each atom.
        row: the table row of each atom, from ``expand_orbits``.
        site: the site of each atom.
        mask: which atoms exist.
        num_sites: number of site slots s.

    Returns:
        Change of the free coordinates of each site; 0 where nothing is free.

    Example:
        >>> import numpy as np
        >>> from jaxcrys.symmetry import expand_orbits, position_id
        >>> sites = np.array([position_id(194, "k")])  # x, 2x, z
        >>> orbits = expand_orbits(sites, np.array([[0.1, 0.7, 0.0]]), capacity=12)
        >>> moved = expand_orbits(sites, np.array([[0.2, 0.8, 0.0]]), capacity=12)
        >>> step = moved.frac - orbits.frac
        >>> step = step - np.round(step)
        >>> np.round(pull_back(step, orbits.row, orbits.site, orbits.mask, num_sites=1), 5)
        array([[0.1, 0.1, 0. ]])
    """
    inverse = lookup(_pseudo_inverses(), row).astype(vectors.dtype)
    changes = (inverse * vectors[..., None, :]).sum(-1)
    return orbit_mean(changes, site, mask, num_sites=num_sites)


def orbit_mean(
    values: Float[ArrayLike, "*b n c"],
    site: Int[ArrayLike, "*b n"],
    mask: Bool[ArrayLike, "*b n"],
    *,
    num_sites: int,
) -> Float[ArrayLike, "*b s c"]:
    """Mean over the atoms of each site; 0 for a site without atoms."""
    xp = namespace(values, site, mask)
    member = (site[..., None, :] == xp.arange(num_sites)[:, None]) & mask[..., None, :]
    member = member.astype(values.dtype)
    count = xp.maximum(member.sum(-1), 1)
    total = (member[..., None] * values[..., None, :, :]).sum(-2)
    return total / count[..., None]
