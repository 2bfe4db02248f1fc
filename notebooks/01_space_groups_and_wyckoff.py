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
# Pick a space group, look at its positions, put atoms on them, draw. Everything here comes from
# `jaxcrys.symmetry`: exact integer tables, and pure functions on arrays. Change the number and run
# it again.

# %%
import matplotlib.pyplot as plt
import numpy as np

from jaxcrys import symmetry
from jaxcrys.core.pytree import take
from jaxcrys.crystal import build_crystal, expand, num_atoms
from jaxcrys.crystal.canonical import canonical_form
from jaxcrys.crystal.describe import wyckoff_string
from jaxcrys.crystal.equivalents import equivalents
from jaxcrys.crystal.protostructure import protostructure_hash, protostructure_label
from jaxcrys.crystal.subgroup import to_subgroup
from jaxcrys.symmetry import oracles
from jaxcrys.view.notebook import show

GROUP = 194

# %% [markdown]
# A space group is a list of operations, which turn, mirror and shift. Each is written as what it
# makes of a point x, y, z.

# %%
rotations, translations = symmetry.operations(GROUP)
print(f"{GROUP}: {symmetry.symbol(GROUP)}, {symmetry.crystal_family(GROUP)}")
print(f"{len(rotations)} operations in the conventional cell, among them:")
print(";  ".join(symmetry.operation_texts(GROUP)[:8]))

# %% [markdown]
# ## Its Wyckoff positions
#
# Apply all operations to one point, and its *orbit* appears: the atoms that symmetry makes of one.
# A point on a mirror or an axis is its own image under some of them, so its orbit is smaller. A
# *Wyckoff position* is a family of points that are alike in this. Below: multiplicity (atoms in the
# orbit) and letter, the symmetry that an atom there keeps, the number of free coordinates, and one
# point of the family.

# %%
positions = np.array(symmetry.positions_of(GROUP))
for wyckoff in positions:
    print(
        f"{symmetry.position_label(wyckoff):>4}  "
        f"{symmetry.site_symmetry_symbol(symmetry.site_symmetry_id(wyckoff)):>6}  "
        f"{symmetry.degrees_of_freedom(wyckoff)}  {symmetry.coordinate_texts(wyckoff)[0]}"
    )

# %% [markdown]
# Four of the orbits, from a point that nothing can move to one that is free to go anywhere:

# %%
CELL = (5.0, 5.0, 8.0, 90, 90, 120)
orbits = {"a": (), "f": (0.1,), "h": (0.2,), "l": (0.46, 0.15, 0.9)}
show(
    *[build_crystal(GROUP, [(14, letter, free)], CELL) for letter, free in orbits.items()],
    colour="orbit",
    bonds=False,
    titles=[symmetry.position_label(symmetry.position_id(GROUP, letter)) for letter in orbits],
    height=320,
)

# %% [markdown]
# ## Its asymmetric unit
#
# The grey body is the *asymmetric unit*. Its images fill all of space, and it holds one atom of
# each orbit (solid); the others (translucent) follow from it. This is why the networks of jaxcrys
# look at that atom alone. Drag to turn.

# %%
general = build_crystal(GROUP, [(14, "l", orbits["l"])], CELL)
show(general, colour="orbit", unit=True, bonds=False)

# %% [markdown]
# ## Site symmetry
#
# The operations that leave a site where it is. They can be written as a table of axes and
# operations that means the same in every group, which is how networks are told about it.

# %%
site = symmetry.position_id(GROUP, "c")
index, _, mask = symmetry.stabiliser(site)
texts = symmetry.operation_texts(GROUP)
print(symmetry.position_label(site), "is kept by", "; ".join(texts[i] for i in index[mask]))

figure, axes = plt.subplots(figsize=(6, 5))
axes.imshow(symmetry.site_symmetry_bits(site), cmap="Blues", vmax=1.5)
axes.set_yticks(range(15), ["".join(f"{n:g}" for n in axis) for axis in symmetry.SYMMETRY_AXES])
axes.set_xticks(range(13), symmetry.SITE_ELEMENTS, fontsize=8)
axes.set(xlabel="operation", ylabel="direction of the axis", title="site symmetry of position c")
figure.tight_layout()
# %% [markdown]
# ## Put atoms on it
#
# Molybdenite, MoS2: two orbits, one free coordinate, two lattice parameters (a and c, in Å). That
# is the whole crystal; `expand` writes out its atoms.

# %%
crystal = build_crystal(GROUP, [(42, "c"), (16, "f", (0.621,))], (3.16, 3.16, 12.29, 90, 90, 120))
cell = expand(crystal, capacity=int(num_atoms(crystal)))
print(wyckoff_string(crystal), "->", int(num_atoms(crystal)), "atoms")
show(crystal, repeat=(3, 3, 1))

# %% [markdown]
# ## The same crystal in other words
#
# Another choice of the origin or of the axes describes the same crystal. (The choices that keep the
# operations of the group as they are make up its *normaliser*.) Letters change; atoms do not, and
# neither does the label of the structure type.

# %%
others = equivalents(crystal)
for i in range(len(others.group)):
    one = take(others, i)
    print(wyckoff_string(one), protostructure_label(one), protostructure_hash(one)[:12])
print("canonical:", wyckoff_string(canonical_form(crystal)))

# %% [markdown]
# ## What else could have this formula?
#
# The groups in which MoS2 fits with two formula units in the primitive cell, and the number of ways
# to place it in this one: all of them, and those that differ by more than the choice of the origin.

# %%
molybdenite = {42: 1, 16: 2}
groups = oracles.reachable_groups(molybdenite, 2)
print(len(groups), "groups; among them", ", ".join(symmetry.symbol(g) for g in list(groups)[-12:]))
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
# freedom. This is how a distortion is described.

# %%
subgroups = symmetry.maximal_subgroups(GROUP)
for relation in subgroups[:6]:
    print(
        f"{relation.kind}, index {relation.index}: {relation.group}, "
        f"{symmetry.symbol(relation.group)}"
    )
print(f"... {len(subgroups)} in all")
lower = to_subgroup(crystal, subgroups[0])
print(wyckoff_string(crystal), "becomes", wyckoff_string(lower))
