"""``jaxcrys export``: from sets of every origin, and what it says and refuses."""

import re

import ase.db
import numpy as np
import pytest

from jaxcrys.crystal import example_crystal, stack_crystals
from jaxcrys.crystal.build import build_crystal
from jaxcrys.crystal.cif import to_cif
from jaxcrys.crystal.protostructure import protostructure_hash
from jaxcrys.data import load_dataset, prepare
from jaxcrys.data.crystal_set import read_set, usable
from jaxcrys.data.pool import Workers
from jaxcrys.sampling.report import report_rows, write_report
from tests.cli.test_cli import call

SALT = example_crystal()
PEROVSKITE = build_crystal(221, [(56, "a"), (22, "b"), (8, "c")], (4.0, 4.0, 4.0, 90, 90, 90))


@pytest.fixture
def generated(tmp_path):
    """A generated set of which one sample has no lattice."""
    broken = build_crystal(221, [(84, "a")], (4.0, 4.0, 4.0, 90, 90, 90))
    broken.lattice[5] = np.nan
    batch = stack_crystals([SALT, PEROVSKITE, broken])
    more = {"log_prob": np.array([-1.5, -2.5, -3.5])}
    rows = report_rows(batch, more=more, seed=7, advance=lambda: None)
    write_report(tmp_path / "generated", batch, rows)
    return tmp_path / "generated"


def test_a_generated_set_is_written_in_several_formats(generated, tmp_path):
    files = [tmp_path / "out" / name for name in ("all.db", "all.json.gz", "cif")]
    code, out, err = call("export", generated, *files, "--cell", "primitive")
    assert (code, err) == (0, "")
    assert [f"{file}: 2 crystals" for file in files] == out.splitlines()[:3]
    assert out.splitlines()[3:] == [
        "1 could not be used:",
        "  00002: lattice: expected finite k with the family's fixed values, got nan at index (5,)",
    ]
    for file in files:
        with Workers(1) as workers:
            found = usable(read_set(file, workers=workers))
        hashes = [protostructure_hash(crystal) for crystal in found.crystals]
        assert hashes == [protostructure_hash(crystal) for crystal in (SALT, PEROVSKITE)]
        assert [row["log_prob"] for row in found.rows] == [-1.5, -2.5]
        assert [row["id"] for row in found.rows] == ["00000", "00001"]
    with ase.db.connect(files[0]) as database:
        assert [row.natoms for row in database.select()] == [2, 5]
    code, out, _ = call("export", generated, files[0], tmp_path / "more.csv")
    assert out.splitlines()[0] == f"{files[0]}: 0 crystals, 2 were there"


def test_datasets_and_files_are_written(tmp_path):
    (tmp_path / "cifs").mkdir()
    for name, crystal in (("salt", SALT), ("perovskite", PEROVSKITE)):
        (tmp_path / "cifs" / f"{name}.cif").write_text(to_cif(crystal))
    (tmp_path / "cifs" / "broken.cif").write_text("nothing")
    code, out, err = call("export", tmp_path / "cifs", tmp_path / "all.csv", "--workers", 1)
    assert code == 0, err
    assert out.splitlines()[:2] == [f"{tmp_path}/all.csv: 2 crystals", "1 could not be used:"]
    assert out.splitlines()[2].startswith("  cifs broken.cif: ")
    prepare(tmp_path / "all.csv", tmp_path / "dataset", workers=1)
    assert call("export", tmp_path / "dataset", tmp_path / "all.jsonl")[0] == 0
    again = load_dataset(prepare(tmp_path / "all.jsonl", tmp_path / "again", workers=1).folder)
    assert sorted(again.table["formula"]) == ["BaTiO3", "NaCl"]
    assert sorted(again.table["id"]) == ["perovskite.cif", "salt.cif"]


def test_nothing_is_read_when_a_file_cannot_be_written(tmp_path):
    (tmp_path / "there.csv").write_text("mine")
    for arguments, problem in (
        ([tmp_path / "there.csv"], f"error: {tmp_path}/there.csv: exists"),
        ([tmp_path / "all.xls"], "error: .*all.xls: has no ending of a format"),
        ([tmp_path / "a.csv", tmp_path / "a.csv"], "error: FILE: the same file is given twice"),
        ([tmp_path / "a.csv", "--cell", "reduced"], r"(?s).*invalid choice 'reduced'"),
    ):
        code, out, err = call("export", tmp_path / "none", *arguments)
        assert (code, out) == (2, "")
        assert re.match(problem, err), err
    code, _, err = call("export", tmp_path / "none", tmp_path / "all.csv")
    assert (code, err) == (2, f"error: {tmp_path}/none: does not exist\n")
    assert [path.name for path in tmp_path.iterdir()] == ["there.csv"]
