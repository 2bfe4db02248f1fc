"""Launching and babysitting: the commands are right, odd names survive, --dry-run runs nothing.

The commands were also parsed by gcloud itself (``gcloud meta lint-gcloud-commands``); no machine
was ever made by them.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jaxcrys.cli.train import stopped
from jaxcrys.core.errors import InputError
from tpu_configs.launch import babysit, launch

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tpu_configs").glob("*.yaml"))
TPUS = [path for path in FILES if path.stem.startswith("v")]
ODD = ["my data", "--out", '/mnt/runs/it\'s $HOME; `rm` "x"\n', "--settings", '{"a": "*"}']
V5E = ROOT / "tpu_configs" / "v5e-16.yaml"


@pytest.fixture
def no_commands(monkeypatch):
    """Nothing may be run."""

    def forbidden(*command, **_):
        raise AssertionError(f"ran {command}")

    monkeypatch.setattr(subprocess, "run", forbidden)
    monkeypatch.setattr(subprocess, "Popen", forbidden)


def options(path, *more, arguments=ODD):
    return [str(path), "--name", "run-1", "--zone", "us-west4-a", *more, "--", *arguments]


def make_job(*more, path=V5E, arguments=ODD):
    found, _ = launch.read_job(launch.parser(""), options(path, *more, arguments=arguments))
    return found


def remote(command: list[str]) -> str:
    """What a gcloud command has the machines run."""
    return next(w.removeprefix("--command=") for w in command if w.startswith("--command="))


@pytest.mark.parametrize("path", TPUS, ids=lambda path: path.stem)
@pytest.mark.parametrize("queued", [False, True])
def test_tpus_are_made_and_given_the_training(path, queued, capsys, no_commands):
    more = ["--spot", "--bucket", "b-1", "--project", "p", *(["--queued"] if queued else [])]
    launch.main(options(path, *more, "--dry-run"))
    job = make_job(*more, path=path)
    steps = [launch.create(job), launch.state(job), *(s.command for s in launch.starting(job))]
    shown = capsys.readouterr().out
    assert all(shlex.join(step) in shown for step in steps)
    make, look, pack, copy, install, start = steps
    version = "--runtime-version=" if queued else "--version="
    assert make[:6] == [
        "gcloud", "compute", "tpus", "queued-resources" if queued else "tpu-vm", "create", "run-1",
    ]  # fmt: skip
    assert {
        f"--accelerator-type={job.hardware.accelerator}", f"{version}{job.hardware.runtime}",
        "--spot", "--zone=us-west4-a", "--project=p",
    } <= set(make)  # fmt: skip
    assert ("--node-id=run-1" in make) == queued
    assert look[4] == "describe"
    assert pack[:4] == ["git", "-C", str(ROOT), "archive"]
    assert {"run-1:", "--worker=all"} <= set(copy)
    assert remote(install).endswith("setup.sh tpu b-1")
    words = shlex.split(remote(start))
    assert words[:2] == ["bash", "jaxcrys/tpu_configs/launch/start.sh"]
    assert words[2:] == ["--hardware", f"tpu_configs/{path.name}", *ODD]


@pytest.mark.parametrize("path", sorted({*FILES} - {*TPUS}), ids=lambda path: path.stem)
def test_others_are_run_here_or_by_slurm(path, capsys, no_commands):
    launch.main(options(path, "--dry-run"))
    own = ["experiments/train.py", "--hardware", f"tpu_configs/{path.name}", *ODD]
    assert shlex.split(capsys.readouterr().out) == [sys.executable, *own]
    launch.main(options(path, "--dry-run", "--slurm"))
    script = capsys.readouterr().out
    assert script.startswith("#!/bin/bash\n#SBATCH --job-name=run-1\n#SBATCH --nodes=1\n")
    devices = launch.load_hardware(path).devices_per_host
    assert f"#SBATCH --gpus-per-node={devices}\n" in script or path.stem == "cpu-8"
    assert shlex.split(script[script.index("srun") :]) == ["srun", sys.executable, *own]
    assert f"\ncd {ROOT}\n" in script


@pytest.mark.parametrize("path", TPUS, ids=lambda path: path.stem)
def test_babysitting_can_be_explained(path, capsys, no_commands):
    babysit.main(options(path, "--queued", "--dry-run"))
    shown = capsys.readouterr().out
    job = make_job("--queued", path=path)
    commands = [step.command for a in ("make", "delete", "start") for step in babysit.steps(a, job)]
    assert len(commands) == 6
    assert all(shlex.join(command) in shown for command in commands)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--name", "run-1", "--zone", "z"], "the training: is missing"),
        (["--name", "My run; rm", "--zone", "z", "--", "d"], "--name: must be of a-z"),
        (["--name", "run-1", "--", "d"], "--zone: is missing"),
        (["--name", "run-1", "--zone", "z", "--bucket", "gs://b", "--", "d"], "without gs://"),
    ],
)
def test_what_cannot_be_launched_is_refused(arguments, message, no_commands):
    with pytest.raises(SystemExit, match=message):
        launch.main([str(V5E), *arguments])


def test_files_from_elsewhere_are_refused(tmp_path, no_commands):
    """The machines would not have them."""
    shutil.copy(V5E, tmp_path / "mine.yaml")
    with pytest.raises(SystemExit, match="is not in"):
        launch.main(options(tmp_path / "mine.yaml"))
    with pytest.raises(SystemExit, match="describes no TPU"):
        babysit.main(options(ROOT / "tpu_configs" / "gpu-8.yaml"))


def test_waiting_ends_when_the_machine_is_up_or_lost(monkeypatch):
    said = iter(["CREATING", "READY", "CREATING", "PREEMPTED"])
    monkeypatch.setattr(launch, "output", lambda command: next(said))
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    step = launch.Step("wait", ["true"], launch.UP)
    launch.perform(step, dry_run=False)
    with pytest.raises(InputError, match="the machine: is PREEMPTED"):
        launch.perform(step, dry_run=False)


@pytest.mark.parametrize(
    ("machine", "hosts", "action"),
    [
        ("absent", [], "make"),
        ("PREEMPTED", [], "delete"),
        ("SUSPENDED", [], "delete"),
        ("CREATING", [], "wait"),
        ("WAITING_FOR_RESOURCES", [], "wait"),
        ("unknown", [], "wait"),
        ("READY", [], "wait"),  # no answer
        ("ACTIVE", ["never started"] * 2, "start"),
        ("READY", ["runs", "runs"], "wait"),
        ("READY", ["runs", "ended 1"], "wait"),  # the others end soon, too
        ("READY", ["ended 0", "ended 0"], "done"),
        ("READY", ["ended 130", "ended 0"], "start"),  # was asked to stop, and saved
        ("READY", ["ended 1", "ended 134"], "restart"),
        ("READY", ["ended 1", "never started"], "restart"),
        ("READY", ["ended 2", "ended 1"], "stop"),
    ],
)
def test_what_a_babysitter_does(machine, hosts, action):
    assert babysit.decide(machine, hosts, 2) == action


def story(monkeypatch, looks, restarts=1):
    """What a babysitter did, given what it saw, and how it ended."""
    seen, done = iter(looks), []
    monkeypatch.setattr(babysit, "look", lambda job: next(seen))
    monkeypatch.setattr(babysit, "perform", lambda step, dry_run: done.append(step.title))
    return done, babysit.watch(make_job(), restarts, lambda: None)


def test_a_lost_machine_is_made_again_until_the_training_is_done(monkeypatch):
    idle, busy, ended = (["never started"] * 4, ["runs"] * 4, ["ended 0"] * 4)
    done, result = story(monkeypatch, [
        ("absent", []), ("CREATING", []), ("READY", idle), ("READY", busy), ("PREEMPTED", []),
        ("absent", []), ("READY", idle), ("READY", busy), ("READY", ended),
    ])  # fmt: skip
    assert result == "done"
    assert [title.split()[0] for title in done] == [
        "make", "pack", "copy", "install", "start", "delete",
        "make", "pack", "copy", "install", "start",
    ]  # fmt: skip


def test_a_training_that_always_fails_is_given_up(monkeypatch):
    done, result = story(monkeypatch, [("READY", ["ended 1"] * 4)] * 2)
    assert "failed too often" in result
    assert len(done) == 4
    done, result = story(monkeypatch, [("READY", ["ended 2"] * 4)])
    assert "bad input" in result
    assert done == []


def test_commands_that_fail_are_tried_again(monkeypatch):
    looks = iter([("absent", []), ("absent", []), ("READY", ["ended 0"] * 4)])
    tried = []

    def fail(step, dry_run):
        tried.append(step.title)
        raise subprocess.CalledProcessError(1, step.command)

    monkeypatch.setattr(babysit, "look", lambda job: next(looks))
    monkeypatch.setattr(babysit, "perform", fail)
    assert babysit.watch(make_job(), 0, lambda: None) == "done"
    assert tried == ["make the machine"] * 2


@pytest.fixture
def cloud(tmp_path, monkeypatch):
    """A gcloud that tells what it was asked, and answers what a file says; a git without a use."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to("/bin/true")
    script = f"#!{sys.executable}\nimport json, sys\nhere = {str(tmp_path)!r}\n" + (
        'open(here + "/asked", "a").write(json.dumps(sys.argv[1:]) + "\\n")\n'
        'code, out, err = json.load(open(here + "/answers"))[sys.argv[4]]\n'
        "print(out)\nprint(err, file=sys.stderr)\nsys.exit(code)\n"
    )
    (tmp_path / "bin" / "gcloud").write_text(script)
    (tmp_path / "bin" / "gcloud").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    def answer(**answers) -> None:
        (tmp_path / "answers").write_text(json.dumps(answers))

    return answer


def test_machines_are_looked_at(cloud):
    job = make_job()
    cloud(describe=[1, "", "ERROR: NOT_FOUND: Resource"])
    assert babysit.look(job) == ("absent", [])
    cloud(describe=[1, "", "ERROR: no network"])
    assert babysit.look(job) == ("unknown", [])
    cloud(describe=[0, "CREATING", ""])
    assert babysit.look(job) == ("CREATING", [])
    cloud(describe=[0, "READY", ""], ssh=[0, "training: runs\ntraining: ended 0\nhello", ""])
    assert babysit.look(job) == ("READY", ["runs", "ended 0"])
    cloud(describe=[0, "READY", ""], ssh=[255, "", "no route"])
    assert babysit.look(job) == ("READY", [])


def test_a_launch_runs_its_commands_in_order(cloud, tmp_path):
    fine = [0, "", ""]
    cloud(create=fine, scp=fine, ssh=fine, describe=[0, "READY", ""])
    launch.main(options(V5E))
    asked = [json.loads(line) for line in (tmp_path / "asked").read_text().splitlines()]
    assert [words[3] for words in asked] == ["create", "describe", "scp", "ssh", "ssh"]
    assert shlex.split(remote(asked[-1]))[4:] == ODD


@pytest.fixture
def host(tmp_path):
    """The home of a host, whose Python writes down its arguments, waits, and ends as told."""
    scripts = tmp_path / "jaxcrys" / "tpu_configs" / "launch"
    shutil.copytree(ROOT / "tpu_configs" / "launch", scripts)
    binary = tmp_path / "jaxcrys-venv" / "bin"
    binary.mkdir(parents=True)
    (binary / "activate").write_text(f"PATH={shlex.quote(str(binary))}:$PATH\n")
    (binary / "python").write_text(
        f"#!{sys.executable}\nimport json, os, sys, time\n"
        "json.dump([os.getcwd(), *sys.argv[1:]], open('arguments', 'w'))\n"
        "print(os.environ['SAYS'])\n"
        "while not os.path.exists('end'): time.sleep(0.05)\nsys.exit(int(os.environ['ENDS']))\n"
    )
    (binary / "python").chmod(0o755)

    def run(command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, env=os.environ | {"HOME": str(tmp_path)},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    return run


@pytest.mark.parametrize(
    ("says", "ends", "status"),
    [("hello", 3, 3), ("run: 20000 steps", 0, 0), (stopped(Path("run"), 7), 0, 130)],
)
def test_a_training_starts_once_and_leaves_its_exit_status(
    host, tmp_path, monkeypatch, says, ends, status
):
    """With its arguments as they were given, after two shells; 130 where it was asked to stop."""
    monkeypatch.setenv("SAYS", says)
    monkeypatch.setenv("ENDS", str(ends))
    start = remote(launch.starting(make_job())[-1].command)
    assert host(babysit.ASK).stdout == "training: never started\n"
    assert host(start).returncode == 0
    assert host(babysit.ASK).stdout == "training: runs\n"
    second = host(start)
    assert second.returncode == 1
    assert "a training is running here already" in second.stderr
    (tmp_path / "jaxcrys" / "end").touch()
    deadline = time.monotonic() + 30
    while (said := host(babysit.ASK).stdout) == "training: runs\n":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert said == f"training: ended {status}\n"
    assert (tmp_path / "train.log").read_text() == f"{says}\n"
    folder, script, *arguments = json.loads((tmp_path / "jaxcrys" / "arguments").read_text())
    assert (Path(folder), script) == (tmp_path / "jaxcrys", "experiments/train.py")
    assert arguments == ["--hardware", "tpu_configs/v5e-16.yaml", *ODD]


def test_scripts_are_bash():
    for script in (ROOT / "tpu_configs" / "launch").glob("*.sh"):
        subprocess.run(["bash", "-n", script], check=True)
