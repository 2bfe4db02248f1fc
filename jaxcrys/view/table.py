"""The table of a set: the columns made here and those of ``table.csv`` that say something more."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from jaxcrys.data.dataset import MISSING

OWN = (
    "id", "formula", "group", "atoms", "density", "shortest_distance", "wyckoff", "dof",
)  # fmt: skip
"""Columns made from the crystals themselves."""

JUDGED = (
    "status", "outcome", "energy_rank", "score", "e_hull", "e_above_hull", "e_form",
    "formation_energy_per_atom", "energy", "band_gap",
)  # fmt: skip
"""Columns that stand before others, as they are what crystals are chosen by."""

AFTER = 4
"""Columns of ``OWN`` that stand before those."""

TEXT = ("id", "formula", "wyckoff", "pretty_formula", "material_id", "source")
"""Columns that are text, whatever they look like."""

UNITS = {
    "density": "g/cm³", "shortest_distance": "Å", "rmsd": "Å", "fmax": "eV/Å", "stress": "eV/Å³",
    "band_gap": "eV",
} | dict.fromkeys(
    ("energy", "energy_before", "e_form", "e_form_before", "e_hull", "e_hull_before", "correction",
     "formation_energy_per_atom", "e_above_hull"),
    "eV/atom",
)  # fmt: skip

NUMBER, WORDS = "number", "text"

LARGEST = 2**53
"""Numbers beyond it lose digits in a browser, and stay text."""


ROUNDING = 1e-3
"""Relative difference of numbers that are the same but for rounding."""


class Column(NamedTuple):
    """One column: its kind is ``number``, ``text``, or for two of them their own name."""

    name: str
    kind: str
    unit: str


class Table(NamedTuple):
    """What is said of all crystals.

    Attributes:
        columns: in their order.
        rows: a value of each column for each crystal; None where there is none.
        constant: columns left out because all crystals have the same value, with that value.
        same: columns left out because they equal the group everywhere.
    """

    columns: list[Column]
    rows: list[list[Any]]
    constant: dict[str, str]
    same: list[str]


def make_table(own: Sequence[dict[str, Any]], given: Sequence[dict[str, Any]]) -> Table:
    """Join what was computed of each crystal with its row of a table.

    A column of the table that repeats one computed here only fills its gaps; where it differs, it
    stays under another name.

    Args:
        own: the columns ``OWN`` but for the id, as far as they are known.
        given: rows with an ``id`` and anything else.

    Example:
        >>> own = [{"formula": "NaCl", "group": 225}, {"formula": "CsCl", "group": 221}]
        >>> given = [{"id": "0", "seed": "7", "rank": "3"}, {"id": "1", "seed": "7", "rank": ""}]
        >>> table = make_table(own, given)
        >>> [column.name for column in table.columns], table.rows[1], table.constant
        (['id', 'formula', 'group', 'rank'], ['1', 'CsCl', 221, None], {'seed': '7'})
    """
    computed = [{"id": row["id"], **values} for row, values in zip(given, own, strict=True)]
    values = {name: _read(name, [row.get(name) for row in computed]) for name in OWN}
    constant, same = {}, []
    for name in dict.fromkeys(name for row in given for name in row if name != "id"):
        column = _read(name, [row.get(name) for row in given])
        if name in OWN:
            if _agree(column, values[name]):
                pairs = zip(values[name], column, strict=True)
                values[name] = [told if mine is None else mine for mine, told in pairs]
                continue
            name = f"{name} (table)"
        if len(column) > 1 and len(set(column)) == 1 and column[0] is not None:
            constant[name] = str(given[0][name])
        elif name.startswith("group_") and column == values["group"]:
            same.append(name)
        else:
            values[name] = column
    names = [name for name in _ordered(list(values)) if any(v is not None for v in values[name])]
    columns = [Column(name, _kind(name, values[name]), UNITS.get(name, "")) for name in names]
    rows = [list(row) for row in zip(*(values[name] for name in names), strict=True)]
    return Table(columns, rows, constant, same)


def _ordered(names: list[str]) -> list[str]:
    first = [*OWN[:AFTER], *(name for name in JUDGED if name in names), *OWN[AFTER:]]
    return list(dict.fromkeys([*first, *names]))


def _kind(name: str, values: list[Any]) -> str:
    if name in ("formula", "group"):
        return name
    return WORDS if any(isinstance(value, str) for value in values) else NUMBER


def _read(name: str, values: list[Any]) -> list[Any]:
    """A column as numbers if all that is there are numbers, otherwise as text."""
    if name in TEXT:
        return [None if value in (None, "") else str(value) for value in values]
    known = [None if value is None or str(value) in MISSING else value for value in values]
    numbers = [None if value is None else _number(value) for value in known]
    if numbers.count(None) == known.count(None):
        return numbers
    return [None if value is None else str(value) for value in known]


def _number(value: Any) -> int | float | None:
    text = str(value)
    if "_" in text:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    if not abs(number) <= LARGEST or not math.isfinite(number):
        return None
    return int(number) if number.is_integer() else number


def _agree(column: list[Any], own: list[Any]) -> bool:
    """Whether a column repeats what was computed, as far as both are known."""
    pairs = [pair for pair in zip(column, own, strict=True) if None not in pair]
    if any(isinstance(value, str) for pair in pairs for value in pair):
        return all(str(first) == str(second) for first, second in pairs)
    return all(math.isclose(*pair, rel_tol=ROUNDING) for pair in pairs)
