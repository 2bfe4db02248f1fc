"""The full cell as networks see it: atoms modulo centring, and the centring translations.

Atoms that differ by a centring translation have the same surroundings, so a network needs to
compute only one of them; as senders of messages all of them count. The primitive atoms times the
images are exactly the atoms of the conventional cell.
"""

from jaxcrys.core.pytree import pytree, static
from jaxcrys.core.typing import ArrayLike, Bool, Float, Int, namespace
from jaxcrys.crystal.types import Crystal
from jaxcrys.symmetry.centring import centring_count, centring_translations
from jaxcrys.symmetry.orbits import expand_orbits
from jaxcrys.symmetry.wyckoff import multiplicity_modulo_centring


@pytree
class CellShape:
    """Static sizes of a batch of crystals.

    Attributes:
        sites: slots for sites.
        atoms: slots for the atoms of the primitive cell.
        images: slots for centring translations.
    """

    sites: int = static()
    atoms: int = static()
    images: int = static()


@pytree
class PrimitiveCell:
    """Atoms modulo centring (p slots) and the centring translations (i slots).

    Attributes:
        frac: fractional coordinates of the primitive atoms in the conventional cell.
        species: atomic numbers, 0 in the padding.
        mask: which atoms exist.
        site: the site of each atom.
        row: the table row of each atom (``symmetry.tables``).
        images: centring translations, fractional.
        image_mask: which translations exist.
        overflow: atoms and images that did not fit; 0 if the cell is complete.
    """

    frac: Float[ArrayLike, "*b p 3"]
    species: Int[ArrayLike, "*b p"]
    mask: Bool[ArrayLike, "*b p"]
    site: Int[ArrayLike, "*b p"]
    row: Int[ArrayLike, "*b p"]
    images: Float[ArrayLike, "*b i 3"]
    image_mask: Bool[ArrayLike, "*b i"]
    overflow: Int[ArrayLike, "*b"]


def num_primitive_atoms(crystal: Crystal) -> Int[ArrayLike, "*b"]:
    """Atoms in the primitive cell.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> int(num_primitive_atoms(example_crystal()))
        2
    """
    return multiplicity_modulo_centring(crystal.wyckoff).sum(-1)


def primitive_cell(crystal: Crystal, shape: CellShape) -> PrimitiveCell:
    """Expand a crystal, or a batch, to its atoms modulo centring.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> cell = primitive_cell(example_crystal(), CellShape(sites=2, atoms=2, images=4))
        >>> cell.frac.tolist()
        [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]
    """
    xp = namespace(crystal.wyckoff, crystal.free)
    orbits = expand_orbits(
        crystal.wyckoff, crystal.free, capacity=shape.atoms, modulo_centring=True
    )
    images, image_mask = centring_translations(crystal.group, capacity=shape.images)
    species = xp.take_along_axis(xp.asarray(crystal.species), orbits.site, -1)
    missing = xp.maximum(centring_count(crystal.group) - shape.images, 0)
    return PrimitiveCell(
        frac=orbits.frac,
        species=xp.where(orbits.mask, species, 0),
        mask=orbits.mask,
        site=orbits.site,
        row=orbits.row,
        images=xp.asarray(images, orbits.frac.dtype),
        image_mask=image_mask,
        overflow=orbits.overflow + missing,
    )
