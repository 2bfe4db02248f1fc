"""Potentials that are no JAX programs: called back on the host, one crystal at a time."""

import logging
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.pytree import pytree, static
from jaxcrys.core.typing import Bool, Float
from jaxcrys.crystal.expand import expand, num_atoms
from jaxcrys.crystal.packed import Packed, unpack
from jaxcrys.crystal.types import Crystal
from jaxcrys.geometry.lattice import matrix_from_coefficients, volume
from jaxcrys.potentials.base import Potential, Slopes, of_lattice
from jaxcrys.symmetry.groups import lattice_mask
from jaxcrys.symmetry.tables import load_tables, lookup


class CellValues(NamedTuple):
    """Of one conventional cell: energy in eV, forces on all atoms in eV/Å, stress in eV/Å³.

    Atoms are in the order of ``crystal.expand``, axes those of the symmetric lattice matrix.
    """

    energy: float
    forces: Float[np.ndarray, "n 3"]
    stress: Float[np.ndarray, "3 3"]


@pytree
class HostPotential:
    """A potential that is given one crystal after the other.

    Attributes:
        evaluate: what it says of one crystal; an exception counts as no finite energy.
        name: of the potential.
        digest: what tells its versions apart.
        elements: atomic numbers that it knows.
        cutoff: 0, as it finds its neighbours itself.
    """

    evaluate: Callable[[Crystal], CellValues] = static()
    name: str = static()
    digest: str = static()
    elements: tuple[int, ...] = static(default=tuple(range(1, 119)))
    cutoff: float = static(default=0.0)

    def slopes(
        self,
        packed: Packed,
        free: Float[jax.Array, "n 3"],
        lattice: Float[jax.Array, "g 6"],
        active: Bool[jax.Array, "g"],
    ) -> Slopes:
        """See :meth:`potentials.base.Potential.slopes`."""
        shapes = [jax.ShapeDtypeStruct(shape, free.dtype) for shape in (
            packed.group.shape, free.shape, (len(packed.group), 3, 3))]  # fmt: skip
        energy, by_free, by_strain = jax.pure_callback(
            self._all, shapes, packed, free, lattice, active
        )
        # E changes with S as with the strain S⁻¹ dS.
        matrix, pull = jax.vjp(matrix_from_coefficients, lattice)
        (by_lattice,) = pull(jnp.linalg.solve(matrix, by_strain))
        return Slopes(
            energy=energy,
            free=by_free,
            lattice=jnp.where(lattice_mask(packed.group), by_lattice, 0),
            strain=of_lattice(by_strain, packed.group),
        )

    def _all(self, packed: Packed, *rest: jax.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        packed = jax.tree.map(np.asarray, packed)
        free, lattice, active = map(np.asarray, rest)
        count = len(lattice)
        energy, by_free = np.zeros(count, free.dtype), np.zeros_like(free)
        by_strain = np.zeros((count, 3, 3), free.dtype)
        for number, crystal in enumerate(unpack(packed, free, lattice)):
            if not active[number]:
                continue
            own = (packed.crystal == number) & (packed.wyckoff > 0)
            energy[number], by_free[own], by_strain[number] = self._one(crystal)
        return energy, by_free, by_strain

    def _one(self, crystal: Crystal) -> tuple[float, np.ndarray, np.ndarray]:
        """Energy, ∂E/∂u = -Σ Aᵀ S F over the atoms of each site, and ∂E/∂ε = V σ."""
        crystal = Crystal(
            group=crystal.group,
            wyckoff=crystal.wyckoff,
            species=crystal.species,
            free=np.asarray(crystal.free, np.float64),
            lattice=np.asarray(crystal.lattice, np.float64),
        )
        try:
            said = self.evaluate(crystal)
        except Exception:
            logging.getLogger(__name__).warning("%s failed", self.name, exc_info=True)
            return np.nan, np.zeros_like(crystal.free), np.zeros((3, 3))
        matrix = matrix_from_coefficients(crystal.lattice)
        tables = load_tables()
        rows = np.concatenate([
            first + np.arange(count) for first, count in zip(
                lookup(tables.position_first_row, crystal.wyckoff),
                lookup(tables.position_multiplicity, crystal.wyckoff), strict=True)
        ])  # fmt: skip
        pull = np.einsum("nij,nj->ni", tables.row_linear[rows].swapaxes(1, 2), said.forces @ matrix)
        site = np.asarray(expand(crystal, capacity=int(num_atoms(crystal))).site)
        by_free = np.zeros_like(crystal.free)
        np.add.at(by_free, site, -pull)
        return said.energy, by_free, said.stress * float(volume(matrix))


AnyPotential = Potential | HostPotential
"""What relaxations take."""
