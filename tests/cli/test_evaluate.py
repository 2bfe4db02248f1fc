"""``jaxcrys evaluate`` on a mixture of sound and impossible files, and its report in a browser."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from jaxcrys.cli.main import run
from jaxcrys.data.crystal_set import read_rows
from jaxcrys.evaluation.page import best
from tests.browser import browser
from tests.evaluation.sets import COINCIDING, ODD, cif, salts, write_dataset

SETTINGS = ["--fingerprints", "4", "--workers", "1"]


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Ten crystals and eight that are none, as CIFs; half of the ten for training, all to test."""
    folder = tmp_path_factory.mktemp("evaluate")
    cifs = folder / "cifs"
    cifs.mkdir()
    texts = {f"{i:02d}": cif(crystal) for i, crystal in enumerate(salts())}
    texts |= {name: text for name, (text, _) in ODD.items()} | {"near": COINCIDING}
    for name, text in texts.items():
        (cifs / f"{name}.cif").write_text(text)
    write_dataset(folder / "train", salts()[:2])
    write_dataset(folder / "test", salts())
    return folder


def command(sets, out, *more):
    return ["evaluate", [str(sets / "cifs"), "--train", str(sets / "train"), "--test",
            str(sets / "test"), "--out", str(out), *SETTINGS, *more]]  # fmt: skip


@pytest.fixture(scope="module")
def made(sets):
    assert run(*command(sets, sets / "report")) == 0
    return sets / "report"


def figures(folder):
    return {
        each["name"]: each for each in json.loads((folder / "report.json").read_text())["figures"]
    }


def test_every_figure_is_a_share_of_all_that_was_submitted(made):
    found, total = figures(made), 10 + len(ODD) + 1
    assert found["readable"]["value"] == pytest.approx(11 / total)
    assert found["structure_valid"]["value"] == pytest.approx(10 / total)
    assert found["structure_valid"]["count"] == total
    assert found["structure_valid"]["beside"] == 1.0
    # One of the ten and the one of coinciding atoms have the formula of another.
    assert found["unique"]["value"] == pytest.approx(10 / total)
    assert found["unique_hash"]["value"] == pytest.approx(10 / total)
    assert found["novel"]["value"] == pytest.approx(8 / total)
    assert found["COV-R"]["count"] == 4
    for each in found.values():
        if each["low"] is not None:
            assert each["low"] <= each["value"] <= each["high"]


def test_tables_have_a_row_for_each_sample(made):
    rows = read_rows(made)
    table = pd.read_parquet(made / "table.parquet")
    assert len(rows) == len(table) == 10 + len(ODD) + 1
    reasons = {row["name"]: row["reason"] for row in rows}
    for name, (_, reason) in ODD.items():
        if name != "nan_atom":
            assert reasons[f"{name}.cif"] == reason
    (again,) = table[table["name"] == "02.cif"].to_dict("records")
    assert again["same_as"] == "00.cif"
    assert not again["unique"]
    assert table["novel"].dtype == bool


def test_the_page_has_its_pictures_and_views(made):
    text = (made / "report.html").read_text()
    ids = re.findall(r'id="plot-(\w+)"', text)
    assert ids == ["elements", "groups", "density", "num_elements", "sites", "primitive_atoms",
                   "valid"]  # fmt: skip
    assert text.count('class="card"') == 9
    assert text.count('"type":"scatter3d"') >= 9
    assert "http://" not in re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    for name in ODD:
        assert name + ".cif" not in text.split("<h2>Crystals")[1].split("<h2>Protocol")[0]


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_a_browser_draws_the_pictures(made):
    with browser() as page:
        page.open(made / "report.html")
        for kind, least in {".gl-container canvas": 9, ".main-svg": 7, ".barlayer path": 5}.items():
            page.wait(f"document.querySelectorAll('{kind}').length >= {least}")
        assert page.problems == []
        assert {address.split(":")[0] for address in page.requests} <= {"about", "file", "data"}


def test_the_same_call_is_finished_and_another_is_refused(sets, made, capsys):
    before = (made / "report.json").stat().st_mtime_ns
    assert run(*command(sets, made)) == 0
    assert (made / "report.json").stat().st_mtime_ns == before
    assert "unique_novel" in capsys.readouterr().out
    assert run(*command(sets, made, "--seed", "1")) == 2
    assert "was made otherwise" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--cutoffs", "x"], "--cutoffs: must be one of mp_20"),
        (["--hull", "hull.json"], "say --potential as well"),
        (["--limit", "0"], "--limit"),
        (["--only-predicted"], "goes with --csp formula"),
        (["--compare", "nowhere"], "holds no evaluation"),
    ],
)
def test_bad_options_are_named(sets, tmp_path, capsys, more, message):
    assert run(*command(sets, tmp_path / "out", *more)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_samples_are_relaxed_and_judged(sets, tmp_path):
    """By a potential that knows copper, but no salts."""
    out = tmp_path / "out"
    more = ["--potential", "ase:ase.calculators.emt:EMT", "--limit", "9", "--fingerprints", "0"]
    assert run(*command(sets, out, *more)) == 0
    rows = {row["formula"]: row for row in read_rows(out) if not row["reason"]}
    copper = rows.pop("Cu")
    assert (copper["outcome"], copper["converged"]) == ("converged", "True")
    assert float(copper["energy"]) <= float(copper["energy_before"]) + 1e-4
    assert {row["outcome"] for row in rows.values()} == {"not finite"}
    record = json.loads((out / "report.json").read_text())["protocol"]["potential"]
    assert "EMT" in record["name"]
    found = figures(out)
    assert found["converged"]["value"] == pytest.approx(1 / 9)
    assert "COV-R" not in found
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_predictions_are_scored_beside_another_evaluation(sets, made, tmp_path):
    out = tmp_path / "csp"
    given = [
        str(sets / "cifs"),
        "--test",
        str(sets / "test"),
        "--csp",
        "formula",
        "--out",
        str(out),
    ]
    given += ["--train", str(sets / "train")]
    assert run("evaluate", [*given, "--compare", str(made), "--workers", "1"]) == 0
    assert figures(out)["METRe"]["value"] == 1.0
    text = (out / "report.html").read_text()
    heads = re.findall(r"<th>(.*?)</th>", text)
    assert heads[:4] == ["figure", "cifs", "cifs", "nearest prototypes"]
    # Of ten salts only those like rocksalt are what rocksalt with other elements is.
    (cells,) = re.findall(r"<tr><td>match rate, k = 1, all</td>(.*?)</tr>", text)
    rates = re.findall(r'number">([0-9.–]+)', cells)
    assert rates[0] == "1"
    assert 0.3 <= float(rates[2]) < 0.8


def test_the_best_are_new_valid_and_low():
    row = {"reason": "", "structure_valid": True, "valid": True, "unique_novel": True}
    rows = [
        {**row, "e_hull": 0.3}, {**row, "e_hull": "0.1"}, {**row, "e_hull": 0.0, "valid": False},
        {**row, "unique_novel": False, "e_hull": -1.0}, {**row, "reason": "no_atoms"}, row,
    ]  # fmt: skip
    assert [rows.index(one) for one in best(rows)] == [1, 0, 5, 2, 3]
    assert np.isfinite(float(rows[1]["e_hull"]))
