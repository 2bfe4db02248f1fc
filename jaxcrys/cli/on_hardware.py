"""A command of jaxcrys on the hardware that a file of ``tpu_configs/`` describes.

For the scripts of ``experiments/``: JAX is set up before anything is computed, and found to have
the devices that the file speaks of.
"""

import argparse
import contextlib
import sys
from collections.abc import Generator, Sequence
from pathlib import Path

from jaxcrys.cli import main as cli
from jaxcrys.core.errors import InputError
from jaxcrys.parallel.distributed import start_distributed
from jaxcrys.parallel.hardware import Hardware, apply_hardware, check_devices, load_hardware


def run_on_hardware(command: str, about: str, arguments: Sequence[str] | None = None) -> None:
    """Run a command on the machine whose file ``--hardware`` names, or as it is without one.

    Args:
        command: of ``jaxcrys``.
        about: what the script does, for its help.
        arguments: of the script; what is not its own goes to the command.
    """
    own, others = hardware_parser(command, about).parse_known_args(arguments)
    if own.hardware is not None:
        with refusals():
            hardware = load_hardware(own.hardware)
            if hardware.hosts > 1:
                problem = f"describes {hardware.hosts} hosts, and 'jaxcrys {command}' runs on one"
                raise InputError("--hardware", problem, "take the file of a single machine")
            set_up(hardware)
    cli.main([command, *others])


def hardware_parser(command: str, about: str, *, required: bool = False) -> argparse.ArgumentParser:
    """A parser of ``--hardware``, for a script that hands other options to a command."""
    parser = argparse.ArgumentParser(
        description=about,
        epilog=f"Other options are those of 'jaxcrys {command}'.",
        allow_abbrev=False,
    )
    parser.add_argument("--hardware", type=Path, required=required, help="file of tpu_configs/")
    return parser


@contextlib.contextmanager
def refusals() -> Generator[None]:
    """End as ``jaxcrys`` does where input cannot be used."""
    try:
        yield
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(cli.INPUT_ERROR)


def set_up(
    hardware: Hardware,
    *,
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
) -> None:
    """Set JAX up, let the processes find each other, and check the devices.

    Args:
        hardware: what the file describes.
        coordinator: HOST:PORT of process 0, where the processes do not find each other.
        processes: how many there are.
        process: number of this one.

    Raises:
        InputError: if the devices are not there.
    """
    for line in apply_hardware(hardware):
        print(line, file=sys.stderr)
    if hardware.hosts > 1 or coordinator:
        # The hosts of a TPU slice are found by asking its metadata server, on request only.
        search = "auto" if hardware.platform == "tpu" else None
        start_distributed(coordinator or search, processes, process)
    check_devices(hardware)
