"""Datasets: contents, the same bytes every time, and what a kill leaves behind."""

import csv
import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from jaxcrys.crystal import build_crystal, example_crystal, validate
from jaxcrys.crystal.cif import to_cif
from jaxcrys.data import load_dataset, prepare
from jaxcrys.data.dataset import read_meta
from tests.crystals import random_crystal

SALT = to_cif(example_crystal())
NITRIDE = to_cif(build_crystal(225, [(11, "a"), (7, "b")], (5, 5, 5, 90, 90, 90)))
HALF = SALT.replace("0.5000000000 1", "0.5000000000 0.5")
TINY = SALT.replace("5.64", "0.564")


def write_table(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def table(tmp_path) -> Path:
    """Two good rows, four bad ones."""
    texts = {"a": SALT, "b": "nonsense", "c": "", "d": HALF, "e": TINY, "f": NITRIDE}
    rows = [
        {"material_id": name, "cif": text, "gap": "5.10" if name == "a" else "", "group": "F m-3m"}
        for name, text in texts.items()
    ]
    return write_table(tmp_path / "salt.csv", rows)


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    """Enough rows for several chunks."""
    rng = np.random.default_rng(0)
    rows = [{"id": str(i), "cif": to_cif(random_crystal(rng, sites=2))} for i in range(450)]
    return write_table(tmp_path_factory.mktemp("many") / "many.csv", rows)


@pytest.fixture(scope="module")
def whole(many) -> Path:
    """The dataset of them, made by two workers without an interruption."""
    return prepare(many, many.parent / "whole", workers=2).folder


def bytes_of(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def test_a_dataset_holds_every_row_accepted_or_rejected(table, tmp_path):
    made = prepare(table, tmp_path / "out", workers=1, compare="moyopy")
    assert sorted(bytes_of(tmp_path / "out")) == [
        "crystals.npz",
        "meta.json",
        "rejected.csv",
        "table.csv",
    ]
    first, second = read_csv(tmp_path / "out" / "table.csv")
    assert first == {
        "id": "a",
        "source": "salt.csv",
        "row": "0",
        "formula": "NaCl",
        "atoms": "8",
        "group": "225",
        "wyckoff": "Na@4a Cl@4b",
        "dof": "1",
        "group_moyopy": "225",
        "material_id": "a",
        "gap": "5.10",
        "input_group": "F m-3m",
    }
    assert second["id"] == "f"
    rejected = read_csv(tmp_path / "out" / "rejected.csv")
    assert [(row["row"], row["id"], row["code"]) for row in rejected] == [
        ("1", "b", "unreadable"),
        ("2", "c", "no_atoms"),
        ("3", "d", "disordered"),
        ("4", "e", "bad_lattice"),
    ]
    assert all(row["reason"] for row in rejected)
    assert made.meta == read_meta(tmp_path / "out")
    assert made.meta["accepted"] == 2
    assert made.meta["rejected"] == 4
    assert made.meta["compare"] == {"engine": "moyopy", "compared": 2, "differ": 0}
    assert made.meta["sources"][0]["sha256"] == hashlib.sha256(table.read_bytes()).hexdigest()
    assert str(tmp_path) not in json.dumps(made.meta)
    dataset = load_dataset(tmp_path / "out")
    validate(dataset.crystals)
    assert dataset.table["id"].tolist() == ["a", "f"]
    assert dataset.table["formula"].tolist() == ["NaCl", "NaN"]
    assert dataset.table["gap"].isna().tolist() == [False, True]
    assert list(tmp_path.glob(".*")) == []


def test_the_number_of_workers_leaves_no_trace(many, whole, tmp_path):
    prepare(many, tmp_path / "one", workers=1)
    assert bytes_of(tmp_path / "one") == bytes_of(whole)
    assert len(load_dataset(tmp_path / "one").table) > 400


def test_a_killed_run_goes_on_where_it_stopped(many, whole, tmp_path):
    out, work = tmp_path / "out", tmp_path / ".out.work"
    code = f"from jaxcrys.data import prepare; prepare({str(many)!r}, {str(out)!r}, workers=1)"
    running = subprocess.Popen([sys.executable, "-c", code])
    while not list(work.glob("*/*.npz")):
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not out.exists()
    [chunk, *_] = sorted(work.glob("*/*.npz"))
    with np.load(chunk) as stored:
        arrays = dict(stored)
    marked = arrays["tables"].tobytes().replace(b'"id": "0"', b'"id": "kept"')
    np.savez(chunk, **(arrays | {"tables": np.frombuffer(marked, np.uint8)}))
    prepare(many, out, workers=1)
    assert read_csv(out / "table.csv")[0]["id"] == "kept"
    assert not work.exists()
    assert bytes_of(out).keys() == bytes_of(whole).keys()
    assert bytes_of(out)["crystals.npz"] == bytes_of(whole)["crystals.npz"]


def test_a_finished_dataset_is_left_alone_and_others_are_protected(table, tmp_path):
    out = tmp_path / "out"
    assert not prepare(table, out, workers=1).up_to_date
    before = bytes_of(out)
    assert prepare(table, out, workers=1).up_to_date
    with pytest.raises(ValueError, match="was not made from these files with these settings"):
        prepare(table, out, workers=1, symprec=0.01)
    assert bytes_of(out) == before
    made = prepare(table, out, workers=1, symprec=0.01, overwrite=True)
    assert made.meta["settings"]["symprec"] == 0.01
    assert read_meta(out) == made.meta
    foreign = tmp_path / "thesis"
    foreign.mkdir()
    (foreign / "chapter.txt").write_text("years of work")
    with pytest.raises(ValueError, match="exists"):
        prepare(table, foreign, workers=1)


def test_bounds_and_several_inputs(table, many, tmp_path):
    made = prepare([table, many], tmp_path / "out", workers=1, limit=60, max_sites=1, max_atoms=20)
    codes = made.meta["rejected_by_code"]
    assert made.meta["accepted"] + made.meta["rejected"] == 60
    assert codes["too_many_sites"] > 0
    assert codes["too_many_atoms"] > 0
    dataset = load_dataset(tmp_path / "out")
    assert dataset.crystals.wyckoff.shape[1] == 1
    assert dataset.table["atoms"].max() <= 20
    assert dataset.table["source"].unique().tolist() == ["many.csv"]


def test_scripts_need_no_guard(table, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from jaxcrys.data import prepare\n"
        f"print(prepare({str(table)!r}, {str(tmp_path / 'out')!r}, workers=2).meta['accepted'])\n"
    )
    result = subprocess.run(
        [sys.executable, script], check=True, capture_output=True, text=True, timeout=60
    )
    assert result.stdout == "2\n"
    assert result.stderr == ""


def test_nothing_accepted_is_an_error(tmp_path):
    path = write_table(tmp_path / "bad.csv", [{"cif": "nonsense"}])
    with pytest.raises(ValueError, match="no crystal was accepted of 1"):
        prepare(path, tmp_path / "out", workers=1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"engine": "spg"}, "engine: must be one of spglib, moyopy, got 'spg'"),
        ({"compare": "spglib"}, "compare: must be another engine than 'spglib'"),
        ({"symprec": 0.0}, "symprec: must be a positive length"),
        ({"symprec": float("nan")}, "symprec: must be a positive length"),
        ({"limit": 0}, "limit: must be at least 1, got 0"),
        ({"workers": -1}, "workers: must be at least 1"),
        ({"max_atoms": 0}, "max_atoms: must be at least 1"),
    ],
)
def test_senseless_arguments_are_named(table, tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        prepare(table, tmp_path / "out", **settings)


def test_missing_inputs_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"none\.csv: does not exist"):
        prepare(tmp_path / "none.csv", tmp_path / "out")
    with pytest.raises(ValueError, match="at least one file"):
        prepare([], tmp_path / "out")


def test_what_is_no_dataset_is_named(table, tmp_path):
    with pytest.raises(ValueError, match="is not a dataset"):
        load_dataset(tmp_path)
    prepare(table, tmp_path / "out", workers=1)
    broken = shutil.copytree(tmp_path / "out", tmp_path / "broken")
    lines = (broken / "table.csv").read_text().splitlines()
    (broken / "table.csv").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(ValueError, match="2 crystals but 1 rows"):
        load_dataset(broken)


def test_arrays_load_with_numpy_alone(table, tmp_path):
    prepare(table, tmp_path / "out", workers=1)
    code = f"""
import sys
from jaxcrys.crystal import load_crystals
assert load_crystals({str(tmp_path / "out" / "crystals.npz")!r}).group.tolist() == [225, 225]
assert not {{"pandas", "pymatgen", "spglib", "ase", "gemmi"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_real_rows_are_all_accepted(shared_data, tmp_path):
    made = prepare(shared_data / "mp_20_biternary" / "val.csv.gz", tmp_path / "out", limit=200)
    table = load_dataset(made.folder).table
    assert len(table) == 200
    assert (table["group"] == table["spacegroup.number"]).all()
