"""Archives that lead out of themselves, and small files that hold too much."""

import bz2
import contextlib
import gzip
import stat
import warnings
import zipfile
from pathlib import Path

import pytest

from jaxcrys.core import untrusted
from jaxcrys.core.errors import InputError
from jaxcrys.core.untrusted import FACTOR, Budget, bound, lines, open_text, read_text

BOMB = 2**26 + 2**20
"""Bytes: a little more than is never judged."""


def pack(path: Path, members: dict, *, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that come twice
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def unpack(path: Path, target: Path, budget: Budget | None = None) -> None:
    budget = budget or Budget()
    with budget.archive(path) as archive:
        for member in archive.infolist():
            budget.extract(archive, member, target)


@pytest.mark.parametrize("name", ["t.txt", "t.txt.gz", "t.txt.bz2"])
def test_texts_are_read_as_python_reads_them(tmp_path, name):
    content = ("\ufeffone\r\ntwo π\n" * 1000).encode()
    packers = {".gz": gzip.compress, ".bz2": bz2.compress}
    path = tmp_path / name
    path.write_bytes(packers.get(path.suffix, bytes)(content))
    assert read_text(path) == ("\ufeffone\ntwo π\n" * 1000)[1:]
    with open_text(path, newline="") as handle:
        assert list(lines(path, handle)) == content.decode("utf-8-sig").splitlines(keepends=True)


@pytest.mark.parametrize("ending", [".gz", ".bz2"])
def test_bombs_are_not_unpacked(tmp_path, ending):
    packer = gzip.compress if ending == ".gz" else bz2.compress
    path = tmp_path / f"bomb.json{ending}"
    path.write_bytes(packer((bytes(2**16 - 1) + b"\n") * (BOMB // 2**16)))
    assert path.stat().st_size < 10**5
    with pytest.raises(InputError, match=rf"unpacks to more than {2**26} bytes.*{FACTOR}=10"):
        read_text(path)
    with open_text(path) as handle, pytest.raises(InputError, match="unpacks to more than"):
        for _ in lines(path, handle):
            pass


def test_a_larger_factor_lets_them_through(tmp_path, monkeypatch):
    path = tmp_path / "bomb.txt.gz"
    path.write_bytes(gzip.compress(bytes(BOMB)))
    monkeypatch.setenv(FACTOR, "2")
    assert len(read_text(path)) == BOMB


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "ten", ""])
def test_a_senseless_factor_is_named(monkeypatch, text):
    monkeypatch.setenv(FACTOR, text)
    with pytest.raises(InputError, match=rf"{FACTOR}: must be a positive number, got '{text}'"):
        bound(1)


def test_long_lines_and_texts_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "t.txt"
    path.write_text("short\n" + "x" * 1000)
    monkeypatch.setattr(untrusted, "LONGEST_LINE", 999)
    with open_text(path) as handle, pytest.raises(InputError, match="a line of more than 999"):
        list(lines(path, handle))
    monkeypatch.setattr(untrusted, "MOST_WHOLE", 1005)
    with pytest.raises(InputError, match="more than 1005 characters"):
        read_text(path)
    monkeypatch.setattr(untrusted, "MOST_WHOLE", 1006)
    assert len(read_text(path)) == 1006


@pytest.mark.parametrize(
    "name", ["../x.cif", "a/../../x.cif", "/tmp/x.cif", "..\\x.cif", "\\x.cif", "C:\\x.cif", "C:x"]
)
def test_archives_that_lead_out_of_themselves_are_refused(tmp_path, name):
    path = pack(tmp_path / "slip.zip", {"good.cif": "1", name: "2"})
    with pytest.raises(InputError, match="would lie outside of it"):
        unpack(path, tmp_path / "out")
    assert [file.name for file in tmp_path.iterdir()] == ["slip.zip"]


def test_links_and_encrypted_files_are_refused(tmp_path):
    link = zipfile.ZipInfo("link.cif")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = pack(tmp_path / "link.zip", {link: "/etc/passwd"})
    with pytest.raises(InputError, match=r"holds a link, 'link\.cif'"):
        unpack(path, tmp_path / "out")
    path = pack(tmp_path / "locked.zip", {"a.cif": "1"}, compression=zipfile.ZIP_STORED)
    content = path.read_bytes()
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        start = content.index(mark) + place
        content = content[:start] + b"\1" + content[start + 1 :]
    path.write_bytes(content)
    with pytest.raises(InputError, match="holds an encrypted file"):
        unpack(path, tmp_path / "out")


def test_bombs_in_archives_are_not_unpacked(tmp_path):
    path = pack(tmp_path / "bomb.zip", {"bomb.cif": b"\0" * BOMB})
    with pytest.raises(InputError, match=rf"'bomb\.cif' of \d+ bytes that unpacks to {BOMB}"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_a_member_announces_is_all_that_it_gives(tmp_path):
    """A small size in the list of members does not let a large one through."""
    path = pack(tmp_path / "liar.zip", {"a.cif": b"\0" * BOMB})
    content = path.read_bytes()
    lie = content.replace(BOMB.to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    assert lie != content
    path.write_bytes(lie)
    with pytest.raises((InputError, zipfile.BadZipFile)):
        unpack(path, tmp_path / "out")
    assert (tmp_path / "out").stat().st_size <= 1000


def test_all_archives_of_an_input_share_one_budget(tmp_path, monkeypatch):
    monkeypatch.setattr(untrusted, "MOST_UNPACKED", 1000)
    budget = Budget()
    path = pack(tmp_path / "a.zip", {"a.cif": "x" * 400}, compression=zipfile.ZIP_STORED)
    for _ in range(2):
        unpack(path, tmp_path / "out", budget)
    with pytest.raises(InputError, match="unpacks to more than 1000 bytes"):
        unpack(path, tmp_path / "out", budget)
    monkeypatch.setattr(untrusted, "MOST_MEMBERS", 3)
    path = pack(tmp_path / "many.zip", dict.fromkeys("abcd", ""))
    with pytest.raises(InputError, match="holds more than 3 files"):
        unpack(path, tmp_path / "out")


def test_archives_lie_in_each_other_so_deep_and_no_deeper(tmp_path):
    path, budget = pack(tmp_path / "a.zip", {"a": ""}), Budget()
    with contextlib.ExitStack() as stack:
        for _ in range(untrusted.DEEPEST):
            stack.enter_context(budget.archive(path))
        with pytest.raises(InputError, match="deeper than 3 archives"):
            stack.enter_context(budget.archive(path))
    with budget.archive(path):
        pass
