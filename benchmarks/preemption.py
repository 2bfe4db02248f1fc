"""Kill and stop training on several processes at random moments; compare with an unbroken run.

    python benchmarks/preemption.py [--kills 20] [--processes 2] [--devices 4] [--seed 0]
        [--work DIR]

The processes are given fake CPU devices and train together (``jax.distributed``). Again and again
one of them, drawn at random, gets a signal at a moment drawn uniformly from the time of a whole
run: SIGKILL, whereupon the others are killed as a scheduler does; or SIGTERM, whereupon all must
exit by themselves with 0, unless it comes before they have met. Then the same command is started
again. What it finishes must equal the unbroken run: config, metrics, the best and the last
checkpoint and those of the same steps, to the last bit. Exits with 1 on any difference.
"""

import argparse
import collections
import dataclasses
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.interruptions import leftovers, run_differences
from jaxcrys.cli.demo import write_prototypes
from jaxcrys.core.progress import TerminalProgress
from jaxcrys.data.prepare import prepare

TRAINING = (
    "--recipe wyformer --preset tiny --batch-size 64 --microbatches 8 --checkpoint-every 20 "
    "--log-every 5 --warmup-steps 5 --max-shapes 1 --optimiser adam"
)
STAYED = "did not stop"
PATIENCE = 60
"""Seconds that processes have to stop together."""


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Processes that train together."""

    dataset: Path
    steps: int
    processes: int
    devices: int
    log: Path

    def start(self, out: Path) -> list[subprocess.Popen]:
        """Start all of them."""
        environment = os.environ | {
            "JAX_PLATFORMS": "cpu",
            "JAX_NUM_CPU_DEVICES": str(self.devices),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        command = [
            *(sys.executable, "-m", "jaxcrys", "train", str(self.dataset), "--out", str(out)),
            *(*TRAINING.split(), "--steps", str(self.steps)),
            *("--coordinator", address, "--processes", str(self.processes), "--process"),
        ]
        with self.log.open("a", encoding="utf-8") as log:
            return [
                subprocess.Popen([*command, str(i)], env=environment, stdout=log, stderr=log)
                for i in range(self.processes)
            ]


def end(members: list[subprocess.Popen], number: signal.Signals, chosen: int) -> str:
    """Send a signal to one of them; what came of it."""
    members[chosen].send_signal(number)
    deadline = time.monotonic() + PATIENCE
    try:
        members[chosen].wait(PATIENCE)
        if members[chosen].returncode:
            return "killed" if number == signal.SIGKILL else "ended before they met"
        for member in members:
            member.wait(max(deadline - time.monotonic(), 0))
        codes = {member.returncode for member in members}
        return "all stopped with 0" if codes == {0} else STAYED
    except subprocess.TimeoutExpired:
        return STAYED
    finally:
        for member in members:
            member.kill()
            member.wait()


def interrupted(cluster: Cluster, work: Path, kills: int, seed: int) -> tuple[list[str], dict]:
    """Differences between runs that were interrupted and one that was not, and what happened."""
    expected = work / "unbroken"
    begin = time.monotonic()
    if any(member.wait() for member in cluster.start(expected)):
        raise RuntimeError(f"training failed unbroken; see {cluster.log}")
    seconds = time.monotonic() - begin
    print(f"unbroken: {seconds:.1f} s", flush=True)
    chance = random.Random(seed)
    happened: dict[str, int] = collections.Counter()
    wrong, out, count = [], work / "broken" / "run", 0
    while True:
        members = cluster.start(out)
        if count < kills:
            number = (signal.SIGKILL, signal.SIGTERM)[count % 2]
            try:
                members[0].wait(chance.uniform(0, seconds))
            except subprocess.TimeoutExpired:
                count += 1
                what = end(members, number, chance.randrange(len(members)))
                happened[f"{number.name}: {what}"] += 1
                print(f"{count}: {number.name}: {what}", flush=True)
                if what == STAYED:
                    wrong.append(f"kill {count}: {what} within {PATIENCE} s")
                continue
        if any(member.wait() for member in members):
            return [*wrong, f"fails after kills; see {cluster.log}"], happened
        happened["finished"] += 1
        wrong += run_differences(expected, out, stopped=True) + leftovers(out)
        shutil.rmtree(out.parent)
        if count == kills:
            return wrong, happened


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--devices", type=int, default=4, help="of each process")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="folder to work in; kept")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        work = given.work or Path(scratch)
        table = write_prototypes(work / "prototypes.csv")
        dataset = prepare(table, work / "dataset", progress=TerminalProgress()).folder
        cluster = Cluster(
            dataset, given.steps, given.processes, given.devices, work / "output.txt"
        )  # fmt: skip
        wrong, happened = interrupted(cluster, work, given.kills, given.seed)
    for what, count in sorted(happened.items()):
        print(f"{what:<32}{count:>4}")
    print("\n".join(wrong) or "all runs equal the unbroken one")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
