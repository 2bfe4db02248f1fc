"""``jaxcrys view``: where the page goes, what is said, and what is refused."""

import webbrowser

import pytest

from jaxcrys.cli.main import run
from jaxcrys.crystal.cif import to_cif
from tests.view.sets import prototypes, write_set

CRYSTALS = list(prototypes().values())[:3]


@pytest.fixture
def folder(tmp_path):
    rows = [{"id": str(index), "e_hull": "0.1"} for index in range(len(CRYSTALS))]
    return write_set(tmp_path / "set", CRYSTALS, rows)


def test_the_page_lies_in_the_folder_and_is_opened(folder, monkeypatch, capsys):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    assert run("view", [str(folder), "--workers", "1"]) == 0
    assert opened == []
    assert run("view", [str(folder), "--workers", "1", "--open"]) == 0
    page = folder / "view.html"
    assert opened == [page.resolve().as_uri()]
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith(f"{page}: 3 crystals, ")
    assert len(set(printed)) == 1
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert sorted(path.name for path in folder.iterdir()) == [
        "crystals.npz", "table.csv", "view.html",
    ]  # fmt: skip


def test_the_page_of_a_file_lies_beside_it(tmp_path, monkeypatch, capsys):
    (tmp_path / "salt.cif").write_text(to_cif(CRYSTALS[0]), encoding="utf-8")
    monkeypatch.setattr(webbrowser, "open", lambda address: False)
    assert run("view", [str(tmp_path / "salt.cif"), "--open", "--workers", "1"]) == 0
    assert (tmp_path / "salt.html").exists()
    assert "no browser was found" in capsys.readouterr().out


def test_a_limit_and_another_place(folder, tmp_path, capsys):
    out = tmp_path / "new" / "page.html"
    given = [str(folder), "--limit", "2", "--workers", "1"]
    assert run("view", [*given, "--out", str(out)]) == 0
    assert f"{out}: 2 crystals; 1 more is left out, " in capsys.readouterr().out
    assert not (folder / "view.html").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--limit", "0"], "--limit: must be at least 1, got 0"),
        (["--workers", "0"], "--workers: must be at least 1"),
        (["--symprec", "nan"], "--symprec: must be a positive length"),
        (["--out", "table.csv"], "--out: must be a file *.html, got table.csv"),
    ],
)
def test_bad_options_are_named(folder, capsys, more, message):
    assert run("view", [str(folder), *more]) == 2
    assert message in capsys.readouterr().err


def test_what_is_no_set_is_refused_and_nothing_is_written(tmp_path, capsys):
    assert run("view", [str(tmp_path / "nowhere")]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert run("view", [str(tmp_path), "--workers", "1"]) == 2
    assert "holds no crystal; give a folder made by 'jaxcrys generate'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
