"""What is known of a data set that generated crystals are compared with."""

from collections import Counter
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxcrys.core.elements import SYMBOLS
from jaxcrys.core.pytree import take
from jaxcrys.core.typing import Int
from jaxcrys.crystal.describe import GRAMS_PER_CM3, formula
from jaxcrys.crystal.primitive import num_primitive_atoms
from jaxcrys.crystal.protostructure import protostructure_label, prototype_label
from jaxcrys.crystal.storage import load_crystals
from jaxcrys.crystal.types import Crystal
from jaxcrys.evaluation.samples import Sample, of_crystal, primitive_atoms
from jaxcrys.geometry.lattice import matrix_from_coefficients, volume
from jaxcrys.symmetry.wyckoff import multiplicity


class Reference(NamedTuple):
    """A data set: its crystals, and columns as those of ``evaluation.examine``.

    Attributes:
        name: of the folder.
        crystals: a batch.
        formula: reduced, of each.
    """

    name: str
    crystals: Crystal
    formula: list[str]

    @property
    def groups(self) -> Int[np.ndarray, "m"]:
        """Space groups, as the data set was prepared."""
        return np.asarray(self.crystals.group)

    def column(self, name: str) -> np.ndarray:
        """``num_elements``, ``sites``, ``primitive_atoms`` or ``density`` of each crystal."""
        return _COLUMNS[name](self.crystals)

    def elements(self) -> Counter[str]:
        """How many crystals have each element."""
        occupied = np.asarray(self.crystals.wyckoff) > 0
        species = np.where(occupied, np.asarray(self.crystals.species), 0)
        counts: Counter[str] = Counter()
        for row in species:
            counts.update(SYMBOLS[number] for number in set(row[row > 0].tolist()))
        return counts

    def cell(self, index: int) -> list[Any]:
        """Primitive cell of a crystal as plain lists."""
        return [part.tolist() for part in primitive_atoms(take(self.crystals, index))]

    def labels(self, rows: Sequence[int]) -> list[str]:
        """Protostructures of some crystals."""
        return [protostructure_label(take(self.crystals, row)) for row in rows]

    def prototypes(self) -> set[str]:
        """All templates: prototypes of the crystals."""
        count = len(self.groups)
        return {prototype_label(take(self.crystals, row)) for row in range(count)}

    def of_formulas(self, formulas: Container[str]) -> "Reference":
        """The crystals of some formulas alone."""
        rows = np.array([row for row, name in enumerate(self.formula) if name in formulas], int)
        return Reference(self.name, take(self.crystals, rows), [self.formula[row] for row in rows])

    def samples(self, rows: Sequence[int]) -> list[Sample]:
        """Some crystals, to be examined as generated ones are."""
        return [of_crystal(take(self.crystals, row), f"{row:05d}") for row in rows]


def read_reference(path: Path | str) -> Reference:
    """Read a data set made by ``jaxcrys prepare``.

    Raises:
        InputError: if it is none.
    """
    crystals = load_crystals(path)
    rows = range(len(crystals.group))
    return Reference(Path(path).name, crystals, [formula(take(crystals, row)) for row in rows])


def _num_elements(crystals: Crystal) -> np.ndarray:
    occupied = np.asarray(crystals.wyckoff) > 0
    species = np.where(occupied, np.asarray(crystals.species), 0)
    return np.array([len(set(row[row > 0].tolist())) for row in species])


def _density(crystals: Crystal) -> np.ndarray:
    from ase.data import atomic_masses

    atoms = multiplicity(np.asarray(crystals.wyckoff))
    mass = (atomic_masses[np.asarray(crystals.species)] * atoms).sum(-1)
    lattice = np.asarray(crystals.lattice, np.float64)
    return mass / np.asarray(volume(matrix_from_coefficients(lattice))) * GRAMS_PER_CM3


_COLUMNS = {
    "num_elements": _num_elements,
    "sites": lambda crystals: (np.asarray(crystals.wyckoff) > 0).sum(-1),
    "primitive_atoms": lambda crystals: np.asarray(num_primitive_atoms(crystals)),
    "density": _density,
}
