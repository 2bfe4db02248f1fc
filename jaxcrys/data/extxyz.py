"""Properties on the second line of an extended XYZ frame, read and written as they are.

ASE reads the formula of fluorine as a truth value, the name 007 as a number, and ``energy`` as a
result of a calculator, of the whole cell. Here texts stay texts, and columns with a name that ASE
keeps for itself have a ``_`` behind it in the file.
"""

import re
from collections.abc import Mapping
from typing import Any

from jaxcrys.core.untrusted import bound
from jaxcrys.crystal.rejection import Rejection

RESERVED = frozenset(
    {
        *("Lattice", "Properties", "pbc"),
        *("energy", "energies", "free_energy", "forces", "stress", "stresses", "virial"),
        *("dipole", "polarization", "dielectric_tensor", "born_effective_charges"),
        *("charges", "magmom", "magmoms"),
    }
)
"""Names that ASE takes for the cell or for results of a calculation."""

_ITEM = re.compile(r"""([^\s="']+)=("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s"'{\[]\S*)""")
_CELL = ("Lattice", "Properties", "pbc")
_WIDTH = re.compile(r":\s*(\d{1,20})")

MOST_COLUMNS = 200_000
"""Of an atom, all widths added that a comment line might announce."""


def check_columns(comment: str) -> None:
    """Reject a frame that announces more columns than any has: ASE would make room for them.

    Every number behind a colon counts, as ``Properties`` may stand there more than once.

    Raises:
        Rejection: ``unreadable``.

    Example:
        >>> check_columns("Properties=species:S:1:pos:R:3")
    """
    columns = sum(map(int, _WIDTH.findall(comment)))
    if columns > bound(MOST_COLUMNS):
        raise Rejection("unreadable", f"announces {columns} columns for each atom")


def items_of(comment: str) -> dict[str, str]:
    r"""The numbers and texts of a comment line; arrays are left out.

    Example:
        >>> items_of('Lattice="4 0 0 0 4 0 0 0 4" note="two \\"words\\"" formula=F energy_=-3')
        {'note': 'two "words"', 'formula': 'F', 'energy': '-3'}
    """
    found = {}
    for key, value in _ITEM.findall(comment):
        text = value[1:-1] if value[0] in "\"'" else value
        text = re.sub(r"\\(.)", r"\1", text)
        if key not in _CELL and not _is_array(text):
            plain = key.removesuffix("_")
            found[plain if plain in RESERVED else key] = text
    return found


def _is_array(text: str) -> bool:
    parts = text.split()
    return text.startswith("_JSON ") or (len(parts) > 1 and all(map(_is_number, parts)))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text in ("T", "F")
    return True


def info_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row for ASE to write; white space in texts becomes single spaces, as it must fit a line.

    Example:
        >>> info_of({"energy": -3.0, "note": "two lines"})
        {'energy_': -3.0, 'note': 'two lines'}
    """
    return {_key(name): _value(value) for name, value in row.items()}


def _key(name: str) -> str:
    key = re.sub(r"""[\s="'\\{}\[\]]+""", "_", name)
    return f"{key}_" if key in RESERVED else key


def _value(value: Any) -> Any:
    """ASE escapes quotation marks, but not backslashes."""
    return " ".join(value.replace("\\", "\\\\").split()) if isinstance(value, str) else value
