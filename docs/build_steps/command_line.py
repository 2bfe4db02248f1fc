"""The page of the command line: what ``jaxcrys --help`` and each command's ``--help`` print."""

import contextlib
import io
import os
import textwrap
from pathlib import Path

from build_steps.files import write_if_changed
from jaxcrys.cli.commands import COMMANDS
from jaxcrys.cli.main import overview, run

SUBCOMMANDS = {"data": ("fetch", "list")}
"""Commands that have their options further down."""

WIDTH = 96
"""Columns of the help texts."""

INTRODUCTION = """\
# The command line

What `jaxcrys --help` and `jaxcrys COMMAND --help` print. Each command ends with 0, with 1 when it
failed, with 2 when its input cannot be used, and with 130 when it was interrupted; the same
command then goes on from there.

```text
{overview}```
"""


def write(path: Path) -> None:
    """Write the page."""
    parts = [INTRODUCTION.format(overview=overview())]
    for name in COMMANDS:
        parts.append(f"## {name}\n\n{_block(name)}")
        parts.extend(
            f"### {name} {second}\n\n{_block(name, second)}" for second in SUBCOMMANDS.get(name, ())
        )
    write_if_changed(path, "\n".join(parts))


def _block(name: str, *more: str) -> str:
    return f"```text\n{help_text(name, *more)}\n```\n"


def help_text(name: str, *more: str) -> str:
    """What a command prints when it is asked for help, without colours."""
    before = {key: os.environ.get(key) for key in ("COLUMNS", "NO_COLOR", "TERM")}
    os.environ |= {"COLUMNS": str(WIDTH), "NO_COLOR": "1", "TERM": "dumb"}
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            run(name, [*more, "--help"])
    finally:
        for key, value in before.items():
            os.environ.pop(key) if value is None else os.environ.update({key: value})
    lines = (line.rstrip() for line in printed.getvalue().strip().splitlines())
    return "\n".join(part for line in lines for part in _wrapped(line))


def _wrapped(line: str) -> list[str]:
    """Descriptions come as one long line; options are wrapped already."""
    return textwrap.wrap(line, WIDTH) if len(line) > WIDTH and line[:1].strip() else [line]
