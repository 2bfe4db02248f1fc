"""Load a large dataset and read batches of it: seconds, and the most memory it takes.

    python benchmarks/input.py FOLDER [--count 2000000] [--batch-size 1024] [--batches 200]

FOLDER is a prepared dataset; its crystals are repeated until there are as many as asked. Then a
fresh process does what training does before and between its steps: it maps the file, takes what a
recipe is fitted to, chooses cell shapes, orders an epoch, and reads batches with threads ahead.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from jaxcrys.crystal.storage import map_crystals, save_crystals

LIMIT_GIB = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=2_000_000)
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--read", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read:
        print(json.dumps(read(given.folder, given.batch_size, given.batches)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "crystals.npz"
        few = map_crystals(given.folder)
        save_crystals(path, few.select(np.arange(given.count) % len(few)))
        print(f"{given.count} crystals, {path.stat().st_size / 2**30:.2f} GiB on disk")
        options = ["--batch-size", str(given.batch_size), "--batches", str(given.batches), "--read"]
        command = [sys.executable, __file__, str(path), *options]
        found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    for name, value in found.items():
        print(f"{name:<44}{value:10.2f}")
    if found["most memory, GiB"] > LIMIT_GIB:
        sys.exit(f"more than {LIMIT_GIB} GiB")


def read(path: Path, batch_size: int, count: int) -> dict[str, float]:
    """What training does with its data; run in a process of its own."""
    from jaxcrys.parallel import data_mesh
    from jaxcrys.recipes import get_recipe
    from jaxcrys.training import TrainingConfig
    from jaxcrys.training.batches import Batches
    from jaxcrys.training.setup import example_sets, fit_model

    config = TrainingConfig(batch_size=batch_size)
    found = {"memory of the libraries, GiB": most_memory()}
    begin = time.monotonic()
    crystals = map_crystals(path)
    found["mapped, s"] = time.monotonic() - begin
    examples, held = example_sets(crystals, None, {}, None, config)
    settings = get_recipe("orbit_flow").presets["small"]
    model = fit_model("orbit_flow", settings, (), examples, held, config)
    found["fitted, cell shapes chosen, s"] = time.monotonic() - begin
    batches = Batches(examples, model, config, data_mesh())
    batches.order.batch(0)
    found["first epoch ordered, s"] = time.monotonic() - begin
    begin = time.monotonic()
    for step in range(count):
        batches.read(step)
    found["crystals read in a second, one thread"] = batch_size * count / (time.monotonic() - begin)
    begin = time.monotonic()
    seen = sum(len(examples.crystals.group) for _, examples in batches.stream(0, count))
    found["and laid on the device, read ahead"] = seen / (time.monotonic() - begin)
    return found | {"cell shapes": len(model.shapes), "most memory, GiB": most_memory()}


def most_memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
