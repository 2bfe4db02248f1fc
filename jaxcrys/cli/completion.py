"""``jaxcrys completion``."""

import contextlib
import dataclasses
import importlib
import io
from typing import Literal

import tyro

from jaxcrys.cli.arguments import with_shared_options
from jaxcrys.cli.commands import COMMANDS
from jaxcrys.cli.console import Console


@dataclasses.dataclass(frozen=True)
class Command:
    """Write what makes your shell complete commands, options and files.

    For bash: jaxcrys completion bash > ~/.local/share/bash-completion/completions/jaxcrys

    For zsh: jaxcrys completion zsh > ~/.zfunc/_jaxcrys, with ~/.zfunc in fpath before compinit.

    Attributes:
        shell: bash or zsh.
    """

    shell: tyro.conf.Positional[Literal["bash", "zsh"]]

    def run(self, console: Console) -> None:
        """Write it."""
        script = completion(self.shell)
        console.give(script, script=script)


def completion(shell: str) -> str:
    """The script of a shell, of all commands and their options."""
    commands = {name: importlib.import_module(f"jaxcrys.cli.{name}").Command for name in COMMANDS}
    written, style = io.StringIO(), (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)
    with contextlib.redirect_stdout(written), contextlib.suppress(SystemExit):
        tyro.extras.subcommand_cli_from_dict(
            {name: with_shared_options(command) for name, command in commands.items()},
            prog="jaxcrys", args=["--tyro-print-completion", shell], config=style,
        )  # fmt: skip
    return written.getvalue()
