"""How a command speaks: to people in sentences, to programs in JSON, or hardly at all.

Results go to standard output, progress and messages to standard error.
"""

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxcrys.core.errors import InputError
from jaxcrys.core.progress import Progress, TerminalProgress

QUIET, JSON = ("-q", "--quiet"), ("--json",)


class Console:
    """What a command is told to speak through.

    Args:
        quiet: say nothing but errors; with ``as_json`` the result still.
        as_json: one JSON object on standard output at the end, in place of sentences.

    Attributes:
        progress: for long work.
        result: what is known so far, for JSON.

    Example:
        >>> console = Console()
        >>> console.tell("written to crystals", out="crystals")
        written to crystals
        >>> console.result
        {'out': 'crystals'}
    """

    def __init__(self, *, quiet: bool = False, as_json: bool = False) -> None:
        self.quiet, self.as_json = quiet, as_json
        self.progress: Progress = Progress() if quiet else TerminalProgress()
        self.result: dict[str, Any] = {}

    def tell(self, text: str, **values: Any) -> None:
        """A part of the result: a sentence for people, values for programs."""
        self.result |= values
        if not self.quiet and not self.as_json:
            print(text, flush=True)

    def give(self, text: str, **values: Any) -> None:
        """All that a command is for, such as a script: printed also if it shall be quiet."""
        self.result |= values
        if not self.as_json:
            print(text, flush=True)

    def fail(self, error: Exception | str) -> None:
        """Say what went wrong."""
        print(f"error: {error}", file=sys.stderr, flush=True)
        self.result = {"error": {"message": str(error)}}
        if isinstance(error, InputError):
            parts = {"where": error.where, "problem": error.problem, "mend": error.mend}
            self.result["error"] |= parts

    def close(self, command: str, code: int) -> None:
        """Write the JSON, if that was asked for."""
        if self.as_json:
            record = {"command": command, "exit": code, **self.result}
            print(json.dumps(_plain(record), ensure_ascii=False, allow_nan=False), flush=True)


def split_arguments(arguments: Sequence[str]) -> tuple[Console, list[str]]:
    """A console as the options say that all commands share, and the other arguments.

    Example:
        >>> console, rest = split_arguments(["--num", "3", "--json"])
        >>> console.as_json, rest
        (True, ['--num', '3'])
    """
    quiet, as_json = (any(flag in arguments for flag in flags) for flags in (QUIET, JSON))
    rest = [argument for argument in arguments if argument not in (*QUIET, *JSON)]
    return Console(quiet=quiet, as_json=as_json), rest


def _plain(value: Any) -> Any:
    """As JSON has it: paths are text, tuples with names are objects, NaN is null."""
    if isinstance(value, dict):
        return {str(name): _plain(member) for name, member in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, (list, tuple)):
        return [_plain(member) for member in value]
    if hasattr(value, "item"):  # a number of NumPy, which is not loaded for this
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
