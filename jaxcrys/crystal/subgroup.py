"""The same crystal with less symmetry: described in a subgroup of its space group (host side).

What symmetry made equal becomes free: sites split, and lattice coefficients and coordinates that
were fixed can be changed. So a crystal is prepared for ordering elements on a sublattice, for
displacing atoms or for straining the cell.
"""

import functools

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.crystal.build import fit_lattice
from jaxcrys.crystal.types import Crystal
from jaxcrys.geometry.lattice import matrix_from_coefficients
from jaxcrys.geometry.periodic import wrap
from jaxcrys.symmetry.groups import symbol
from jaxcrys.symmetry.subgroups import Subgroup, compose, identity, splitting, subgroup_path
from jaxcrys.symmetry.wyckoff import free_mask


def to_subgroup(crystal: Crystal, relation: Subgroup | int) -> Crystal:
    """Describe one crystal in a subgroup of its group: the same atoms, on more sites.

    Each site becomes the sites of ``symmetry.subgroups.splitting``, one after the other and with
    its element; empty slots are left out. The cell is that of the subgroup, so its volume is
    det P times that of the crystal's, and lengths and angles between atoms stay what they are.

    Args:
        crystal: one crystal.
        relation: a subgroup of its group, maximal or composed, or a space group number, to which
            the chain of least index then leads.

    Returns:
        The crystal in the standard setting of the subgroup, with as many slots as it has sites.

    Raises:
        InputError: if the crystal is a batch, the relation starts from another group, or there is
            no subgroup of that type.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> from jaxcrys.crystal.describe import wyckoff_string
        >>> wyckoff_string(to_subgroup(example_crystal(), 160))
        'Na@3a Cl@3a'
    """
    if np.ndim(crystal.group):
        raise InputError("crystal", f"expected one, got a batch of {np.shape(crystal.group)}")
    group = int(crystal.group)
    if not isinstance(relation, Subgroup):
        relation = functools.reduce(compose, subgroup_path(group, relation), identity(group))
    if relation.supergroup != group:
        raise InputError(
            "relation",
            f"is a subgroup of {symbol(relation.supergroup)}, but the crystal has {symbol(group)}",
        )
    occupied, species, free = map(np.asarray, (crystal.wyckoff, crystal.species, crystal.free))
    sites = np.flatnonzero(occupied)
    split = [(i, part) for i in sites for part in splitting(relation, int(occupied[i]))]
    wyckoff = np.array([part.wyckoff for _, part in split], np.int32)
    moved = [part.linear @ free[i].astype(float) + part.translation for i, part in split]
    coordinates = np.asarray(wrap(np.array(moved).astype(free.dtype)))
    return Crystal(
        group=np.asarray(relation.group, np.int32),
        wyckoff=wyckoff,
        species=species[[i for i, _ in split]],
        free=np.where(free_mask(wyckoff), coordinates, 0),
        lattice=_lattice(crystal, relation),
    )


def _lattice(crystal: Crystal, relation: Subgroup) -> np.ndarray:
    """Rows of the new lattice matrix are Pᵀ times those of the old one."""
    coefficients = np.asarray(crystal.lattice)
    matrix = relation.linear.T @ matrix_from_coefficients(coefficients.astype(float))
    return fit_lattice(matrix, relation.group).astype(coefficients.dtype)
