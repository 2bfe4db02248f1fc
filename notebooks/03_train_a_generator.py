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
# # Train a small generator
#
# A generator learns from crystals that exist, and then draws others. Here a very small one learns
# from the structure prototypes of AFLOW that come with pymatgen, for a minute. It shows how the
# parts fit together, not how good they can be; the model in the box (notebook 04) was trained on a
# hundred times as many crystals.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from jaxcrys.cli.demo import write_prototypes
from jaxcrys.core.pytree import take
from jaxcrys.crystal import load_crystals
from jaxcrys.crystal.expand import atomic_length
from jaxcrys.crystal.primitive import num_primitive_atoms
from jaxcrys.data.prepare import prepare
from jaxcrys.recipes import get_recipe
from jaxcrys.recipes.library import load_model
from jaxcrys.recipes.run_folder import metrics_path
from jaxcrys.sampling.generate import generate
from jaxcrys.sampling.plan import Request
from jaxcrys.symmetry import symbol
from jaxcrys.training import TrainingConfig, train
from jaxcrys.training.metrics import read_metrics
from jaxcrys.view.notebook import show

work = Path(tempfile.mkdtemp(prefix="jaxcrys-"))

# %% [markdown]
# ## A dataset
#
# `prepare` reads crystals in any format (here a table with a column of CIFs), finds the symmetry of
# each, and writes arrays. Whatever cannot be used is listed with its reason.

# %%
dataset = prepare(write_prototypes(work / "prototypes.csv"), work / "dataset")
print(f"{dataset.meta['accepted']} crystals, {dataset.meta['rejected']} rejected")
crystals = load_crystals(dataset.folder)
crystals = take(crystals, np.asarray(num_primitive_atoms(crystals)) <= 12)
print(f"{len(crystals.group)} of them have at most 12 atoms in the primitive cell")

# %% [markdown]
# ## A recipe
#
# A *recipe* says what is drawn and how. `orbit_flow` takes space group and Wyckoff positions from
# the training set and draws the rest by *flow matching*: a network is shown crystals on the way
# from random numbers to real ones and learns in which direction to go on. Following it from new
# random numbers leads to new crystals. Symmetry need not be learned: only free coordinates and free
# lattice coefficients move.

# %%
recipe = get_recipe("orbit_flow")
settings = recipe.presets["tiny"]
settings.network

# %% [markdown]
# ## Training
#
# A step looks at 32 crystals and changes the parameters a little. The first takes longest: JAX
# compiles the whole step to machine code. An interrupted run goes on where it was when the cell is
# run again.

# %%
training = TrainingConfig(
    steps=600,
    batch_size=32,
    warmup_steps=50,
    ema_decay=0.99,
    log_every=20,
    checkpoint_every=100,
    max_shapes=1,
)
result = train(work / "run", crystals, recipe="orbit_flow", settings=settings, config=training)
print(f"{result.steps} steps")

# %% [markdown]
# The loss is how far the network is off. It has three parts; elements are the hardest. The
# *validation* loss is of crystals that are held out: where it stops falling while the other goes
# on, the model learns the training set by heart. With so few crystals that is so nearly from the
# start.

# %%
log = pd.DataFrame(read_metrics(metrics_path(work / "run")))
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for split, style in (("train", "-"), ("validation", "o--")):
    own = log[log.split == split]
    left.plot(own.step, own.loss, style, label=split)
for part in ("free", "lattice", "species"):
    own = log[log.split == "train"]
    right.plot(own.step, own[part], label={"free": "free coordinates"}.get(part, part))
left.set(xlabel="step", ylabel="loss", ylim=(0, None))
right.set(xlabel="step", ylabel="parts of the loss in training", ylim=(0, None))
for axes in (left, right):
    axes.legend()
    axes.grid(alpha=0.3)

# %% [markdown]
# ## New crystals

# %%
rows = generate(load_model(work / "run", checkpoint="latest"), work / "drawn", Request(num=64))
drawn = load_crystals(work / "drawn")
table = pd.DataFrame(rows)
table[["formula", "group", "group_0.001", "wyckoff", "shortest_distance", "density"]].head(8)

# %% [markdown]
# `group` is what was asked for, `group_0.001` what spglib finds at a tolerance of 0.001 Å;
# distances are in Å, densities in g/cm³. Every crystal has the symmetry that it was drawn with (or
# by accident more), which generators of atoms must learn and often miss:

# %%
found = (table["group"] == table["group_0.001"]).mean()
print(f"space group as asked for: {found:.0%}")

# %%
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.2), layout="constrained")
real, new = (pd.Series(np.asarray(each.group)) for each in (crystals, drawn))
common = real.value_counts().index[:10]
for place, (each, name) in enumerate(((real, "training set"), (new, "drawn"))):
    shares = each.value_counts(normalize=True).reindex(common, fill_value=0)
    left.bar(np.arange(10) + 0.4 * place, shares, width=0.4, label=name)
left.set_xticks(np.arange(10) + 0.2, [symbol(int(g)) for g in common], rotation=60, fontsize=8)
left.set(ylabel="share", title="the commonest space groups")
for each, name in ((crystals, "training set"), (drawn, "drawn")):
    volume = np.asarray(atomic_length(each)) ** 3
    middle.hist(volume, np.linspace(0, 60, 25), density=True, alpha=0.6, label=name)
middle.set(xlabel="volume per atom, Å³", ylabel="density, 1/Å³")
right.hist(table.shortest_distance, np.linspace(0, 4, 25), color="C1", alpha=0.6)
right.set(xlabel="shortest distance between atoms, Å", ylabel="crystals drawn")
left.legend()
left.grid(axis="y", alpha=0.3)

# %% [markdown]
# Space groups follow the training set, since they are taken from it; volumes are learned. A model
# this small still puts some atoms too close together: `clash_steps` of `generate` moves them apart,
# `candidates` draws several and keeps the best, and more data and time do away with most of it.
# Three of those whose atoms keep their distance:

# %%
good = table.index[table.shortest_distance.between(1.8, 3.5)]
show(*(take(drawn, int(i)) for i in good[:3]))
