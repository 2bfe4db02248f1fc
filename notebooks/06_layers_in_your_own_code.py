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
# # Single layers in your own JAX code
#
# The pieces that recipes are made of work alone. Each is a pure function: arrays in, arrays out, no
# state. So it can be compiled (`jax.jit`), differentiated (`jax.grad`) and applied to batches,
# inside a program that has nothing to do with generating crystals.
#
# 1. `expand` inside a loss: fit a crystal to measured distances, 2. `pull_back`: what symmetry
# leaves of a displacement, 3. the orbit network as a layer, 4. the wrapped normal process: noise
# for fractional coordinates.

# %%
import dataclasses
import itertools

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

from jaxcrys import symmetry
from jaxcrys.crystal import build_crystal, expand, num_atoms, stack_crystals
from jaxcrys.crystal.convert import detect_group
from jaxcrys.crystal.orbit_graph import GraphShape, orbit_graph
from jaxcrys.crystal.raw import RawCell
from jaxcrys.geometry import matrix_from_coefficients, parameters_from_matrix
from jaxcrys.nn import OrbitNetConfig, init_backbone, run_orbit_net
from jaxcrys.processes import WrappedNormal, wrapped_normal
from jaxcrys.processes.schedules import geometric_sigmas
from jaxcrys.symmetry.tangent import pull_back


def rutile(x, a, c):
    return build_crystal(136, [(22, "a"), (8, "f", (x,))], (a, a, c, 90, 90, 90))


truth, start = rutile(0.305, 4.594, 2.959), rutile(0.27, 4.85, 2.80)

# %% [markdown]
# ## 1. Fit a crystal to a pair-distance function
#
# Total scattering measures how often two atoms lie at a distance r. Computing this needs all atoms
# and their periodic images; fitting needs its derivatives with respect to the three free numbers of
# rutile: one coordinate, two lattice parameters. Between them stands `expand`.

# %%
RADII = np.linspace(1.5, 6.0, 200)
WIDTH = 0.12  # Å, by which heat blurs distances
IMAGES = np.array(list(itertools.product(range(-3, 4), repeat=3)))
ATOMS = int(num_atoms(truth))


def pair_distances(crystal):
    """Weight of pairs at each radius, per atom and Å."""
    cell = expand(crystal, capacity=ATOMS)
    vectors = (cell.frac[:, None] - cell.frac)[:, :, None] + IMAGES
    vectors = (vectors[..., None] * cell.lattice).sum(-2)
    distance = jnp.sqrt((vectors**2).sum(-1) + 1e-12).reshape(-1, 1)
    peaks = jnp.exp(-0.5 * ((RADII - distance) / WIDTH) ** 2)
    return peaks.sum(0) / (ATOMS * WIDTH * np.sqrt(2 * np.pi))


def with_numbers(numbers):
    free, lattice = numbers
    return dataclasses.replace(
        start,
        free=jnp.where(symmetry.free_mask(start.wyckoff), free, 0),
        lattice=symmetry.constrain_lattice(lattice, start.group),
    )


def misfit(numbers):
    return ((pair_distances(with_numbers(numbers)) - measured) ** 2).mean()


measured = pair_distances(jax.tree.map(jnp.asarray, truth))

# %% [markdown]
# The two masks keep still what symmetry fixes; nothing else is needed. The whole fit is one
# program: `lax.scan` repeats the step of the optimiser, here Adam from the library `optax`.

# %%
optimiser = optax.adam(optax.cosine_decay_schedule(0.02, 300))


@jax.jit
def fit(numbers):
    def step(carry, _):
        numbers, state = carry
        value, slopes = jax.value_and_grad(misfit)(numbers)
        updates, state = optimiser.update(slopes, state)
        return (optax.apply_updates(numbers, updates), state), (value, numbers)

    (numbers, _), path = jax.lax.scan(step, (numbers, optimiser.init(numbers)), length=300)
    return numbers, path


begin = jnp.asarray(start.free, jnp.float32), jnp.asarray(start.lattice, jnp.float32)
numbers, (values, (frees, lattices)) = fit(begin)
fitted = with_numbers(numbers)
a, _, c, *_ = parameters_from_matrix(matrix_from_coefficients(fitted.lattice))
print(f"fitted: x = {fitted.free[1, 0]:.4f}, a = {a:.3f} Å, c = {c:.3f} Å")
print("truth:  x = 0.3050, a = 4.594 Å, c = 2.959 Å")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.4), layout="constrained")
left.plot(RADII, measured, "k", lw=3, alpha=0.3, label="measured")
left.plot(RADII, pair_distances(jax.tree.map(jnp.asarray, start)), ":", label="start")
left.plot(RADII, pair_distances(fitted), label="fitted")
left.set(xlabel="distance r, Å", ylabel="pairs per atom and Å")
paths = parameters_from_matrix(matrix_from_coefficients(lattices))
right.plot(frees[:, 1, 0] / 0.305, label="x of oxygen")
right.plot(paths[:, 0] / 4.594, label="a")
right.plot(paths[:, 2] / 2.959, label="c")
right.axhline(1, color="k", lw=0.8)
right.set(xlabel="step", ylabel="relative to the truth")
for axes in (left, right):
    axes.legend()
    axes.grid(alpha=0.3)

# %% [markdown]
# ## 2. What symmetry leaves of a displacement
#
# A model of atoms, or a measurement, may push each atom somewhere else. `pull_back` takes the part
# that the site symmetry allows, averages it over the orbit, and says by how much the free
# coordinates change. Titanium sits on an inversion centre and cannot move at all; oxygen has one
# way to go.

# %%
orbits = symmetry.expand_orbits(truth.wyckoff, truth.free, capacity=ATOMS)
pushed = np.random.default_rng(0).normal(scale=0.01, size=orbits.frac.shape)
change = pull_back(pushed, orbits.row, orbits.site, orbits.mask, num_sites=2)
print("change of the free coordinates:", np.round(change, 4).tolist())

cell = expand(truth, capacity=ATOMS)
moved = dataclasses.replace(truth, free=truth.free + change)
broken = RawCell(cell.lattice, cell.frac + pushed, cell.species)
print("group when all atoms go their own way:", detect_group(broken, 0.01))
print("group after pull_back:", detect_group(moved, 0.01))

# %% [markdown]
# ## 3. The orbit network as a layer
#
# It reads the sites of a batch of crystals of any groups, and their neighbours through all symmetry
# images. It returns for each site invariant features and a vector, and for each crystal a tensor:
# enough to predict energies and forces, charges, or elastic and dielectric constants. It is
# equivariant, so its vectors obey the site symmetry without being told: none on titanium, and along
# the diagonal on oxygen.

# %%
config = OrbitNetConfig(layers=2, channels=16, heads=4, neighbours=16)
params = init_backbone(jax.random.key(0), config)
halite = build_crystal(225, [(11, "a"), (17, "b")], (5.64,) * 3 + (90,) * 3)
batch = jax.tree.map(jnp.asarray, stack_crystals([truth, halite]))


@jax.jit
def layer(params, batch):
    graph = orbit_graph(batch, GraphShape(atoms=ATOMS, neighbours=16, reach=2), cutoff=6.0)
    return run_orbit_net(config, params, batch, graph, time=jnp.zeros(len(batch.group)))


output = layer(params, batch)
print("features of the sites:", output.scalars.shape)
for site, vector in zip(("titanium", "oxygen"), output.vectors[0], strict=True):
    print(f"vector on {site}:", np.round(np.float64(vector), 3) + 0.0)
for name, tensor in zip(("rutile", "rock salt"), output.tensor, strict=True):
    print(f"tensor of {name}:\n{np.round(np.float64(tensor), 3) + 0.0}")

# %% [markdown]
# The parameters above are random; the symmetry holds all the same. The tensor of a tetragonal
# crystal has two numbers, that of a cubic one is a multiple of the unit matrix.
#
# ## 4. Noise on a circle
#
# A fractional coordinate lives on a circle: 0.99 is next to 0.01. The wrapped normal process adds
# noise that knows this, little at small times and so much at the last that nothing is left. A
# diffusion model learns to go back. `corrupt` draws the noisy coordinate and the target for the
# network; the density is known exactly (lines).

# %%
process = WrappedNormal(steps=1000)
widths = geometric_sigmas(process.sigma_min, process.sigma_max, process.steps)
origin = jnp.full(20_000, 0.9)
corrupt = jax.jit(wrapped_normal.corrupt, static_argnums=0)
circle = np.linspace(0, 1, 200)
figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
for number, t in enumerate((600, 750, 1000)):
    noisy, target = corrupt(process, jax.random.key(t), origin, t, jnp.full(origin.shape, True))
    axes.hist(np.asarray(noisy), bins=80, range=(0, 1), density=True, color=f"C{number}", alpha=0.4)
    density = np.exp(wrapped_normal.log_density(circle - 0.9, widths[t]))
    axes.plot(circle, density, color=f"C{number}", label=f"t = {t}, width {widths[t]:.2f}")
axes.set(xlabel="fractional coordinate that began at 0.9", ylabel="density", xlim=(0, 1))
axes.legend()
axes.grid(alpha=0.3)

# %% [markdown]
# And back, with the exact score (the derivative of the logarithm of the density, in units in which
# its mean square is 1) where a diffusion model has a network: from anywhere on the circle all
# arrive where they came from.

# %%
times = jnp.arange(1000, 0, -10)
norms = np.append(1, np.sqrt(wrapped_normal.expected_squared_score(widths[1:])))
everywhere = jnp.full(200, True)


@jax.jit
def back(key):
    def step(x, t):
        score = wrapped_normal.score(x - 0.9, jnp.array(widths)[t]) / jnp.array(norms)[t]
        own = jax.random.fold_in(key, t)
        x = wrapped_normal.step(process, own, x, t, t - 10, score, everywhere)
        return x, x

    first = wrapped_normal.prior(process, key, everywhere, jnp.zeros(200))
    return jax.lax.scan(step, first, times)


last, path = back(jax.random.key(1))
figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
axes.plot(times - 10, path[:, :60], ".", ms=2, color="C0")
axes.invert_xaxis()
axes.set(xlabel="time t", ylabel="fractional coordinate", ylim=(0, 1))
axes.grid(alpha=0.3)
