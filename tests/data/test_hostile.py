"""Files that are made to do harm: each reader refuses them, or rejects the record."""

import bz2
import contextlib
import gzip
import json
import os
import sqlite3
import sys
import time
import zipfile

import ase.db
import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.crystal import example_crystal
from jaxcrys.crystal.cif import to_cif
from jaxcrys.crystal.convert import to_atoms, to_structure
from jaxcrys.data import prepare, readers
from jaxcrys.data.parsing import parse
from jaxcrys.data.pool import map_chunks
from jaxcrys.data.readers import read_records
from jaxcrys.data.rows import Settings, convert_record
from jaxcrys.stability.sources import hull_of_entries

CIF = to_cif(example_crystal())
SETTINGS = Settings(0.1, "spglib", None, None, 400)


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A module on the path that leaves a mark when it is imported; and whether it did."""
    (tmp_path / "jaxcrys_trap.py").write_text(
        "import pathlib\npathlib.Path(__file__).with_suffix('.sprung').touch()\n"
        "class Trap:\n    @classmethod\n    def from_dict(cls, d): return cls()\n"
        "def call(): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("jaxcrys_trap", None)
    return (tmp_path / "jaxcrys_trap.sprung").exists


BAITS = [
    {"@module": "jaxcrys_trap", "@class": "Trap"},
    {"@module": "jaxcrys_trap", "@callable": "call"},
]


@pytest.mark.parametrize("bait", BAITS)
def test_structures_of_pymatgen_import_nothing(tmp_path, trap, bait):
    structure = json.loads(to_structure(example_crystal()).to_json())
    for site in structure["sites"]:
        site["properties"] = {"magmom": bait}
        site["species"][0]["spin"] = bait
    structure["properties"] = {"note": bait}
    structure["lattice"]["pbc"] = bait
    (tmp_path / "t.json").write_text(json.dumps({"structure": structure, "data": bait}))
    [record] = read_records(tmp_path / "t.json")
    assert convert_record(SETTINGS, record).row["group"] == 225
    assert not trap()


@pytest.mark.parametrize("bait", BAITS)
def test_entries_for_a_hull_import_nothing(tmp_path, trap, bait):
    entries = [
        {"composition": {"Na": 1}, "energy": -1.0, "correction": 0.5, "parameters": {"x": bait}},
        {"composition": {"Na": 1, "Cl": 1}, "energy": -8.0, "correction": 0.0, "data": bait},
        {"composition": {"Cl": 2}, "energy": -3.0, "energy_adjustments": [bait], **bait},
    ]
    (tmp_path / "t.json").write_text(json.dumps(entries))
    found = hull_of_entries(tmp_path / "t.json")
    assert found.references == {11: -0.5, 17: -1.5}
    assert found.energies.min() == pytest.approx((-8 + 0.5 + 1.5) / 2)
    assert not trap()


def test_a_cif_that_once_ran_programs_runs_none(tmp_path):
    """The transformation that pymatgen before 2024.2.20 evaluated (CVE-2024-23346)."""
    mark = tmp_path / "mark"
    payload = (
        "a,b,[d for d in ().__class__.__mro__[1].__getattribute__(*[().__class__.__mro__[1]]+"
        f"['__sub'+'classes__'])() if d.__name__=='BuiltinImporter'][0].load_module('os')"
        f".system('touch {mark}');0,0,0"
    )
    text = CIF.replace("_cell_length_a", f'_space_group_magn.transform_BNS_Pp_abc "{payload}"\n'
                       "_space_group_magn.number_BNS 62.448\n_cell_length_a")  # fmt: skip
    with contextlib.suppress(InputError):
        parse("cif", text)
    assert not mark.exists()


# Databases.


def database(path, **more):
    with ase.db.connect(path) as opened:
        opened.write(to_atoms(example_crystal()), **more)
    return path


def test_databases_are_read_as_ase_reads_them(tmp_path):
    path = database(tmp_path / "t.db", gap=5.0, note="salt", data={"x": np.arange(3)})
    with ase.db.connect(path) as opened:
        expected = opened.get(1)
    [record] = read_records(path)
    cell = parse(record.kind, record.content)
    np.testing.assert_allclose(cell.lattice, expected.cell)
    np.testing.assert_allclose(cell.frac @ cell.lattice, expected.positions, atol=1e-12)
    assert cell.numbers.tolist() == expected.numbers.tolist()
    assert record.properties == {"gap": "5.0", "note": "salt"}


def test_reading_changes_no_database(tmp_path):
    """ASE makes its tables in a file that has none."""
    path = tmp_path / "empty.db"
    sqlite3.connect(path).execute("CREATE TABLE t (a)").connection.close()
    before = path.read_bytes()
    with pytest.raises(InputError, match="no table 'systems'"):
        list(read_records(path))
    assert path.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["empty.db"]


def test_views_of_a_database_are_not_run(tmp_path):
    """This one would never end."""
    path = tmp_path / "view.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE information (name TEXT, value TEXT)")
        connection.execute("INSERT INTO information VALUES ('version', '9')")
        connection.execute(
            "CREATE VIEW systems AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) "
            "SELECT x AS id, x AS numbers, x AS positions, x AS cell, x AS pbc, x AS energy, "
            "x AS key_value_pairs, x AS data FROM n ORDER BY id"
        )
    connection.close()
    with pytest.raises(InputError, match="no table 'systems'"):
        list(read_records(path))


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("numbers", b"\1\0\0\0", "unreadable"),
        ("numbers", "text", "unreadable"),
        ("numbers", None, "unreadable"),
        ("positions", b"123", "unreadable"),
        ("cell", np.zeros((3, 3)).tobytes(), "bad_lattice"),
        ("cell", np.full((3, 3), np.nan).tobytes(), "bad_lattice"),
        ("pbc", 3, "bad_lattice"),
        ("pbc", "all", "bad_lattice"),
        ("key_value_pairs", "[" * 100_000, ""),
        ("key_value_pairs", "{'a': 1}", ""),
        ("key_value_pairs", '{"a": {"__ase_objtype__": "atoms"}}', ""),
        ("data", b"\xff" * 8 + b"{}", ""),
        ("data", b"{", ""),
        ("data", 7, ""),
    ],
)
def test_a_bad_row_of_a_database_spoils_nothing_else(tmp_path, column, value, code):
    path = database(tmp_path / "t.db")
    database(path)
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE systems SET {column} = ? WHERE id = 1", (value,))
    connection.close()
    first, second = (convert_record(SETTINGS, record) for record in read_records(path))
    assert first.row.get("code", "") == code
    assert second.row["group"] == 225


# What is large.


def test_sizes_are_looked_at_before_anything_is_made(tmp_path):
    (tmp_path / "t.xyz").write_text("1000000000000000\nLattice=...\nH 0 0 0\n")
    with pytest.raises(InputError, match="a frame of 1000000000000000 atoms"):
        list(read_records(tmp_path / "t.xyz"))
    (tmp_path / "t.xyz").write_text("-5\n\nH 0 0 0\n")
    with pytest.raises(InputError, match="a frame of -5 atoms"):
        list(read_records(tmp_path / "t.xyz"))
    (tmp_path / "t.csv").write_text(",".join(map(str, range(10_001))) + ",cif\n")
    with pytest.raises(InputError, match="10002 columns, more than 10000"):
        list(read_records(tmp_path / "t.csv"))


def test_texts_longer_than_any_crystal_are_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "LONGEST_TEXT", 2000)
    monkeypatch.setattr(readers, "MOST_ATOMS", 7)
    structure = to_structure(example_crystal()).as_dict()
    (tmp_path / "t.json").write_text(json.dumps(structure, default=float))
    (tmp_path / "t.csv").write_text(f'cif\n"{CIF}{"#" * 2000}"\n')
    for path, size in ((tmp_path / "t.json", "8 atoms"), (tmp_path / "t.csv", "characters")):
        [record] = read_records(path)
        row = convert_record(SETTINGS, record).row
        assert row["code"] == "too_large"
        assert size in row["reason"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.json", b"[" * 10**6),
        ("t.json", b'{"a":' * 10**5 + b"1" + b"}" * 10**5),
        ("t.jsonl", b"[" * 10**6),
        ("t.json", b"1" * 10**5),
        ("t.csv", b'cif\n"' + b"x" * (2**26 + 2)),
        ("t.csv.gz", gzip.compress(b"cif\n" + bytes(2**26 + 2**20))),
        ("t.extxyz.bz2", bz2.compress(b"1\n" + bytes(2**26 + 2**20))),
    ],
    ids=["brackets", "objects", "lines", "digits", "field", "table", "frames"],
)
def test_depth_and_length_are_bounded(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name):
        list(read_records(tmp_path / name))


def cif_with(operations: list[str], sites: list[str]) -> str:
    """A large cube with those operations and sites."""
    lines = [
        "data_x",
        *(f"_cell_length_{axis} 99" for axis in "abc"),
        *(f"_cell_angle_{angle} 90" for angle in ("alpha", "beta", "gamma")),
        *("loop_", "_symmetry_equiv_pos_as_xyz", *operations),
        *("loop_", "_atom_site_label", "_atom_site_type_symbol"),
        *(f"_atom_site_fract_{axis}" for axis in "xyz"),
        *sites,
    ]
    return "\n".join(lines) + "\n"


def test_operations_of_a_cif_are_bounded():
    operations = [f"'x+{n}/1000,y,z'" for n in range(1000)]
    with pytest.raises(InputError, match="lists 1000 operations"):
        parse("cif", cif_with(operations, ["Na1 Na 0 0 0"]))
    assert len(parse("cif", cif_with(operations[::500], ["Na1 Na 0 0 0"])).numbers) == 2


@pytest.mark.parametrize("width", ["148816435", "9" * 21, "1:pos:R:150000:a:R:150000"])
def test_columns_of_a_frame_are_bounded(width):
    lattice = 'Lattice="4 0 0 0 4 0 0 0 4"'
    text = f"1\n{lattice} Properties=species:S:1:pos:R:3:wyckoff:S:{width}\nPo 0 0 0 a\n"
    with pytest.raises(InputError, match="columns for each atom"):
        parse("extxyz", text)


def test_sites_of_a_cif_are_bounded():
    sites = [f"Na{n} Na {n / 30_000} 0 0" for n in range(30_000)]
    with pytest.raises(InputError, match="30000 sites, more than 20000"):
        parse("cif", cif_with(["x,y,z"], sites))


def test_archives_are_checked_by_the_reader(tmp_path):
    with zipfile.ZipFile(tmp_path / "slip.zip", "w") as archive:
        archive.writestr("../../slip.cif", CIF)
    with pytest.raises(InputError, match=r"slip\.zip: holds a file '\.\./\.\./slip\.cif' that"):
        list(read_records(tmp_path / "slip.zip"))
    content = CIF.encode()
    name = "a.cif"
    for depth in range(5):
        with zipfile.ZipFile(tmp_path / f"{depth}.zip", "w") as archive:
            archive.writestr(name, content)
        content, name = (tmp_path / f"{depth}.zip").read_bytes(), f"{depth}.zip"
    assert len(list(read_records(tmp_path / "2.zip"))) == 1
    with pytest.raises(InputError, match="deeper than 3 archives"):
        list(read_records(tmp_path / "4.zip"))


def test_members_of_the_same_name_are_each_read(tmp_path):
    other = CIF.replace("Na", "K")
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("a.cif", CIF)
        with pytest.warns(match="Duplicate"):
            archive.writestr("a.cif", other)
    found = [parse(record.kind, record.content) for record in read_records(tmp_path / "t.zip")]
    assert [11 in cell.numbers for cell in found] == [True, False]


# Time.


def test_what_hangs_is_ended():
    chunks = [(0, ["1", "__import__('time').sleep(1000)", "3"])]
    started = time.monotonic()
    results = list(map_chunks(eval, chunks, workers=1, lost=lambda _: "lost", seconds=1.0))
    assert results == [(0, [1, "lost", 3])]
    assert time.monotonic() - started < 500


def test_prepare_gives_each_record_so_many_seconds(tmp_path, monkeypatch):
    """A CIF that pymatgen would read for hours: many operations in many sites."""
    operations = [f"'x+{n}/191,y,z'" for n in range(191)]
    text = cif_with(operations, [f"Na{n} Na {n / 9000:.4f} 0 0" for n in range(9000)])
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "slow.cif").write_text(text)
    (tmp_path / "in" / "salt.cif").write_text(CIF)
    monkeypatch.setattr(sys.modules["jaxcrys.data.prepare"], "SECONDS_PER_ITEM", 4)
    made = prepare(tmp_path / "in", tmp_path / "out", workers=1)
    assert made.meta["accepted"] == 1
    assert made.meta["rejected_by_code"] == {"worker_died": 1}
