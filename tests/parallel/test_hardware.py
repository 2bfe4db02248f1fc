"""Hardware files: each can be read, what is wrong in one is named, what it says is applied."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import pytest
import yaml

from experiments.train import main, parse, training_options
from jaxcrys.core.errors import InputError
from jaxcrys.crystal.storage import CRYSTALS_FILE, save_crystals
from jaxcrys.parallel import hardware as module
from jaxcrys.parallel.hardware import (
    Hardware,
    Variable,
    apply_hardware,
    check_batch,
    check_devices,
    load_hardware,
)
from tests.crystals import random_crystals

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tpu_configs").glob("*.yaml"))
DEVICES = {
    "cpu-8": (1, 8), "gpu-1": (1, 1), "gpu-8": (1, 8), "v4-8": (1, 4), "v5e-8": (1, 8),
    "v5e-16": (4, 4), "v5p-8": (1, 4), "v6e-8": (1, 8),
}  # fmt: skip
CPU = {
    "platform": "cpu", "accelerator": None, "runtime": None, "hosts": 1, "devices_per_host": 8,
    "crystals_per_device": 2, "matmul_precision": "highest", "compilation_cache": None,
    "checkpoint_every": 2, "environment": [], "ran_on": "nothing",
}  # fmt: skip
TPU = {
    "platform": "tpu", "accelerator": "v5litepod-16", "runtime": "v2-alpha-tpuv5-lite",
    "hosts": 4, "devices_per_host": 4,
}  # fmt: skip


@pytest.fixture
def written(tmp_path):
    """Writes a hardware file that differs in some settings from one that is right."""

    def write(**changes) -> Path:
        path = tmp_path / "machine.yaml"
        path.write_text(yaml.safe_dump(CPU | changes))
        return path

    return write


@pytest.fixture
def restored(monkeypatch):
    """JAX as if just imported; all as it was when the test is over."""
    monkeypatch.setattr(module.xla_bridge, "backends_are_initialized", lambda: False)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    names = ("jax_default_matmul_precision", "jax_compilation_cache_dir")
    before = {name: getattr(jax.config, name) for name in names}
    for name in names:
        jax.config.update(name, None)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_file_describes_the_machine_of_its_name(path):
    hardware = load_hardware(path)
    assert (hardware.hosts, hardware.devices_per_host) == DEVICES[path.stem]
    assert hardware.platform == re.sub(r"v\d.*", "tpu", path.stem.split("-")[0])
    assert hardware.batch_size == hardware.devices * hardware.crystals_per_device
    check_batch(hardware, hardware.batch_size)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files_say_that_they_were_not_run_where_they_were_not(path):
    assert path.stem == "cpu-8" or "fake CPU devices only" in load_hardware(path).ran_on


def test_every_slice_has_the_same_batches():
    """So that the same training gives the same on all of them."""
    sizes = {load_hardware(path).batch_size for path in FILES if path.stem.startswith("v")}
    assert sizes == {256}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"host": 1}, "machine.yaml: has no setting 'host'; perhaps 'hosts'"),
        ({"learning_rate": 1e-3}, "has no setting 'learning_rate'"),
        ({"hosts": 0}, "hosts: must be at least 1, got 0"),
        ({"devices_per_host": -8}, "devices_per_host: must be at least 1, got -8"),
        ({"crystals_per_device": 0}, "crystals_per_device: must be at least 1"),
        ({"checkpoint_every": 0}, "checkpoint_every: must be at least 1"),
        ({"hosts": 2.0}, "hosts: must be int, got 2.0"),
        ({"hosts": True}, "hosts: must be int, got True"),
        ({"platform": "cuda"}, "platform: must be one of 'cpu', 'gpu', 'tpu', got 'cuda'"),
        ({"matmul_precision": "best"}, "'best' is no precision of JAX; such are default, high"),
        ({"ran_on": " "}, "ran_on: must say on what hardware"),
        ({"environment": [{"name": "A", "value": "1"}]}, "each needs a name, a value and a reason"),
        ({"environment": [{"name": "A", "value": 1}]}, r"environment\[0\].value: must be str"),
        (
            {"environment": [{"name": "JAX_PLATFORMS", "value": "cpu", "reason": "so"}]},
            "JAX read JAX_PLATFORMS when it was imported; set it in the shell",
        ),
        ({"accelerator": "v4-8"}, "accelerator: a TPU has one, and nothing else has"),
        (TPU | {"accelerator": None}, "accelerator: a TPU has one"),
        (TPU | {"runtime": None}, "runtime: a TPU has one"),
        (TPU | {"accelerator": "v3-8"}, "must be one of v4-N, v5p-N, v5litepod-N, v6e-N"),
        (TPU | {"hosts": 2}, "v5litepod-16 has 16 chips, but hosts times devices_per_host is 8"),
        (TPU | {"accelerator": "v4-16"}, "v4-16 has 8 chips"),
    ],
)
def test_what_is_wrong_is_named(written, changes, message):
    with pytest.raises(InputError, match=message):
        load_hardware(written(**changes))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hosts: [", "is not a readable YAML file"),
        ("- hosts", "must hold named settings"),
        ("1: 2", "must hold named settings"),
        ("hosts: 1", "lacks platform, accelerator, runtime, devices_per_host"),
    ],
)
def test_what_is_no_hardware_file_is_refused(tmp_path, text, message):
    (tmp_path / "file.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        load_hardware(tmp_path / "file.yaml")
    with pytest.raises(InputError, match="is not a readable YAML file"):
        load_hardware(tmp_path / "absent.yaml")


def test_batches_that_do_not_divide_are_refused_with_the_nearest_that_does(written):
    hardware = load_hardware(written())
    with pytest.raises(InputError, match="60 is not a multiple of the 8 devices; perhaps 64"):
        check_batch(hardware, 60)
    with pytest.raises(InputError, match="0 is not a multiple of the 8 devices; perhaps 8"):
        check_batch(hardware, 0)


def machine(**changes) -> Hardware:
    return Hardware(**CPU | {"environment": ()} | changes)


FLAGS = Variable("XLA_FLAGS", "--xla_a=1 --xla_b=2", "to see")
OTHER = Variable("LIBTPU_OTHER", "1", "to see")


def test_settings_are_applied(restored):
    os.environ.pop("XLA_FLAGS", None)
    kept = apply_hardware(machine(environment=(FLAGS, OTHER), compilation_cache="~/programs"))
    assert kept == []
    assert os.environ["XLA_FLAGS"] == "--xla_a=1 --xla_b=2"
    assert os.environ["LIBTPU_OTHER"] == "1"
    assert jax.config.jax_default_matmul_precision == "highest"
    assert jax.config.jax_compilation_cache_dir == str(Path.home() / "programs")


def test_what_was_set_before_is_kept_and_named(restored):
    os.environ |= {"XLA_FLAGS": "--xla_c=3 --xla_b=9", "LIBTPU_OTHER": "0"}
    jax.config.update("jax_default_matmul_precision", "float32")
    kept = apply_hardware(machine(environment=(FLAGS, OTHER)))
    assert os.environ["XLA_FLAGS"] == "--xla_c=3 --xla_b=9 --xla_a=1"
    assert os.environ["LIBTPU_OTHER"] == "0"
    assert jax.config.jax_default_matmul_precision == "float32"
    assert jax.config.jax_compilation_cache_dir is None
    assert [line.split(" is ")[0] for line in kept] == [
        "XLA_FLAGS", "LIBTPU_OTHER", "jax_default_matmul_precision",
    ]  # fmt: skip
    assert kept[1] == "LIBTPU_OTHER is 0, as was set before; the hardware file has 1"


def test_variables_that_come_too_late_are_refused(restored, monkeypatch):
    monkeypatch.setattr(module.xla_bridge, "backends_are_initialized", lambda: True)
    with pytest.raises(InputError, match="LIBTPU_OTHER: JAX has started its devices"):
        apply_hardware(machine(environment=(OTHER,)))
    assert "LIBTPU_OTHER" not in os.environ
    os.environ["LIBTPU_OTHER"] = "1"
    assert apply_hardware(machine(environment=(OTHER,))) == []  # it was in time


def test_devices_that_are_not_there_are_missed():
    check_devices(machine())
    for wrong in ({"devices_per_host": 4}, {"hosts": 2}, {"platform": "tpu"}):
        with pytest.raises(InputError, match=r"but JAX has found 1 process\(es\) with 8 cpu"):
            check_devices(machine(**wrong))


def options(hardware, *arguments):
    own, others = parse(["--hardware", "file", *arguments])
    return training_options(hardware, own), others


def test_what_is_asked_for_wins_over_the_file(tmp_path):
    """The command over its config, and that over the hardware."""
    (tmp_path / "config.json").write_text('{"training": {"batch_size": 32}}')
    config = ["--config", str(tmp_path / "config.json")]
    size, every = "--batch-size", "--checkpoint-every"
    found, others = options(machine(), "data", "--out", "run", "--steps=2")
    assert found == [size, "16", every, "2"]
    assert others == ["data", "--out", "run", "--steps=2"]
    assert options(machine(), *config)[0] == [*config, size, "32", every, "2"]
    given = [size, "8", every, "5"]
    assert options(machine(), *config, *given)[0] == [*config, *given]
    with pytest.raises(InputError, match="12 is not a multiple of the 8 devices"):
        options(machine(), size, "12")


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("gpu-8.yaml", "describes 1 process(es) with 8 gpu device(s) each, but JAX has found 1"),
        ("gpu-9.yaml", "is not a readable YAML file"),
    ],
)
def test_the_script_ends_where_the_hardware_is_another(restored, capsys, file, message):
    with pytest.raises(SystemExit) as ended:
        main(["data", "--out", "run", "--hardware", str(ROOT / "tpu_configs" / file)])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


TRAIN = """
import dataclasses, json, sys
from pathlib import Path

import jax

from experiments.train import main
from jaxcrys.cli.train import recipe_settings
from jaxcrys.core.settings import from_json
from jaxcrys.crystal.storage import load_crystals
from jaxcrys.parallel.hardware import load_hardware
from jaxcrys.recipes.run_folder import read_run_config
from jaxcrys.training import TrainingConfig, train

data, runs, changes, hardware, *files = sys.argv[1:]
options = {
    "hardware": hardware, "out": f"{runs}/script", "recipe": "diffcsp_pp", "preset": "tiny",
    "settings": changes, "steps": "2", "warmup-steps": "1", "log-every": "1", "max-shapes": "1",
    "optimiser": "adam", "validation-size": "4",
}
try:
    main([data, *(word for name, value in options.items() for word in (f"--{name}", value))])
except SystemExit as end:
    assert end.code == 0, end.code
assert jax.config.jax_default_matmul_precision == "highest"

config = from_json(TrainingConfig, read_run_config(Path(runs, "script"))["training"])
results = {"script": [len(jax.devices()), config.batch_size, config.checkpoint_every]}
settings = recipe_settings("diffcsp_pp", "tiny", changes, None)
for file in files:
    machine = load_hardware(file)
    devices = jax.devices()[: machine.devices]
    ran = train(
        f"{runs}/{len(results)}", load_crystals(data), recipe="diffcsp_pp", settings=settings,
        config=dataclasses.replace(config, batch_size=2 * machine.devices), devices=devices,
    )
    results[file] = [len(devices), ran.steps, ran.loss]
print(json.dumps(results))
"""
TINY = {"network": {"layers": 1, "channels": 8, "frequencies": 4, "time_channels": 8}}


def test_every_file_trains_on_fake_devices(tmp_path):
    """The script makes sixteen, as its file says; the others take as many of them as they need."""
    text = (ROOT / "tpu_configs" / "cpu-8.yaml").read_text()
    for old, new in (("=8", "=16"), ("host: 8", "host: 16"), ("device: 8", "device: 2")):
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "cpu-16.yaml").write_text(text.replace("every: 500", "every: 2"))
    save_crystals(tmp_path / "data" / CRYSTALS_FILE, random_crystals(60, sites=2, seed=1))
    files = sorted(FILES, key=lambda path: -load_hardware(path).devices)
    ran = subprocess.run(
        [
            sys.executable, "-c", TRAIN, tmp_path / "data", tmp_path, json.dumps(TINY),
            tmp_path / "cpu-16.yaml", *files,
        ],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    results = json.loads(ran.stdout.splitlines()[-1])
    assert results.pop("script") == [16, 32, 2]
    for path in FILES:
        devices, steps, loss = results[str(path)]
        hosts, each = DEVICES[path.stem]
        assert (devices, steps) == (hosts * each, 2)
        assert math.isfinite(loss)
