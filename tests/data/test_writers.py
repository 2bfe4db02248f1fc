"""Every format: what is written is what our readers, and other libraries, read."""

import gzip
import json
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path

import ase.db
import ase.io
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from monty.serialization import loadfn
from pymatgen.core import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from jaxcrys.core.errors import InputError
from jaxcrys.crystal import build_crystal, example_crystal
from jaxcrys.crystal.convert import to_structure
from jaxcrys.crystal.protostructure import protostructure_hash
from jaxcrys.data import ase_database, load_dataset, prepare, writers
from jaxcrys.data.extxyz import info_of, items_of
from jaxcrys.data.readers import read_records
from jaxcrys.data.rows import Settings, convert_record
from jaxcrys.data.writers import FOLDERS, FORMATS, write
from tests.crystals import exact_crystal

SETTINGS = Settings(symprec=0.01, engine="spglib", compare=None, max_sites=None, max_atoms=400)

NAMES = [
    *(f"set{ending}" for ending in FORMATS),
    *("set.extxyz.gz", "set.csv.bz2", "set.json.gz", "set.jsonl.gz", "set.optimade.json.bz2"),
    *FOLDERS,
]
TELL_NOTHING = ("poscar",)
"""Formats that have no place for properties."""

GROUPS = (2, 4, 12, 15, 19, 62, 166, 99, 141, 152)


@pytest.fixture(scope="module")
def crystals():
    random = np.random.default_rng(0)
    return [example_crystal(), *(exact_crystal(random, group=group) for group in GROUPS)]


@pytest.fixture(scope="module")
def rows(crystals):
    """With names and texts that are awkward for one format or another."""
    notes = ["F", "T", "007", "NaN", "a \"b\" 'c'", "π=3, x\\y", "1 2 3", "[0]", "{}", ";", "None"]
    return [
        {
            "id": f"{number:05d}",
            "formula": "F",
            "energy": -1.5 - number,
            "stress": 0.25,
            "group_0.1": 225,
            "e_hull": 1e-7 * number,
            "No": "yes",
            "Gap (eV)": 0.1 + 0.2,
            **({"note": notes[number]} if number else {}),
        }
        for number in range(len(crystals))
    ]


@pytest.fixture(scope="module", params=["conventional", "primitive"])
def written(request, crystals, rows, tmp_path_factory):
    """All formats in a folder."""
    folder = tmp_path_factory.mktemp(request.param)
    for name in NAMES:
        assert write(folder / name, crystals, rows, cell=request.param) == len(rows)
    return folder


def same(text: str, value) -> bool:
    """Numbers may be written otherwise."""
    return text == value if isinstance(value, str) else float(text) == value


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_read(written, crystals, rows, name):
    records = list(read_records(written / name))
    assert len(records) == len(rows)
    for record, crystal, row in zip(records, crystals, rows, strict=True):
        found = convert_record(SETTINGS, record)
        assert found.crystal is not None, found.row
        assert protostructure_hash(found.crystal) == protostructure_hash(crystal)
        volumes = found.crystal.lattice[5], crystal.lattice[5]
        assert np.isclose(*volumes, atol=1e-5)
        if name in TELL_NOTHING:
            continue
        row = {key.replace(" ", "_") if no_space(name) else key: v for key, v in row.items()}
        if "xyz" in name and row.get("note") == "1 2 3":  # an array for everybody who reads it
            row.pop("note")
        properties = {key: text for key, text in record.properties.items() if text}
        assert properties.keys() == row.keys()
        wrong = {key for key in row if not same(properties[key], row[key])}
        assert not wrong, [(row[key], properties[key]) for key in wrong]
        assert found.row["id"] == row["id"]


def no_space(name: str) -> bool:
    """Formats whose names of columns end at white space."""
    return name == "cif" or Path(name).suffix in (".cif", ".zip") or "xyz" in name


def test_the_command_prepare_reads_it(written, crystals, rows, tmp_path):
    found = load_dataset(prepare(written / "set.db", tmp_path / "out", workers=1).folder)
    assert found.table["id"].tolist() == [row["id"] for row in rows]
    assert np.array_equal(found.table["e_hull"], [row["e_hull"] for row in rows])
    assert np.array_equal(found.crystals.group, [int(crystal.group) for crystal in crystals])


def atoms_per_cell(written, crystals) -> list[int]:
    """By pymatgen alone."""
    cells = map(to_structure, crystals)
    if written.name.startswith("primitive"):
        cells = (
            SpacegroupAnalyzer(cell, 0.01).get_primitive_standard_structure() for cell in cells
        )
    return [len(cell) for cell in cells]


def matches(structure: Structure, crystal) -> bool:
    """By the symmetry that pymatgen finds, and the volume of an atom."""
    wanted = to_structure(crystal)
    return (
        SpacegroupAnalyzer(structure, 0.01).get_space_group_number() == int(crystal.group)
        and structure.composition.reduced_formula == wanted.composition.reduced_formula
        and abs(structure.volume / len(structure) - wanted.volume / len(wanted)) < 1e-5
    )


@pytest.mark.parametrize("name", ["set.json", "set.json.gz"])
def test_pymatgen_reads_json(written, crystals, rows, name):
    found = loadfn(written / name)
    assert [len(each["structure"]) for each in found] == atoms_per_cell(written, crystals)
    assert all(matches(e["structure"], c) for e, c in zip(found, crystals, strict=True))
    assert [each["data"] for each in found] == rows
    labelled = "wyckoff" in found[0]["structure"].site_properties
    assert labelled == written.name.startswith("conventional")


def test_pymatgen_reads_poscars_and_cifs(written, crystals):
    files = pd.read_csv(written / "poscar/table.csv", dtype=str)["file"]
    for crystal, name in zip(crystals, files, strict=True):
        assert matches(Structure.from_file(written / "poscar" / f"{name}.poscar"), crystal)
    for crystal, path in zip(crystals, sorted((written / "cif").glob("*.cif")), strict=True):
        assert matches(Structure.from_file(path), crystal)
        assert len(Structure.from_file(path)) == len(to_structure(crystal))
    with zipfile.ZipFile(written / "set.zip") as archive:
        text = archive.read("00001.cif").decode()
    assert text == (written / "cif/00001.cif").read_text()
    assert "_space_group_symop_operation_xyz" in text


@pytest.mark.parametrize("name", ["set.extxyz", "set.extxyz.gz", "set.db"])
def test_ase_reads_frames_and_databases(written, crystals, name):
    from pymatgen.io.ase import AseAtomsAdaptor

    frames = ase.io.read(written / name, index=":")
    assert [len(atoms) for atoms in frames] == atoms_per_cell(written, crystals)
    for atoms, crystal in zip(frames, crystals, strict=True):
        assert atoms.calc is None
        assert matches(AseAtomsAdaptor.get_structure(atoms), crystal)


def test_pandas_reads_tables(written, crystals, rows):
    for table in (pd.read_parquet(written / "set.parquet"), pd.read_csv(written / "set.csv.bz2")):
        assert table["energy"].tolist() == [row["energy"] for row in rows]
        structures = [Structure.from_str(text, fmt="cif") for text in table["cif"]]
        assert all(map(matches, structures, crystals))


def test_optimade_has_what_the_specification_asks(written, crystals):
    """By pymatgen's adapter; and the header of JSON lines."""
    from pymatgen.io.optimade import OptimadeStructureAdapter

    response = json.loads((written / "set.optimade.json").read_text())
    with gzip.open(written / "set.jsonl.gz", "rt") as handle:
        header, *lines = map(json.loads, handle)
    assert header["x-optimade"]["meta"]["api_version"]
    assert lines == response["data"]
    for entry, crystal in zip(response["data"], crystals, strict=True):
        structure = OptimadeStructureAdapter.get_structure(entry)
        assert matches(structure, crystal)
        fields = entry["attributes"]
        composition = structure.composition
        anonymous = "".join(
            f"{letter}{count if count > 1 else ''}"
            for letter, count in zip(
                "ABCDE",
                sorted((int(n) for n in composition.reduced_composition.values()), reverse=True),
                strict=False,
            )
        )
        assert fields["chemical_formula_anonymous"] == anonymous
        assert fields["elements"] == sorted(element.symbol for element in composition)
        assert fields["nelements"] == len(composition)
        assert sum(fields["elements_ratios"]) == pytest.approx(1)
        assert fields["nsites"] == len(fields["species_at_sites"]) == len(structure)
        assert fields["last_modified"] is None
    assert response["meta"]["data_returned"] == len(crystals)


# Databases grow.


def rows_in(path: Path) -> int:
    with ase.db.connect(path) as database:
        return database.count()


def test_a_database_grows_without_doubles(crystals, rows, tmp_path):
    path = tmp_path / "all.db"
    assert write(path, crystals[:4], rows[:4]) == 4
    assert write(path, crystals[2:], rows[2:], cell="primitive") == len(rows) - 4
    assert rows_in(path) == len(rows)
    other = build_crystal(225, [(11, "a"), (17, "b")], (5.65, 5.65, 5.65, 90, 90, 90))
    assert write(path, [other, other], [rows[0], rows[0]]) == 1
    assert write(path, crystals[:1], [rows[0] | {"id": "another"}]) == 1
    assert rows_in(path) == len(rows) + 2
    assert list(tmp_path.iterdir()) == [path]


def test_a_database_is_queried(crystals, rows, tmp_path):
    path = tmp_path / "all.db"
    groups = [int(crystal.group) for crystal in crystals]
    write(path, crystals, [row | {"group": g} for row, g in zip(rows, groups, strict=True)])
    command = [sys.executable, "-m", "ase", "db", str(path), "group=225", "-c", "id_,note,No_"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Rows: 1\n" in found
    with ase.db.connect(path) as database:
        assert [row.id_ for row in database.select("energy_<-10")] == [9, 10]
        assert [row.key_value_pairs["note"] for row in database.select("group=166")] == ["[0]"]


def test_a_database_takes_all_or_nothing(crystals, rows, tmp_path, monkeypatch):
    path, count = tmp_path / "all.db", 0
    write(path, crystals[:2], rows[:2])
    hashed = ase_database.structure_hash

    def breaks(crystal):
        nonlocal count
        count += 1
        if count == 3:
            raise RuntimeError
        return hashed(crystal)

    monkeypatch.setattr(ase_database, "structure_hash", breaks)
    with pytest.raises(RuntimeError):
        write(path, crystals[2:], rows[2:])
    assert rows_in(path) == 2
    count = 0
    with pytest.raises(RuntimeError):
        write(tmp_path / "new.db", crystals, rows)
    assert list(tmp_path.iterdir()) == [path]


def test_pairs_are_what_ase_accepts():
    text = st.text(st.characters(codec="utf-8"), max_size=8)
    values = st.one_of(st.floats(), st.integers(-(10**12), 10**12), text)

    @settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
    @given(st.dictionaries(text, values, max_size=6))
    def check(row):
        found = ase_database.pairs(row)
        ase.db.core.check(found)
        assert len(found) <= len(row)

    check()


@pytest.mark.parametrize("value", ["a b", 'say "x"', "it's", "a\\b", "x=1", "[1]", "{", "1 2", "π"])
def test_texts_of_extended_xyz_come_back(value):
    from ase.io.extxyz import key_val_dict_to_str, key_val_str_to_dict

    line = key_val_dict_to_str(info_of({"note": value, "last": 1}))
    assert items_of(line) in ({"note": value, "last": "1"}, {"last": "1"})
    assert ("note" in items_of(line)) == (value != "1 2")
    if value not in ("[1]", "{", "1 2"):
        assert key_val_str_to_dict(line)["note"] == value


# What is refused.


def test_what_is_there_is_not_overwritten(crystals, rows, tmp_path):
    for name in ("there.csv", "there.json.gz"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(InputError, match="exists"):
            write(tmp_path / name, crystals, rows)
        assert (tmp_path / name).read_text() == "mine"
    (tmp_path / "cif").mkdir()
    with pytest.raises(InputError, match="exists"):
        write(tmp_path / "cif", crystals, rows)
    (tmp_path / "my.db").write_text("mine")
    with pytest.raises(InputError, match="is no database"):
        write(tmp_path / "my.db", crystals, rows)
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE t (a)").connection.close()
    with pytest.raises(InputError, match="no table 'systems'"):
        write(tmp_path / "other.db", crystals, rows)


@pytest.mark.parametrize("name", ["set", "set.pdf", "set.gz", "set.db.gz", "cif.old", "folder"])
def test_unknown_endings_are_named(crystals, rows, tmp_path, name):
    with pytest.raises(InputError, match=r"has no ending .* \.extxyz"):
        write(tmp_path / name, crystals, rows)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_of_a_failed_file(crystals, rows, tmp_path, monkeypatch):
    def breaks(*arguments, **options):
        raise RuntimeError

    for name in ("to_cif", "to_atoms", "to_structure", "structure_from_raw"):
        monkeypatch.setattr(writers, name, breaks)
    monkeypatch.setattr(writers.optimade, "to_entry", breaks)
    for name in NAMES:
        with pytest.raises(RuntimeError):
            write(tmp_path / name, crystals, rows)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [n for n in NAMES if not n.endswith(".db")])
def test_the_same_crystals_give_the_same_bytes(crystals, rows, tmp_path, name):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / name, crystals, rows)
    one, two = ([f.read_bytes() for f in files(tmp_path / d / name)] for d in ("one", "two"))
    assert one == two


def files(path: Path) -> list[Path]:
    return sorted(path.iterdir()) if path.is_dir() else [path]
