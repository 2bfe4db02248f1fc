"""The two types that everything shares: Crystal (what is generated) and UnitCell (atoms)."""

from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import ArrayLike, Bool, Float, Int


@pytree
class Crystal:
    """A crystal as its asymmetric unit, padded to s sites; any leading batch dimensions.

    Attributes:
        group: space group number 1 to 230, standard setting (unique axis b, hexagonal axes,
            origin choice 2).
        wyckoff: global Wyckoff position id of each site, 1 to 1731; 0 is an empty slot.
        species: atomic number of each site; 0 in empty slots.
        free: free coordinates in [0, 1); the first dof(wyckoff) entries live, the others are 0.
        lattice: coefficients k of the log-metric basis (``geometry.lattice``); those that the
            group fixes hold their fixed values.
    """

    group: Int[ArrayLike, "*b"]
    wyckoff: Int[ArrayLike, "*b s"]
    species: Int[ArrayLike, "*b s"]
    free: Float[ArrayLike, "*b s 3"]
    lattice: Float[ArrayLike, "*b 6"]


@pytree
class UnitCell:
    """The conventional unit cell of a crystal, padded to n atoms.

    Attributes:
        lattice: rows are the lattice vectors in Å.
        frac: fractional coordinates in [0, 1).
        species: atomic numbers, 0 in the padding.
        mask: which atoms exist.
        site: the site of the crystal that each atom came from.
        operation: index of the group operation that maps the site's representative to the atom.
        overflow: how many atoms did not fit into the capacity; 0 if the cell is complete.
    """

    lattice: Float[ArrayLike, "*b 3 3"]
    frac: Float[ArrayLike, "*b n 3"]
    species: Int[ArrayLike, "*b n"]
    mask: Bool[ArrayLike, "*b n"]
    site: Int[ArrayLike, "*b n"]
    operation: Int[ArrayLike, "*b n"]
    overflow: Int[ArrayLike, "*b"]
