"""Which crystals are read, from sets of ours and from files, and what is said of the others."""

import gzip

import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.core.progress import Progress
from jaxcrys.crystal.cif import to_cif
from jaxcrys.data.crystal_set import read_set
from jaxcrys.data.pool import Workers
from tests.view.sets import prototypes, write_set

CRYSTALS = list(prototypes().values())


@pytest.fixture(scope="module")
def workers():
    with Workers(1) as pool:
        yield pool


def read(path, workers, limit=100):
    return read_set(path, limit=limit, symprec=0.1, workers=workers, progress=Progress())


def test_a_set_of_ours_is_read_with_its_table(tmp_path, workers):
    rows = [{"id": f"c{index}", "e_hull": str(index / 10)} for index in range(len(CRYSTALS))]
    folder = write_set(tmp_path / "set", CRYSTALS, rows)
    found = read(folder, workers)
    assert found.rows == rows
    assert [int(each.group) for each in found.crystals] == [int(each.group) for each in CRYSTALS]
    assert (found.total, found.rejected, found.found) == (len(CRYSTALS), [], False)
    few = read(folder / "crystals.npz", workers, limit=3)
    assert (few.rows, few.total) == (rows[:3], len(CRYSTALS))
    assert np.array_equal(few.crystals[1].free, found.crystals[1].free)


def test_a_set_without_a_table_has_numbers_for_names(tmp_path, workers):
    found = read(write_set(tmp_path / "set", CRYSTALS[:2]), workers)
    assert found.rows == [{"id": "00000"}, {"id": "00001"}]


@pytest.mark.parametrize("count", [1, 3])
def test_a_table_of_another_length_is_refused(tmp_path, workers, count):
    rows = [{"id": str(index)} for index in range(count)]
    folder = write_set(tmp_path / "set", CRYSTALS[:2], rows)
    with pytest.raises(InputError, match=r"table\.csv: has no row with an id for each of the 2"):
        read(folder, workers)


def test_files_are_read_and_what_is_no_crystal_is_listed(tmp_path, workers):
    folder = tmp_path / "cifs"
    folder.mkdir()
    for name, crystal in prototypes().items():
        (folder / f"{name}.cif").write_text(to_cif(crystal), encoding="utf-8")
    (folder / "nonsense.cif").write_text("this is no CIF", encoding="utf-8")
    (folder / "view.html").write_text("an older page", encoding="utf-8")
    found = read(folder, workers)
    assert found.found
    groups = {row["id"]: int(each.group)
              for row, each in zip(found.rows, found.crystals, strict=True)}  # fmt: skip
    assert groups == {f"{name}.cif": int(each.group) for name, each in prototypes().items()}
    assert [row["id"] for row in found.rejected] == ["nonsense.cif"]
    few = read(folder, workers, limit=4)
    assert (len(few.crystals), len(few.rejected), few.total) == (3, 1, len(CRYSTALS) + 1)


def test_columns_of_a_table_of_cifs_are_kept(tmp_path, workers):
    path = tmp_path / "some.csv.gz"
    cif = to_cif(CRYSTALS[0]).replace('"', '""')
    with gzip.open(path, "wt", encoding="utf-8") as handle:
        handle.write(f'material_id,band_gap,cif\nmp-1,5.2,"{cif}"\n')
    (row,) = read(path, workers).rows
    assert (row["id"], row["band_gap"], row["formula"]) == ("mp-1", "5.2", "NaCl")


def test_what_holds_no_crystals_is_refused(tmp_path, workers):
    with pytest.raises(InputError, match="does not exist"):
        read(tmp_path / "nowhere", workers)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no crystal; give a folder made by"):
        read(tmp_path / "empty", workers)
    (tmp_path / "bad.cif").write_text("this is no CIF", encoding="utf-8")
    with pytest.raises(InputError, match="holds no crystal among 1 record: the first"):
        read(tmp_path / "bad.cif", workers)
    (tmp_path / "words.txt").write_text("words", encoding="utf-8")
    with pytest.raises(InputError, match="is not a kind of file that can be read"):
        read(tmp_path / "words.txt", workers)
