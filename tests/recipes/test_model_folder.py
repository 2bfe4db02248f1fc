"""Models as folders, in the form of model hubs: the same model, and nothing that could run."""

import json
import shutil

import jax
import numpy as np
import pytest
import yaml
from safetensors import safe_open

from jaxcrys.cli.main import run
from jaxcrys.core.errors import InputError
from jaxcrys.recipes.library import is_model, load_model
from jaxcrys.recipes.model_folder import save_model_folder
from jaxcrys.recipes.release import save_release


@pytest.fixture(scope="module")
def made(orbit_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub") / "my-model"
    save_model_folder(folder, load_model(orbit_run), card="# Mine\n")
    return folder


def test_it_is_the_same_model(made, orbit_run):
    one, other = load_model(orbit_run), load_model(made)
    assert (other.config, other.step, other.run) == (one.config, one.step, made)
    jax.tree.map(np.testing.assert_array_equal, other.params, one.params)
    np.testing.assert_array_equal(other.templates.wyckoff, one.templates.wyckoff)
    assert is_model(made)


def test_others_read_weights_settings_and_card(made, orbit_run):
    leaves = jax.tree.leaves(load_model(orbit_run).params)
    with safe_open(made / "model.safetensors", "numpy") as weights:
        sizes = sorted(weights.get_tensor(name).size for name in weights.keys())  # noqa: SIM118
    assert sizes == sorted(leaf.size for leaf in leaves)
    assert json.loads((made / "config.json").read_text())["model"]["recipe"] == "orbit"
    _, front, card = (made / "README.md").read_text().split("---\n")
    assert yaml.safe_load(front)["library_name"] == "jaxcrys"
    assert card.strip() == "# Mine"


def test_a_card_with_a_beginning_of_its_own_is_kept(made, orbit_run, tmp_path):
    card = "---\nlicense: mit\n---\n# Mine\n"
    save_model_folder(tmp_path / "other", load_model(orbit_run), card=card)
    assert (tmp_path / "other" / "README.md").read_text() == card
    save_model_folder(tmp_path / "again", load_model(orbit_run), card="# Mine\n")
    for path in made.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()
    with pytest.raises(InputError, match="exists; choose another --out"):
        save_model_folder(made, load_model(orbit_run))


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("config.json", lambda old: old[:100], "does not describe a model"),
        ("config.json", lambda old: old.replace(b'"step": 0', b'"step": "x"'), "does not describe"),
        ("model.safetensors", lambda old: old[:-5], "is not a readable model"),
        ("model.safetensors", lambda old: old[:-1] + bytes([old[-1] ^ 64]), "other parameters"),
        ("model.safetensors", lambda old: b"\xff" * 8 + old[8:], "is not a readable model"),
        ("templates.npz", lambda old: old[: len(old) // 2], "is not a readable set of templates"),
    ],
)
def test_what_was_damaged_is_refused(made, tmp_path, file, change, message):
    folder = shutil.copytree(made, tmp_path / "damaged")
    (folder / file).write_bytes(change((folder / file).read_bytes()))
    with pytest.raises(InputError, match=message):
        load_model(folder)


def test_the_command_writes_both_forms_and_reads_them_back(orbit_run, made, tmp_path, capsys):
    save_release(tmp_path / "file.npz", load_model(orbit_run))
    for source in (orbit_run, made, tmp_path / "file.npz"):
        out = tmp_path / f"of-{source.stem}"
        assert run("release", [str(source), "--out", str(out)]) == 0
        assert f"{out}: orbit, step 0" in capsys.readouterr().out
        assert (out / "model.safetensors").read_bytes() == (made / "model.safetensors").read_bytes()
