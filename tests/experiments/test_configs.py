"""Configs of experiments: each says how it is run and what came of it, and can be used as it is."""

import re
import shlex
from pathlib import Path

import pytest

from jaxcrys.cli.commands import COMMANDS
from jaxcrys.cli.config_file import read_config
from jaxcrys.cli.train import defaults, recipe_settings
from jaxcrys.data.public import DATASETS
from jaxcrys.recipes import get_recipe, recipe_names
from jaxcrys.training.config import validate

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "experiments" / "configs"
ABLATIONS = sorted((FOLDER / "ablations").glob("*.yaml"))
CONFIGS = sorted(set(FOLDER.rglob("*.yaml")) - set(ABLATIONS))
UNTRIED = [path for path in CONFIGS if path.parent.name != "mix_20"]
EVERY = (*DATASETS, "mix_20")
"""Datasets that have a config of each recipe."""

RECIPES = ("orbit_flow", "wyformer", "diffcsp_pp", "diffcsp_pp_de_novo", "symmcd", "wyckoffdiff")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def header(path: Path) -> list[str]:
    """Lines of the comment with which a file begins."""
    lines = path.read_text(encoding="utf-8").splitlines()
    end = next(i for i, line in enumerate(lines) if not line.startswith("#"))
    return [line[2:] for line in lines[:end]]


def commands(path: Path) -> list[list[str]]:
    """Words of each command of a header."""
    text = "\n".join(line for line in header(path) if line.startswith("  "))
    joined = re.sub(r"\\\n\s+", "", text)
    lines = [line.strip() for line in joined.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith(("jaxcrys ", "python "))]


def test_each_dataset_has_a_config_of_each_recipe():
    wanted = {FOLDER / dataset / f"{recipe}.yaml" for dataset in EVERY for recipe in RECIPES}
    assert wanted <= set(CONFIGS)
    assert not list(FOLDER.rglob("*.json"))


@pytest.mark.parametrize("path", [*CONFIGS, *ABLATIONS], ids=name)
def test_a_header_says_how_the_file_is_run_and_what_came_of_it(path):
    asked = commands(path)
    assert all(words[1] in COMMANDS for words in asked if words[0] == "jaxcrys")
    scripts = [words[1] for words in asked if words[0] == "python"]
    assert all((ROOT / script).exists() for script in scripts)
    for words in asked:
        if words[1:3] == ["data", "fetch"]:
            assert words[3] in DATASETS
        else:
            configs = [words[i + 1] for i, word in enumerate(words) if word == "--config"]
            assert configs in ([], [name(path)])
    assert any(name(path) in words for words in asked)
    for title in ("Expected:", "Result:"):
        (line,) = [line for line in header(path) if line.startswith(title)]
        assert line.removeprefix(title).strip()


@pytest.mark.parametrize("path", CONFIGS, ids=name)
def test_a_config_can_be_used(path):
    command = defaults(["--config", str(path)])
    recipe = get_recipe(command.recipe)
    recipe.validate(
        recipe_settings(command.recipe, command.preset, command.settings, command.species)
    )
    validate(command.training)
    assert command.properties is None or recipe.condition is not None
    assert "steps" in read_config(path)["training"]


@pytest.mark.parametrize("path", CONFIGS, ids=name)
def test_a_config_holds_the_recipe_and_the_task_of_its_name(path):
    command = defaults(["--config", str(path)])
    named = [recipe for recipe in recipe_names() if path.stem.startswith(recipe)]
    assert command.recipe == max(named, key=len)
    if get_recipe(command.recipe).sample is not None:
        species = "generated" if path.stem.endswith("de_novo") else "given"
        assert command.species == species


@pytest.mark.parametrize("path", UNTRIED, ids=name)
def test_what_was_never_run_says_so(path):
    words = " ".join(header(path))
    assert "not run: no time is known" in words
    assert "not run: no result is known" in words
    fetched = ["jaxcrys", "data", "fetch", path.parent.name]
    assert fetched in commands(path)
