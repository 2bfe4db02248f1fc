"""The hardware that a run is made for: read from a file, applied before JAX starts, then checked.

A file of ``tpu_configs/`` says what machines there are and how JAX is set up on them. It never says
what is trained there, so that any recipe runs on any hardware.
"""

import dataclasses
import os
from pathlib import Path
from typing import Any, Literal

import jax
import yaml
from jax._src import xla_bridge  # nothing public tells whether JAX has started its devices

from jaxcrys.core.errors import InputError
from jaxcrys.core.settings import from_json

FLAG_LISTS = ("XLA_FLAGS", "LIBTPU_INIT_ARGS")
"""Environment variables that hold several flags: each is kept or added on its own."""

CORES_PER_CHIP = {"v4": 2, "v5p": 2, "v5litepod": 1, "v6e": 1}
"""Names of TPUs, and what the number that follows counts. JAX sees one device in each chip."""


@dataclasses.dataclass(frozen=True)
class Variable:
    """An environment variable.

    Attributes:
        name: such as XLA_FLAGS.
        value: text.
        reason: why it is set.
    """

    name: str = ""
    value: str = ""
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Hardware:
    """Machines and how JAX is set up on them.

    Attributes:
        platform: as JAX calls it.
        accelerator: type of a TPU slice, as gcloud names it.
        runtime: software version of its machines.
        hosts: machines; each runs one process.
        devices_per_host: devices that each process sees.
        crystals_per_device: of a batch, where nobody asks for a batch size.
        matmul_precision: of products of matrices whose code asks for none: those of networks.
        compilation_cache: folder of compiled programs, or none.
        checkpoint_every: steps between checkpoints, where nobody asks for a number.
        environment: variables to set before JAX starts its devices.
        ran_on: the hardware on which this file was tried.
    """

    platform: Literal["cpu", "gpu", "tpu"]
    accelerator: str | None
    runtime: str | None
    hosts: int
    devices_per_host: int
    crystals_per_device: int
    matmul_precision: str
    compilation_cache: str | None
    checkpoint_every: int
    environment: tuple[Variable, ...]
    ran_on: str

    @property
    def devices(self) -> int:
        """Devices of all hosts together."""
        return self.hosts * self.devices_per_host

    @property
    def batch_size(self) -> int:
        """Crystals of a step, over all devices."""
        return self.devices * self.crystals_per_device


def load_hardware(path: Path | str) -> Hardware:
    """Read a hardware file.

    Raises:
        InputError: if it cannot be read, lacks a setting, has an unknown one or a wrong value.
    """
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(str(path), f"is not a readable YAML file ({reason})") from error
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise InputError(str(path), "must hold named settings, such as 'hosts: 1'")
    names = [field.name for field in dataclasses.fields(Hardware)]
    missing = [name for name in names if name not in values]
    if missing and set(values) <= set(names):
        raise InputError(str(path), f"lacks {', '.join(missing)}")
    hardware = from_json(Hardware, values, str(path))
    validate(hardware, str(path))
    return hardware


def validate(hardware: Hardware, where: str = "hardware") -> None:
    """Check what can be checked without the hardware.

    Raises:
        InputError: naming the setting.
    """
    for name in ("hosts", "devices_per_host", "crystals_per_device", "checkpoint_every"):
        if getattr(hardware, name) < 1:
            raise InputError(
                f"{where}.{name}", f"must be at least 1, got {getattr(hardware, name)}"
            )
    if not hardware.ran_on.strip():
        raise InputError(f"{where}.ran_on", "must say on what hardware the file was tried, if any")
    try:
        with jax.default_matmul_precision(hardware.matmul_precision):
            pass
    except ValueError as error:
        known = "default, high, highest, bfloat16, tensorfloat32, float32"
        problem = f"{hardware.matmul_precision!r} is no precision of JAX"
        raise InputError(f"{where}.matmul_precision", problem, f"such are {known}") from error
    for variable in hardware.environment:
        _validate_variable(variable, f"{where}.environment")
    if (hardware.platform == "tpu") != (hardware.accelerator is not None):
        raise InputError(f"{where}.accelerator", "a TPU has one, and nothing else has")
    if (hardware.accelerator is None) != (hardware.runtime is None):
        raise InputError(f"{where}.runtime", "a TPU has one, and nothing else has")
    if hardware.accelerator is not None:
        _validate_slice(hardware, hardware.accelerator, where)


def _validate_variable(variable: Variable, where: str) -> None:
    if not (variable.name and variable.value and variable.reason):
        raise InputError(where, f"each needs a name, a value and a reason, got {variable}")
    if variable.name.startswith("JAX_"):
        mend = "set it in the shell"
        raise InputError(where, f"JAX read {variable.name} when it was imported", mend)


def _validate_slice(hardware: Hardware, accelerator: str, where: str) -> None:
    kind, _, number = accelerator.rpartition("-")
    if kind not in CORES_PER_CHIP or not number.isdecimal():
        known = ", ".join(f"{name}-N" for name in CORES_PER_CHIP)
        raise InputError(f"{where}.accelerator", f"must be one of {known}, got {accelerator!r}")
    chips = int(number) / CORES_PER_CHIP[kind]
    if chips != hardware.devices:
        raise InputError(
            f"{where}.hosts",
            f"{accelerator} has {chips:g} chips, but hosts times devices_per_host is "
            f"{hardware.devices}",
        )


def check_batch(hardware: Hardware, batch_size: int) -> None:
    """Check that a batch can be split over the devices.

    Raises:
        InputError: if not, with the nearest size that can.
    """
    if batch_size < 1 or batch_size % hardware.devices:
        near = max(1, round(batch_size / hardware.devices)) * hardware.devices
        problem = f"{batch_size} is not a multiple of the {hardware.devices} devices"
        raise InputError("batch size", problem, f"perhaps {near}")


def apply_hardware(hardware: Hardware) -> list[str]:
    """Set JAX up for the hardware; to be called before anything is computed.

    What was set before, in the environment or in ``jax.config``, is kept.

    Returns:
        A line for each setting that was kept although the file has another.

    Raises:
        InputError: if JAX has started its devices and a variable would come too late.
    """
    kept = []
    for variable in hardware.environment:
        present = os.environ.get(variable.name)
        value = combined(variable.name, variable.value, present)
        if value != present and xla_bridge.backends_are_initialized():
            raise InputError(
                variable.name,
                "JAX has started its devices and reads it no more",
                "apply the hardware file before anything is computed",
            )
        os.environ[variable.name] = value
        if set(variable.value.split()) - set(value.split()):
            kept.append(_kept(variable.name, present, variable.value))
    folder = hardware.compilation_cache
    settings = {
        "jax_default_matmul_precision": hardware.matmul_precision,
        "jax_compilation_cache_dir": folder and os.path.expanduser(folder),
    }
    for name, value in settings.items():
        present = getattr(jax.config, name)
        if present is None:
            jax.config.update(name, value)
        elif value not in (None, present):
            kept.append(_kept(name, present, value))
    return kept


def combined(name: str, wanted: str, present: str | None) -> str:
    """The value of a variable that may be set already: that is kept, and flags are added to it.

    Example:
        >>> combined("XLA_FLAGS", "--a=1 --b=2", "--b=3")
        '--b=3 --a=1'
        >>> combined("OTHER", "1", "2")
        '2'
    """
    if present is None:
        return wanted
    if name not in FLAG_LISTS:
        return present
    named = {flag.split("=")[0] for flag in present.split()}
    added = [flag for flag in wanted.split() if flag.split("=")[0] not in named]
    return " ".join([present, *added]) if added else present


def _kept(name: str, present: Any, wanted: Any) -> str:
    return f"{name} is {present}, as was set before; the hardware file has {wanted}"


def check_devices(hardware: Hardware) -> None:
    """Check that JAX has found what the file says; starts JAX's devices.

    Raises:
        InputError: if it has not.
    """
    found = (jax.process_count(), jax.local_device_count(), jax.default_backend())
    wanted = (hardware.hosts, hardware.devices_per_host, hardware.platform)
    if found != wanted:
        text = "{} process(es) with {} {} device(s) each"
        raise InputError(
            "--hardware",
            f"describes {text.format(*wanted)}, but JAX has found {text.format(*found)}",
            "take the file of this machine, and start one process on each host",
        )
