"""Space groups: names, families, lattice masks and operations."""

import numpy as np

from jaxcrys.core.typing import ArrayLike, Bool, Float, Int, namespace
from jaxcrys.geometry.lattice import FAMILIES, FAMILY_FIXED, FAMILY_MASK
from jaxcrys.symmetry.tables import check_group, load_tables, lookup
from jaxcrys.symmetry.wyckoff import general_position

TRIGONAL = range(143, 168)


def spaced_symbol(group: int) -> str:
    """Hermann-Mauguin symbol of the standard setting with spaces, as CIF wants it.

    Example:
        >>> spaced_symbol(14), spaced_symbol(227)
        ('P 1 21/c 1', 'F d -3 m')
    """
    return str(load_tables().group_symbol[check_group(group)])


def symbol(group: int) -> str:
    """Short Hermann-Mauguin symbol.

    Example:
        >>> symbol(14), symbol(227)
        ('P21/c', 'Fd-3m')
    """
    parts = spaced_symbol(group).split()
    if crystal_family(group) == "monoclinic":
        parts = [parts[0], parts[2]]
    return "".join(parts)


def crystal_family(group: int) -> str:
    """Name of the crystal family.

    Example:
        >>> crystal_family(166)
        'hexagonal'
    """
    return FAMILIES[load_tables().group_family[check_group(group)]]


def crystal_system(group: int) -> str:
    """One of the seven crystal systems; trigonal and hexagonal groups share a family.

    Example:
        >>> crystal_system(166), crystal_system(194)
        ('trigonal', 'hexagonal')
    """
    return "trigonal" if group in TRIGONAL else crystal_family(group)


def lattice_mask(group: Int[ArrayLike, "*b"]) -> Bool[ArrayLike, "*b 6"]:
    """Which lattice coefficients k the group leaves free.

    Example:
        >>> lattice_mask(np.array(225))
        array([False, False, False, False, False,  True])
    """
    return lookup(FAMILY_MASK, lookup(load_tables().group_family, group))


def lattice_fixed(group: Int[ArrayLike, "*b"]) -> Float[ArrayLike, "*b 6"]:
    """The values of the coefficients that are not free (0 where they are)."""
    return lookup(FAMILY_FIXED, lookup(load_tables().group_family, group))


def constrain_lattice(
    k: Float[ArrayLike, "*b 6"], group: Int[ArrayLike, "*b"]
) -> Float[ArrayLike, "*b 6"]:
    """Set the coefficients that the group fixes to their values.

    Example:
        >>> constrain_lattice(np.ones(6), np.array(225))
        array([0., 0., 0., 0., 0., 1.])
    """
    xp = namespace(k, group)
    k = xp.asarray(k)
    return xp.where(lattice_mask(group), k, xp.asarray(lattice_fixed(group), k.dtype))


def operations(group: int) -> tuple[np.ndarray, np.ndarray]:
    """All operations of a group in the conventional cell: rotations and translations in 1/24.

    Example:
        >>> rotations, translations = operations(225)
        >>> rotations.shape, translations.shape
        ((192, 3, 3), (192, 3))
    """
    tables = load_tables()
    general = int(general_position(np.asarray(check_group(group))))
    first = tables.position_first_row[general]
    rows = slice(first, first + tables.position_multiplicity[general])
    return tables.row_linear[rows], tables.row_translation[rows]
