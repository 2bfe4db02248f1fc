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
# # From a CIF to an asymmetric unit and back
#
# A crystal in jaxcrys is its space group, the Wyckoff positions that it occupies, the element on
# each, their free coordinates, and the free numbers of its lattice. Here a list of atoms becomes
# one, is changed, and is written again.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from jaxcrys.crystal import Crystal, expand, num_atoms, stack_crystals
from jaxcrys.crystal.cif import to_cif
from jaxcrys.crystal.cif_reader import read_cif
from jaxcrys.crystal.convert import detect_group, from_arrays, to_structure
from jaxcrys.crystal.describe import describe
from jaxcrys.geometry import shortest_distance
from jaxcrys.view.notebook import show

# %% [markdown]
# Quartz, as many programs write it: all atoms of the cell, rounded to three decimals, and no word
# about symmetry.

# %%
TEXT = """
data_quartz
_cell_length_a 4.913
_cell_length_b 4.913
_cell_length_c 5.405
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 120
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Si1 0.470 0.000 0.333
Si2 0.000 0.470 0.667
Si3 0.530 0.530 0.000
O1 0.413 0.267 0.214
O2 0.733 0.147 0.548
O3 0.853 0.587 0.881
O4 0.267 0.413 0.786
O5 0.147 0.733 0.452
O6 0.587 0.853 0.119
"""
cell = read_cif(TEXT)
crystal = from_arrays(*cell, symprec=0.01)
describe(crystal)

# %% [markdown]
# `symprec` is the distance in Å by which an atom may miss its symmetric place. What is left of nine
# atoms are two orbits, and six free numbers: one coordinate of silicon (position 3a or 3b, on a
# twofold axis), three of oxygen (6c, anywhere), and two of the lattice. Everything else is 0 or
# fixed.

# %%
print("group    ", int(crystal.group))
print("positions", crystal.wyckoff, "(running numbers of all positions of all groups)")
print("elements ", crystal.species)
print("free     ", np.round(crystal.free, 4).tolist())
print("lattice k", np.round(crystal.lattice, 4))

# %% [markdown]
# In the picture the two atoms that the crystal is described by are solid; they lie in the
# asymmetric unit (grey). All the others are made from them.

# %%
show(crystal, colour="orbit", unit=True)

# %% [markdown]
# ## Out again: `expand`
#
# `expand` writes out the unit cell. It is a pure function of arrays: `jax.jit` compiles it once for
# crystals of all groups, and `jax.grad` differentiates through it. Here is how the shortest bond
# changes with each free number:

# %%
atoms = int(num_atoms(crystal))


def shortest_bond(free, lattice):
    moved = Crystal(crystal.group, crystal.wyckoff, crystal.species, free, lattice)
    cell = expand(moved, capacity=atoms)
    return shortest_distance(cell.frac, cell.lattice, cell.mask)


numbers = jnp.asarray(crystal.free), jnp.asarray(crystal.lattice)
length, slopes = jax.jit(jax.value_and_grad(shortest_bond, argnums=(0, 1)))(*numbers)
print(f"shortest bond {length:.3f} Å; it changes, for a step of 0.01 in a coordinate,")
print(f"by {slopes[0][0, 0] / 100:.3f} Å with x of silicon, and with x, y, z of oxygen by")
print(", ".join(f"{slope / 100:.3f} Å" for slope in slopes[0][1]))

# %% [markdown]
# ## Any numbers have the same symmetry
#
# Move the oxygen, anywhere. No step can lead out of the space group, and nothing has to be
# symmetrised afterwards. spglib, which looks at nothing but the atoms, agrees however closely it
# looks; of the rounded list it finds less and less.

# %%
free = np.array(crystal.free)
free[1] += (0.02, -0.03, 0.01)
moved = Crystal(crystal.group, crystal.wyckoff, crystal.species, free, crystal.lattice)

tolerances = np.logspace(-5, -1, 9)
listed = {"list of atoms": cell, "asymmetric unit": crystal, "moved": moved}
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
for (name, one), style in zip(listed.items(), ("o-", "s-", "x--"), strict=True):
    found = [detect_group(one, tolerance) for tolerance in tolerances]
    axes.semilogx(tolerances, found, style, label=name)
axes.set(xlabel="tolerance, Å", ylabel="space group found", ylim=(0, 160))
axes.legend(loc="center left")
axes.grid(alpha=0.3)
# %%
show(crystal, moved, titles=["quartz", "moved"])

# %% [markdown]
# ## Back to a CIF
#
# The file has the symmetry operations and one line for each orbit, with its Wyckoff letter.

# %%
text = to_cif(moved, name="moved quartz")
print(text)

# %% [markdown]
# Another program reads the same atoms from it, and so do we:

# %%
theirs = Structure.from_str(text, fmt="cif", frac_tolerance=0)
print("pymatgen reads the same:", StructureMatcher().fit(theirs, to_structure(moved)))
again = from_arrays(*read_cif(text), symprec=1e-4)
print("our own way back: group", int(again.group), "with", describe(again)["wyckoff"])

# %% [markdown]
# ## Many at once
#
# Crystals of any groups make a batch, whose arrays are padded to the largest; `mask` says which
# atoms are there. This is what networks and samplers work on.

# %%
batch = stack_crystals([crystal, moved])
cells = expand(batch, capacity=12)
print("coordinates", cells.frac.shape, "- atoms", cells.mask.sum(-1), "- left out", cells.overflow)
