"""Train on the hardware that a file describes: a CPU, GPUs, or a TPU slice of several hosts.

    python experiments/train.py DATASET --out RUN --hardware tpu_configs/cpu-8.yaml
        [--config experiments/configs/mp_20/orbit_flow.yaml] [options of 'jaxcrys train']
        [--coordinator HOST:PORT --processes 2 --process 0]

What:     'jaxcrys train' after JAX was set up as the hardware file says. Batch size and checkpoint
          interval are those of the command or of CONFIG; where neither says, those of the file.
          On several hosts, the same command starts once on each of them. They find each other on
          TPUs and under Slurm; elsewhere, say by --coordinator where process 0 listens, and which
          of how many this one is. RUN must be a folder that all of them see.
Data:     any dataset of 'jaxcrys prepare'.
Expected: the losses of the same batches on one device. A run that was interrupted goes on when the
          same command is given again.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from jaxcrys.cli import main as cli
from jaxcrys.cli.config_file import read_config
from jaxcrys.cli.on_hardware import hardware_parser, refusals, set_up
from jaxcrys.parallel.hardware import Hardware, check_batch, load_hardware


def main(arguments: Sequence[str] | None = None) -> None:
    """Set JAX up and train; exits as ``jaxcrys train`` does."""
    own, others = parse(arguments)
    with refusals():
        hardware = load_hardware(own.hardware)
        options = training_options(hardware, own)
        set_up(hardware, coordinator=own.coordinator, processes=own.processes, process=own.process)
    cli.main(["train", *options, *others])


def parse(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """The options that matter here, and those that go to ``jaxcrys train`` as they are."""
    parser = hardware_parser("train", __doc__.splitlines()[0], required=True)
    parser.add_argument("--config", type=Path, help="YAML or JSON file of options")
    parser.add_argument("--batch-size", type=int, help="crystals in a step, over all devices")
    parser.add_argument("--checkpoint-every", type=int, help="steps between checkpoints")
    parser.add_argument("--coordinator", metavar="HOST:PORT", help="where process 0 listens")
    parser.add_argument("--processes", type=int, help="how many hosts there are")
    parser.add_argument("--process", type=int, help="number of this host, from 0")
    return parser.parse_known_args(arguments)


def training_options(hardware: Hardware, own: argparse.Namespace) -> list[str]:
    """Options for ``jaxcrys train``: the hardware's where the command and its config say nothing.

    Raises:
        InputError: if the batch cannot be split over the devices.
    """
    training = read_config(own.config).get("training", {}) if own.config else {}
    said = dict(training) if isinstance(training, dict) else {}
    given = {"batch_size": own.batch_size, "checkpoint_every": own.checkpoint_every}
    said |= {name: value for name, value in given.items() if value is not None}
    batch_size = said.get("batch_size", hardware.batch_size)
    every = said.get("checkpoint_every", hardware.checkpoint_every)
    if isinstance(batch_size, int):
        check_batch(hardware, batch_size)
    options = ["--config", str(own.config)] if own.config else []
    return [*options, "--batch-size", str(batch_size), "--checkpoint-every", str(every)]


if __name__ == "__main__":
    main()
