"""Kill prepare, train and generate at random moments, start them again, compare what comes out.

    python benchmarks/interruptions.py [--kills 20] [--seed 0] [--work DIR]

Each command runs unbroken once, for the result that every other one must have and for the time it
takes. Then its whole process group is killed (SIGKILL) at moments drawn uniformly from that time,
start-up included, and the same command is given again, until it has been
killed as often as asked and has finished. What it finishes is compared with the unbroken result:
the files of a dataset or of generated crystals byte by byte; the metrics and all checkpoints of a
run to the last bit. Nothing else may lie beside or inside. Exits with 1 on any difference.
"""

import argparse
import csv
import dataclasses
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import numpy as np

from jaxcrys.cli.demo import write_prototypes
from jaxcrys.recipes.library import load_model
from jaxcrys.recipes.run_folder import checkpoints_path, metrics_path
from jaxcrys.training.metrics import read_metrics

JAXCRYS = (sys.executable, "-c", "from jaxcrys.cli.main import main; main()")
SETTINGS = (
    '{"network": {"kind": "cspnet", "layers": 1, "channels": 8, "frequencies": 4, '
    '"time_channels": 8}, '
    '"flow": {"steps": 10}, "species": "generated"}'
)
RUN_NAMES = {"config.json", "templates.npz", "metrics.jsonl", "checkpoints"}


@dataclasses.dataclass(frozen=True)
class Task:
    """A command without its ``--out``, and how to compare two of its results."""

    name: str
    arguments: tuple[str, ...]
    differences: Callable[[Path, Path], list[str]]


@dataclasses.dataclass
class Tally:
    """What happened to a command."""

    kills: int = 0
    completions: int = 0
    differences: list[str] = dataclasses.field(default_factory=list)
    leftovers: list[str] = dataclasses.field(default_factory=list)


def tasks(work: Path, *, rows: int, steps: int, samples: int) -> list[Task]:
    """Prepare, train on what that makes, generate from what that makes."""
    table = work / "prototypes.csv"
    if not table.exists():
        write_table(table, rows)
    training = (
        f"--preset tiny --steps {steps} --batch-size 8 --checkpoint-every 10 --log-every 5 "
        "--warmup-steps 5 --max-shapes 1 --optimiser adam"
    )
    return [
        Task("prepare", ("prepare", str(table), "--workers", "2"), folder_differences),
        Task(
            "train",
            ("train", str(unbroken(work, "prepare")), "--settings", SETTINGS, *training.split()),
            run_differences,
        ),
        Task(
            "generate",
            (
                *("generate", "--run", str(unbroken(work, "train"))),
                *("--num", str(samples), "--batch-size", "8"),
            ),
            folder_differences,
        ),
    ]


def write_table(path: Path, rows: int) -> None:
    """The AFLOW prototypes, again and again, with ids of their own."""
    with write_prototypes(path.with_name("once.csv")).open(encoding="utf-8", newline="") as handle:
        header, *prototypes = csv.reader(handle)
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(header)
        for number in range(rows):
            name, *rest = prototypes[number % len(prototypes)]
            writer.writerow([f"{name}-{number}", *rest])


def unbroken(work: Path, name: str) -> Path:
    return work / "unbroken" / name


def interrupt(task: Task, work: Path, *, kills: int, seed: int) -> Tally:
    """Run a task unbroken, then killed again and again, and compare."""
    expected = unbroken(work, task.name)
    begin = time.monotonic()
    if not start(task, expected, work):
        raise RuntimeError(f"{task.name} failed unbroken; see {work / 'output.txt'}")
    seconds = time.monotonic() - begin
    print(f"{task.name}: {seconds:.1f} s unbroken", flush=True)
    tally = Tally()

    moments = random.Random(f"{task.name} {seed}")
    out = work / "killed" / task.name / "out"
    while True:
        moment = moments.uniform(0, seconds) if tally.kills < kills else None
        if start(task, out, work, kill_after=moment):
            tally.completions += 1
            tally.differences += task.differences(expected, out)
            tally.leftovers += leftovers(out)
            shutil.rmtree(out.parent)
            if tally.kills == kills:
                return tally
        elif moment is None:
            tally.differences.append(f"fails after kills; see {work / 'output.txt'}")
            return tally
        else:
            tally.kills += 1


def start(task: Task, out: Path, work: Path, *, kill_after: float | None = None) -> bool:
    """Run a task, killed with all its processes after some seconds; whether it finished.

    A task that fails before it is killed counts as not finished: it will fail again.
    """
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(work / "cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    command = [*JAXCRYS, *task.arguments, "--out", str(out)]
    with (work / "output.txt").open("a", encoding="utf-8") as log:
        print(f"\n{task.name}, killed after {kill_after}", file=log, flush=True)
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            return process.wait(kill_after) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            kill_group(process)


def kill_group(process: subprocess.Popen) -> None:
    """Kill a process and all its children, and wait until they are gone."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            break
        process.wait()
        time.sleep(0.02)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def folder_differences(expected: Path, found: Path) -> list[str]:
    """Names of files that are not the same in both folders."""
    one, other = contents(expected), contents(found)
    return [name for name in sorted(one.keys() | other) if one.get(name) != other.get(name)]


def run_differences(expected: Path, found: Path, *, stopped: bool = False) -> list[str]:
    """What differs between two runs but the time they took.

    A run that was asked to stop (``stopped``) has kept its state then: of the last checkpoints that
    a run keeps, one may be of such a step. The others are compared, and always the best and latest.
    """
    different = [
        name
        for name in ("config.json", "templates.npz")
        if (expected / name).read_bytes() != (found / name).read_bytes()
    ]
    if losses(expected) != losses(found):
        different.append("metrics.jsonl")
    steps = [sorted(path.name for path in checkpoints_path(f).iterdir()) for f in (expected, found)]
    if steps[0] != steps[1] and not stopped:
        return [*different, f"checkpoints {steps[0]} are now {steps[1]}"]
    names = ("best", "latest", *set(steps[0]).intersection(steps[1]))
    return different + [f"checkpoint {n}" for n in names if not same_model(expected, found, n)]


def losses(run: Path) -> list[dict]:
    rows = read_metrics(metrics_path(run))
    return [{k: v for k, v in row.items() if k != "seconds_per_step"} for row in rows]


def same_model(expected: Path, found: Path, checkpoint: str) -> bool:
    one, other = (load_model(run, checkpoint=checkpoint) for run in (expected, found))
    pairs = zip(jax.tree.leaves(one.params), jax.tree.leaves(other.params), strict=True)
    return one.step == other.step and all(
        np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs
    )


def leftovers(out: Path) -> list[str]:
    """What lies beside a result, and files in it that are no part of it."""
    beside = [path.name for path in out.parent.iterdir() if path != out]
    unfinished = [p.relative_to(out).as_posix() for p in out.rglob("*") if is_unfinished(p)]
    strange = (
        {p.name for p in out.iterdir()} - RUN_NAMES if (out / "metrics.jsonl").exists() else ()
    )
    return sorted({*beside, *unfinished, *strange})


def is_unfinished(path: Path) -> bool:
    return path.name.endswith(".partial") or "orbax-checkpoint-tmp" in path.name


def report(tallies: dict[str, Tally]) -> bool:
    """Print the table; whether all went well."""
    print(f"{'command':<10}{'kills':>6}{'completions':>13}{'differences':>13}{'leftovers':>11}")
    for name, tally in tallies.items():
        counts = (len(tally.differences), len(tally.leftovers))
        print(f"{name:<10}{tally.kills:>6}{tally.completions:>13}{counts[0]:>13}{counts[1]:>11}")
    wrong = [
        f"{name}: {text}"
        for name, tally in tallies.items()
        for text in (*tally.differences, *tally.leftovers)
    ]
    print("\n".join(wrong))
    return not wrong


def measure(
    work: Path, *, kills: int, seed: int, rows: int, steps: int, samples: int
) -> dict[str, Tally]:
    """Interrupt all three commands."""
    work.mkdir(parents=True, exist_ok=True)
    return {
        task.name: interrupt(task, work, kills=kills, seed=seed)
        for task in tasks(work, rows=rows, steps=steps, samples=samples)
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="of each command")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--work", type=Path, help="an empty folder, kept; a temporary one if none")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        tallies = measure(
            given.work or Path(scratch),
            kills=given.kills,
            seed=given.seed,
            rows=1500,
            steps=60,
            samples=40,
        )
    sys.exit(0 if report(tallies) else 1)


if __name__ == "__main__":
    main()
