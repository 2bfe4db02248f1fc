"""Where a training step goes: reading, laying on the devices, loss, gradient, update.

    python experiments/profile.py DATASET [--recipe orbit_flow] [--batch-size 128]
        [--trace DIR]

Each part is timed alone, to its end, for the cell shape that most batches have; then whole steps
are timed as training takes them, one after the other without waiting, with batches read ahead. If
the whole takes longer than gradient and update, the host is what the devices wait for. FLOPs and
memory are what the compiler counts of the gradient. ``--trace`` writes a trace of these steps for
TensorBoard or Perfetto. Takes about a minute on two cores, most of it compiling. There a step of
128 crystals of mix_20 and LeMat-Bulk by the small orbit_flow is four fifths gradient, the rest
update.
"""

import argparse
import contextlib
import importlib.util
import json
import sys
import sysconfig
import time
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import jax

from jaxcrys.cli.train import recipe_settings
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.crystal.storage import map_crystals
from jaxcrys.parallel import STRATEGIES, data_mesh, replicate
from jaxcrys.recipes.model import ModelConfig
from jaxcrys.training import TrainingConfig
from jaxcrys.training.batches import Batches
from jaxcrys.training.setup import example_sets, fit_model
from jaxcrys.training.state import init_state, make_gradient, make_programs


def main() -> None:
    """Profile, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--recipe", default="orbit_flow")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--settings", default="{}", help="JSON of settings to change")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--microbatches", type=int, default=1)
    parser.add_argument("--strategy", default="sharded", choices=STRATEGIES)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--trace", type=Path, help="folder for a trace of the steps")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    given = parser.parse_args()
    settings = recipe_settings(given.recipe, given.preset, given.settings, None)
    config = TrainingConfig(batch_size=given.batch_size, microbatches=given.microbatches)
    found = profile(
        given.dataset, given.recipe, settings, config,
        strategy=given.strategy, steps=given.steps, trace=given.trace,
    )  # fmt: skip
    if given.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(
            f"{name:<40}{value:>14,.3f}" if isinstance(value, float) else f"{name:<40}{value:>14}"
        )


def profile(
    dataset: Path,
    recipe: str,
    settings: Any,
    config: TrainingConfig,
    *,
    strategy: str = "sharded",
    steps: int = 20,
    trace: Path | None = None,
) -> dict[str, Any]:
    """Time the parts of a step, and whole steps.

    Args:
        dataset: a prepared one.
        recipe: its name.
        settings: of the recipe.
        config: of the training.
        strategy: how batches are laid over the devices.
        steps: that each is timed over.
        trace: folder for a trace.

    Returns:
        what the table shows: milliseconds, and counts.
    """
    examples, held = example_sets(map_crystals(dataset), None, {}, None, config)
    model = fit_model(recipe, settings, (), examples, held, config)
    mesh = data_mesh()
    own = STRATEGIES[strategy].state_mesh(mesh)
    batches = Batches(examples, model, config, mesh, strategy=strategy, parts=config.microbatches)
    state = replicate(own, jax.device_get(init_state(model, config)))
    programs = make_programs(model, config, mesh, strategy)
    number, common = most_common_shape(batches)
    shape, batch = batches.at(common[0])
    found = {
        "devices": f"{mesh.size} {jax.devices()[0].device_kind}",
        "crystals in a batch": config.batch_size,
        "sites, atoms, images of a crystal": f"{shape.sites}, {shape.atoms}, {shape.images}",
        "batches of this shape": f"{len(common)} of {number}",
    }
    begin = time.monotonic()
    jax.block_until_ready(programs.gradient(state, batch, shape=shape))
    found["compiling the gradient, s"] = time.monotonic() - begin
    found |= counted(model, config, state, batch, shape) if strategy == "sharded" else {}

    def timed(name: str, work: Callable[[int], Any]) -> None:
        jax.block_until_ready(work(common[0]))
        begin = time.monotonic()
        for i in range(steps):
            jax.block_until_ready(work(common[i % len(common)]))
        found[f"{name}, ms"] = 1e3 * (time.monotonic() - begin) / steps

    loss = jax.jit(
        lambda params, batch: model.functions.loss(
            params, jax.random.key(0), batch.crystals,
            config=model.settings, shape=shape, properties=batch.properties,
        )
    )  # fmt: skip
    plain = Batches(examples, model, config, own).at(common[0])[1]
    gradients, _ = programs.gradient(state, batch, shape=shape)
    timed("reading", batches.read)
    timed("reading and laying down", batches.at)
    timed("loss", lambda _: loss(state.params, plain))
    timed("gradient, with the loss", lambda _: programs.gradient(state, batch, shape=shape))

    def update(_: int) -> Any:
        nonlocal state
        state = programs.update(state, gradients)
        return state

    timed("update", update)
    with traced(trace):
        jax.block_until_ready(state)
        begin = time.monotonic()
        for i in range(steps):
            _, batch = batches.at(common[i % len(common)])
            gradients, _ = programs.gradient(state, batch, shape=shape)
            state = programs.update(state, gradients)
        jax.block_until_ready(state)
        whole = (time.monotonic() - begin) / steps
    found["whole step, ms"] = 1e3 * whole
    found["crystals in a second"] = config.batch_size / whole
    if "GFLOP of a gradient" in found:
        found["GFLOP in a second"] = found["GFLOP of a gradient"] / whole
    return found


def most_common_shape(batches: Batches) -> tuple[int, list[int]]:
    """How many batches an epoch has, and the steps of those of the commonest shape."""
    shapes = [batches.order.batch(step)[0] for step in batches.epoch()]
    ((shape, _),) = Counter(shapes).most_common(1)
    return len(shapes), [step for step, other in enumerate(shapes) if other == shape]


def counted(
    model: ModelConfig, config: TrainingConfig, state: Any, batch: Any, shape: CellShape
) -> dict[str, float]:
    """FLOPs and memory of the gradient, by the compiler's count, on each device."""
    program = STRATEGIES["sharded"].compile(
        make_gradient(model, config), lambda x: x, None, config.microbatches, "shape"
    )
    compiled = program.lower((state.step, state.params), batch, shape=shape).compile()
    cost, memory = compiled.cost_analysis(), compiled.memory_analysis()
    found = {"GFLOP of a gradient": cost["flops"] / 1e9}
    if memory is not None:
        found["memory of a gradient, MiB"] = memory.temp_size_in_bytes / 2**20
    return found


@contextlib.contextmanager
def traced(folder: Path | None) -> Generator[None]:
    """Record a trace, if a folder is given."""
    with jax.profiler.trace(str(folder)) if folder else contextlib.nullcontext():
        yield


def give_way() -> None:
    """Let the standard library's module of this name be imported by the scripts beside this one.

    The folder of a script comes first where Python looks for modules, and ``cProfile``, which
    pymatgen loads, imports ``profile``.
    """
    path = Path(sysconfig.get_path("stdlib")) / "profile.py"
    spec = importlib.util.spec_from_file_location("profile", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["profile"] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    main()
elif __name__ == "profile":
    give_way()
