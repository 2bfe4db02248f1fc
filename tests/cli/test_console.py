"""To whom a command speaks: people, programs, nobody."""

import json

import pytest

from jaxcrys.cli.commands import COMMANDS
from tests.cli.test_cli import call

GENERATE = ("--num", 4, "--batch-size", 8)


def test_json_is_one_object_with_the_result(orbit_run, tmp_path):
    out = tmp_path / "crystals"
    code, text, err = call("generate", "--run", orbit_run, *GENERATE, "--out", out, "--json")
    assert code == 0, err
    result = json.loads(text)
    assert (result["command"], result["exit"], result["out"]) == ("generate", 0, str(out))
    assert [row["id"] for row in result["crystals"]] == ["00000", "00001", "00002", "00003"]


def test_json_tells_errors_too(tmp_path):
    code, text, _ = call("--json", "prepare", tmp_path / "none.csv", "--out", tmp_path / "out")
    error = json.loads(text)["error"]
    assert code == 2
    assert (error["where"], error["problem"]) == (f"{tmp_path}/none.csv", "does not exist")
    code, text, _ = call("generate", "--no-such-option", "--json")
    assert (code, json.loads(text)["exit"]) == (2, 2)


def test_quiet_commands_say_nothing_but_errors(orbit_run, tmp_path):
    out = tmp_path / "crystals"
    command = ("generate", "--run", orbit_run, *GENERATE, "--out", out)
    assert call(*command, "--quiet") == (0, "", "")
    assert (out / "table.csv").exists()
    code, text, err = call(*command, "--seed", 9, "-q")
    assert (code, text) == (2, "")
    assert "was made otherwise" in err


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "data"])
def test_help_of_every_command_names_the_shared_options(command):
    code, text, _ = call(command, "--help")
    assert code == 0
    assert "--quiet" in text
    assert "--json" in text
    assert " PATH PATH" not in text.split("\n")[0]
