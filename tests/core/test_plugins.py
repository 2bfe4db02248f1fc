"""What other packages register is found by name, is checked, and replaces nothing of ours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxcrys.cli.main import main
from jaxcrys.core import plugins
from jaxcrys.core.errors import InputError
from jaxcrys.data.fetch import dataset_names, fetch, find, next_commands
from jaxcrys.data.public import DATASETS
from jaxcrys.potentials.library import WEIGHTS, load_potential
from jaxcrys.recipes import get_recipe, known_recipes, recipe_names
from tests.distributions import install

ROOT = Path(__file__).parents[2]
POTENTIAL = """
from jaxcrys.potentials.lennard_jones import lennard_jones

def soft():
    return lennard_jones(sigma=2.0)

def broken():
    raise OSError("its weights are gone")

def three():
    return 3
"""
DATASET = """
from jaxcrys.data.public import PublicDataset

TINY = PublicDataset("three crystals", 3, "MIT", ("A. Nobody (2020)",), ())
"""
RECIPE = """
from jaxcrys.recipes.orbit_flow import RECIPE

RECIPE = RECIPE._replace(presets={"tiny": RECIPE.presets["tiny"]})
"""


@pytest.fixture
def plugged(tmp_path, monkeypatch):
    """Installs a distribution for the length of a test."""

    def put(name, modules, points):
        install(tmp_path / name, name, modules=modules, points=points)
        monkeypatch.syspath_prepend(tmp_path / name)
        return tmp_path / name

    yield put
    plugins.load_plugin.cache_clear()
    for name in ("acme_recipe", "acme_potential", "acme_dataset", "acme_broken"):
        sys.modules.pop(name, None)


def test_a_recipe_of_another_package(plugged):
    before = known_recipes()
    plugged("acme", {"acme_recipe": RECIPE}, {plugins.RECIPES: {"acme": "acme_recipe:RECIPE"}})
    assert known_recipes() == (*before, "acme")
    assert "acme_recipe" not in sys.modules  # before its name is asked for
    assert list(get_recipe("acme").presets) == ["tiny"]
    assert "acme" not in recipe_names()
    with pytest.raises(InputError, match=r"there is no 'acne'; known: .*wyformer, acme"):
        get_recipe("acne")


def test_names_of_ours_cannot_be_replaced(plugged):
    builtin = get_recipe("wyformer"), find("mp_20")
    points = {
        plugins.RECIPES: {"wyformer": "acme_recipe:RECIPE"},
        plugins.DATASETS: {"mp_20": "acme_dataset:TINY"},
        plugins.POTENTIALS: {"nequix-mp-1": "acme_potential:soft"},
    }
    plugged("acme", {}, points)
    assert (get_recipe("wyformer"), find("mp_20")) == builtin
    assert known_recipes().count("wyformer") == 1
    assert dataset_names() == tuple(DATASETS)
    with pytest.raises(InputError, match=f"no name of {', '.join(WEIGHTS)}; calc"):
        load_potential("unheard-of")


def test_a_potential_of_another_package(plugged):
    names = {name: f"acme_potential:{name}" for name in ("soft", "broken", "three")}
    plugged("acme-forces", {"acme_potential": POTENTIAL}, {plugins.POTENTIALS: names})
    assert load_potential("soft").digest == "1.0-2.0-6.0"
    with pytest.raises(InputError, match=r"broken of acme-forces cannot be made .*weights are g"):
        load_potential("broken")
    with pytest.raises(InputError, match="three of acme-forces is no potential but a int"):
        load_potential("three")
    with pytest.raises(InputError, match="nequix-mp-1, broken, soft, three; calculators"):
        load_potential("unheard-of")


def test_a_dataset_of_another_package(plugged, tmp_path, capsys):
    points = {plugins.DATASETS: {"tiny": "acme_dataset:TINY", "lost": "acme_nothing:TINY"}}
    plugged("acme", {"acme_dataset": DATASET}, points)
    assert fetch("tiny", tmp_path / "tiny") == []
    assert len(next_commands("tiny", Path("tiny"))) == 3
    with pytest.raises(SystemExit) as ended:
        main(["data", "list"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert "tiny: three crystals" in printed
    assert "lost: cannot be loaded from acme (ModuleNotFoundError" in printed
    with pytest.raises(InputError, match=r"known: mp_20, .*alex_mp_20, lost, tiny"):
        find("mp_21")


def test_what_is_broken_is_named(plugged):
    points = {
        "broken": "acme_broken:RECIPE",
        "absent": "acme_recipe:NOTHING",
        "other": "acme_recipe:__name__",
    }
    modules = {"acme_broken": "raise RuntimeError('no')", "acme_recipe": RECIPE}
    plugged("acme-recipes", modules, {plugins.RECIPES: points})
    for name, problem in {
        "broken": r"cannot be loaded from acme-recipes \(RuntimeError: no\); mend or uninstall",
        "absent": r"cannot be loaded from acme-recipes \(AttributeError",
        "other": r"of acme-recipes is no Recipe but a str",
    }.items():
        with pytest.raises(InputError, match=f"{name}: {problem}"):
            get_recipe(name)


def test_two_packages_of_one_name_are_both_named(plugged):
    for owner in ("acme", "zenith"):
        points = {plugins.RECIPES: {"twice": "acme_recipe:RECIPE"}}
        plugged(owner, {"acme_recipe": RECIPE}, points)
    with pytest.raises(InputError, match=r"twice: is registered in .* by acme and zenith"):
        get_recipe("twice")


def test_the_command_line_lists_recipes_of_other_packages(plugged):
    folder = plugged("acme", {}, {plugins.RECIPES: {"acme": "acme_recipe:RECIPE"}})
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}", "COLUMNS": "200"}
    command = [sys.executable, "-m", "jaxcrys", "train", "--help"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "wyckoffdiff|wyformer|acme" in ran.stdout
