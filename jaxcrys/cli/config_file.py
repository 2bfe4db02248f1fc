"""Files of options: JSON where they are called so, else YAML."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from jaxcrys.core.errors import InputError

NUMBER = re.compile(r"([-+]?)(\d+)(\.\d*)?[eE]([-+]?)(\d+)")
"""A number with an exponent; of these YAML 1.1 knows only those with a point and a sign."""


def read_config(path: Path) -> dict[str, Any]:
    """Read a file of named options.

    Raises:
        InputError: if it is missing, or is not such a file.
    """
    kind = "JSON" if path.suffix == ".json" else "YAML"
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if kind == "JSON" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(str(path), f"is not a readable {kind} file ({reason})") from error
    if not isinstance(values, dict):
        raise InputError(str(path), "must hold named options, such as 'recipe: orbit_flow'")
    _check(values, str(path), yaml_numbers=kind == "YAML")
    return values


def _check(value: Any, where: str, *, yaml_numbers: bool) -> None:
    """Refuse what JSON has not, and numbers that YAML reads as text."""
    if isinstance(value, dict):
        for name, part in value.items():
            if not isinstance(name, str):
                raise InputError(where, f"{name!r} is no name", f"write '{name}' in quotes")
            _check(part, f"{where}: {name}", yaml_numbers=yaml_numbers)
    elif isinstance(value, list):
        for number, part in enumerate(value):
            _check(part, f"{where}[{number}]", yaml_numbers=yaml_numbers)
    elif not isinstance(value, str | int | float | None):
        raise InputError(where, f"must be text, a number, a list or options, got {value!r}")
    elif yaml_numbers and isinstance(value, str) and NUMBER.fullmatch(value):
        raise InputError(where, f"YAML reads {value} as text", f"write {as_yaml(value)}")


def as_yaml(number: str) -> str:
    """A number as YAML 1.1 wants it, with a point and with the sign of the exponent.

    Example:
        >>> as_yaml("1e-3"), as_yaml("-2.5E4")
        ('1.0e-3', '-2.5e+4')
    """
    found = NUMBER.fullmatch(number)
    if found is None:
        return number
    sign, whole, part, direction, exponent = found.groups()
    return f"{sign}{whole}{part if part not in (None, '.') else '.0'}e{direction or '+'}{exponent}"
