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
# # Predict the structures of a formula
#
# Given BaTiO3 and nothing else: in which space group does it crystallise, on which positions, with
# which coordinates? `predict` proposes templates (group, positions and elements) of exactly this
# formula from two sources. The model draws some; others are taken from crystals of the training set
# with similar elements. Then it gives a geometry to the best.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from pymatgen.analysis.diffraction.xrd import XRDCalculator

from jaxcrys.core.elements import parse_formula
from jaxcrys.core.pytree import take
from jaxcrys.crystal import load_crystals
from jaxcrys.crystal.convert import to_structure
from jaxcrys.recipes.library import IN_THE_BOX, load_model
from jaxcrys.sampling.predict import Prediction, predict
from jaxcrys.symmetry import oracles, symbol
from jaxcrys.view.notebook import show

FORMULA = "BaTiO3"
work = Path(tempfile.mkdtemp(prefix="jaxcrys-"))

# %% [markdown]
# ## How many ways are there?
#
# Symmetry alone leaves many: the number of templates for each number of formula units (Z) in the
# primitive cell, over all groups.

# %%
counts = parse_formula(FORMULA)
for units in (1, 2, 4):
    groups = [int(group) for group in oracles.reachable_groups(counts, units)]
    ways = sum(oracles.count_templates(counts, group, units) for group in groups)
    print(f"Z = {units}: {len(groups)} groups, {ways:,} templates")

# %% [markdown]
# ## Predict

# %%
model = load_model(IN_THE_BOX)
rows = predict(model, work / "found", [FORMULA], settings=Prediction(keep=6))
crystals = load_crystals(work / "found")
table = pd.DataFrame(rows)
table["symbol"] = [symbol(int(group)) for group in table.group]
table[["rank", "symbol", "wyckoff", "score", "log_prob", "source", "parent", "geometry"]]

# %% [markdown]
# The score is what candidates are ranked by; the larger, the better. `log_prob` is the logarithm of
# the probability with which the model draws this template for this formula. `source` says whether
# it was `learned` (drawn), `retrieved` from the training set, or `both`; `parent` is the crystal of
# the training set that it was taken from, whose geometry was kept in a cell of the right size.
# (With `Prediction(parents=False)` the model draws the geometry of all of them.)

# %%
figure, axes = plt.subplots(figsize=(6, 2.5), layout="constrained")
axes.plot(table.score, table.symbol + ", " + table.wyckoff, "o")
axes.invert_yaxis()
axes.set(xlabel="score")
axes.margins(y=0.1)
axes.grid(alpha=0.3)

# %% [markdown]
# ## What a diffractometer would see
#
# A powder pattern tells the candidates apart: each peak is a family of lattice planes. Computed by
# pymatgen for copper Kα radiation.

# %%
calculator = XRDCalculator("CuKa")
patterns = [calculator.get_pattern(to_structure(take(crystals, i)), two_theta_range=(15, 70))
            for i in range(4)]  # fmt: skip
figure, all_axes = plt.subplots(4, 1, figsize=(9, 6), sharex=True, layout="constrained")
for axes, pattern, row in zip(all_axes, patterns, table.itertuples(), strict=False):
    axes.vlines(pattern.x, 0, pattern.y, color=f"C{row.rank - 1}")
    axes.set(ylim=(0, 115), ylabel="intensity")
    axes.set_title(f"{row.rank}: {row.symbol}", loc="right", y=0.65, x=0.99, fontsize=10)
    for x, y, planes in zip(pattern.x, pattern.y, pattern.hkls, strict=True):
        if y > 30:
            axes.annotate(" ".join(map(str, planes[0]["hkl"])), (x, y), ha="center", fontsize=7,
                          xytext=(0, 2), textcoords="offset points")  # fmt: skip
axes.set(xlabel="2θ for Cu Kα, degrees")
axes.margins(x=0)

# %% [markdown]
# ## Look

# %%
show(*(take(crystals, i) for i in range(3)))

# %% [markdown]
# BaTiO3 is known as a cubic perovskite above 120 °C (Pm-3m), tetragonal (P4mm) at room temperature,
# orthorhombic (Amm2) and rhombohedral (R3m) below, and as a hexagonal form (P63/mmc). Which of the
# candidates is lowest in energy is for a potential to say: notebook 04 shows how to relax them.
