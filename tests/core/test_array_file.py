"""Files of arrays: as NumPy reads them where they are honest, refused where they are not."""

import contextlib
import io
import pickle
import struct
import zipfile

import numpy as np
import pytest

from jaxcrys.core import array_file
from jaxcrys.core.array_file import map_arrays, read_array, read_arrays
from jaxcrys.core.errors import InputError

RANDOM = np.random.default_rng(0)
ARRAYS = {
    "plain": RANDOM.normal(size=(3, 4)),
    "fortran": np.asfortranarray(RANDOM.normal(size=(3, 4))),
    "scalar": np.array(7),
    "empty": np.zeros((0, 3), np.int16),
    "text": np.array(["a", "bc"]),
    "truth": np.array([True, False]),
    "big": np.arange(4, dtype=">i4"),
}


def header(text: str, content: bytes = b"") -> bytes:
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + content


def packed(path, members: dict[str, bytes], compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_honest_files_are_read_as_numpy_reads_them(tmp_path, save):
    save(tmp_path / "a.npz", **ARRAYS)
    found = read_arrays(tmp_path / "a.npz")
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].flags.writeable


def test_honest_files_are_mapped(tmp_path):
    arrays = {name: array for name, array in ARRAYS.items() if name != "fortran"}
    np.savez(tmp_path / "a.npz", **arrays)
    for name, array in map_arrays(tmp_path / "a.npz").items():
        np.testing.assert_array_equal(array, arrays[name])


class Mark:
    """Leaves a mark when it is unpickled."""

    made = 0

    def __reduce__(self):
        return _mark, ()


def _mark():
    Mark.made += 1


HOSTILE = {
    "objects": header(
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", pickle.dumps([1])
    ),
    "huge": header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"),
    "overflowing": header(
        "{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296, 2), }"
    ),
    "negative": header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }", bytes(8)),
    "cut off": header("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", bytes(8)),
    "too long": header("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", bytes(16)),
    "records": header(
        "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,), }", bytes(8)
    ),
    "dates": header("{'descr': '<M8[s]', 'fortran_order': False, 'shape': (1,), }", bytes(8)),
    "no dictionary": header("[1, 2"),
    "a program": header("__import__('os').system('true')"),
    "unhashable": header("{[]: 1}"),
    "brackets": header("(" * 110),
    "true shape": header("{'descr': '<f8', 'fortran_order': False, 'shape': (True,), }", bytes(8)),
    "nothing": b"",
    "magic": b"\x93NUMPY",
    "pickle": pickle.dumps([1, 2]),
    "text": b"text",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("read", [read_arrays, map_arrays])
def test_hostile_arrays_are_refused(tmp_path, name, read):
    path = packed(tmp_path / "a.npz", {"x.npy": HOSTILE[name]})
    with pytest.raises(InputError, match=r"a\.npz: is not a readable file of arrays"):
        read(path)


def test_nothing_is_unpickled(tmp_path):
    with open(tmp_path / "a.npz", "wb") as handle:
        np.savez(handle, x=np.array([Mark()], object))
    for read in (read_arrays, map_arrays):
        with pytest.raises(InputError):
            read(tmp_path / "a.npz")
    assert Mark.made == 0
    with np.load(tmp_path / "a.npz", allow_pickle=True) as stored:
        stored["x"]
    assert Mark.made == 1  # it would have


def test_other_members_and_doubles_are_refused(tmp_path):
    content = io.BytesIO()
    np.save(content, np.arange(3))
    good = content.getvalue()
    for members in ({"x.npy": good, "y.txt": b""}, {"x.npy": good, "dir/": b""}):
        with pytest.raises(InputError, match="something else than arrays"):
            read_arrays(packed(tmp_path / "a.npz", members))
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive, pytest.warns(match="Duplicate"):
        archive.writestr("x.npy", good)
    with pytest.raises(InputError):
        read_arrays(tmp_path / "a.npz")


def test_bombs_are_not_unpacked(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros(2**23 + 2**17))
    assert (tmp_path / "a.npz").stat().st_size < 10**5
    with pytest.raises(InputError, match=r"x\.npy unpacks to"):
        read_arrays(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", x=np.zeros(10), y=np.zeros(10))
    monkeypatch.setattr(array_file, "MOST_BYTES", 400)
    with pytest.raises(InputError, match="more than 400 bytes"):
        read_arrays(tmp_path / "b.npz")


def test_every_cut_and_every_flipped_bit_gives_arrays_or_an_error(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", **ARRAYS)
    content, path = (tmp_path / "a.npz").read_bytes(), tmp_path / "b.npz"
    for _ in range(300):
        damaged = bytearray(content)
        if RANDOM.random() < 0.3:
            del damaged[RANDOM.integers(len(damaged)) :]
        for place in RANDOM.integers(len(damaged), size=RANDOM.integers(1, 4)) if damaged else ():
            damaged[place] ^= 1 << int(RANDOM.integers(8))
        path.write_bytes(damaged)
        for read in (read_arrays, map_arrays):
            with contextlib.suppress(InputError):
                read(path)


def test_an_array_must_have_the_shape_that_is_asked_for():
    content = io.BytesIO()
    np.save(content, np.arange(6).reshape(2, 3))
    content.seek(0)
    assert read_array(content, shape=(2, 3)).tolist() == [[0, 1, 2], [3, 4, 5]]
    content.seek(0)
    with pytest.raises(ValueError, match=r"shape \(2, 3\) where \(3, 2\) belongs"):
        read_array(content, shape=(3, 2))
    with pytest.raises(ValueError, match="where"):  # before room for it is made
        read_array(io.BytesIO(HOSTILE["huge"]), shape=(3,))
