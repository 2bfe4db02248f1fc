"""Two processes train as one device does, and are stopped together."""

import os
import re
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from jaxcrys.cli.train import recipe_settings
from jaxcrys.core.errors import InputError
from jaxcrys.crystal import save_crystals
from jaxcrys.parallel.distributed import scheduled, start_distributed
from jaxcrys.recipes.run_folder import metrics_path
from jaxcrys.training import TrainingConfig, train
from jaxcrys.training.metrics import read_metrics
from tests.crystals import random_crystals

CONFIG = TrainingConfig(
    steps=4, batch_size=64, microbatches=8, warmup_steps=2, checkpoint_every=4, log_every=1,
    max_shapes=1, optimiser="adam", validation_size=8,
)  # fmt: skip
SMALL = '{"network": {"layers": 1, "channels": 16, "heads": 2}}'
TRAINING = [
    part
    for name in ("steps", "batch_size", "microbatches", "warmup_steps", "checkpoint_every",
                 "log_every", "max_shapes", "optimiser", "validation_size")
    for part in (f"--{name.replace('_', '-')}", str(getattr(CONFIG, name)))
]  # fmt: skip


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "crystals.npz"
    save_crystals(path, random_crystals(60, seed=1))
    return path


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(dataset, out, *options, devices=4, processes=2):
    """Start processes of so many devices that train together."""
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices)
    }  # fmt: skip
    address = f"127.0.0.1:{free_port()}"
    command = [
        *(sys.executable, "-m", "jaxcrys", "train", str(dataset), "--out", str(out)),
        *("--recipe", "wyformer", "--preset", "tiny", "--settings", SMALL),
        *(*TRAINING, *options),
        *("--coordinator", address, "--processes", str(processes), "--process"),
    ]
    return [
        subprocess.Popen(
            [*command, str(i)], env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for i in range(processes)
    ]  # fmt: skip


def losses(folder):
    return np.array([row["loss"] for row in read_metrics(metrics_path(folder))])


@pytest.fixture(scope="module")
def alone(dataset, tmp_path_factory):
    """The same training in this process, on one device."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    train(
        folder, random_crystals(60, seed=1), recipe="wyformer", config=CONFIG,
        settings=recipe_settings("wyformer", "tiny", SMALL, None), devices=jax.devices()[:1],
    )  # fmt: skip
    return losses(folder)


@pytest.mark.parametrize(
    ("strategy", "devices"),
    [
        ("sharded", 1),
        pytest.param("sharded", 4, marks=pytest.mark.slow),
        pytest.param("pmap", 4, marks=pytest.mark.slow),
    ],
)
def test_two_processes_train_as_one_device(dataset, alone, tmp_path, strategy, devices):
    members = start(dataset, tmp_path / "run", "--strategy", strategy, devices=devices)
    told = [member.communicate()[0] for member in members]
    assert [member.returncode for member in members] == [0, 0], told
    assert "validation loss" in told[0]
    assert "validation loss" not in told[1]  # the first process alone reports and writes
    np.testing.assert_allclose(losses(tmp_path / "run"), alone, rtol=1e-5)


@pytest.mark.slow
def test_one_process_that_is_asked_to_stop_stops_both(dataset, tmp_path):
    options = ("--steps", "100000", "--warmup-steps", "2")
    members = start(dataset, tmp_path / "run", *options)
    metrics = metrics_path(tmp_path / "run")
    while not (metrics.exists() and len(metrics.read_text()) > 500):
        time.sleep(0.2)
    members[1].send_signal(signal.SIGTERM)
    told = [member.communicate()[0] for member in members]
    assert [member.returncode for member in members] == [0, 0], told
    steps = re.search(r"saved at step (\d+)", told[0])
    assert steps
    assert (tmp_path / "run" / "checkpoints" / steps[1]).is_dir()


@pytest.mark.parametrize(
    ("environment", "several"),
    [
        ({}, False),
        ({"SLURM_JOB_ID": "1", "SLURM_PROCID": "0", "SLURM_NTASKS": "1"}, False),
        ({"SLURM_JOB_ID": "1", "SLURM_NTASKS": "4"}, False),  # the shell of a job, not a task
        ({"SLURM_JOB_ID": "1", "SLURM_PROCID": "3", "SLURM_NTASKS": "4"}, True),
        ({"TPU_WORKER_HOSTNAMES": "t0", "TPU_WORKER_ID": "0"}, False),
        ({"TPU_WORKER_HOSTNAMES": "t0,t1", "TPU_WORKER_ID": "1"}, True),
        ({"JAX_COORDINATOR_ADDRESS": "t0:1"}, True),
    ],
)
def test_schedulers_are_recognised(environment, several):
    assert scheduled(environment) == several


def test_addresses_without_numbers_are_refused():
    with pytest.raises(InputError, match="give --processes and --process as well"):
        start_distributed("localhost:1")
