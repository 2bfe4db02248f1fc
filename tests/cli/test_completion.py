"""Completion of commands and options by the shell."""

import shutil
import subprocess

import pytest

from jaxcrys.cli.commands import COMMANDS
from tests.cli.test_cli import call


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_commands_and_options(shell):
    code, script, err = call("completion", shell, "--quiet")  # the script is what it is for
    assert (code, err) == (0, "")
    for name in COMMANDS:
        assert f"'{name}'" in script
    assert "--chemical-system" in script


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["gener"], "generate"),
        (["generate", "--chem"], "--chemical-system"),
        (["relax", "--js"], "--json"),
        (["data", "fe"], "fetch"),
    ],
)
def test_bash_completes_what_was_begun(tmp_path, typed, offered):
    script = tmp_path / "completion.bash"
    script.write_text(call("completion", "bash")[1])
    words = " ".join(["jaxcrys", *typed])
    ask = (
        f"source {script}; COMP_WORDS=({words}); COMP_CWORD={len(typed)}; "
        '$(complete -p jaxcrys | sed "s/.*-F \\([^ ]*\\) .*/\\1/"); echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [offered]
