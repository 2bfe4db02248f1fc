"""Many wishes in one file, YAML or JSON.

A list of requests, each with the number of crystals and what is fixed, under the names of the
options of ``jaxcrys generate``:

    - name: perovskites
      num: 20
      formula: BaTiO3
      groups: 221, 99
    - num: 5
      template: "58: 2a Mn, 4g Li"
"""

import dataclasses
from pathlib import Path
from typing import Any

import yaml

from jaxcrys.core.errors import InputError
from jaxcrys.sampling.plan import Request
from jaxcrys.sampling.wish import Wish, check_wish

OPTIONS = tuple(field.name for field in dataclasses.fields(Wish))
"""What a request may fix."""


def read_requests(path: Path) -> tuple[Request, ...]:
    """The requests of a file, each checked as far as that is possible without a model.

    Raises:
        InputError: naming the request and the option that cannot be used.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(str(path), f"is not a readable YAML or JSON file ({error})") from error
    if isinstance(values, dict) and set(values) == {"requests"}:
        values = values["requests"]
    if not isinstance(values, list) or not values:
        raise InputError(str(path), "must hold a list of requests", "begin each with '- num: 10'")
    return tuple(_request(entry, f"{path}, request {i}") for i, entry in enumerate(values, 1))


def _request(entry: Any, where: str) -> Request:
    if not isinstance(entry, dict):
        raise InputError(where, f"must be options with their values, got {entry!r}")
    given = {str(name).replace("-", "_"): value for name, value in entry.items()}
    name, num = str(given.pop("name", "")), given.pop("num", Request.num)
    if not isinstance(num, int) or num < 1:
        raise InputError(f"{where}: num", f"must be a positive number, got {num!r}")
    for option in given:
        if option not in OPTIONS:
            known = ", ".join(("name", "num", *OPTIONS))
            raise InputError(where, f"has no option {option!r}", f"known: {known}")
    wish = Wish(**{option: _value(option, value, where) for option, value in given.items()})
    try:
        check_wish(wish)
    except InputError as error:
        raise InputError(where, str(error)) from error
    return Request(wish, num, name)


def _value(option: str, value: Any, where: str) -> Any:
    """What the option would be on the command line: numbers and lists may be written as such."""
    if option == "max_atoms":
        if not isinstance(value, int):
            raise InputError(f"{where}: {option}", f"must be a number, got {value!r}")
        return value
    if option == "guidance":
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise InputError(f"{where}: {option}", f"must be a number, got {value!r}")
        return float(value)
    if isinstance(value, list):
        joined = "-" if option in ("chemical_system", "elements_required") else ","
        value = joined.join(map(str, value))
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        raise InputError(f"{where}: {option}", f"must be text or a number, got {value!r}")
    return Path(str(value)) if option == "templates_from" else str(value)
