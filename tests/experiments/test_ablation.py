"""The ablation: variants are read and checked before anything is trained, and figures compared."""

import dataclasses
import types
from pathlib import Path

import pytest
import yaml

from experiments import ablation
from experiments.ablation import folder_name, measured, read_variants, table
from jaxcrys.cli.train import recipe_settings
from jaxcrys.core.errors import InputError
from jaxcrys.core.settings import to_json
from jaxcrys.crystal.storage import CRYSTALS_FILE, save_crystals
from jaxcrys.training.loop import TrainingFailed
from tests.crystals import random_crystals

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "experiments" / "configs" / "ablations").glob("*.yaml"))
CONFIG = {"recipe": "orbit_flow", "preset": "tiny", "species": "given", "training": {"steps": 7}}


@pytest.fixture
def written(tmp_path):
    """Writes a file of variants beside the config that they share."""
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(CONFIG))

    def write(variants, **more) -> Path:
        path = tmp_path / "variants.yaml"
        values = {"config": "base.yaml", "variants": variants} | more
        path.write_text(yaml.safe_dump(values, sort_keys=False))
        return path

    return write


def settings_of(command):
    return recipe_settings(command.recipe, command.preset, command.settings, command.species)


def differences(one, other, where=""):
    """Names of what differs; networks of another kind differ in that alone."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return [where] if one != other else []
    if one.get("kind") != other.get("kind"):
        return [f"{where}.kind"]
    return [
        found
        for key in one
        for found in differences(one[key], other[key], f"{where}.{key}".lstrip("."))
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_variant_differs_in_one_thing_from_the_first(path):
    first, *others = read_variants(path).values()
    changes = []
    for command in others:
        changed = differences(to_json(settings_of(first)), to_json(settings_of(command)))
        changed += differences(to_json(first.training), to_json(command.training))
        assert changed in (["optimiser", "learning_rate"], changed[:1])
        changes += changed[:1]
    assert "seed" in changes
    assert len(set(changes)) == len(others)


def test_variants_are_changes_of_one_config(written):
    path = written({
        "as it is": None,
        "wide": {"settings": {"network": {"channels": 64}}},
        "another network": {"settings": {"network": {"kind": "cspnet", "layers": 2}}},
        "other seed": {"training": {"seed": 1}},
    })  # fmt: skip
    found = read_variants(path)
    first, wide, other, seed = found.values()
    assert list(found) == ["as it is", "wide", "another network", "other seed"]
    assert [command.recipe for command in found.values()] == ["orbit_flow"] * 4
    assert settings_of(first).network.channels == 32
    assert settings_of(wide).network.channels == 64
    assert settings_of(wide).network.layers == settings_of(first).network.layers
    assert settings_of(wide).species == "given"
    assert (settings_of(other).network.kind, settings_of(other).network.layers) == ("cspnet", 2)
    assert (first.training.steps, seed.training.steps) == (7, 7)
    assert (first.training.seed, seed.training.seed) == (0, 1)
    assert {command.training.steps for command in read_variants(path, steps=3).values()} == {3}


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ({}, "needs a config, and variants by name"),
        (["wide"], "needs a config, and variants by name"),
        ({"wide": "yes"}, "wide: must be changes by name, got 'yes'"),
        ({"wide": {"network": {}}}, "wide: changes 'network'; known: settings, training"),
        ({"wide": {"settings": 1}}, "wide: settings: must be named settings, got 1"),
        ({"wide": {"settings": {"netwrk": {}}}}, "'netwrk'; perhaps 'network'"),
        ({"wide": {"settings": {"network": {"channls": 8}}}}, "'channls'; perhaps 'channels'"),
        ({"wide": {"settings": {"network": {"kind": "cnn"}}}}, "kind: must be one of 'orbit'"),
        ({"wide": {"settings": {"lattice_weight": -1.0}}}, "wide: lattice_weight: must not be"),
        ({"wide": {"training": {"stps": 8}}}, "'stps'; perhaps 'steps'"),
        ({"wide": {"training": {"steps": 0}}}, "wide: steps: must be at least 1, got 0"),
        ({"a b": None, "a_b": None}, "variants: each needs a name for a folder of its own"),
        ({"": None}, "variants: each needs a name for a folder of its own"),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_trained(written, variants, message):
    with pytest.raises(InputError) as refused:
        read_variants(written(variants))
    assert message in str(refused.value)


def test_what_is_no_file_of_variants_is_refused(written, monkeypatch, capsys):
    with pytest.raises(InputError, match="has no option 'steps'; known: config, variants"):
        read_variants(written({"wide": None}, steps=3))
    with pytest.raises(InputError, match=r"absent.yaml: is not a readable YAML file"):
        read_variants(written({"wide": None}, config="absent.yaml"))
    path = written({"wide": {"network": {}}})
    with pytest.raises(SystemExit) as ended:
        ablation.main(["data", "--val", "val", "--out", "out", "--variants", str(path)])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: {path}: wide: changes 'network'")


def test_figures_stand_beside_their_differences_from_the_first():
    found = {
        "as it is": {"loss": 0.5, "parameters": 1000, "match rate": 0.25, "RMSE": None},
        "another seed": {"loss": 0.52, "parameters": 1000, "match rate": 0.3, "RMSE": 0.1},
        "failed": {},
    }
    rows = [line.split("  ") for line in table(found).splitlines()]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert cells == [
        ["variant", "loss", "parameters", "match rate", "RMSE"],
        ["as it is", "0.5000", "1,000", "0.2500", "-"],
        ["another seed", "0.5200 +0.0200", "1,000 +0", "0.3000 +0.0500", "0.1000"],
        ["failed", "-", "-", "-", "-"],
    ]
    assert len({len(line) for line in table(found).splitlines()}) == 1


def test_folders_are_named_after_variants():
    assert folder_name("lattice weight 1: ../x") == "lattice_weight_1_x"


@pytest.fixture
def trained(written, tmp_path, monkeypatch):
    """A variant whose training is counted and not done, on two files of crystals."""
    for split in ("train", "val"):
        save_crystals(tmp_path / split / CRYSTALS_FILE, random_crystals(4, sites=2, seed=1))
    (base,) = read_variants(written({"as it is": None})).values()
    runs = []

    class Counted(type(base)):
        def run(self, console):
            runs.append(self.training.steps)
            if self.training.steps == 13:
                raise TrainingFailed("loss is not finite")

    def variant(steps):
        values = {field.name: getattr(base, field.name) for field in dataclasses.fields(base)}
        folders = {"data": tmp_path / "train", "val": tmp_path / "val", "out": tmp_path / "wide"}
        training = dataclasses.replace(base.training, steps=steps)
        return Counted(**(values | folders | {"training": training}))

    model = types.SimpleNamespace(step=7)
    monkeypatch.setattr(ablation, "load_model", lambda run, checkpoint: model)
    monkeypatch.setattr(ablation, "of_training", lambda run, model: {"loss": 0.5})
    monkeypatch.setattr(
        ablation, "of_predictions",
        lambda run, model, references: {"match rate": float(len(references.group))},
    )  # fmt: skip
    return variant, runs


def test_what_was_trained_is_not_trained_again(trained):
    variant, runs = trained
    assert measured(variant(7), 3) == {"loss": 0.5, "match rate": 3.0}
    assert measured(variant(7), 3) == {"loss": 0.5, "match rate": 3.0}
    assert runs == [7]
    assert measured(variant(7), 9)["match rate"] == 4.0  # all there are, scored anew
    assert measured(variant(6), 9)["match rate"] == 4.0
    assert runs == [7, 7, 6]


def test_a_training_that_fails_or_is_stopped_has_no_figures(trained, capsys):
    variant, runs = trained
    assert [measured(variant(13), 3), measured(variant(13), 3)] == [{}, {}]
    assert runs == [13, 13]
    assert "wide: loss is not finite" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="stopped; the same command goes on"):
        measured(variant(8), 3)
