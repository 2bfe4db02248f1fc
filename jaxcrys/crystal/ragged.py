"""Many crystals in the host's memory, or on disk, without padding: their sites laid end to end.

A padded batch takes as much for each crystal as for the widest; here a crystal takes what it has.
The arrays may be memory-mapped files (``crystal.storage.map_crystals``): what is not looked at is
not read. For networks, rows are padded a batch at a time.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import Float, Int
from jaxcrys.crystal.types import Crystal
from jaxcrys.symmetry.centring import centring_count
from jaxcrys.symmetry.wyckoff import multiplicity_modulo_centring


@dataclasses.dataclass(frozen=True)
class Ragged:
    """Crystals b with sites n, NumPy arrays; a selection of crystals shares the arrays of sites.

    Attributes:
        group: space group of each crystal.
        first: its first site.
        count: how many sites it has, one after the other.
        lattice: coefficients of its lattice.
        wyckoff: position of each site.
        species: atomic number of each site.
        free: free coordinates of each site.
        sites: slots that a batch is padded to by default.
    """

    group: Int[np.ndarray, "b"]
    first: Int[np.ndarray, "b"]
    count: Int[np.ndarray, "b"]
    lattice: Float[np.ndarray, "b 6"]
    wyckoff: Int[np.ndarray, "n"]
    species: Int[np.ndarray, "n"]
    free: Float[np.ndarray, "n 3"]
    sites: int

    def __len__(self) -> int:
        """How many crystals there are."""
        return len(self.group)

    def select(self, rows: Int[np.ndarray, "m"] | slice) -> "Ragged":
        """Some of the crystals, in that order."""
        chosen = {
            name: getattr(self, name)[rows] for name in ("group", "first", "count", "lattice")
        }
        return dataclasses.replace(self, **chosen)

    def batch(self, rows: Int[np.ndarray, "m"] | slice = slice(None), sites: int = 0) -> Crystal:
        """Some of the crystals, padded; integers as int32.

        Args:
            rows: which ones.
            sites: slots for each; as many as all were stored with by default.

        Raises:
            InputError: if a crystal has more sites.
        """
        sites = sites or self.sites
        first, count = self.first[rows], self.count[rows]
        if count.max(initial=0) > sites:
            raise InputError("sites", f"a crystal has {count.max()} sites, more than {sites} slots")
        slot = np.arange(sites)
        filled = slot < count[:, None]
        index = (first[:, None] + slot)[filled]

        def padded(values: np.ndarray) -> np.ndarray:
            kind = np.int32 if values.dtype.kind in "iu" else values.dtype
            out = np.zeros((*filled.shape, *values.shape[1:]), kind)
            out[filled] = values[index]
            return out

        return Crystal(
            group=self.group[rows].astype(np.int32),
            wyckoff=padded(self.wyckoff),
            species=padded(self.species),
            free=padded(self.free),
            lattice=np.array(self.lattice[rows]),
        )

    def places(self) -> Int[np.ndarray, "m"]:
        """Where the sites of the crystals lie, one crystal after the other."""
        before = np.cumsum(self.count) - self.count
        return np.arange(self.count.sum()) + np.repeat(self.first - before, self.count)

    def sizes(self) -> Int[np.ndarray, "b 3"]:
        """Sites, atoms of the primitive cell and lattice points of each crystal."""
        atoms = np.append(0, np.cumsum(multiplicity_modulo_centring(np.asarray(self.wyckoff))))
        atoms = atoms[self.first + self.count] - atoms[self.first]
        return np.stack(
            [self.count, atoms, centring_count(np.asarray(self.group))], -1, dtype=np.int64
        )


def to_ragged(crystals: Crystal) -> Ragged:
    """A padded batch without its padding; empty slots may lie anywhere.

    Example:
        >>> from jaxcrys.crystal import example_crystal, stack_crystals
        >>> ragged = to_ragged(stack_crystals([example_crystal()], capacity=5))
        >>> ragged.count.tolist(), ragged.batch().wyckoff.shape
        ([2], (1, 5))
    """
    wyckoff = np.asarray(crystals.wyckoff)
    filled = wyckoff > 0
    count = filled.sum(-1)
    return Ragged(
        group=np.asarray(crystals.group, np.int16),
        first=np.cumsum(count) - count,
        count=count,
        lattice=np.asarray(crystals.lattice),
        wyckoff=wyckoff[filled].astype(np.int16),
        species=np.asarray(crystals.species)[filled].astype(np.int16),
        free=np.asarray(crystals.free)[filled],
        sites=wyckoff.shape[-1],
    )


def concatenate(parts: Sequence[Ragged]) -> Ragged:
    """Crystals below each other, their sites in the same order; as many slots as the widest has."""
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("group", "count", "lattice")
    }
    for name in ("wyckoff", "species", "free"):
        joined[name] = np.concatenate([getattr(part, name)[part.places()] for part in parts])
    first = np.cumsum(joined["count"]) - joined["count"]
    return Ragged(first=first, sites=max(part.sites for part in parts), **joined)
