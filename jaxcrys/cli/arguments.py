"""What commands have in common: how their positional arguments are called, and shared options."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import tyro

Set = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="SET")]
"""A set of crystals, whatever it was made by."""

Dataset = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DATASET")]
"""A folder made by ``jaxcrys prepare``."""

Run = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
"""A folder made by ``jaxcrys train`` or the like."""

Files = Annotated[
    tyro.conf.Positional[tuple[Path, ...]],
    tyro.conf.arg(metavar="FILE [FILE ...]", help_behavior_hint="(required)"),
]
"""One or more files or folders."""

_SHARED = {
    "quiet": "no progress, and nothing but errors (-q).",
    "json": "the result as one JSON object on standard output.",
}


def with_shared_options(command: Any) -> Any:
    """A command with the options that all share; one with parts of its own stays as it is.

    For its help and for completion: what these options do is up to the console.
    """
    if not dataclasses.is_dataclass(command):
        return command
    more: list[Any] = [
        (name, Annotated[bool, tyro.conf.arg(help=text)], dataclasses.field(default=False))
        for name, text in _SHARED.items()
    ]
    made: Any = dataclasses.make_dataclass(
        "Command", more, bases=(command,), frozen=True, kw_only=True
    )
    made.__doc__ = command.__doc__
    return made
