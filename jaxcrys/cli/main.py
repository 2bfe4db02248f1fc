"""Entry point: find the subcommand, load only what it needs, turn errors into messages."""

import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Generator, Sequence
from typing import Any

from jaxcrys.core.errors import InputError

COMMANDS = {
    "demo": "prepare, train, generate: the whole road in five minutes",
    "data": "list public datasets, and fetch them",
    "prepare": "read crystals from files into a dataset",
    "train": "train a recipe on a dataset, or go on with a run",
    "join": "make one run of a run of templates and one of geometry",
    "release": "write a trained model into one small file",
    "generate": "draw new crystals, from a model of yours or the one that comes with jaxcrys",
    "predict": "propose the structures of a formula",
    "relax": "relax crystals with a potential, their symmetry kept",
    "evaluate": "score a set of crystals, whoever generated it",
    "hull": "make a convex hull, to judge energies by",
    "export": "write crystals in the formats of others: ASE, pymatgen, OPTIMADE, CSV, ...",
}

OVERVIEW = """\
jaxcrys: generate crystals whose symmetry is exact

usage: jaxcrys COMMAND [OPTIONS]

{commands}

examples:
  jaxcrys generate --out crystals
  jaxcrys predict --formula BaTiO3 --out BaTiO3
  jaxcrys data fetch mp_20
  jaxcrys prepare crystals.csv more_cifs/ --out dataset
  jaxcrys train dataset --out run
  jaxcrys generate --run run --num 100 --groups 225 --out crystals
  jaxcrys relax crystals --out relaxed
  jaxcrys export crystals crystals.db crystals.json
  jaxcrys evaluate crystals --train dataset --test test_dataset --out report

'jaxcrys COMMAND --help' lists the options of a command.
"""

INPUT_ERROR, FAILURE, INTERRUPTED = 2, 1, 130
INTERRUPTED_MESSAGE = "interrupted; the same command goes on from here"


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line; exits with 0, 1 (failed), 2 (bad input) or 130 (interrupted)."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if not argv or argv[0] in ("-h", "--help"):
        print(overview(), end="")
        sys.exit(0)
    if argv[0] == "--version":
        from jaxcrys import __version__

        print(__version__)
        sys.exit(0)
    if argv[0] not in COMMANDS:
        print(f"error: there is no command {argv[0]!r}\n\n{overview()}", end="", file=sys.stderr)
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


def run(name: str, arguments: Sequence[str]) -> int:
    """Parse a subcommand's options and run it.

    Returns:
        the exit code.
    """
    try:
        with interrupts_end_at_once():
            import tyro

            module = importlib.import_module(f"jaxcrys.cli.{name}")
        given = {"default": module.defaults(arguments)} if hasattr(module, "defaults") else {}
        command: Any = tyro.cli(
            module.Command,
            args=list(arguments),
            prog=f"jaxcrys {name}",
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
            **given,
        )
        command.run()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return INPUT_ERROR
    except BrokenPipeError:  # whoever read the output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}" if error.filename else error
        print(f"error: {reason}", file=sys.stderr)
        return FAILURE
    except RuntimeError as error:
        if type(error).__module__.split(".")[0] != "jaxcrys":
            raise
        print(f"error: {error}", file=sys.stderr)
        return FAILURE
    except KeyboardInterrupt:
        print(INTERRUPTED_MESSAGE, file=sys.stderr, flush=True)
        return INTERRUPTED
    return 0


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
