"""Entry point: find the subcommand, load only what it needs, turn errors into messages."""

import contextlib
import difflib
import importlib
import os
import signal
import sys
from collections.abc import Generator, Sequence
from typing import Any

from jaxcrys.cli.commands import COMMANDS
from jaxcrys.cli.console import JSON, QUIET, Console, split_arguments
from jaxcrys.core.errors import InputError

OVERVIEW = """\
jaxcrys: generate crystals whose symmetry is exact

usage: jaxcrys COMMAND [OPTIONS]

{commands}

examples:
  jaxcrys generate --out crystals                      32 crystals, by the model that comes along
  jaxcrys predict --formula BaTiO3 --out BaTiO3        structures of a formula
  jaxcrys view crystals --open                         look through them in a browser

options of every command:
  --help        what it does, and its other options
  --quiet, -q   no progress, and nothing but errors
  --json        the result as one JSON object on standard output

exit codes: 0 done, 1 failed, 2 the input cannot be used, 130 interrupted (the same command goes on)
"""

INPUT_ERROR, FAILURE, INTERRUPTED = 2, 1, 130
INTERRUPTED_MESSAGE = "interrupted; the same command goes on from here"


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line; exits with 0, 1 (failed), 2 (bad input) or 130 (interrupted)."""
    argv = sys.argv[1:] if argv is None else list(argv)
    while argv[1:] and argv[0] in (*QUIET, *JSON):  # may stand before the command as well
        argv = [*argv[1:], argv[0]]
    if not argv or argv[0] in ("-h", "--help"):
        print(overview(), end="")
        sys.exit(0)
    if argv[0] == "--version":
        from jaxcrys import __version__

        print(__version__)
        sys.exit(0)
    if argv[0] not in COMMANDS:
        print(f"error: {unknown(argv[0])}", file=sys.stderr)
        sys.exit(INPUT_ERROR)
    code = run(argv[0], argv[1:])
    if code == INTERRUPTED:
        os._exit(code)  # a program that still computes on the device would crash sys.exit
    sys.exit(code)


def overview() -> str:
    """What ``jaxcrys`` alone prints."""
    width = max(map(len, COMMANDS))
    lines = (f"  {name:<{width}}  {text}" for name, text in COMMANDS.items())
    return OVERVIEW.format(commands="\n".join(lines))


def unknown(name: str) -> str:
    """What is said of a command that there is not.

    Example:
        >>> unknown("generat")
        "there is no command 'generat'; did you mean 'jaxcrys generate'? 'jaxcrys' lists them all"
    """
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    guess = f"; did you mean 'jaxcrys {near[0]}'?" if near else ";"
    return f"there is no command {name!r}{guess} 'jaxcrys' lists them all"


def run(name: str, arguments: Sequence[str]) -> int:
    """Parse a subcommand's options and run it.

    Returns:
        the exit code.
    """
    console, rest = split_arguments(arguments)
    code = _run(name, rest, console)
    if code != INTERRUPTED:
        console.close(name, code)
    return code


def _run(name: str, arguments: list[str], console: Console) -> int:
    try:
        with interrupts_end_at_once():
            module = importlib.import_module(f"jaxcrys.cli.{name}")
        parse(name, module, arguments).run(console)
    except SystemExit as ended:  # the options were refused, or help was asked for
        if ended.code:
            console.result = {"error": {"message": "an option cannot be used"}}
        return int(ended.code or 0)
    except InputError as error:
        console.fail(error)
        return INPUT_ERROR
    except BrokenPipeError:  # whoever read the output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except OSError as error:
        console.fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        return FAILURE
    except RuntimeError as error:
        if type(error).__module__.split(".")[0] != "jaxcrys":
            raise
        console.fail(error)
        return FAILURE
    except KeyboardInterrupt:
        print(INTERRUPTED_MESSAGE, file=sys.stderr, flush=True)
        return INTERRUPTED
    return 0


def parse(name: str, module: Any, arguments: list[str]) -> Any:
    """The command that the arguments of a subcommand describe."""
    import tyro

    from jaxcrys.cli.arguments import with_shared_options

    command = module.Command
    if {"-h", "--help"} & {*arguments}:
        command = with_shared_options(command)
    given = {"default": module.defaults(arguments)} if hasattr(module, "defaults") else {}
    style = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)
    return tyro.cli(command, args=arguments, prog=f"jaxcrys {name}", config=style, **given)


@contextlib.contextmanager
def interrupts_end_at_once() -> Generator[None]:
    """Do not raise KeyboardInterrupt while libraries load: some swallow it, and then crash."""

    def end(*_: Any) -> None:
        print(INTERRUPTED_MESSAGE, file=sys.stderr, flush=True)
        os._exit(INTERRUPTED)

    try:
        before = signal.signal(signal.SIGINT, end)
    except ValueError:  # not the main thread, which alone is interrupted
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
