"""Hostile files from honest ones: damaged bytes, exchanged words, impossible numbers (hypothesis).

And crystals drawn at random, written by libraries other than ours, in cells as nobody draws them.
"""

import io
import re
import warnings

import ase.io
import numpy as np
from ase import Atoms
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter
from pymatgen.io.vasp.inputs import Poscar

WORDS = (
    *(b"0", b"-0", b"1", b"-1", b"2", b"0.5", b"nan", b"NaN", b"inf", b"-inf", b"1e999", b"1e-320"),
    *(b"99999999999999999999", b"1" * 400, b"1e5", b"-1e5", b"1.0000001", b"0.333", b"1/3", b"?"),
    *(b".", b"", b"''", b'"', b"'", b"#", b";", b",", b"loop_", b"data_b", b"T", b"F", b"null"),
    *(b"true", b"[]", b"{}", b"[[]]", b"x,y,z", b"-x,-y,-z", b"x+1/2,y,z", b"2x,y,z", b"x,x,x"),
    *(b"H", b"D", b"X", b"Uuo", b"Na", b"Na+", b"O2-", b"0.5(2)", b"\0", b"\xff", "π".encode()),
)
"""What is put in the place of words."""

_WORD = re.compile(rb"[^\s,:\"'{}\[\]()]+")


@st.composite
def damaged(draw, contents: tuple[bytes, ...], *, text: bool) -> bytes:
    """One of some contents, changed in one to four places."""
    content = bytearray(draw(st.sampled_from(contents)))
    changes = (*_ANY, *_TEXT) if text else _ANY
    for _ in range(draw(st.integers(1, 4))):
        if content:
            draw(st.sampled_from(changes))(draw, content)
    return bytes(content)


def _place(draw, content: bytearray) -> int:
    return draw(st.integers(0, len(content) - 1))


def _flip(draw, content: bytearray) -> None:
    content[_place(draw, content)] ^= 1 << draw(st.integers(0, 7))


def _cut(draw, content: bytearray) -> None:
    del content[_place(draw, content) :]


def _remove(draw, content: bytearray) -> None:
    start = _place(draw, content)
    del content[start : start + draw(st.integers(1, 64))]


def _repeat(draw, content: bytearray) -> None:
    start = _place(draw, content)
    content[start:start] = content[start : start + draw(st.integers(1, 256))]


def _insert(draw, content: bytearray) -> None:
    place = _place(draw, content)
    content[place:place] = draw(st.binary(min_size=1, max_size=8))


def _word(draw, content: bytearray) -> slice:
    found = [match.span() for match in _WORD.finditer(content)] or [(0, len(content))]
    return slice(*draw(st.sampled_from(found)))


def _replace_word(draw, content: bytearray) -> None:
    content[_word(draw, content)] = draw(st.sampled_from(WORDS))


def _exchange_words(draw, content: bytearray) -> None:
    first, second = sorted((_word(draw, content), _word(draw, content)), key=lambda s: s.start)
    if first.stop <= second.start:
        one, two = content[first], content[second]
        content[second], content[first] = one, two


def _change_digit(draw, content: bytearray) -> None:
    digits = [place for place, byte in enumerate(content) if byte in b"0123456789"]
    if digits:
        content[draw(st.sampled_from(digits))] = draw(st.sampled_from(b"0123456789"))


def _exchange_lines(draw, content: bytearray) -> None:
    lines = bytes(content).split(b"\n")
    first, second = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    lines[first], lines[second] = lines[second], lines[first]
    content[:] = b"\n".join(lines)


_ANY = (_flip, _cut, _remove, _repeat, _insert)
_TEXT = (_replace_word, _replace_word, _exchange_words, _change_digit, _exchange_lines)


@st.composite
def cells(draw) -> Structure:
    """Some atoms in any cell: skewed, left-handed, with coordinates far outside of it."""
    number = st.floats(-3, 3, allow_nan=False, width=32)
    matrix = np.array(draw(st.lists(number, min_size=9, max_size=9))).reshape(3, 3)
    matrix += draw(st.sampled_from([4.0, -4.0, 6.0])) * np.eye(3)
    count = draw(st.integers(1, 5))
    special = st.sampled_from([0.0, 0.25, 0.5, 1 / 3, 2 / 3, 0.3333, 1.0, -0.5, 1.75])
    place = st.lists(st.one_of(special, number), min_size=3, max_size=3)
    places = draw(st.lists(place, min_size=count, max_size=count))
    numbers = draw(st.lists(st.integers(1, 103), min_size=count, max_size=count))
    return Structure(Lattice(matrix), numbers, places)


def written(structure: Structure, kind: str) -> bytes:
    """By pymatgen or ASE."""
    atoms = Atoms(
        structure.atomic_numbers, scaled_positions=structure.frac_coords,
        cell=structure.lattice.matrix, pbc=True,
    )  # fmt: skip
    out = io.BytesIO() if kind == "cif_by_ase" else io.StringIO()
    if kind == "cif":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of elements without electronegativity
            return str(CifWriter(structure, significant_figures=10)).encode()
    if kind == "poscar":
        return Poscar(structure, sort_structure=True).get_str(significant_figures=12).encode()
    ase.io.write(out, atoms, format="cif" if kind == "cif_by_ase" else "extxyz")
    content = out.getvalue()
    return content if isinstance(content, bytes) else content.encode()
