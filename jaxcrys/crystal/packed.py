"""Crystals laid end to end: the sites and edges of many as flat arrays of fixed sizes.

Batches by row pad each crystal to the largest; here only the end is padded, so that crystals of any
group and size share one program whose cost is that of their edges.

Arrays: g crystals, n sites, p images, e edges.
"""

from collections.abc import Sequence

import numpy as np

from jaxcrys.core.pytree import pytree, static
from jaxcrys.core.typing import ArrayLike, Float, Int, namespace
from jaxcrys.crystal.edges import Edges
from jaxcrys.crystal.types import Crystal
from jaxcrys.geometry.lattice import matrix_from_coefficients
from jaxcrys.symmetry.rotations import rotation_index
from jaxcrys.symmetry.tables import TRANSLATION_UNIT, load_tables, lookup
from jaxcrys.symmetry.wyckoff import multiplicity


@pytree
class Capacity:
    """Static sizes of packed crystals.

    Attributes:
        crystals: crystals g.
        sites: sites n of all of them.
        images: images p: sites in the orientations that edges see them in.
        edges: edges e.
    """

    crystals: int = static()
    sites: int = static()
    images: int = static()
    edges: int = static()


@pytree
class Packed:
    """Several crystals and who sees whom in them.

    Attributes:
        group: space group of each crystal; 0 in the padding.
        crystal: the crystal of each site.
        wyckoff: position of each site; 0 in the padding.
        species: atomic number of each site.
        atoms: multiplicity of each site, so many atoms of the conventional cell; 0 in the padding.
        image_site: the site each image is of.
        image_rotation: the Cartesian rotation that turns it (``symmetry.rotations``).
        receiver: the site that sees, of each edge.
        image: the image that is seen.
        row: table row of the operation that makes it.
        shift: lattice vectors added to it (``crystal.edges``).
        alike: how many neighbours the edge stands for; 0 in the padding.
    """

    group: Int[ArrayLike, "g"]
    crystal: Int[ArrayLike, "n"]
    wyckoff: Int[ArrayLike, "n"]
    species: Int[ArrayLike, "n"]
    atoms: Int[ArrayLike, "n"]
    image_site: Int[ArrayLike, "p"]
    image_rotation: Int[ArrayLike, "p"]
    receiver: Int[ArrayLike, "e"]
    image: Int[ArrayLike, "e"]
    row: Int[ArrayLike, "e"]
    shift: Int[ArrayLike, "e 3"]
    alike: Int[ArrayLike, "e"]


def room_for(crystals: Sequence[Crystal], edges: Sequence[Edges]) -> Capacity:
    """The sizes that some crystals need.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> from jaxcrys.crystal.edges import find_edges
        >>> room_for([example_crystal()], [find_edges(example_crystal(), 4.0)])
        Capacity(crystals=1, sites=2, images=2, edges=4)
    """
    return Capacity(
        crystals=len(crystals),
        sites=sum(int((np.asarray(crystal.wyckoff) > 0).sum()) for crystal in crystals),
        images=sum(len(_images(each)[0]) for each in edges),
        edges=sum(len(each.receiver) for each in edges),
    )


_LEAST = {"crystals": 8, "sites": 32, "images": 64, "edges": 256}


def fits(need: Capacity, room: Capacity) -> bool:
    """Whether sizes are within others."""
    return all(getattr(need, name) <= getattr(room, name) for name in vars(room))


def together(first: Capacity, second: Capacity) -> Capacity:
    """The sizes of both, one after the other."""
    return Capacity(**{name: getattr(first, name) + getattr(second, name) for name in vars(first)})


def rounded(need: Capacity) -> Capacity:
    """Powers of two, and not the smallest: few programs for many needs.

    Example:
        >>> rounded(Capacity(crystals=1, sites=9, images=33, edges=700))
        Capacity(crystals=8, sites=32, images=64, edges=1024)
    """

    def power(size: int, least: int) -> int:
        return max(least, 1 << max(size - 1, 0).bit_length())

    return Capacity(**{name: power(size, _LEAST[name]) for name, size in vars(need).items()})


def pack(
    crystals: Sequence[Crystal], edges: Sequence[Edges], room: Capacity
) -> tuple[Packed, Float[np.ndarray, "n 3"], Float[np.ndarray, "g 6"]]:
    """Lay crystals end to end.

    Args:
        crystals: single crystals, of any numbers of slots.
        edges: those of each.
        room: sizes of the result, not less than :func:`room_for`.

    Returns:
        What does not change while atoms move; the free coordinates of all sites; the lattice
        coefficients of all crystals (the padding has cubes of 1 Å).

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> from jaxcrys.crystal.edges import find_edges
        >>> edges = find_edges(example_crystal(), 3.0)
        >>> packed, free, lattice = pack([example_crystal()], [edges], Capacity(2, 4, 4, 20))
        >>> packed.species.tolist(), int(packed.alike.sum())
        ([11, 17, 0, 0], 12)
    """
    site_parts, image_parts, edge_parts = [], [], []
    first_site = first_image = 0
    for number, (crystal, own) in enumerate(zip(crystals, edges, strict=True)):
        sites = np.flatnonzero(np.asarray(crystal.wyckoff))
        place = np.cumsum(np.asarray(crystal.wyckoff) > 0) - 1 + first_site
        kinds, image = _images(own)
        site_parts.append({
            "crystal": np.full(len(sites), number),
            "wyckoff": np.asarray(crystal.wyckoff)[sites],
            "species": np.asarray(crystal.species)[sites],
            "free": np.asarray(crystal.free, float)[sites],
        })  # fmt: skip
        image_parts.append({"image_site": place[kinds[:, 0]], "image_rotation": kinds[:, 1]})
        edge_parts.append({
            "receiver": place[own.receiver],
            "image": image + first_image,
            "row": own.row,
            "shift": own.shift,
            "alike": own.alike,
        })  # fmt: skip
        first_site, first_image = first_site + len(sites), first_image + len(kinds)
    arrays = (
        _joined(site_parts, room.sites)
        | _joined(image_parts, room.images)
        | _joined(edge_parts, room.edges)
    )
    free = arrays.pop("free").astype(np.float32)
    group = _padded(np.array([int(crystal.group) for crystal in crystals]), room.crystals)
    lattice = _padded(np.array([np.asarray(c.lattice, float) for c in crystals]), room.crystals)
    atoms = multiplicity(arrays["wyckoff"]).astype(np.int32)
    return Packed(group=group, atoms=atoms, **arrays), free, lattice.astype(np.float32)


def unpack(
    packed: Packed, free: Float[ArrayLike, "n 3"], lattice: Float[ArrayLike, "g 6"]
) -> list[Crystal]:
    """The crystals again, those that are no padding, one by one.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> from jaxcrys.crystal.edges import find_edges
        >>> edges = find_edges(example_crystal(), 3.0)
        >>> unpack(*pack([example_crystal()], [edges], Capacity(2, 4, 4, 20)))[0].species.tolist()
        [11, 17]
    """
    crystals = []
    for number in range(int((np.asarray(packed.group) > 0).sum())):
        own = (np.asarray(packed.crystal) == number) & (np.asarray(packed.wyckoff) > 0)
        crystals.append(
            Crystal(
                group=np.asarray(packed.group)[number],
                wyckoff=np.asarray(packed.wyckoff)[own],
                species=np.asarray(packed.species)[own],
                free=np.asarray(free)[own],
                lattice=np.asarray(lattice)[number],
            )
        )
    return crystals


def edge_vectors(
    packed: Packed, free: Float[ArrayLike, "n 3"], lattice: Float[ArrayLike, "g 6"]
) -> Float[ArrayLike, "e 3"]:
    """From the receiver to what it sees, Å, in the orientation of the symmetric lattice matrix.

    Differentiable in both; ``free`` must not be wrapped since the edges were found. 0 in the
    padding.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> from jaxcrys.crystal.edges import find_edges
        >>> edges = find_edges(example_crystal(), 3.0)
        >>> vectors = edge_vectors(*pack([example_crystal()], [edges], Capacity(1, 2, 2, 2)))
        >>> bool(np.allclose(np.linalg.norm(vectors, axis=-1), 2.82))
        True
    """
    xp = namespace(free, lattice)
    tables = load_tables()
    own_row = lookup(tables.position_first_row, packed.wyckoff)[packed.receiver]
    sender = packed.image_site[packed.image]

    def place(row: ArrayLike, site: ArrayLike) -> ArrayLike:
        linear = lookup(tables.row_linear, row).astype(free.dtype)
        translation = lookup(tables.row_translation, row).astype(free.dtype) / TRANSLATION_UNIT
        return (linear * free[site][..., None, :]).sum(-1) + translation

    delta = place(packed.row, sender) - place(own_row, packed.receiver)
    delta = delta + packed.shift.astype(free.dtype)
    matrix = matrix_from_coefficients(lattice)[packed.crystal[packed.receiver]]
    return xp.where((packed.alike > 0)[:, None], (delta[..., None] * matrix).sum(-2), 0)


def _images(edges: Edges) -> tuple[Int[np.ndarray, "p 2"], Int[np.ndarray, "e"]]:
    """The different (site, rotation) that are seen, and which of them each edge sees."""
    seen = np.stack([edges.sender, rotation_index(edges.row)], -1)
    kinds, image = np.unique(seen.reshape(-1, 2), axis=0, return_inverse=True)
    return kinds, image.reshape(-1)


def _joined(parts: list[dict[str, np.ndarray]], size: int) -> dict[str, np.ndarray]:
    names = parts[0] if parts else ()
    joined = {name: np.concatenate([part[name] for part in parts]) for name in names}
    return {name: _padded(values, size) for name, values in joined.items()}


def _padded(values: np.ndarray, size: int) -> np.ndarray:
    values = values.astype(np.int32) if values.dtype.kind == "i" else values
    return np.pad(values, [(0, size - len(values)), *[(0, 0)] * (values.ndim - 1)])
