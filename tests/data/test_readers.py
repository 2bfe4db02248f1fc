"""Every kind of file, whole and damaged."""

import bz2
import gzip
import io
import json
import zipfile

import ase.db
import ase.io
import numpy as np
import pandas as pd
import pytest
from pymatgen.entries.computed_entries import ComputedStructureEntry
from pymatgen.io.vasp.inputs import Poscar

from jaxcrys.crystal import example_crystal
from jaxcrys.crystal.cif import to_cif
from jaxcrys.crystal.convert import from_arrays, to_atoms, to_structure
from jaxcrys.data.parsing import parse
from jaxcrys.data.readers import read_records

CELL = "x\n1\n4 0 0\n0 4 0\n0 0 4\n"
"""The first lines of a POSCAR."""

CIF = to_cif(example_crystal(), name="salt")

PACKED = gzip.compress(b"cif\n" + bytes(1000), mtime=0)


def group_of(record) -> int:
    return int(from_arrays(*parse(record.kind, record.content)).group)


def rows_of(path) -> list[str]:
    records = list(read_records(path))
    assert {record.source for record in records} == {path.name}
    assert {group_of(record) for record in records} == {225}
    return [record.row for record in records]


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.csv.bz2", "t.parquet"])
def test_tables(tmp_path, name):
    table = pd.DataFrame({"cif": [CIF, CIF], "energy": [-1.5, None], "note": ["a,\nb", "π"]})
    if name.endswith("parquet"):
        table.to_parquet(tmp_path / name)
    else:
        table.to_csv(tmp_path / name, index=False)
    assert rows_of(tmp_path / name) == ["0", "1"]
    first, second = read_records(tmp_path / name)
    assert first.properties == {"energy": "-1.5", "note": "a,\nb"}
    assert second.properties == {"energy": "", "note": "π"}


def test_tables_with_a_byte_order_mark_and_ragged_rows(tmp_path):
    text = f'cif,name\n"{CIF}",one,surplus\n"{CIF}"\n'
    (tmp_path / "t.csv").write_text(text, encoding="utf-8-sig")
    assert [r.properties for r in read_records(tmp_path / "t.csv")] == [
        {"name": "one"},
        {"name": ""},
    ]


def test_a_cif_file_gives_a_record_for_each_structure(tmp_path):
    (tmp_path / "one.cif").write_text(CIF)
    assert rows_of(tmp_path / "one.cif") == [""]
    (tmp_path / "two.cif").write_text(f"data_global\n_x 1\n{CIF}\n{CIF}")
    assert rows_of(tmp_path / "two.cif") == ["0", "1"]


def test_folders_and_nested_archives(tmp_path):
    folder = tmp_path / "crystals"
    (folder / "b").mkdir(parents=True)
    (folder / "b" / "salt.cif").write_text(CIF)
    (folder / "POSCAR_1").write_text(str(Poscar(to_structure(example_crystal()))))
    (folder / "README.md").write_text("nothing")
    (folder / "id_prop.csv").write_text("id,gap\n1,2\n")
    (folder / ".hidden.cif").write_text("nothing")
    with zipfile.ZipFile(folder / "inner.zip", "w") as inner:
        inner.writestr("x/one.cif", CIF)
        inner.writestr("__MACOSX/x/._one.cif", "junk")
        inner.writestr("table.csv", f'cif\n"{CIF}"\n')
    expected = ["POSCAR_1", "b/salt.cif", "inner.zip/table.csv/0", "inner.zip/x/one.cif"]
    assert rows_of(folder) == expected
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as outer:
        for path in folder.rglob("*"):
            outer.write(path, path.relative_to(folder).as_posix())
    assert rows_of(tmp_path / "all.zip") == expected


def test_extended_xyz(tmp_path):
    atoms = to_atoms(example_crystal())
    atoms.info = {"energy": -3.5, "label": "salt and pepper"}
    ase.io.write(tmp_path / "t.extxyz", [atoms, atoms], format="extxyz")
    assert rows_of(tmp_path / "t.extxyz") == ["0", "1"]
    record = next(read_records(tmp_path / "t.extxyz"))
    assert record.properties["label"] == "salt and pepper"
    assert record.properties["energy"] == "-3.5"
    packed = tmp_path / "t.xyz.gz"
    packed.write_bytes(gzip.compress((tmp_path / "t.extxyz").read_bytes()))
    assert rows_of(packed) == ["0", "1"]


def test_ase_database(tmp_path):
    with ase.db.connect(tmp_path / "t.db") as database:
        database.write(to_atoms(example_crystal()), gap=5.0, name="salt")
    assert rows_of(tmp_path / "t.db") == ["1"]
    assert next(read_records(tmp_path / "t.db")).properties == {"gap": "5.0", "name": "salt"}


def test_pymatgen_json(tmp_path):
    structure = to_structure(example_crystal())
    entry = ComputedStructureEntry(structure, -27.0, entry_id="e1", data={"gap": 5.0}).as_dict()

    def rows(value, name="t.json"):
        text = json.dumps(value, default=float).encode()
        packed = bz2.compress(text) if name.endswith("bz2") else text
        (tmp_path / name).write_bytes(packed)
        return rows_of(tmp_path / name)

    assert rows(structure.as_dict()) == [""]
    assert rows([structure.as_dict()] * 2) == ["0", "1"]
    assert rows({"mp-1": structure.as_dict(), "count": 1}) == ["mp-1"]
    assert rows({"entries": [entry]}, "t.json.bz2") == ["entries/0"]
    assert rows([entry]) == ["0"]
    properties = next(read_records(tmp_path / "t.json")).properties
    assert properties["energy"] == "-27.0"
    assert properties["entry_id"] == "e1"
    assert properties["gap"] == "5.0"


@pytest.mark.parametrize("scale", ["1.5", "-216"])
def test_the_scale_of_a_poscar_holds_for_cartesian_coordinates_too(scale):
    """A negative one is the volume: of a cube of 4 Å it makes one of 6."""
    text = f"x\n{scale}\n4 0 0\n0 4 0\n0 0 4\nPo Te\n1 1\ncartesian\n0 0 0\n2 2 1\n"
    cell = parse("poscar", text)
    expected = ase.io.read(io.StringIO(text), format="vasp")
    np.testing.assert_allclose(cell.lattice, expected.cell.array)
    np.testing.assert_allclose(cell.lattice, 6 * np.eye(3))
    np.testing.assert_allclose(cell.frac, expected.get_scaled_positions())


@pytest.mark.parametrize("behind", ["", "\n", "\n\n0 0 0\n0 0 0\n", "\n \nlattice velocities\n"])
@pytest.mark.parametrize("mode", ["direct", "Cartesian", "Selective\nDirect"])
def test_what_may_follow_the_atoms_of_a_poscar(behind, mode):
    text = f"{CELL}Po\n1\n{mode}\n0 0 0 T T T{behind}"
    assert parse("poscar", text).numbers.tolist() == [84]


def test_real_archive(shared_data):
    records = list(read_records(shared_data / "samples" / "mattergen_paper_cifs.zip"))
    assert len(records) > 30
    for record in records:
        if "Ta0.66666667Cr1.33333333O4" in record.row:
            with pytest.raises(ValueError, match=r"occupied by Ta:0.333, Cr:0.667"):
                parse(record.kind, record.content)
        else:
            assert len(parse(record.kind, record.content).numbers)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"name\nA\n", "has no column 'cif' or 'structure', only name"),
        ("t.csv", b"", "has no column 'cif'"),
        ("t.csv", b"cif\n\xff\xfe\n", "cannot be read to its end"),
        (
            "t.csv.gz",
            gzip.compress(b"cif\n" + bytes(1000), mtime=0)[:-9],
            "cannot be read to its end",
        ),
        ("t.parquet", b"PAR1", "cannot be read to its end"),
        ("t.zip", b"PK", "cannot be read to its end"),
        ("t.json", b"[", "cannot be read to its end"),
        ("t.db", b"no database", "cannot be read to its end"),
        ("t.xyz", b"two\nx\n", "cannot be read to its end"),
        ("t.png", b"", "is not a kind of file that can be read"),
    ],
)
def test_damaged_and_unknown_files_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        list(read_records(tmp_path / name))
    assert name in str(caught.value)


def test_damaged_members_are_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("inner/t.json", "[")
    with pytest.raises(ValueError, match="cannot be read to its end") as caught:
        list(read_records(tmp_path / "all.zip"))
    assert str(caught.value).startswith(f"{tmp_path}/all.zip/inner/t.json: ")


def test_missing_files_are_named(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        list(read_records(tmp_path / "none.csv"))


@pytest.mark.parametrize(
    ("kind", "content", "code"),
    [
        ("poscar", "no poscar", "unreadable"),
        ("poscar", f"{CELL}T\n1\ndirect\n0 0 0 Ti\n", "unreadable"),
        ("poscar", f"{CELL}Po\n1\ndirect\n0 0 0\n.5 0 0\n", "unreadable"),
        ("poscar", f"{CELL}1\ndirect\n0 0 0\n", "unreadable"),
        ("poscar", f"{CELL}2093918199 # many\nFe\n1\ndirect\n0 0 0 Fe\n", "unreadable"),
        ("poscar", f"{CELL}Fe\nS\n1\n999999999999\ndirect\n0 0 0 Fe\n", "unreadable"),
        ("extxyz", "1\nno lattice\nH 0 0 0\n", "bad_lattice"),
        ("extxyz", "1\nLattice='1 0'\nH 0 0 0\n", "unreadable"),
        ("structure", {"lattice": {}, "sites": []}, "unreadable"),
        ("ase_row", (b"\1\0\0\0", bytes(24), np.eye(3).tobytes(), 3), "bad_lattice"),
        ("ase_row", (b"\1\0\0\0", bytes(24), bytes(72), 7), "bad_lattice"),
        ("ase_row", (b"\1\0\0", bytes(24), np.eye(3).tobytes(), 7), "unreadable"),
        ("ase_row", ("text", None, np.eye(3).tobytes(), 7), "unreadable"),
    ],
)
def test_records_that_hold_no_crystal(kind, content, code):
    with pytest.raises(ValueError) as caught:
        parse(kind, content)
    assert caught.value.code == code
