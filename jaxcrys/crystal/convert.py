"""Crystals from and to the structures of other libraries: plain arrays, pymatgen and ASE.

Everything here runs on the host with NumPy in float64; pymatgen, ASE, spglib and moyopy are loaded
when they are first needed. Deuterium and tritium are read as hydrogen; oxidation states, magnetic
moments and other decorations are ignored.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from jaxcrys.crystal.assign import assign_sites
from jaxcrys.crystal.expand import expand, num_atoms
from jaxcrys.crystal.raw import MAX_ATOMS, MIN_DISTANCE, RawCell, check_cell
from jaxcrys.crystal.rejection import Rejection
from jaxcrys.crystal.standardise import SYMPREC, find_group, standardise
from jaxcrys.crystal.types import Crystal
from jaxcrys.symmetry.wyckoff import position_label

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import Structure


def from_arrays(
    lattice: ArrayLike,
    frac: ArrayLike,
    numbers: ArrayLike,
    *,
    symprec: float = SYMPREC,
    engine: str = "spglib",
    max_atoms: int = MAX_ATOMS,
    min_distance: float = MIN_DISTANCE,
) -> Crystal:
    """Find the symmetry of a periodic cell and describe it as a crystal.

    Args:
        lattice: lattice vectors as rows, Å; any cell, primitive or not.
        frac: fractional coordinates.
        numbers: atomic numbers.
        symprec: tolerance of the symmetry search, Å; the group depends on it.
        engine: ``"spglib"`` or ``"moyopy"`` (faster).
        max_atoms: most atoms allowed in the cell and in its conventional cell.
        min_distance: shortest distance allowed between two atoms, Å.

    Returns:
        The crystal, with as many slots as it has sites.

    Raises:
        Rejection: if the cell is not an ordered crystal of reasonable size; its ``code`` is one
            of ``rejection.REASONS``.

    Example:
        >>> caesium_chloride = [[0, 0, 0], [0.5, 0.5, 0.5]]
        >>> int(from_arrays(4.1 * np.eye(3), caesium_chloride, [55, 17]).group)
        221
    """
    cell = check_cell(lattice, frac, numbers, max_atoms=max_atoms, min_distance=min_distance)
    standard = standardise(cell, symprec=symprec, engine=engine)
    if len(standard.numbers) > max_atoms:
        raise Rejection(
            "too_many_atoms",
            f"{len(standard.numbers)} atoms in the conventional cell, more than {max_atoms}",
        )
    try:
        return assign_sites(*standard)
    except Rejection:
        # In a few of ten thousand distorted crystals spglib leaves atoms off their ideal places.
        return assign_sites(*standard, tolerance=min(symprec, min_distance / 3))


def from_structure(structure: "Structure", **settings: Any) -> Crystal:
    """Describe a pymatgen structure as a crystal.

    Args:
        structure: an ordered structure in any setting.
        settings: as for :func:`from_arrays`.

    Raises:
        Rejection: as :func:`from_arrays`; ``disordered`` for partial occupancies.

    Example:
        >>> from pymatgen.core import Lattice, Structure
        >>> structure = Structure(Lattice.cubic(4.1), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
        >>> from_structure(structure).species.tolist()
        [55, 17]
    """
    return from_arrays(*raw_from_structure(structure), **settings)


def structure_from_raw(cell: RawCell) -> "Structure":
    """A cell as a pymatgen structure."""
    from pymatgen.core import Structure

    return Structure(cell.lattice, cell.numbers.tolist(), cell.frac)


def raw_from_structure(structure: "Structure") -> RawCell:
    """Lattice, coordinates and atomic numbers of an ordered pymatgen structure."""
    from pymatgen.core import DummySpecies

    if not structure.is_ordered:
        site = next(site for site in structure if not site.is_ordered)
        raise Rejection("disordered", f"site {site.label} is occupied by {site.species_string}")
    for species in structure.species:
        if isinstance(species, DummySpecies):
            raise Rejection("unknown_element", f"{species} is not an element")
    numbers = np.array([species.Z for species in structure.species], int)
    return RawCell(structure.lattice.matrix, structure.frac_coords, numbers)


def to_structure(crystal: Crystal) -> "Structure":
    """The conventional cell of one crystal as a pymatgen structure, exactly symmetric.

    Sites carry their Wyckoff label, such as ``4a``, as the site property ``wyckoff``.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> to_structure(example_crystal()).composition.formula
        'Na4 Cl4'
    """
    from pymatgen.core import Element, Structure

    cell, labels = cell_and_labels(crystal)
    return Structure(
        cell.lattice,
        [Element.from_Z(number) for number in cell.numbers],
        cell.frac,
        site_properties={"wyckoff": labels},
    )


def from_atoms(atoms: "Atoms", **settings: Any) -> Crystal:
    """Describe an ASE object, periodic in three directions, as a crystal.

    Args:
        atoms: atoms in any setting.
        settings: as for :func:`from_arrays`.

    Raises:
        Rejection: as :func:`from_arrays`; ``bad_lattice`` if a direction is not periodic.
    """
    return from_arrays(*raw_from_atoms(atoms), **settings)


def raw_from_atoms(atoms: "Atoms") -> RawCell:
    """Lattice, coordinates and atomic numbers of ASE's atoms."""
    if not atoms.pbc.all() or atoms.cell.rank < 3:
        raise Rejection(
            "bad_lattice", f"a crystal is periodic in three directions, got {atoms.pbc}"
        )
    occupancies = (atoms.info.get("occupancy") or {}).values()
    if any(len(site) > 1 or min(site.values()) < 1 for site in occupancies):
        raise Rejection("disordered", "a site is partly occupied or shared by several elements")
    return RawCell(atoms.cell.array, atoms.get_scaled_positions(wrap=False), atoms.numbers)


def to_atoms(crystal: Crystal) -> "Atoms":
    """The conventional cell of one crystal as ASE atoms, with the array ``wyckoff`` of labels.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> str(to_atoms(example_crystal()).symbols)
        'Na4Cl4'
    """
    from ase import Atoms

    cell, labels = cell_and_labels(crystal)
    atoms = Atoms(cell.numbers, scaled_positions=cell.frac, cell=cell.lattice, pbc=True)
    atoms.new_array("wyckoff", np.array(labels))
    return atoms


def detect_group(crystal: Crystal | RawCell, symprec: float = SYMPREC) -> int:
    """The space group number that spglib finds for the atoms of one crystal, or of a raw cell.

    Returns:
        1 to 230, or 0 if it finds none: because atoms coincide, or the lattice has no volume.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> detect_group(example_crystal(), 0.001)
        225
    """
    cell = crystal if isinstance(crystal, RawCell) else cell_and_labels(crystal)[0]
    try:
        checked = check_cell(*cell, max_atoms=len(cell.numbers), min_distance=0)
        return find_group(checked, symprec=symprec)
    except Rejection:
        return 0


def cell_and_labels(crystal: Crystal) -> tuple[RawCell, list[str]]:
    """Every atom of one crystal's conventional cell in float64, and its Wyckoff label."""
    host = Crystal(
        group=np.asarray(crystal.group),
        wyckoff=np.asarray(crystal.wyckoff),
        species=np.asarray(crystal.species),
        free=np.asarray(crystal.free, np.float64),
        lattice=np.asarray(crystal.lattice, np.float64),
    )
    cell = expand(host, capacity=int(num_atoms(host)))
    labels = [position_label(int(host.wyckoff[site])) for site in cell.site]
    return RawCell(*map(np.asarray, (cell.lattice, cell.frac, cell.species))), labels
