"""How fast training is: batch sizes, types of numbers, and the overhead of sharing over devices.

    python -m benchmarks.training DATASET [--recipe orbit_flow] [--batch-sizes 64 512]
        [--dtypes float32 bfloat16] [--devices 1 2 4 8] [--peak 67]

Each row is a process of its own that runs ``experiments/profile.py``: steps of the commonest cell
shape, whole, with compiling left out. ``--devices`` are fake CPU devices, which share the cores:
the work stays the same, so what they take longer is the overhead of sharing it; on GPUs and TPUs
leave it out, and all are used. ``--peak`` are the TFLOP/s that a device can do at most: by it, and
by the compiler's count, the last column says which share of it is used.
"""

import argparse
import json
import os
import subprocess
import sys


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--recipe", default="orbit_flow")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[64, 512])
    parser.add_argument("--dtypes", nargs="+", default=["float32"])
    parser.add_argument("--devices", type=int, nargs="+", help="fake CPU devices")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--peak", type=float, help="TFLOP/s of a device")
    given = parser.parse_args()
    names = ("devices", "numbers", "batch", "ms a step", "steps/s", "crystals/s", "GFLOP/s", "used")
    print(" ".join(f"{name:>11}" for name in names))
    for devices in given.devices or [None]:
        for dtype in given.dtypes:
            for size in given.batch_sizes:
                found = measured(given, devices, dtype, size)
                milliseconds, rate = found["whole step, ms"], found["GFLOP in a second"]
                used = f"{rate / given.peak / 1e3:.1%}" if given.peak else "-"
                row = [
                    str(found["devices"].split()[0]), dtype, str(size), f"{milliseconds:.1f}",
                    f"{1e3 / milliseconds:.2f}", f"{found['crystals in a second']:.0f}",
                    f"{rate:.1f}", used,
                ]  # fmt: skip
                print(" ".join(f"{text:>11}" for text in row), flush=True)


def measured(given: argparse.Namespace, devices: int | None, dtype: str, size: int) -> dict:
    """What a process of its own finds."""
    environment = dict(os.environ)
    if devices is not None:
        environment |= {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices)}
    settings = {} if dtype == "float32" else {"network": {"dtype": dtype}}
    command = [
        *(sys.executable, "-m", "experiments.profile", given.dataset, "--json"),
        *("--recipe", given.recipe, "--preset", given.preset, "--settings", json.dumps(settings)),
        *("--batch-size", str(size), "--steps", str(given.steps)),
    ]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(f"{' '.join(command)}:\n{ran.stderr}")
    return json.loads(ran.stdout)


if __name__ == "__main__":
    main()
