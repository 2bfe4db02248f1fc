"""Released models: the same crystals as the run, in one file that cannot be read wrongly."""

import json
import zipfile

import jax
import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.crystal import load_crystals
from jaxcrys.recipes.library import is_model, load_model
from jaxcrys.recipes.release import read_card, save_release
from jaxcrys.sampling.generate import generate
from jaxcrys.sampling.plan import Request
from jaxcrys.sampling.wish import Wish


@pytest.fixture(scope="module")
def released(orbit_run, tmp_path_factory):
    path = tmp_path_factory.mktemp("released") / "model.npz"
    save_release(path, load_model(orbit_run), card="# A model\n")
    return path


def test_a_released_model_is_the_run(released, orbit_run):
    run, file = load_model(orbit_run), load_model(released)
    assert (file.config, file.step, file.run) == (run.config, run.step, released)
    jax.tree.map(np.testing.assert_array_equal, file.params, run.params)
    for field in ("group", "wyckoff", "species"):
        np.testing.assert_array_equal(getattr(file.templates, field), getattr(run.templates, field))
    np.testing.assert_allclose(file.templates.free, run.templates.free, atol=1e-7)
    np.testing.assert_allclose(file.templates.lattice, run.templates.lattice, atol=1e-6)
    assert read_card(released) == "# A model\n"
    assert is_model(released)
    assert is_model(orbit_run)


def test_it_draws_the_same_crystals(released, orbit_run, tmp_path):
    for name, source in (("run", orbit_run), ("file", released)):
        request = Request(Wish(groups="225"), num=3)
        generate(load_model(source), tmp_path / name, request, seed=4)
    one, other = (load_crystals(tmp_path / name) for name in ("run", "file"))
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_the_same_model_gives_the_same_bytes_and_no_pickle(released, orbit_run, tmp_path):
    save_release(tmp_path / "again.npz", load_model(orbit_run), card="# A model\n")
    assert (tmp_path / "again.npz").read_bytes() == released.read_bytes()
    with np.load(released, allow_pickle=False) as stored:
        assert all(stored[name].dtype.kind in "uif" for name in stored)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: {}, "is no released model"),
        (lambda arrays: arrays | {"card": np.zeros(3, object)}, "is not a readable model"),
        (lambda arrays: without(arrays, "params/"), "has none for the parameter"),
        (lambda arrays: changed(arrays, "params/", lambda x: x[None]), "for the parameter"),
        (lambda arrays: changed(arrays, "params/", lambda x: x + 1), "holds other parameters"),
        (lambda arrays: changed(arrays, "model", schema_of_tomorrow), "has schema 99"),
        (lambda arrays: changed(arrays, "model", lambda x: x[:-1]), "does not describe a model"),
        (lambda arrays: changed(arrays, "model", said(step="1")), "does not describe a model"),
        (lambda arrays: changed(arrays, "model", said(model=[])), "does not describe a model"),
        (lambda arrays: changed(arrays, "model", brackets), "does not describe a model"),
        (lambda arrays: changed(arrays, "model", endless_network), "has a setting of 10000000000"),
        (lambda arrays: without(arrays, "templates/count"), "holds no templates"),
        (lambda arrays: changed(arrays, "templates/count", lambda x: -x), "holds no templates"),
    ],
)
def test_other_content_is_refused(released, tmp_path, change, message):
    with np.load(released) as stored:
        arrays = dict(stored)
    path = tmp_path / "changed.npz"
    np.savez(path, **change(arrays))
    with pytest.raises(InputError, match=message):
        load_model(path)


def first_of(arrays, start):
    return next(name for name in arrays if name.startswith(start))


def without(arrays, start):
    return {name: array for name, array in arrays.items() if name != first_of(arrays, start)}


def changed(arrays, start, change):
    name = first_of(arrays, start)
    return arrays | {name: change(arrays[name])}


def schema_of_tomorrow(text):
    values = json.loads(text.tobytes())
    values["model"]["schema"] = 99
    return np.frombuffer(json.dumps(values).encode(), np.uint8)


def said(**changes):
    def change(text):
        return np.frombuffer(json.dumps(json.loads(text.tobytes()) | changes).encode(), np.uint8)

    return change


def brackets(_):
    return np.frombuffer(b"[" * 10**6, np.uint8)


def endless_network(text):
    """One that would be laid out for years before a parameter is missed."""
    values = json.loads(text.tobytes())
    values["model"]["sites"] = 10**10
    return np.frombuffer(json.dumps(values).encode(), np.uint8)


def test_damaged_files_are_named(released, tmp_path):
    content, path = released.read_bytes(), tmp_path / "cut.npz"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"cut\.npz: is not a readable model"):
        load_model(path)
    middle = zipfile.ZipFile(released).infolist()[-1].header_offset + 100
    path.write_bytes(content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :])
    with pytest.raises(InputError, match=r"cut\.npz: "):
        load_model(path)


def test_what_is_no_model_is_named(released, tmp_path):
    with pytest.raises(InputError, match="absent: is no run and no model"):
        load_model("absent")
    with pytest.raises(InputError, match="holds one state"):
        load_model(released, checkpoint="latest")
    with pytest.raises(InputError, match=r"must end in \.npz"):
        save_release(tmp_path / "model.zip", load_model(released))
    assert not is_model(tmp_path)
