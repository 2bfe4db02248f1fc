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
# # Crystals of a chemical system: generate, relax, rank, look
#
# The question: which compounds could aluminium and nickel form? The model that comes with jaxcrys
# proposes crystals, an interatomic potential moves their atoms downhill in energy, and what lies
# lowest is worth a closer look.

# %%
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import take
from jaxcrys.crystal import build_crystal, load_crystals, stack_crystals
from jaxcrys.potentials.lennard_jones import lennard_jones
from jaxcrys.potentials.library import corrections_for, load_potential
from jaxcrys.recipes.library import IN_THE_BOX, load_model
from jaxcrys.sampling.generate import generate
from jaxcrys.sampling.plan import Request
from jaxcrys.sampling.relaxed import relax_set
from jaxcrys.sampling.wish import Wish
from jaxcrys.stability.hull import Scale, above_hull, make_hull
from jaxcrys.stability.references import formation_energy, shares
from jaxcrys.symmetry import symbol
from jaxcrys.view.notebook import show

work = Path(tempfile.mkdtemp(prefix="jaxcrys-"))

# %% [markdown]
# ## Generate
#
# A *wish* says what is fixed: here the elements and the size of the cell. It could be a space
# group, a formula or a template of positions as well. Most of the time goes into compiling, so that
# hundreds of crystals take little longer than these.

# %%
model = load_model(IN_THE_BOX)
wish = Wish(chemical_system="Al-Ni", elements_required="Al-Ni", max_atoms=8)
rows = generate(model, work / "drawn", Request(wish, num=24))
drawn = load_crystals(work / "drawn")
print(f"{IN_THE_BOX} learned from {len(model.templates.group)} crystals")
pd.DataFrame(rows)[["formula", "group", "wyckoff", "shortest_distance", "density"]].head(6)

# %% [markdown]
# ## A potential
#
# Nequix-MP-1 is a neural network that was trained on the energies and forces of more than a million
# density functional calculations. Its weights are fetched once (3 MB). `JAXCRYS_POTENTIAL` may name
# a file of weights instead.

# %%
try:
    potential = load_potential(os.environ.get("JAXCRYS_POTENTIAL", "nequix-mp-1"))
except InputError as error:
    print(error)
    print("\nThe potential of Lennard and Jones stands in. It knows no elements: all energies")
    print("below are those of one made-up atom, good for trying things out and nothing else.")
    potential = lennard_jones()
print("potential:", potential.name)

# %% [markdown]
# ## Relax
#
# Each crystal goes downhill in its own free coordinates and lattice, so its space group stays
# exactly what it is. All share one compiled program, whatever their groups. The pure elements,
# which a compound must beat, are relaxed along with them.

# %%
aluminium = build_crystal(225, [(13, "a")], (4.05, 4.05, 4.05, 90, 90, 90))
nickel = build_crystal(225, [(28, "a")], (3.52, 3.52, 3.52, 90, 90, 90))
everything = stack_crystals([*(take(drawn, i) for i in range(len(rows))), aluminium, nickel])
table = pd.DataFrame(
    relax_set(potential, everything, work / "relaxed", source="drawn, and two elements")
)
relaxed = load_crystals(work / "relaxed")
print(table.outcome.value_counts().to_dict())
table[["formula", "group", "outcome", "steps", "energy_before", "energy", "rmsd"]].head(6)

# %% [markdown]
# Energies are in eV per atom; `rmsd` is how far atoms moved, in Å. A crystal that hardly moves was
# drawn where the potential wants it.

# %%
sound = table.outcome.isin(["converged", "steps"])
change = (table.energy[sound] - table.energy_before[sound]).astype(float)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
order = table.energy[sound].astype(float).sort_values().index
places = np.arange(len(order))
left.vlines(places, table.energy[order], table.energy_before[order], color="0.8")
left.plot(places, table.energy_before[order], "o", mfc="white", label="as drawn")
left.plot(places, table.energy[order], "o", label="relaxed")
left.set(xlabel="crystal, the lowest first", ylabel="energy, eV/atom")
left.legend()
right.hist(-change, bins=20)
right.set(xlabel="energy lost by relaxing, eV/atom", ylabel="crystals")
right.grid(alpha=0.3)

# %% [markdown]
# ## Rank
#
# Crystals of different compositions are compared by their *formation energy*, the energy less that
# of the elements they are made of. The *convex hull* joins the lowest of them: whatever lies above
# it can gain energy by decomposing into its neighbours. This hull knows nothing but what was drawn
# here; `jaxcrys hull` makes one of a dataset, on which all known compounds stand.

# %%
compositions = [shares(take(relaxed, i)) for i in range(len(table))]
references = {13: float(table.energy.iloc[-2]), 28: float(table.energy.iloc[-1])}
table["formation"] = [
    formation_energy(composition, energy, references) if good else np.nan
    for composition, energy, good in zip(compositions, table.energy, sound, strict=True)
]
scale = Scale(potential.name, potential.digest, corrections_for(potential))
hull = make_hull(
    scale, "drawn here", references, zip(table.formula, compositions, table.formation, strict=True)
)
table["above_hull"] = [
    above_hull(hull, *each).energy for each in zip(compositions, table.formation, strict=True)
]
table["nickel"] = [composition.get(28, 0.0) for composition in compositions]

figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
axes.plot(table.nickel, table.formation, "o", label="relaxed")
corners = table[table.above_hull < 1e-6].drop_duplicates("formula").sort_values("nickel")
axes.plot(corners.nickel, corners.formation, "k-", label="hull of what is here")
for row in corners.itertuples():
    axes.annotate(row.formula, (row.nickel, row.formation), xytext=(0, -14),
                  textcoords="offset points", ha="center")  # fmt: skip
axes.set(xlabel="share of nickel", ylabel="formation energy, eV/atom")
axes.margins(y=0.15)
axes.legend()
axes.grid(alpha=0.3)

# %%
table["asked"] = [symbol(int(group)) for group in table.group]
table["found"] = [symbol(int(group)) for group in table["group_0.1"]]
best = table[:-2][sound[:-2]].sort_values("above_hull")
best[["formula", "asked", "found", "wyckoff", "formation", "above_hull"]].head(8).round(3)

# %% [markdown]
# `asked` is the space group in which a crystal was drawn and relaxed, `found` what spglib sees in
# the end: a relaxation may arrive at more symmetry, never at less. Several crystals can thus be the
# same one in other words. With Nequix this is chemistry: NiAl with the structure of CsCl (Pm-3m) is
# one of the most stable alloys there are, and nobody asked for it.
#
# ## Look

# %%
different = best.drop_duplicates(["formula", "found"])[:3]
show(
    *(take(relaxed, int(i)) for i in different.index),
    titles=list(different.formula + ", " + different.found),
)
