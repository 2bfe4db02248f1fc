"""Files of options: what can be read, and how what cannot is named."""

import json

import pytest

from jaxcrys.cli.config_file import as_yaml, read_config
from jaxcrys.core.errors import InputError

VALUES = {
    "recipe": "orbit_flow",
    "settings": {"network": {"channels": 64, "symmetry": True}, "lattice_spread": 0.0},
    "training": {"learning_rate": 1e-3, "steps": 10},
}
YAML = """\
# What it is.
recipe: orbit_flow
settings:
  network: {channels: 64, symmetry: true}
  lattice_spread: 0.0
training:
  learning_rate: 1.0e-3
  steps: 10
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.yaml", YAML), ("a.yml", YAML), ("a.json", json.dumps(VALUES)), ("a", json.dumps(VALUES))],
)
def test_yaml_and_json_are_read_alike(tmp_path, name, text):
    (tmp_path / name).write_text(text.replace("0.001", "1.0e-3"))
    assert read_config(tmp_path / name) == VALUES


def test_json_knows_numbers_without_a_point(tmp_path):
    (tmp_path / "a.json").write_text('{"training": {"learning_rate": 1e-3}}')
    assert read_config(tmp_path / "a.json") == {"training": {"learning_rate": 0.001}}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "training: {", "a.yaml: is not a readable YAML file"),
        ("a.json", "{", "a.json: is not a readable JSON file"),
        ("a.json", YAML, "a.json: is not a readable JSON file"),
        ("a.yaml", "", "a.yaml: must hold named options, such as 'recipe: orbit_flow'"),
        ("a.yaml", "- recipe", "a.yaml: must hold named options"),
        ("a.json", "[1]", "a.json: must hold named options"),
        ("a.yaml", "training:\n  1: 2", "a.yaml: training: 1 is no name; write '1' in quotes"),
        ("a.yaml", "settings: {a: 2020-01-02}", "a.yaml: settings: a: must be text, a number"),
        (
            "a.yaml", "training: {learning_rate: 1e-3}",
            "a.yaml: training: learning_rate: YAML reads 1e-3 as text; write 1.0e-3",
        ),
        ("a.yaml", "settings: {list: [1.0, 2.5E4]}", "settings: list[1]: YAML reads 2.5E4 as text"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named_in_one_line(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as refused:
        read_config(tmp_path / name)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("number", ["1e-3", "1E3", "+2.e5", "-2.50e-07", "10e2"])
def test_what_is_advised_is_a_number(tmp_path, number):
    (tmp_path / "a.yaml").write_text(f"a: {as_yaml(number)}")
    assert read_config(tmp_path / "a.yaml") == {"a": float(number)}
