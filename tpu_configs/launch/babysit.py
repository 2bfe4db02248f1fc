"""Keep a training on a TPU running until it is done; --dry-run prints what it would do.

    python -m tpu_configs.launch.babysit tpu_configs/v5e-16.yaml --name my-run --zone us-west4-a
        [--spot] [--queued] [--bucket B] [--restarts 3] [--every 60] [--dry-run]
        -- DATASET --out /mnt/runs/my-run

Options are those of ``launch``. Makes the machine if there is none, and once more when it was taken
away, and starts the same command again, which goes on from the newest checkpoint of the run. So
--out must lie where it outlives the machine: in a bucket or on a file server. A training that fails
by itself is started again at most as often as --restarts says; one that was given bad input, never.
The machine is not deleted at the end. Each run needs a name of its own.
"""

import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from jaxcrys.cli.main import INPUT_ERROR, INTERRUPTED
from jaxcrys.core.errors import InputError
from tpu_configs.launch.launch import (
    LOST,
    UP,
    Job,
    Step,
    create,
    delete,
    on_all,
    parser,
    perform,
    read_job,
    starting,
    state,
)

ABSENT, UNKNOWN = "absent", "unknown"
ASK = (
    "if ! flock --nonblock train.lock true; then echo training: runs; "
    "elif [ -f train.exit ]; then echo training: ended $(cat train.exit); "
    "else echo training: never started; fi"
)
"""What each host is asked. See start.sh for the files."""

SAID = r"training: (runs|ended \d+|never started)"
"""What each host answers."""


def look(job: Job) -> tuple[str, list[str]]:
    """State of the machine, and what its hosts say of the training if it is up."""
    asked = subprocess.run(state(job), capture_output=True, text=True, check=False)
    if asked.returncode:
        print(asked.stderr, end="", file=sys.stderr)
        return (ABSENT if "NOT_FOUND" in asked.stderr else UNKNOWN), []
    if asked.stdout.strip() not in UP:
        return asked.stdout.strip(), []
    told = subprocess.run(on_all(job, ASK), stdout=subprocess.PIPE, text=True, check=False)
    return asked.stdout.strip(), re.findall(SAID, told.stdout)


def decide(machine: str, hosts: Sequence[str], expected: int) -> str:
    """What to do: ``make``, ``delete``, ``start``, ``restart``, ``wait``, ``done`` or ``stop``.

    Example:
        >>> decide("READY", ["runs", "runs"], 2)
        'wait'
        >>> decide("PREEMPTED", [], 2)
        'delete'
    """
    if machine == ABSENT:
        return "make"
    if machine in LOST:
        return "delete"
    if machine not in UP or len(hosts) < expected or "runs" in hosts:
        return "wait"
    codes = {host.removeprefix("ended ") for host in hosts}
    if codes == {"0"}:
        return "done"
    if str(INPUT_ERROR) in codes:
        return "stop"
    return "start" if codes <= {"0", str(INTERRUPTED), "never started"} else "restart"


def steps(action: str, job: Job) -> list[Step]:
    """What an action consists of."""
    if action == "make":
        return [Step("make the machine", create(job))]
    if action == "delete":
        return [Step("delete what is left of the machine", delete(job))]
    return starting(job) if action in ("start", "restart") else []


def watch(job: Job, restarts: int, rest: Callable[[], None]) -> str:
    """Look and act until the training is done or given up.

    Returns:
        ``done``, or why it was given up.
    """
    while True:
        machine, hosts = look(job)
        action = decide(machine, hosts, job.hardware.hosts)
        print(f"# {machine}, training {', '.join(hosts) or UNKNOWN}: {action}", flush=True)
        if action == "done":
            return action
        if action == "stop":
            return "the training was given bad input; see train.log on the machine"
        if action == "restart":
            restarts -= 1
            if restarts < 0:
                return "the training failed too often; see train.log on the machine"
        try:
            for step in steps(action, job):
                perform(step, dry_run=False)
        except subprocess.CalledProcessError as error:
            print(f"# {error}; tried again later", flush=True)
        rest()


def explain(job: Job, every: float) -> None:
    """Print what would be done."""
    print(f"# every {every:g} s, ask for the state of the machine\n{shlex.join(state(job))}")
    print(f"# if it is {' or '.join(UP)}, ask every host\n{shlex.join(on_all(job, ASK))}")
    cases = {
        "make": "if there is none",
        "delete": f"if it is {' or '.join(LOST)}",
        "start": "if it is up and nothing runs on it",
    }
    for action, case in cases.items():
        print(f"\n# {case}:")
        for step in steps(action, job):
            perform(step, dry_run=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Babysit."""
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--restarts", type=int, default=3, help="after failures of the training")
    options.add_argument("--every", type=float, default=60, help="seconds between two looks")
    try:
        job, others = read_job(options, sys.argv[1:] if argv is None else argv)
        if job.hardware.platform != "tpu":
            mend = "Slurm starts preempted jobs again by itself (launch --slurm)"
            raise InputError(str(job.file), "describes no TPU", mend)
    except InputError as error:
        sys.exit(f"error: {error}")
    if others["dry_run"]:
        explain(job, others["every"])
        return
    result = watch(job, others["restarts"], lambda: time.sleep(others["every"]))
    if result != "done":
        sys.exit(f"error: {result}")


if __name__ == "__main__":
    main()
