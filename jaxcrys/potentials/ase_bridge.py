"""ASE in both directions: its calculators as potentials, and potentials as its calculators."""

from typing import Any

import jax
import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from jaxcrys.core.errors import InputError
from jaxcrys.crystal.convert import to_atoms
from jaxcrys.crystal.edges import find_edges
from jaxcrys.crystal.packed import pack, room_for, rounded
from jaxcrys.crystal.types import Crystal
from jaxcrys.geometry.lattice import coefficients_from_matrix, matrix_from_coefficients
from jaxcrys.potentials.base import Potential, predict
from jaxcrys.potentials.host import CellValues, HostPotential
from jaxcrys.symmetry.wyckoff import general_position


def from_ase(calculator: Calculator, *, name: str, digest: str = "") -> HostPotential:
    """An ASE calculator with energy, forces and stress, as a potential on the host.

    Args:
        calculator: any, CHGNet's or SevenNet's for example.
        name: by which results name it.
        digest: what tells its versions apart.
    """

    def evaluate(crystal: Crystal) -> CellValues:
        atoms = to_atoms(crystal)
        atoms.calc = calculator
        return CellValues(
            energy=float(atoms.get_potential_energy()),
            forces=atoms.get_forces(),
            stress=atoms.get_stress(voigt=False),
        )

    return HostPotential(evaluate=evaluate, name=name, digest=digest)


class JaxCalculator(Calculator):
    """A potential as an ASE calculator, for cells that are periodic in three directions.

    Atoms may have any cell and no symmetry. Arrays have sizes of few choices, so that relaxations
    seldom compile anew.

    Args:
        potential: in JAX.

    Example:
        >>> from ase.build import bulk
        >>> from jaxcrys.potentials.lennard_jones import lennard_jones
        >>> atoms = bulk("Ar", a=4.0)
        >>> atoms.calc = JaxCalculator(lennard_jones(sigma=2.5))
        >>> bool(atoms.get_potential_energy() < 0)
        True
    """

    def __init__(self, potential: Potential, **settings: Any) -> None:
        super().__init__(**settings)
        self.implemented_properties = ["energy", "free_energy", "forces", "stress"]
        self.potential = potential
        self._predict = jax.jit(predict)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Fill ``results``.

        Raises:
            InputError: for atoms that are not periodic, have an unknown element, or a cell so thin
                that there is no end of neighbours.
        """
        super().calculate(atoms, properties or ["energy"], system_changes)
        if atoms is None or not atoms.pbc.all():
            raise InputError("atoms", "must be periodic in three directions")
        unknown = set(atoms.numbers.tolist()) - set(self.potential.elements)
        if unknown:
            raise InputError("atoms", f"{self.potential.name} knows no elements {sorted(unknown)}")
        crystal, turn = _without_symmetry(atoms)
        edges = find_edges(crystal, self.potential.cutoff)
        if edges is None:
            raise InputError("atoms", "have a cell that is not finite or too thin")
        packed, free, lattice = pack([crystal], [edges], rounded(room_for([crystal], [edges])))
        found = jax.device_get(self._predict(self.potential, packed, free, lattice))
        energy = float(found.energy[0])
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "forces": found.forces[: len(atoms)].astype(float) @ turn,
            "stress": full_3x3_to_voigt_6_stress(turn.T @ found.stress[0].astype(float) @ turn),
        }


def _without_symmetry(atoms: Atoms) -> tuple[Crystal, np.ndarray]:
    """Atoms as a crystal of P1, and the matrix Q that turns row vectors from it to them."""
    cell = atoms.cell.array
    lattice = np.asarray(coefficients_from_matrix(cell))
    count = len(atoms)
    crystal = Crystal(
        group=np.array(1),
        wyckoff=np.full(count, int(general_position(np.array(1)))),
        species=atoms.numbers,
        free=atoms.get_scaled_positions(wrap=True),
        lattice=lattice,
    )
    return crystal, np.linalg.solve(np.asarray(matrix_from_coefficients(lattice)), cell)
