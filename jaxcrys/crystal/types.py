"""The two types that everything shares: Crystal (what is generated) and UnitCell (atoms)."""

from typing import TYPE_CHECKING, Any

from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import ArrayLike, Bool, Float, Int

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import Structure


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

    # ``convert`` stands on this type, so that it can only be imported when it is called; then
    # pymatgen and ASE stay unloaded as well until somebody needs them.

    def to_pymatgen(self) -> "Structure":
        """The conventional cell of one crystal: see :func:`jaxcrys.crystal.convert.to_structure`.

        Example:
            >>> from jaxcrys.crystal import example_crystal
            >>> example_crystal().to_pymatgen().composition.formula
            'Na4 Cl4'
        """
        from jaxcrys.crystal.convert import to_structure

        return to_structure(self)

    def to_ase(self) -> "Atoms":
        """The conventional cell of one crystal: see :func:`jaxcrys.crystal.convert.to_atoms`.

        Example:
            >>> from jaxcrys.crystal import example_crystal
            >>> str(example_crystal().to_ase().symbols)
            'Na4Cl4'
        """
        from jaxcrys.crystal.convert import to_atoms

        return to_atoms(self)

    @staticmethod
    def from_pymatgen(structure: "Structure", **settings: Any) -> "Crystal":
        """Find the symmetry of a structure: see :func:`jaxcrys.crystal.convert.from_structure`.

        Args:
            structure: an ordered structure in any setting.
            settings: ``symprec`` and others, as for :func:`jaxcrys.crystal.convert.from_arrays`.

        Raises:
            Rejection: if it is not an ordered crystal of reasonable size.

        Example:
            >>> from pymatgen.core import Lattice, Structure
            >>> caesium_chloride = Structure(
            ...     Lattice.cubic(4.1), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
            ... )
            >>> int(Crystal.from_pymatgen(caesium_chloride, symprec=0.01).group)
            221
        """
        from jaxcrys.crystal.convert import from_structure

        return from_structure(structure, **settings)

    @staticmethod
    def from_ase(atoms: "Atoms", **settings: Any) -> "Crystal":
        """Find the symmetry of atoms: see :func:`jaxcrys.crystal.convert.from_atoms`.

        Args:
            atoms: periodic in three directions, in any setting.
            settings: ``symprec`` and others, as for :func:`jaxcrys.crystal.convert.from_arrays`.

        Raises:
            Rejection: if they are not an ordered crystal of reasonable size.

        Example:
            >>> from ase.build import bulk
            >>> int(Crystal.from_ase(bulk("Cu")).group)
            225
        """
        from jaxcrys.crystal.convert import from_atoms

        return from_atoms(atoms, **settings)


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
