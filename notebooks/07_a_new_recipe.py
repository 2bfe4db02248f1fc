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
# # A new recipe in sixty lines
#
# A *recipe* is where a network and a process meet: what is drawn, how it is disturbed in training,
# what the network learns, how a sample is made. It is a frozen dataclass of settings and a few pure
# functions; `jaxcrys/recipes/base.py` says what each must do. Datasets, batches, the training loop,
# checkpoints, sampling and files then come for nothing.
#
# The recipe below draws the geometry of crystals whose space group, Wyckoff positions and elements
# are known, by flow matching: from random free coordinates and a random lattice the network leads
# straight to the crystal.

# %%
import dataclasses
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from pymatgen.analysis.structure_matcher import StructureMatcher

from jaxcrys import symmetry
from jaxcrys.core.pytree import take
from jaxcrys.crystal import load_crystals, save_crystals, validate
from jaxcrys.crystal.convert import to_structure
from jaxcrys.crystal.expand import atomic_length
from jaxcrys.crystal.primitive import num_primitive_atoms
from jaxcrys.nn import init_backbone, run_backbone
from jaxcrys.nn.backbone import backbone_cost, validate_backbone
from jaxcrys.nn.orbit_net import OrbitNetConfig
from jaxcrys.processes import flow
from jaxcrys.recipes import Recipe, register_recipe
from jaxcrys.recipes.factors import masks_of, sum_and_count, weighted_loss
from jaxcrys.recipes.lattice_scale import fit_scale, from_standard, to_standard
from jaxcrys.recipes.library import IN_THE_BOX, load_model
from jaxcrys.recipes.run_folder import metrics_path
from jaxcrys.sampling.generate import generate
from jaxcrys.sampling.plan import Request
from jaxcrys.sampling.wish import Wish
from jaxcrys.training import TrainingConfig, train
from jaxcrys.training.metrics import read_metrics
from jaxcrys.view.notebook import show

work = Path(tempfile.mkdtemp(prefix="jaxcrys-"))

# %% [markdown]
# ## Settings
#
# What a user may change, and what is taken from the data: here the mean and the spread of the six
# lattice coefficients, so that the network works with numbers of order one.


# %%
@dataclasses.dataclass(frozen=True)
class Config:
    network: OrbitNetConfig = OrbitNetConfig(layers=1, channels=32, heads=4, neighbours=16)
    steps: int = 20
    mean: tuple[float, ...] = (0.0,) * 6
    scale: tuple[float, ...] = (1.0,) * 6


def fit(config, crystals):
    mean, scale = fit_scale(crystals)
    return dataclasses.replace(config, mean=mean, scale=scale)


# %% [markdown]
# ## Where paths begin, and what the network says
#
# A crystal on its way has free coordinates on a circle and lattice coefficients on a line.
# `jax.vmap` makes of a function of one crystal a function of a batch, and each crystal has a random
# key of its own: sample *i* does not depend on how many others are drawn.


# %%
def begin(keys, crystals):
    masks, sites = masks_of(crystals), crystals.wyckoff.shape[-1]
    keys = jax.vmap(jax.random.split)(keys)
    free = jax.vmap(lambda key: jax.random.uniform(key, (sites, 3)))(keys[:, 0])
    lattice = jax.vmap(lambda key: jax.random.normal(key, (6,)))(keys[:, 1])
    return jnp.where(masks.free, free, 0), jnp.where(masks.lattice, lattice, 0)


def crystals_at(crystals, free, lattice, config):
    lattice = from_standard(lattice, crystals, config.mean, config.scale)
    return dataclasses.replace(crystals, free=free, lattice=lattice)


def ask(params, crystals, free, lattice, time, *, config, shape):
    now = crystals_at(crystals, free, lattice, config)
    return run_backbone(config.network, params, now, lattice, 1000 * time, shape=shape)


# %% [markdown]
# ## Training
#
# A point on the straight path to each crystal, at a random time; the network is to say in which
# direction the path goes. The masks make sure that padding, and what symmetry fixes, counts
# nothing. A metric is a sum and a count, so that means over batches and devices are exact.


# %%
def loss(params, key, crystals, *, config, shape, properties=None, training=False):
    keys = jax.random.split(key, (len(crystals.group), 2))
    times = jax.vmap(jax.random.uniform)(keys[:, 0])
    masks = masks_of(crystals)
    free, lattice = begin(keys[:, 1], crystals)
    goal = to_standard(crystals, config.mean, config.scale)
    free_way = flow.way(free, crystals.free, masks.free, periodic=True)
    lattice_way = flow.way(lattice, goal, masks.lattice, periodic=False)
    free = flow.point(free, free_way, times[:, None, None], periodic=True)
    lattice = flow.point(lattice, lattice_way, times[:, None], periodic=False)
    said = ask(params, crystals, free, lattice, times, config=config, shape=shape)
    metrics = {
        "free": sum_and_count((said.free - free_way) ** 2, masks.free),
        "lattice": sum_and_count((said.lattice - lattice_way) ** 2, masks.lattice),
    }
    return weighted_loss(metrics, {"free": 10.0, "lattice": 1.0}), metrics


# %% [markdown]
# ## Sampling
#
# Follow the network's direction in twenty small steps. `lax.scan` makes one program of them.


# %%
def sample(params, keys, templates, *, config, shape, target=None):
    masks, dt = masks_of(templates), 1 / config.steps

    def step(state, index):
        free, lattice = state
        t = jnp.full(len(templates.group), index * dt)
        said = ask(params, templates, free, lattice, t, config=config, shape=shape)
        free = flow.step(free, said.free, t[:, None, None], dt, masks.free, periodic=True)
        lattice = flow.step(lattice, said.lattice, t[:, None], dt, masks.lattice, periodic=False)
        return (free, lattice), None

    end, _ = jax.lax.scan(step, begin(keys, templates), jnp.arange(config.steps))
    return crystals_at(templates, *end, config)


# %% [markdown]
# ## The recipe

# %%
recipe = Recipe(
    makes="crystals",
    config=Config,
    presets={"tiny": Config()},
    validate=lambda config: validate_backbone(config.network),
    fit=fit,
    init=lambda key, config: init_backbone(key, config.network),
    loss=loss,
    cost=lambda config: backbone_cost(config.network),
    sample=sample,
)
register_recipe("straight", recipe)

# %% [markdown]
# ## Train it
#
# As data serve small crystals of the training set of the model in the box. 64 of them are kept
# aside to be drawn later. The training loop knows nothing of the recipe but its name.

# %%
everything = load_model(IN_THE_BOX).templates
small = np.flatnonzero(np.asarray(num_primitive_atoms(everything)) <= 6)
chosen = np.random.default_rng(0).permutation(small)
held, crystals = (take(everything, rows) for rows in (chosen[:64], chosen[64:4160]))
training = TrainingConfig(
    steps=300,
    batch_size=64,
    warmup_steps=20,
    ema_decay=0.98,
    log_every=20,
    checkpoint_every=100,
    validation_size=64,
    max_shapes=1,
)
train(work / "run", crystals, recipe="straight", settings=Config(), config=training)
model = load_model(work / "run")

log = pd.DataFrame(read_metrics(metrics_path(work / "run")))
figure, both = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for axes, part in zip(both, ("free", "lattice"), strict=True):
    for split, style in (("train", "-"), ("validation", "o--")):
        own = log[log.split == split]
        axes.plot(own.step, own[part], style, label=split)
    axes.set(xlabel="step", ylabel="mean squared error", title=part, ylim=(0, None))
    axes.legend()
    axes.grid(alpha=0.3)

# %% [markdown]
# ## Draw with it
#
# `generate` takes group, positions and elements of the crystals kept aside, and draws their
# geometry; once with the trained network and once with the same network before training.

# %%
save_crystals(work / "held.npz", held)
request = Request(Wish(templates_from=work / "held.npz"), num=64)
fresh = dataclasses.replace(model, params=recipe.init(jax.random.key(0), model.config.settings))
tables = {
    "untrained": pd.DataFrame(generate(fresh, work / "untrained", request)),
    "trained": pd.DataFrame(generate(model, work / "trained", request)),
}
sets = {name: load_crystals(work / name) for name in tables}

# %% [markdown]
# Space group, positions and elements stay, and whatever the network says, the result is a crystal
# of its group. The tests of jaxcrys ask this, and more, of each of its own recipes
# (`tests/recipes/test_contract.py`): that padding counts nothing, that a sample does not depend on
# those drawn beside it, that one device and eight agree.

# %%
for name, drawn in sets.items():
    validate(drawn)
    kept = (np.asarray(drawn.group) == np.asarray(held.group)).all()
    print(f"{name}: groups kept: {kept}")

# %%
matcher = StructureMatcher()
real = [to_structure(take(held, i)) for i in range(64)]
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
volumes = np.asarray(atomic_length(held)) ** 3
left.plot([5, 80], [5, 80], "k", lw=0.8)
for name, drawn in sets.items():
    found = [matcher.fit(to_structure(take(drawn, i)), real[i]) for i in range(64)]
    print(f"{name}: {np.mean(found):.0%} match the real crystal")
    left.loglog(volumes, np.asarray(atomic_length(drawn)) ** 3, "o", ms=4, label=name)
    right.hist(tables[name].shortest_distance, np.linspace(0, 5, 26), alpha=0.6, label=name)
left.set(xlabel="real volume per atom, Å³", ylabel="drawn volume per atom, Å³")
right.set(xlabel="shortest distance between atoms, Å", ylabel="crystals")
for axes in (left, right):
    axes.legend()
    axes.grid(alpha=0.3)

# %% [markdown]
# `orbit_flow` does the same better: starts are paired with the nearest description of the crystal,
# volumes start from those of the elements, elements may be drawn too. To make this recipe one of
# the package, write it into a module of `jaxcrys/recipes` and name it in the list in `base.py`: the
# contract tests find it there.

# %%
free = np.flatnonzero(symmetry.degrees_of_freedom(held.wyckoff).sum(-1))
first = int(free[0])
show(
    take(held, first),
    *(take(drawn, first) for drawn in sets.values()),
    titles=["real", *sets],
)
