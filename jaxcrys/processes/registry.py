"""Which processes there are: the list that one test walks, and settings to and from JSON."""

import dataclasses
from types import ModuleType
from typing import Any

from jaxcrys.core.errors import InputError
from jaxcrys.processes import discrete, gaussian, wrapped_normal

PROCESSES: dict[str, tuple[ModuleType, type[Any]]] = {
    "gaussian": (gaussian, gaussian.MaskedGaussian),
    "wrapped_normal": (wrapped_normal, wrapped_normal.WrappedNormal),
    "discrete": (discrete, discrete.Discrete),
}
"""Name of each process, the module of its functions, and the class of its settings."""

EXAMPLES: dict[str, Any] = {
    "gaussian": gaussian.MaskedGaussian(),
    "gaussian, clipped": gaussian.MaskedGaussian(steps=50, clip=5.0),
    "wrapped normal": wrapped_normal.WrappedNormal(),
    "wrapped normal, wide": wrapped_normal.WrappedNormal(steps=50, sigma_min=0.001, sigma_max=1.0),
    "absorbing": discrete.Discrete("absorbing", 5, schedule="mutual_information"),
    "uniform": discrete.Discrete("marginal", 5, steps=50),
    "marginal, hybrid": discrete.Discrete(
        "marginal", 4, marginal=(0.5, 0.3, 0.0, 0.2), kl_weight=0.1
    ),
}
"""Settings that stand for every kind of process. Add one, and the contract test covers it."""


def functions(process: Any) -> ModuleType:
    """The module with the functions of a process.

    Raises:
        InputError: if it is none of the processes here.

    Example:
        >>> functions(gaussian.MaskedGaussian()).__name__
        'jaxcrys.processes.gaussian'
    """
    return PROCESSES[_name(process)][0]


def settings(process: Any) -> dict[str, Any]:
    """A process as a dictionary that JSON can hold, with its name under ``process``.

    Example:
        >>> settings(wrapped_normal.WrappedNormal())
        {'process': 'wrapped_normal', 'steps': 1000, 'sigma_min': 0.005, 'sigma_max': 0.5}
    """
    return {"process": _name(process), **dataclasses.asdict(process)}


def from_settings(values: dict[str, Any]) -> Any:
    """The inverse of :func:`settings`, before or after a trip through JSON; validated.

    Raises:
        InputError: if the name or a setting is unknown, or a value cannot be used.

    Example:
        >>> from_settings({"process": "gaussian", "steps": 100})
        MaskedGaussian(steps=100, offset=0.008, clip=None)
    """
    values = dict(values)
    name = values.pop("process", None)
    if name not in PROCESSES:
        raise InputError("process", f"unknown name {name!r}", f"known: {', '.join(PROCESSES)}")
    module, kind = PROCESSES[name]
    known = [field.name for field in dataclasses.fields(kind)]
    if unknown := sorted(set(values) - set(known)):
        raise InputError(f"process {name}", f"unknown settings {unknown}", f"known: {known}")
    process = kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
    module.validate(process)
    return process


def _name(process: Any) -> str:
    for name, (_, kind) in PROCESSES.items():
        if type(process) is kind:
            return name
    raise InputError("process", f"{type(process).__name__} is none", f"known: {list(PROCESSES)}")
