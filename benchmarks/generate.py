"""How fast crystals are drawn: the orbit flow, and the full-cell CSPNet of DiffCSP++ beside it.

    python benchmarks/generate.py DATASET [--crystals 512] [--batch 128] [--steps 20]
        [--preset small] [--dtype bfloat16] [--peer-calls 20] [--compiler usual]

DATASET is a prepared dataset; its templates are filled. Parameters are random, which costs the same
as trained ones. Every cell shape is compiled first; the table gives, for each, the time to compile
and to draw a batch, and which share of it the network takes, and the search for neighbours, as
timed alone. ``--compiler usual`` compiles as JAX does by itself. The peer makes 2 network calls in
each of 1,000 steps; ``--peer-calls`` of them are run, and the time is scaled up to 2,000. All rows
come from the same run.
"""

import argparse
import dataclasses
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.compiling import quick_jit
from jaxcrys.core.pytree import take
from jaxcrys.core.rng import sample_keys
from jaxcrys.crystal import Crystal, load_crystals
from jaxcrys.crystal.buckets import assign_shapes, choose_shapes, fit_sites
from jaxcrys.crystal.orbit_graph import GraphShape, orbit_graph
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.nn.orbit_net import OrbitNetConfig, run_orbit_net
from jaxcrys.recipes import get_recipe
from jaxcrys.recipes.base import Recipe

PEER_STEPS = 1000
MAX_SHAPES = 8

COMPILERS: dict[str, Callable[..., Any]] = {
    "quick": lambda function: quick_jit(function, "config", "shape"),
    "usual": lambda function: jax.jit(function, static_argnames=("config", "shape")),
}


def peak_memory() -> float:
    """The most memory this process ever held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def on_device(crystals: Crystal) -> Crystal:
    return jax.tree.map(
        lambda a: jnp.asarray(a, jnp.float32 if a.dtype.kind == "f" else jnp.int32), crystals
    )


def prepare(recipe: Recipe, preset: str, crystals: Crystal, **changes: Any) -> tuple[Any, Any]:
    """Settings fitted to the data, and random parameters."""
    config = dataclasses.replace(recipe.presets[preset], species="given", **changes)
    config = recipe.fit(config, crystals)
    return config, recipe.init(jax.random.key(0), config)


def batches(
    recipe: Recipe, config: Any, crystals: Crystal, size: int
) -> list[tuple[CellShape, Crystal, int]]:
    """One batch of each cell shape, and how many of the crystals have it."""
    shapes = choose_shapes(crystals, limit=MAX_SHAPES, cost=recipe.cost(config))
    index = assign_shapes(crystals, shapes)
    found = []
    for which in np.unique(index):
        members = np.flatnonzero(index == which)
        chosen = take(crystals, np.resize(members, size))
        batch = on_device(fit_sites(chosen, shapes[which].sites))
        found.append((shapes[which], batch, len(members)))
    return found


def draw(
    recipe: Recipe,
    config: Any,
    params: Any,
    crystals: Crystal,
    size: int,
    calls: int,
    scale: float,
    *,
    compiler: str,
) -> float:
    """Print a line for each shape; return crystals a second over the dataset's mix of shapes."""
    header = f"{'sites':>6}{'atoms':>6}{'share':>8}{'compile s':>11}{'batch s':>9}"
    print(f"   {header}{'crystals/s':>12}{'network':>9}{'graph':>7}")
    seconds = total = 0.0
    for shape, batch, members in batches(recipe, config, crystals, size):
        sample = COMPILERS[compiler](recipe.sample)
        keys = sample_keys(0, np.arange(size))
        begin = time.perf_counter()
        program = sample.lower(params, keys, batch, config=config, shape=shape).compile()
        compile_time = time.perf_counter() - begin
        best = scale * fastest(lambda: program(params, keys, batch))  # noqa: B023
        seconds += best / size * members
        total += members
        share = f"{100 * members / len(crystals.group):.1f}%"
        print(f"   {shape.sites:6}{shape.atoms:6}{share:>8}{compile_time:11.1f}{best:9.2f}"
              f"{size / best:12,.1f}", end="")  # fmt: skip
        for part in parts(config.network, params, batch, shape):
            print(f"{100 * calls * part / best:6.0f}%", end="")
        print()
    print(f"   {calls} network calls a crystal; {total / seconds:,.1f} crystals a second "
          f"over all shapes; peak memory {peak_memory():,.0f} MB")  # fmt: skip
    return total / seconds


def parts(network: Any, params: Any, batch: Crystal, shape: CellShape) -> list[float]:
    """Seconds of one call of the orbit network without its graph, and of the graph."""
    if not isinstance(network, OrbitNetConfig):
        return []
    time = jnp.full(batch.group.shape, 500.0)
    graph_shape = GraphShape(atoms=shape.atoms, neighbours=network.neighbours, reach=network.reach)
    find = jax.jit(lambda batch: orbit_graph(batch, graph_shape, cutoff=network.cutoff))
    graph = find(batch)
    call = jax.jit(lambda *a: run_orbit_net(network, *a))
    call(params, batch, graph, time)
    return [fastest(lambda: call(params, batch, graph, time)), fastest(lambda: find(batch))]


def fastest(function: Callable[[], Any], rounds: int = 3) -> float:
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        jax.block_until_ready(function())
        times.append(time.perf_counter() - begin)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--crystals", type=int, default=512)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--dtype", default="float32", help="or bfloat16: the network's arithmetic")
    parser.add_argument("--peer-calls", type=int, default=20, help="0 for no peer")
    parser.add_argument("--compiler", choices=COMPILERS, default="quick")
    options = parser.parse_args()
    crystals = load_crystals(options.dataset / "crystals.npz")
    chosen = np.random.default_rng(0).permutation(len(crystals.group))[: options.crystals]
    crystals = take(crystals, chosen)
    print(f"{len(chosen)} crystals, batches of {options.batch}; jax {jax.__version__}, "
          f"{jax.devices()[0].device_kind}")  # fmt: skip

    flow = get_recipe("orbit_flow")
    preset = flow.presets[options.preset]
    config, params = prepare(
        flow, options.preset, crystals,
        flow=dataclasses.replace(preset.flow, steps=options.steps),
        network=dataclasses.replace(preset.network, dtype=options.dtype),
    )  # fmt: skip
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    print(f"\norbit_flow, {options.preset}, {size:,} parameters, {options.dtype}")
    ours = draw(
        flow, config, params, crystals, options.batch, options.steps, 1.0, compiler=options.compiler
    )
    if not options.peer_calls:
        return
    peer = get_recipe("diffcsp_pp")
    steps = max(1, options.peer_calls // 2)
    config, params = prepare(peer, "small", crystals, sampler_steps=steps)
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    print(f"\ndiffcsp_pp, small, {size:,} parameters; times scaled from {2 * steps} calls")
    theirs = draw(
        peer, config, params, crystals, options.batch, 2 * PEER_STEPS, PEER_STEPS / steps,
        compiler=options.compiler,
    )  # fmt: skip
    print(f"\norbit_flow draws {ours / theirs:,.0f} times as many crystals a second")


if __name__ == "__main__":
    main()
