"""Scripts of experiments: their names, and commands on the hardware that a file describes."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from jaxcrys.cli import on_hardware
from jaxcrys.cli.commands import COMMANDS
from jaxcrys.cli.on_hardware import run_on_hardware

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "experiments").glob("*.py"))
HARDWARE = ROOT / "tpu_configs"


def test_the_table_of_scripts_names_them_all():
    text = (ROOT / "experiments" / "README.md").read_text(encoding="utf-8")
    assert all(f"| `{path.name}` |" in text for path in SCRIPTS)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_opens_with_its_command(path):
    opening = path.read_text(encoding="utf-8").split('"""')[1]
    assert f"python experiments/{path.name}" in opening


@pytest.fixture
def handed_on(monkeypatch):
    """What was set up, and what then went to jaxcrys."""
    calls = []
    monkeypatch.setattr(on_hardware, "set_up", lambda hardware: calls.append(hardware.devices))
    monkeypatch.setattr(on_hardware.cli, "main", calls.append)
    return calls


@pytest.mark.parametrize("command", ["generate", "predict", "relax", "evaluate"])
def test_scripts_hand_their_options_to_the_command_of_their_name(handed_on, monkeypatch, command):
    assert command in COMMANDS
    script = ROOT / "experiments" / f"{command}.py"
    monkeypatch.setattr(sys, "argv", [str(script), "crystals", "--out", "x"])
    runpy.run_path(str(script), run_name="__main__")
    assert handed_on == [[command, "crystals", "--out", "x"]]


def test_a_command_runs_after_its_hardware_was_set_up(handed_on):
    given = ["--out", "x", "--hardware", str(HARDWARE / "gpu-8.yaml"), "--num=3"]
    run_on_hardware("generate", "about", given)
    assert handed_on == [8, ["generate", "--out", "x", "--num=3"]]


def test_a_command_runs_as_it_is_without_a_hardware_file(handed_on):
    run_on_hardware("relax", "about", ["crystals", "--out", "x"])
    assert handed_on == [["relax", "crystals", "--out", "x"]]


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("v5e-16.yaml", "describes 4 hosts, and 'jaxcrys predict' runs on one; take the file"),
        ("absent.yaml", "is not a readable YAML file"),
    ],
)
def test_hardware_that_cannot_be_used_is_refused(handed_on, capsys, file, message):
    with pytest.raises(SystemExit) as ended:
        run_on_hardware("predict", "about", ["--hardware", str(HARDWARE / file)])
    assert (ended.value.code, handed_on) == (2, [])
    assert message in capsys.readouterr().err


def test_help_says_whose_the_other_options_are(capsys):
    with pytest.raises(SystemExit) as ended:
        run_on_hardware("generate", "Draw crystals.", ["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "--hardware" in shown
    assert "Other options are those of 'jaxcrys generate'." in shown


def test_hardware_is_applied(tmp_path):
    """In a fresh process, as JAX has started in this one."""
    values = yaml.safe_load((HARDWARE / "cpu-8.yaml").read_text(encoding="utf-8"))
    code = (
        "import sys, jax\nfrom jaxcrys.cli import on_hardware\n"
        "on_hardware.cli.main = lambda words: print(words, jax.local_device_count())\n"
        "on_hardware.run_on_hardware('generate', '', ['--hardware', sys.argv[1], '--num', '2'])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, HARDWARE / "cpu-8.yaml"], capture_output=True, text=True,
        cwd=tmp_path, env={k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == f"['generate', '--num', '2'] {values['devices_per_host']}\n"
