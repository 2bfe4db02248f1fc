"""The command line: what it says, how it refuses, and the whole round through it."""

import contextlib
import csv
import dataclasses
import importlib
import inspect
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jaxcrys import __version__
from jaxcrys.cli import demo
from jaxcrys.cli import train as train_command
from jaxcrys.cli.commands import COMMANDS
from jaxcrys.cli.main import INTERRUPTED_MESSAGE, main
from jaxcrys.core.settings import from_json, to_json
from jaxcrys.crystal import load_crystals
from jaxcrys.recipes import get_recipe
from jaxcrys.training import TrainingConfig
from jaxcrys.training.loop import TrainingFailed, TrainingResult

SETTINGS = {
    "network": {
        "kind": "cspnet",
        "layers": 1,
        "channels": 8,
        "frequencies": 4,
        "time_channels": 8,
    },
    "flow": {"steps": 2},
    "species": "generated",
}
TRAINING = {
    "steps": 4,
    "optimiser": "adam",
    "batch_size": 8,
    "warmup_steps": 1,
    "checkpoint_every": 2,
    "log_every": 2,
    "max_shapes": 1,
}
OPTIONS = [
    text for name, value in TRAINING.items() for text in (f"--{name.replace('_', '-')}", str(value))
]


def call(*arguments) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        main([str(argument) for argument in arguments])
    return ended.value.code, out.getvalue(), err.getvalue()


def run_script(code: str, *arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def prototypes(prototype_rows, tmp_path_factory):
    """Two dozen of the prototypes, in a file whose name has a space."""
    folder = tmp_path_factory.mktemp("prototypes")
    with (folder / "two dozen.csv").open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle, lineterminator="\n").writerows(prototype_rows[:25])
    return folder / "two dozen.csv"


@pytest.fixture(scope="module")
def made(prototypes, tmp_path_factory):
    """The folder of a whole round: dataset, run and crystals; and what the commands printed."""
    folder = tmp_path_factory.mktemp("a round")
    printed = {}
    for name, *arguments in (
        ("prepare", prototypes, "--out", f"{folder}/dataset/", "--workers", 1),
        (
            *("train", folder / "dataset", "--out", folder / "run", "--preset", "tiny"),
            *("--settings", json.dumps(SETTINGS), *OPTIONS),
        ),
        ("generate", "--run", folder / "run", *GENERATE, "--out", folder / "crystals"),
    ):
        code, printed[name], err = call(name, *arguments)
        assert code == 0, err
    return folder, printed


GENERATE = ("--num", 4, "--batch-size", 8)


# What it says.


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_overview_names_every_command(arguments):
    code, out, err = call(*arguments)
    assert (code, err) == (0, "")
    for name, text in COMMANDS.items():
        assert re.search(rf"^  {name} +{text}$", out, re.MULTILINE)


def test_version():
    assert call("--version") == (0, f"{__version__}\n", "")


def test_help_loads_no_heavy_library():
    code = (
        "import sys\nfrom jaxcrys.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print(*{name.split('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    finished = run_script(code)
    assert "usage: jaxcrys" in finished.stdout
    assert not {"jax", "pymatgen", "numpy", "tyro"} & set(finished.stderr.split())
    assert "jaxcrys" in finished.stderr.split()


def test_readers_that_have_seen_enough_are_no_error():
    """As in ``jaxcrys --help | head``."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "jaxcrys", "relax", "--help"]
    finished = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert finished.stderr == b""
    assert finished.returncode == 1


def options_of(settings: type) -> dict[str, str]:
    """The options of a dataclass with their texts, from the attributes of its docstring."""
    section = inspect.getdoc(settings).split("Attributes:\n")[1]
    found = re.findall(r"^ {4}(\w+): ((?:.+\n?)(?: {5,}.+\n?)*)", section, re.MULTILINE)
    assert {name for name, _ in found} == {field.name for field in dataclasses.fields(settings)}
    return dict(found)


@pytest.mark.parametrize("command", [*(name for name in COMMANDS if name != "data"), "data fetch"])
def test_help_of_a_command_explains_every_option(command):
    code, out, err = call(*command.split(), "--help")
    assert (code, err) == (0, "")
    shown = re.sub(r"[│\s]", "", out)
    first, *rest = command.split()
    module = importlib.import_module(f"jaxcrys.cli.{first}")
    options = options_of(getattr(module, rest[0].capitalize()) if rest else module.Command)
    if command == "train":
        options |= options_of(TrainingConfig)
    for name, text in options.items():
        source = {"hull": "DATASET", "release": "RUN"}.get(command, "SET")
        named = {
            "inputs": "FILE", "files": "FILE", "data": "DATASET", "generated": "SET",
            "source": source, "templates": "TEMPLATES", "geometry": "GEOMETRY",
            "trained": "--run", "training": "", "shell": "{bash,zsh}",
        } | ({"name": "NAME"} if command == "data fetch" else {})  # fmt: skip
        option = named.get(name, f"--{name.replace('_', '-')}")
        assert option in out
        assert re.sub(r"\s", "", text) in shown, name


# How it refuses.


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("prepair", "there is no command 'prepair'; did you mean 'jaxcrys prepare'?"),
        ("xyz", "there is no command 'xyz'; 'jaxcrys' lists them all"),
    ],
)
def test_unknown_commands_are_refused_with_the_nearest(name, said):
    code, out, err = call(name)
    assert (code, out) == (2, "")
    assert said in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("data fetch mp20", "there is no 'mp20'; known: mp_20, mpts_52, perov_5, carbon_24"),
        ("prepare nothing.csv --out x", "nothing.csv: does not exist"),
        ("prepare {csv} --out {dataset} --limit 3", "exists and was not made from these files"),
        ("prepare {csv} --out .", ".: exists"),
        ("prepare {csv} --out x --engine magic", "must be one of spglib, moyopy, got 'magic'"),
        ("train nothing --out x", "nothing: is not a readable file of crystals"),
        ("train {csv} --out x", "two dozen.csv: is not a readable file of crystals"),
        ("train {dataset} --out x --recipe magic", "there is no 'magic'; known: diffcsp_pp"),
        ("train {dataset} --out x --preset huge", "no 'huge'; known: tiny, small, base"),
        ("train {dataset} --out x --settings {{", "--settings: is not JSON"),
        ("train {dataset} --out x --settings [1]", "--settings: must be a JSON object"),
        (
            'train {dataset} --out x --settings {{"network":{{"chanels":8}}}}',
            "settings.network: has no setting 'chanels'; perhaps 'channels'",
        ),
        ("train {dataset} --out x --species some", "settings.species: must be one of"),
        ("train {dataset} --out x --steps 0", "steps: must be at least 1, got 0"),
        ("train {dataset} --out x --config nothing.json", "nothing.json: is not a readable JSON"),
        ("train {dataset} --out {run} --steps 6", "training.steps was 4, now 6"),
        ("generate --run nothing --out x", "nothing: is no run and no model"),
        ("generate --run {dataset} --out x", "dataset: is not a training run"),
        ("generate --run {run} --out x --num 0", "--num: must be at least 1, got 0"),
        ("generate --run {run} --out x --keep 2", "--keep: keeps 2 of 1 candidates"),
        ("generate --run {run} --out x --settings [1]", "--settings: must be a JSON object"),
        (
            'generate --run {run} --out x --settings {{"flow":{{"steps":0}}}}',
            "flow.steps: must be at least 1, got 0",
        ),
        ("generate --run {run} --out x --groups 231", "from 1 to 230, got 231"),
        ("generate --run {run} --out x --groups P1", "--groups: cannot read 'P1'"),
        ("generate --run {run} --out x --checkpoint last", "must be best, latest or a step"),
        ("generate --run {run} --out x --checkpoint 3", "has no checkpoint of step 3; it has 2, 4"),
        ("generate --run {run} --out {csv}", "two dozen.csv: exists and was made otherwise"),
        (
            "generate --run {run} --out x --template 4a",
            "does not begin with its group",
        ),
    ],
)
def test_bad_input_is_refused_in_one_line(arguments, message, made, prototypes, tmp_path):
    names = {name: made[0] / name for name in ("dataset", "run", "crystals")} | {"csv": prototypes}
    words = [word.format(**names) for word in arguments.split()]
    if "--steps" in words and "6" in words:
        words += [*("--preset", "tiny", "--settings", json.dumps(SETTINGS)), *OPTIONS[2:]]
    with contextlib.chdir(tmp_path):
        code, out, err = call(*words)
    assert (code, out) == (2, "")
    assert re.fullmatch(r"error: .*\n", err)
    assert message in err
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("data", "{fetch, list}"),
        ("data fetch", "NAME"),
        ("prepare a.csv", "--out"),
        ("prepare a.csv --out x --workrs 2", "--workrs"),
        ("train data --out x --steps many", "--steps"),
    ],
)
def test_misspelt_options_are_refused(arguments, message):
    code, out, err = call(*arguments.split())
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"stps": 4}, "has no option 'stps'"),
        ({"training": {"stps": 4}}, "training: has no setting 'stps'; perhaps 'steps'"),
        ({"training": 4}, "training: must be named settings, got 4"),
        ({"recipe": ["diffcsp_pp"]}, "recipe: must be text"),
        ([1], "must hold named options, such as 'recipe: orbit_flow'"),
    ],
)
def test_bad_config_files_are_refused(config, message, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(config))
    code, out, err = call("train", "data", "--out", "x", "--config", tmp_path / "config.json")
    assert (code, out) == (2, "")
    assert re.fullmatch(r"error: .*\n", err)
    assert message in err


@pytest.mark.parametrize("command", ["prepare", "train", "generate"])
def test_unwritable_out_is_a_failure_in_one_line(command, made, prototypes, tmp_path):
    (tmp_path / "file").touch()
    given = {
        "prepare": (prototypes, "--workers", 1),
        "train": (made[0] / "dataset", "--preset", "tiny"),
        "generate": ("--run", made[0] / "run", *GENERATE),
    }
    code, out, err = call(command, *given[command], "--out", tmp_path / "file" / "out")
    assert (code, out) == (1, "")
    assert re.fullmatch(r"error: .*file.*: Not a directory", err.splitlines()[-1])


def test_failed_training_is_told_and_other_errors_are_not_hidden(made, monkeypatch, tmp_path):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr(train_command, "train", fails)
    error = TrainingFailed("loss is not finite")
    arguments = ("train", made[0] / "dataset", "--out", tmp_path / "run")
    assert call(*arguments) == (1, "", "error: loss is not finite\n")
    error = RuntimeError("a fault of ours")
    with pytest.raises(RuntimeError, match="a fault of ours"):
        main([str(argument) for argument in arguments])


INTERRUPTED = """
import importlib, os, signal, sys, time
from jaxcrys.cli.main import main

# A shell's background jobs, and so their children, start with interrupts ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

def interrupt(*_, **__):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)

class Finder:
    find_spec = interrupt

if sys.argv[1] == "loading":
    sys.meta_path.insert(0, Finder)
else:
    importlib.import_module("jaxcrys.cli.prepare").prepare = interrupt
main(["prepare", "a.csv", "--out", "x"])
"""


@pytest.mark.parametrize("moment", ["loading", "working"])
def test_interrupted_command_says_how_to_go_on(moment):
    finished = run_script(INTERRUPTED, moment)
    assert finished.returncode == 130
    assert (finished.stdout, finished.stderr) == ("", f"{INTERRUPTED_MESSAGE}\n")


# What it does.


def test_options_go_before_the_config_file(made, monkeypatch, tmp_path):
    given = {}

    def remember(run, crystals, validation, **rest):
        given.update(rest, run=run)
        return TrainingResult(steps=4, finished=True, loss=0.5, best_step=4, seconds=1.0)

    monkeypatch.setattr(train_command, "train", remember)
    config = {"preset": "tiny", "settings": SETTINGS, "training": TRAINING | {"seed": 3}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    code, out, _ = call(
        *("train", made[0] / "dataset", "--out", tmp_path / "run"),
        *("--config", tmp_path / "config.json", "--steps", 8, "--species", "given"),
    )
    assert code == 0
    assert "4 steps" in out
    assert given["config"] == TrainingConfig(**(TRAINING | {"seed": 3, "steps": 8}))
    assert given["settings"].species == "given"
    assert to_json(given["settings"].network)["channels"] == 8
    assert given["source"]["name"] == "dataset"


def test_whole_round(made):
    folder, printed = made
    assert {path.name for path in folder.iterdir()} == {"dataset", "run", "crystals"}
    assert {path.name for path in (folder / "dataset").iterdir()} == {
        *("crystals.npz", "table.csv", "rejected.csv", "meta.json")
    }
    assert {path.name for path in (folder / "run").iterdir()} == {
        *("config.json", "templates.npz", "metrics.jsonl", "checkpoints")
    }
    accepted = len(load_crystals(folder / "dataset").group)
    assert 12 <= accepted <= 24
    assert f"{accepted} crystals, {24 - accepted} rejected" in printed["prepare"]
    assert re.search(r"run: 4 steps, validation loss \d+\.\d{4} at step [24]", printed["train"])
    assert len(load_crystals(folder / "crystals").group) == 4
    assert "of 4 have a unit cell" in printed["generate"]
    assert f"written to {folder / 'crystals'}" in printed["generate"]


def test_settings_of_the_sampler_can_be_changed(made, tmp_path):
    """They are recorded, and more steps give other crystals from the same run and seed."""
    folder, _ = made
    out = tmp_path / "five steps"
    code, _, err = call(
        *("generate", "--run", folder / "run", *GENERATE, "--out", out),
        *("--settings", '{"flow": {"steps": 5}}'),
    )
    assert code == 0
    assert err == "generating: 4 crystals, templates of the training set, elements drawn\n"
    recorded = json.loads((out / "run.json").read_text())["model"]["settings"]["flow"]
    assert recorded["steps"] == 5
    two, five = (load_crystals(path).lattice for path in (folder / "crystals", out))
    assert (two != five).any()


@pytest.mark.parametrize("name", ["dataset", "crystals"])
def test_finished_work_is_left_as_it_is_and_tidied(name, made, prototypes):
    folder, _ = made
    before = {path: path.read_bytes() for path in (folder / name).rglob("*") if path.is_file()}
    for rest in (f".{name}.abcdefgh.partial", f".{name}.work"):
        (folder / rest / "deeper").mkdir(parents=True)
    again = {
        "dataset": ("prepare", prototypes, "--workers", 1),
        "crystals": ("generate", "--run", folder / "run", *GENERATE),
    }
    code, _, err = call(*again[name], "--out", folder / name)
    assert (code, err) == (0, "")
    after = {path: path.read_bytes() for path in (folder / name).rglob("*") if path.is_file()}
    assert after == before
    assert {path.name for path in folder.iterdir()} == {"dataset", "run", "crystals"}


def test_demo(prototypes, monkeypatch, tmp_path):
    small = from_json(get_recipe(demo.RECIPE).config, SETTINGS)
    monkeypatch.setitem(get_recipe(demo.RECIPE).presets, demo.PRESET, small)
    monkeypatch.setattr(demo, "TRAINING", TrainingConfig(**TRAINING))
    monkeypatch.setattr(demo, "MOST_ATOMS", 1000)  # as in the round, whose programs are at hand
    out = tmp_path / "the demo"
    out.mkdir()
    (out / "prototypes.csv").write_bytes(prototypes.read_bytes())
    code, printed, err = call("demo", "--out", out, "--num", 3)
    assert code == 0
    assert err == "generating: 3 crystals, templates of the training set, elements drawn\n"
    assert "2. trained 4 steps" in printed
    assert "3. generated 3 crystals" in printed
    assert {path.name for path in out.iterdir()} == {
        *("prototypes.csv", "dataset", "run", "crystals")
    }
    assert len(load_crystals(out / "crystals").group) == 3


def test_prototypes_are_written_once(tmp_path):
    path = Path(tmp_path / "there.csv")
    path.write_text("kept")
    assert demo.write_prototypes(path).read_text() == "kept"
