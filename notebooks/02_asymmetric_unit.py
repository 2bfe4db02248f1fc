# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From atoms to an asymmetric unit and back
#
# A crystal in jaxcrys is its space group, the Wyckoff positions that it occupies, the element on
# each, their free coordinates, and the free lattice coefficients.

# %%
import jax
import jax.numpy as jnp
import numpy as np
from pymatgen.core import Lattice, Structure

from jaxcrys.crystal import Crystal, expand, num_atoms, stack_crystals
from jaxcrys.crystal.cif import to_cif
from jaxcrys.crystal.convert import from_structure, to_structure
from jaxcrys.crystal.describe import describe
from jaxcrys.geometry import shortest_distance

# %% [markdown]
# Rutile, as a list of atoms:

# %%
rutile = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]
)
crystal = from_structure(rutile)
describe(crystal)

# %% [markdown]
# Two orbits and three free numbers: the oxygen coordinate and two lattice coefficients.

# %%
print("group    ", crystal.group)
print("positions", crystal.wyckoff)
print("free     ", crystal.free)
print("lattice k", np.round(crystal.lattice, 4))

# %% [markdown]
# `expand` writes out the unit cell. It is a pure function: it runs in jit on batches of crystals
# of different groups, and has derivatives. Here is how the shortest bond changes with each free
# number:

# %%
atoms = int(num_atoms(crystal))


def shortest_bond(free, lattice):
    moved = Crystal(crystal.group, crystal.wyckoff, crystal.species, free, lattice)
    cell = expand(moved, capacity=atoms)
    return shortest_distance(cell.frac, cell.lattice, cell.mask)


numbers = jnp.asarray(crystal.free), jnp.asarray(crystal.lattice)
length, slopes = jax.jit(jax.value_and_grad(shortest_bond, argnums=(0, 1)))(*numbers)
print(f"shortest bond {length:.3f} Å; d/dx of oxygen {slopes[0][1, 0]:.2f} Å")

# %% [markdown]
# Any values of the free numbers have the same symmetry. Move the oxygen and look:

# %%
free = np.array(crystal.free)
free[1, 0] = 0.28
moved = Crystal(crystal.group, crystal.wyckoff, crystal.species, free, crystal.lattice)
print(to_structure(moved).get_space_group_info(symprec=1e-3))
print(to_cif(moved, name="moved rutile"))

# %% [markdown]
# A batch:

# %%
batch = stack_crystals([crystal, moved])
cells = expand(batch, capacity=8)
cells.frac.shape, cells.overflow
