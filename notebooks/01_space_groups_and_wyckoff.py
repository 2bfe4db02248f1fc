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
# # Space groups and Wyckoff positions
#
# Pick a group, look at its positions, put atoms on them, expand, draw. Everything here comes from
# `jaxcrys.symmetry`: exact integer tables and pure functions on arrays, no other library at run
# time. Change the number and run it again.

# %%
import matplotlib.pyplot as plt
import numpy as np

from jaxcrys import symmetry
from jaxcrys.crystal import build_crystal, expand, num_atoms
from jaxcrys.crystal.canonical import canonical_form
from jaxcrys.crystal.describe import wyckoff_string
from jaxcrys.crystal.equivalents import equivalents
from jaxcrys.crystal.protostructure import protostructure_hash, protostructure_label
from jaxcrys.crystal.subgroup import to_subgroup
from jaxcrys.geometry import (
    matrix_from_coefficients,
    matrix_from_parameters,
    parameters_from_matrix,
)
from jaxcrys.symmetry import oracles

GROUP = 194

# %%
rotations, translations = symmetry.operations(GROUP)
print(f"{GROUP}: {symmetry.symbol(GROUP)}, {symmetry.crystal_family(GROUP)}")
print(f"{len(rotations)} operations in the conventional cell:")
print("  ".join(symmetry.operation_texts(GROUP)))

# %% [markdown]
# ## Its positions
#
# Multiplicity and letter, oriented site symmetry, free coordinates, the representative.

# %%
positions = np.array(symmetry.positions_of(GROUP))
for wyckoff in positions:
    print(
        f"{symmetry.position_label(wyckoff):>4}  "
        f"{symmetry.site_symmetry_symbol(symmetry.site_symmetry_id(wyckoff)):>6}  "
        f"{symmetry.degrees_of_freedom(wyckoff)}  {symmetry.coordinate_texts(wyckoff)[0]}"
    )

# %% [markdown]
# ## Its asymmetric unit
#
# The general position seen along c. Colour is height; each atom is the image of one representative
# under one operation. The grey polygon is the asymmetric unit at the height of the representative:
# whatever lies in it stands for all the rest.

# %%
shape = matrix_from_coefficients(symmetry.constrain_lattice(np.zeros(6), np.array(GROUP)))
AXES = matrix_from_parameters(parameters_from_matrix(shape))  # a along the x axis of the picture
point = symmetry.canonical_free(positions[-1], np.array([0.46, 0.15, 0.9]))
orbit = symmetry.expand_orbits(positions[-1:], point[None], capacity=192)


def frame(axes, pad=0.12):
    """A cell drawn along c, its third axis pointing at the reader."""
    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0]]) @ AXES
    axes.plot(*corners[:, :2].T, color="black", linewidth=1)
    axes.set_aspect("equal")
    axes.axis("off")
    axes.margins(pad)


normals, offsets = symmetry.asymmetric_unit(GROUP)
grid = np.stack(np.meshgrid(*[np.linspace(-0.5, 1.5, 400)] * 2, indexing="ij"), -1)
plane = np.concatenate([grid, np.full((*grid.shape[:2], 1), point[2])], -1)
inside = (plane @ normals.T <= offsets).all(-1)
seen = plane @ AXES

figure, axes = plt.subplots(figsize=(5, 5))
frame(axes)
axes.contourf(seen[..., 0], seen[..., 1], inside, levels=[0.5, 1], colors=["lightgrey"])
atoms = orbit.frac[orbit.mask] @ AXES
heights = orbit.frac[orbit.mask][:, 2]
dots = axes.scatter(*atoms[:, :2].T, c=heights, cmap="hsv", vmin=0, vmax=1, s=60)
figure.colorbar(dots, label="height z", shrink=0.6)
axes.set_title(f"general position of {symmetry.symbol(GROUP)}")

# %% [markdown]
# ## Site symmetry
#
# The operations that leave a site where it is, and the same as a table of axes and operations that
# can be compared between groups.

# %%
site = symmetry.position_id(GROUP, "c")
index, _, mask = symmetry.stabiliser(site)
print(symmetry.position_label(site), [symmetry.operation_texts(GROUP)[i] for i in index[mask]])

figure, axes = plt.subplots(figsize=(6, 5))
axes.imshow(symmetry.site_symmetry_bits(site), cmap="Greys")
axes.set_yticks(range(15), [str(axis) for axis in symmetry.SYMMETRY_AXES])
axes.set_xticks(range(13), symmetry.SITE_ELEMENTS, fontsize=8)

# %% [markdown]
# ## Put atoms on it
#
# Molybdenite, MoS2: two orbits, one free coordinate, two lattice parameters.

# %%
crystal = build_crystal(GROUP, [(42, "c"), (16, "f", (0.621,))], (3.16, 3.16, 12.29, 90, 90, 120))
cell = expand(crystal, capacity=int(num_atoms(crystal)))
print(wyckoff_string(crystal), "->", int(num_atoms(crystal)), "atoms")

figure = plt.figure(figsize=(4, 6))
axes = figure.add_subplot(projection="3d")
shifts = np.stack(np.meshgrid(*[[-1, 0, 1]] * 2, [0], indexing="ij"), -1).reshape(-1, 1, 3)
cloud = ((cell.frac + shifts) @ cell.lattice).reshape(-1, 3)
kinds = np.tile(cell.species, len(shifts))
axes.scatter(*cloud.T, c=np.where(kinds == 42, "teal", "gold"), s=80, edgecolors="black")
axes.set_box_aspect(np.ptp(cloud, axis=0))
axes.set_axis_off()
axes.view_init(elev=12, azim=20)

# %% [markdown]
# ## The same crystal in other words
#
# Another origin, other axes: the normaliser of the group. Letters change, atoms do not, and neither
# does the label.

# %%
others = equivalents(crystal)
for i in range(len(others.group)):
    one = type(crystal)(*(leaf[i] for leaf in vars(others).values()))
    print(wyckoff_string(one), protostructure_label(one), protostructure_hash(one))
print("canonical:", wyckoff_string(canonical_form(crystal)))

# %% [markdown]
# ## What else could have this formula?
#
# The groups in which MoS2 fits with two formula units in the cell, and the number of ways to place
# it in this one: all of them, and those that differ by more than the choice of the origin.

# %%
molybdenite = {42: 1, 16: 2}
groups = oracles.reachable_groups(molybdenite, 2)
print(len(groups), "groups; among them", [symmetry.symbol(g) for g in list(groups)[-12:]])
print(
    oracles.count_templates(molybdenite, GROUP, 2),
    "ways,",
    oracles.count_templates(
        molybdenite, GROUP, 2, permutations=symmetry.position_permutations(GROUP)
    ),
    "up to equivalence",
)

# %% [markdown]
# ## Lower its symmetry
#
# The maximal subgroups, and what becomes of the positions in the first: the same atoms with more
# freedom.

# %%
for relation in symmetry.maximal_subgroups(GROUP):
    print(relation.kind, relation.index, relation.group, symmetry.symbol(relation.group))
lower = to_subgroup(crystal, symmetry.maximal_subgroups(GROUP)[0])
print(wyckoff_string(crystal), "becomes", wyckoff_string(lower))
