"""Public datasets: what the table says of them, and how they are fetched and unpacked."""

import contextlib
import csv
import hashlib
import io
import json
import re
import shlex
import zipfile

import pytest

from jaxcrys.cli.main import main
from jaxcrys.core.download import DownloadError
from jaxcrys.core.errors import InputError
from jaxcrys.data import fetch as module
from jaxcrys.data.fetch import fetch
from jaxcrys.data.public import DATASETS, PublicDataset, PublicFile
from tests.serving import Served, serving

SALT = """data_NaCl
_symmetry_space_group_name_H-M   'P 1'
_cell_length_a   3.99
_cell_length_b   3.99
_cell_length_c   3.99
_cell_angle_alpha   60
_cell_angle_beta   60
_cell_angle_gamma   60
loop_
 _atom_site_type_symbol
 _atom_site_label
 _atom_site_fract_x
 _atom_site_fract_y
 _atom_site_fract_z
 _atom_site_occupancy
  Na  Na0  0.0  0.0  0.0  1
  Cl  Cl1  0.5  0.5  0.5  1
"""


def table(*names):
    """A CSV of as many crystals."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([["", "material_id", "cif"], *([i, n, SALT] for i, n in enumerate(names))])
    return text.getvalue().encode()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def git_blob(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def archive(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in members.items():
            target.writestr(name, data)
    return file.getvalue()


def dataset(*files, **settings):
    return PublicDataset("tiny crystals", 3, "MIT", ("A. Nobody (2020)",), files, **settings)


@pytest.fixture
def served():
    """Files behind a local address."""
    return {"train.csv": Served(table("a", "b")), "val.csv": Served(table("c"))}


@pytest.fixture
def named(served, monkeypatch):
    """Two datasets of them: 'tiny' is checked, 'reported' is not certain."""
    with serving(served) as address:
        tiny = [
            PublicFile(name, address + name, f"git-blob:{git_blob(file.data)}", len(file.data))
            for name, file in served.items()
        ]
        reported = PublicFile(
            "train.csv", f"{address}train.csv", f"sha256:{'0' * 64}", certain=False
        )
        monkeypatch.setattr(
            module,
            "DATASETS",
            {
                "tiny": dataset(*tiny, tables=("train.csv", "val.csv")),
                "reported": dataset(reported, tables=("train.csv",)),
            },
        )
        yield address


# The table.


@pytest.mark.parametrize("name", DATASETS)
def test_addresses_do_not_change_and_files_have_checksums(name):
    pinned = re.compile(r"https://raw\.githubusercontent\.com/[\w-]+/[\w-]+/[0-9a-f]{40}/\S+")
    for file in DATASETS[name].files:
        assert pinned.fullmatch(file.url) or file.checksum.startswith("sha256:")
        assert re.fullmatch(r"git-blob:[0-9a-f]{40}|sha256:[0-9a-f]{64}", file.checksum)
        assert file.size or not file.certain
    assert set(DATASETS[name].tables) == set(
        DATASETS[name].members or [file.name for file in DATASETS[name].files]
    )
    checksums = [file.checksum for one in DATASETS.values() for file in one.files]
    assert len(set(checksums)) == len(checksums)


def test_the_help_names_all_of_them():
    out = io.StringIO()
    with contextlib.redirect_stdout(out), pytest.raises(SystemExit):
        main(["data", "fetch", "--help"])
    assert all(name in out.getvalue() for name in DATASETS)


def test_the_list_has_a_line_for_each(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["data", "list"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert "mp_20: Materials Project, at most 20 atoms" in printed
    assert "45,229 crystals, 58.2 MB, CC-BY-4.0" in printed
    assert len(printed.splitlines()) == 2 * len(DATASETS)


# Fetching.


def test_files_are_fetched_once_with_a_note_of_their_source(named, served, tmp_path):
    folder = tmp_path / "tiny"
    found = fetch("tiny", folder)
    for file in found:
        data = served[file.name].data
        assert (folder / file.name).read_bytes() == data
        assert file.verdict == f"is git-blob:{git_blob(data)}, as it must be"
    note = json.loads((folder / "source.json").read_text())
    assert note["licence"] == "MIT"
    assert note["files"][0] == {
        "name": "train.csv",
        "url": f"{named}train.csv",
        "size": len(served["train.csv"].data),
        "sha256": sha256(served["train.csv"].data),
        "verdict": found[0].verdict,
    }
    assert fetch("tiny", folder) == found
    assert [file.asked for file in served.values()] == [[None], [None]]


def test_what_is_missing_is_fetched_again(named, served, tmp_path):
    found = fetch("tiny", tmp_path)
    (tmp_path / "val.csv").unlink()
    assert fetch("tiny", tmp_path) == found
    assert [len(file.asked) for file in served.values()] == [1, 2]


def test_files_of_others_are_not_overwritten(named, served, tmp_path):
    (tmp_path / "val.csv").write_text("mine")
    with pytest.raises(InputError, match=r"val\.csv: is there and is another file; move it away"):
        fetch("tiny", tmp_path)
    assert (tmp_path / "val.csv").read_text() == "mine"


def test_a_note_does_not_vouch_for_a_file(named, tmp_path):
    fetch("tiny", tmp_path)
    (tmp_path / "val.csv").write_text("mine")
    note = json.loads((tmp_path / "source.json").read_text())
    note["files"][1]["sha256"] = sha256(b"mine")
    (tmp_path / "source.json").write_text(json.dumps(note))
    with pytest.raises(InputError, match="is another file"):
        fetch("tiny", tmp_path)


def test_wrong_files_are_refused(named, served, tmp_path):
    served["val.csv"].data = table("x")
    with pytest.raises(DownloadError, match="has not the bytes it must have"):
        fetch("tiny", tmp_path)
    assert not (tmp_path / "val.csv").exists()


def test_a_checksum_that_is_only_reported_is_compared_and_not_required(named, served, tmp_path):
    data = served["train.csv"].data
    (found,) = fetch("reported", tmp_path)
    assert found.verdict == (
        f"not checked: sha256:{sha256(data)} differs from {'0' * 64}, reported of a copy"
    )
    assert fetch("reported", tmp_path) == [found]
    assert served["train.csv"].asked == [None]
    (tmp_path / "train.csv").write_text("other")
    with pytest.raises(InputError, match="is another file"):
        fetch("reported", tmp_path)


def test_a_checksum_that_is_as_reported_is_not_called_checked(named, served, tmp_path):
    digest = sha256(served["train.csv"].data)
    one = module.DATASETS["reported"].files[0]._replace(checksum=f"sha256:{digest}")
    module.DATASETS["reported"] = dataset(one)
    (found,) = fetch("reported", tmp_path)
    assert found.verdict.startswith("not checked against its source")


def test_unknown_names_are_refused(named, tmp_path):
    with pytest.raises(InputError, match="there is no 'mp20'; known: tiny, reported"):
        fetch("mp20", tmp_path)


# Archives.


@pytest.fixture
def packed(monkeypatch):
    """A server of an archive, as the dataset 'packed'."""

    @contextlib.contextmanager
    def serve(data, members):
        served = Served(data)
        with serving({"all.zip": served}) as address:
            file = PublicFile("all.zip", f"{address}all.zip", f"sha256:{sha256(data)}", len(data))
            one = dataset(file, tables=tuple(members), members=members)
            monkeypatch.setattr(module, "DATASETS", {"packed": one})
            yield served

    return serve


def test_tables_are_taken_out_of_an_archive_and_nothing_else(packed, tmp_path):
    inside = {
        "all/train.csv": table("a", "b"),
        "../outside.csv": b"harm",
        "/tmp/absolute.csv": b"harm",
        "source.json": b"harm",
    }
    with packed(archive(**inside), {"train.csv": "all/train.csv"}) as served:
        fetch("packed", tmp_path / "packed")
        fetch("packed", tmp_path / "packed")
    assert served.asked == [None]
    assert (tmp_path / "packed" / "train.csv").read_bytes() == inside["all/train.csv"]
    shown = [path.name for path in tmp_path.rglob("[!.]*") if path.is_file()]
    assert sorted(shown) == ["all.zip", "source.json", "train.csv"]


def test_a_table_that_was_changed_is_not_overwritten(packed, tmp_path):
    with packed(archive(**{"train.csv": table("a", "b")}), {"train.csv": "train.csv"}):
        fetch("packed", tmp_path)
        (tmp_path / "train.csv").write_bytes(table("a", "c"))
        with pytest.raises(InputError, match=r"train\.csv: is there and is another file"):
            fetch("packed", tmp_path)


@pytest.mark.parametrize(
    ("member", "most", "message"),
    [
        ("all/train.csv", 1000, r"all\.zip: holds no all/train\.csv"),
        ("train.csv", 999, r"train\.csv has 1000 bytes unpacked"),
    ],
)
def test_members_that_are_missing_or_too_large_are_refused(
    member, most, message, packed, tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "MOST_UNPACKED", most)
    with (
        packed(archive(**{"train.csv": b"0" * 1000}), {"train.csv": member}),
        pytest.raises(InputError, match=message),
    ):
        fetch("packed", tmp_path)
    assert not (tmp_path / "train.csv").exists()


# The command.


def test_the_command_says_what_to_do_next_and_that_works(named, tmp_path, capsys):
    folder = tmp_path / "a folder"
    with pytest.raises(SystemExit) as ended:
        main(["data", "fetch", "tiny", "--out", str(folder)])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert "train.csv, 0.0 MB: is git-blob:" in printed
    assert "licence: MIT\ncite: A. Nobody (2020)\nnext:\n" in printed
    commands = [shlex.split(line) for line in printed.split("next:\n")[1].splitlines()]
    assert [words[:2] for words in commands] == [["jaxcrys", "prepare"]] * 2
    with pytest.raises(SystemExit) as ended:
        main([*commands[0][1:], "--workers", "1"])
    assert ended.value.code == 0
    assert "2 crystals, 0 rejected" in capsys.readouterr().out


def test_the_command_fails_in_one_line(named, served, tmp_path, capsys):
    served["train.csv"].statuses = [404]
    with pytest.raises(SystemExit) as ended:
        main(["data", "fetch", "tiny", "--out", str(tmp_path / "out")])
    assert ended.value.code == 1
    assert re.fullmatch(
        r"error: http.*train.csv: the server answers 404 .*\n", capsys.readouterr().err
    )
