"""Start a training on the hardware that a file describes; --dry-run prints the commands only.

    python -m tpu_configs.launch.launch tpu_configs/v5e-16.yaml --name my-run --zone us-west4-a
        [--project P] [--spot] [--queued] [--bucket B] [--dry-run] -- DATASET --out /mnt/runs/my-run
    python -m tpu_configs.launch.launch tpu_configs/gpu-8.yaml --name my-run [--slurm] [--dry-run]
        -- DATASET --out RUN

To be run from the root of the repository. What follows ``--`` are options of experiments/train.py.
For TPUs: makes the machines, copies what is committed to all of them, installs it, and starts the
training in the background; ``babysit`` does the same and stays to start it again. For others: runs
the training here, or hands it to Slurm.
"""

import argparse
import dataclasses
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from jaxcrys.core.errors import InputError
from jaxcrys.parallel.hardware import Hardware, load_hardware

ROOT = Path(__file__).resolve().parents[2]

UP = ("READY", "ACTIVE")
"""States of a machine that is up, and of a request that was granted."""

LOST = ("PREEMPTED", "TERMINATED", "STOPPED", "SUSPENDED", "FAILED")
"""States from which a machine, or a request for one, does not come back."""

SECONDS = 30
"""Between two looks at a machine that is being made."""


@dataclasses.dataclass(frozen=True)
class Job:
    """What to run, and where.

    Attributes:
        file: the hardware file, in the repository.
        hardware: what it says.
        arguments: options of experiments/train.py.
        name: of the machine and of the request for it, or of the Slurm job.
        zone: where Google makes the machine.
        project: who pays; by default what gcloud is set to.
        spot: whether to take a cheaper machine that may be taken away at any time.
        queued: whether to wait in the queue for it.
        bucket: mounted at /mnt/runs on the machine.
    """

    file: Path
    hardware: Hardware
    arguments: tuple[str, ...]
    name: str
    zone: str = ""
    project: str | None = None
    spot: bool = False
    queued: bool = False
    bucket: str | None = None


@dataclasses.dataclass(frozen=True)
class Step:
    """A command; with ``until``, it is repeated until it prints one of these."""

    title: str
    command: list[str]
    until: tuple[str, ...] = ()


def training(job: Job) -> list[str]:
    """Options of experiments/train.py, run in the root of the repository."""
    return ["--hardware", job.file.as_posix(), *job.arguments]


def tpu(job: Job, verb: str, *arguments: str, queue: bool = False) -> list[str]:
    """A command on the machines, or on the request for them."""
    noun = "queued-resources" if queue else "tpu-vm"
    project = [f"--project={job.project}"] if job.project else []
    place = [f"--zone={job.zone}", *project]
    return ["gcloud", "compute", "tpus", noun, verb, *arguments, *place]


def on_all(job: Job, command: str) -> list[str]:
    """Run a shell command on every host."""
    return tpu(job, "ssh", job.name, "--worker=all", f"--command={command}")


def create(job: Job) -> list[str]:
    """Make the machines, or ask for them."""
    version = "--runtime-version" if job.queued else "--version"
    return tpu(
        job, "create", job.name,
        *([f"--node-id={job.name}"] if job.queued else []),
        f"--accelerator-type={job.hardware.accelerator}",
        f"{version}={job.hardware.runtime}",
        *(["--spot"] if job.spot else []),
        queue=job.queued,
    )  # fmt: skip


def delete(job: Job) -> list[str]:
    """Delete the machines, and the request."""
    force = ["--force"] if job.queued else []
    return tpu(job, "delete", job.name, "--quiet", *force, queue=job.queued)


def state(job: Job) -> list[str]:
    """Print the state of the machines, or of the request."""
    field = "state.state" if job.queued else "state"
    return tpu(job, "describe", job.name, f"--format=value({field})", queue=job.queued)


def starting(job: Job) -> list[Step]:
    """From a machine that is up to a training that runs on it; harmless to repeat after its end."""
    packed = f"jaxcrys-{job.name}.tar.gz"
    archive = str(Path(tempfile.gettempdir()) / packed)
    bucket = [job.bucket] if job.bucket else []
    scripts = "jaxcrys/tpu_configs/launch"
    unpack = f"rm -rf jaxcrys && mkdir jaxcrys && tar -xzf {packed} -C jaxcrys"
    setup = shlex.join(["bash", f"{scripts}/setup.sh", "tpu", *bucket])
    start = shlex.join(["bash", f"{scripts}/start.sh", *training(job)])
    return [
        Step(
            "pack what is committed",
            ["git", "-C", str(ROOT), "archive", "--format=tar.gz", f"--output={archive}", "HEAD"],
        ),
        Step("copy it to every host", tpu(job, "scp", archive, f"{job.name}:", "--worker=all")),
        Step("install it there", on_all(job, f"{unpack} && {setup}")),
        Step("start the training in the background", on_all(job, start)),
    ]


def slurm(job: Job) -> str:
    """A script for sbatch: one task on each host; a job that was preempted starts again."""
    lines = [
        f"--job-name={job.name}",
        f"--nodes={job.hardware.hosts}",
        "--ntasks-per-node=1",
        f"--gpus-per-node={job.hardware.devices_per_host}",
        "--requeue",
        "--open-mode=append",
        f"--output={job.name}.log",
    ]
    return "\n".join(
        [
            "#!/bin/bash",
            *(f"#SBATCH {line}" for line in lines),
            f"cd {shlex.quote(str(ROOT))}",
            f"srun {shlex.join(local(job))}",
            "",
        ]
    )


def local(job: Job) -> list[str]:
    """The training itself, with the Python that runs this."""
    return [sys.executable, "experiments/train.py", *training(job)]


def perform(step: Step, *, dry_run: bool) -> None:
    """Do a step, or say what it is.

    Raises:
        subprocess.CalledProcessError: if the command fails.
        InputError: if a machine that is waited for was lost.
    """
    until = f" until it is {' or '.join(step.until)}" if step.until else ""
    print(f"# {step.title}{until}\n{shlex.join(step.command)}", flush=True)
    if dry_run:
        return
    if not step.until:
        subprocess.run(step.command, check=True)
        return
    while (found := output(step.command)) not in step.until:
        if found in LOST:
            raise InputError("the machine", f"is {found}", "delete it and launch again")
        time.sleep(SECONDS)


def output(command: Sequence[str]) -> str:
    """What a command prints."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def parser(description: str) -> argparse.ArgumentParser:
    """Options that launch and babysit share."""
    usage = "%(prog)s FILE [options] -- [options of experiments/train.py]"
    parser = argparse.ArgumentParser(description=description, usage=usage)
    parser.add_argument("file", type=Path, help="hardware file, of tpu_configs/")
    parser.add_argument("--name", required=True, help="of the machine or of the Slurm job")
    parser.add_argument("--zone", default="", help="where the machine is made")
    parser.add_argument("--project", help="by default the one that gcloud is set to")
    parser.add_argument("--spot", action="store_true", help="cheaper, may be taken away")
    parser.add_argument("--queued", action="store_true", help="wait in the queue for it")
    parser.add_argument("--bucket", help="mounted at /mnt/runs on the machine")
    parser.add_argument("--dry-run", action="store_true", help="print the commands only")
    return parser


def read_job(parser: argparse.ArgumentParser, argv: Sequence[str]) -> tuple[Job, dict]:
    """The job that a command line asks for, and the options that are not part of it.

    Raises:
        InputError: if it cannot be run.
    """
    argv = list(argv)
    split = argv.index("--") if "--" in argv else len(argv)
    own = vars(parser.parse_args(argv[:split]))
    path = own.pop("file").resolve()
    if not path.is_relative_to(ROOT):
        raise InputError(str(path), f"is not in {ROOT}, which is what the machines get")
    names = [field.name for field in dataclasses.fields(Job) if field.name in own]
    job = Job(
        file=path.relative_to(ROOT),
        hardware=load_hardware(path),
        arguments=tuple(argv[split + 1 :]),
        **{name: own.pop(name) for name in names},
    )
    validate(job)
    return job, own


def validate(job: Job) -> None:
    """Check a job before anything is done.

    Raises:
        InputError: naming the option.
    """
    if not job.arguments:
        raise InputError("the training", "is missing", "end with: -- DATASET --out RUN")
    if not re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", job.name):
        raise InputError("--name", f"must be of a-z, 0-9 and -, got {job.name!r}")
    if job.hardware.platform == "tpu" and not job.zone:
        raise InputError("--zone", "is missing", "TPUs are made in zones such as us-west4-a")
    if job.bucket and not re.fullmatch(r"[a-z0-9][-_.a-z0-9]+", job.bucket):
        raise InputError("--bucket", f"must be a name without gs://, got {job.bucket!r}")


def main(argv: Sequence[str] | None = None) -> None:
    """Launch."""
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--slurm", action="store_true", help="hand it to sbatch")
    try:
        job, others = read_job(options, sys.argv[1:] if argv is None else argv)
        if job.hardware.platform == "tpu":
            made = [Step("make the machine", create(job)), Step("wait", state(job), UP)]
            for step in [*made, *starting(job)]:
                perform(step, dry_run=others["dry_run"])
        elif others["slurm"]:
            print(slurm(job), end="", flush=True)
            if not others["dry_run"]:
                subprocess.run(["sbatch"], input=slurm(job), text=True, check=True)
        else:
            print(shlex.join(local(job)), flush=True)
            if not others["dry_run"]:
                subprocess.run(local(job), check=True, cwd=ROOT)
    except (InputError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
