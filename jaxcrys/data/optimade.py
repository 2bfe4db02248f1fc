"""Structures as OPTIMADE gives them: what the materials databases of the world answer in.

Source: the OPTIMADE specification 1.2, entry type ``structures`` (Andersen et al. 2021, Sci. Data
8, 217). An entry is read if it is one ordered crystal, periodic in three directions, of which all
atoms are given; everything else is rejected with the reason.
"""

from collections import Counter
from collections.abc import Mapping
from math import gcd
from typing import Any

import numpy as np

from jaxcrys.core.elements import SYMBOLS, anonymous_formula, atomic_number
from jaxcrys.crystal.raw import RawCell
from jaxcrys.crystal.rejection import Rejection

API_VERSION = "1.2.0"

PREFIX = "_jaxcrys_"
"""Before the names of our own properties, as the specification asks of every provider."""

NAMES = PREFIX + "names"
"""Property with the names of columns that OPTIMADE does not allow as they are."""

CELL_FIELDS = (
    "lattice_vectors", "cartesian_site_positions", "species_at_sites", "species",
    "dimension_types", "nperiodic_dimensions", "nsites", "structure_features",
)  # fmt: skip
"""What a cell is read from."""

_DERIVED = (
    "elements", "nelements", "elements_ratios", "chemical_formula_descriptive",
    "chemical_formula_reduced", "chemical_formula_anonymous", "chemical_formula_hill",
)  # fmt: skip

TABLE_FIELDS = frozenset(CELL_FIELDS[:3])
"""Columns of tables that hold such structures."""

_SHARED = {"disorder", "assemblies"}
_MISSING = {"implicit_atoms", "site_attachments"}


def is_entry(value: Any) -> bool:
    """Whether a value of JSON is an entry of structures.

    Example:
        >>> is_entry({"type": "structures", "id": "1", "attributes": {}})
        True
        >>> is_entry({"type": "references", "id": "1", "attributes": {}})
        False
    """
    known = isinstance(value, dict) and value.get("type") == "structures"
    return known and isinstance(value.get("attributes"), dict)


def is_other(value: Any) -> bool:
    """Whether it is something else that a server answers, such as a description of properties."""
    return isinstance(value, dict) and value.get("type") in _OTHER_TYPES


_OTHER_TYPES = ("info", "links", "references", "calculations", "files", "trajectories")


def properties_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The id of an entry and its plain attributes; those of ours by the names of the columns."""
    attributes = entry["attributes"]
    names = attributes.get(NAMES)
    names = names if isinstance(names, dict) else {}
    found: dict[str, Any] = {"id": entry.get("id")}
    for name, value in other_columns(attributes).items():
        short = name.removeprefix(PREFIX)
        found[str(names.get(short, short))] = value
    return found


def cell_fields(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What :func:`cell_of` needs."""
    return {name: attributes[name] for name in CELL_FIELDS if name in attributes}


def other_columns(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What neither describes the cell nor follows from it."""
    left_out = {*CELL_FIELDS, *_DERIVED}
    return {name: value for name, value in attributes.items() if name not in left_out}


def cell_of(attributes: Mapping[str, Any]) -> RawCell:
    """The cell that the attributes of an entry describe.

    Raises:
        Rejection: ``disordered``, ``incomplete``, ``unknown_element``, ``bad_lattice`` or
            ``unreadable``.

    Example:
        >>> attributes = {
        ...     "lattice_vectors": [[4, 0, 0], [0, 4, 0], [0, 0, 4]],
        ...     "cartesian_site_positions": [[1, 0, 0]],
        ...     "species_at_sites": ["polonium"],
        ...     "species": [
        ...         {"name": "polonium", "chemical_symbols": ["Po"], "concentration": [1.0]}
        ...     ],
        ... }
        >>> cell = cell_of(attributes)
        >>> cell.numbers.tolist(), cell.frac.tolist()
        ([84], [[0.25, 0.0, 0.0]])
    """
    _check_features(attributes)
    dimensions = attributes.get("dimension_types") or [1, 1, 1]
    if list(dimensions) != [1, 1, 1] or attributes.get("nperiodic_dimensions") not in (None, 3):
        raise Rejection("bad_lattice", f"is not periodic in three directions: {dimensions}")
    species = {each["name"]: each for each in attributes.get("species") or ()}
    at_sites = attributes["species_at_sites"]
    known = {name: _number(name, species) for name in dict.fromkeys(at_sites)}
    numbers = np.array([known[name] for name in at_sites], int)
    lattice = np.array(attributes["lattice_vectors"], float)
    positions = np.array(attributes["cartesian_site_positions"], float).reshape(-1, 3)
    sites = attributes.get("nsites")
    if len(positions) != len(numbers) or sites not in (None, len(numbers)):
        raise Rejection(
            "unreadable",
            f"has {len(positions)} positions and {len(numbers)} species, nsites {sites}",
        )
    if lattice.shape != (3, 3) or not np.isfinite(lattice).all() or np.linalg.det(lattice) == 0:
        raise Rejection("bad_lattice", "the lattice vectors span no volume")
    return RawCell(lattice, positions @ np.linalg.inv(lattice), numbers)


def _check_features(attributes: Mapping[str, Any]) -> None:
    features = set(attributes.get("structure_features") or ())
    if features & _SHARED:
        raise Rejection("disordered", f"the structure has {', '.join(sorted(features & _SHARED))}")
    if features & _MISSING:
        missing = ", ".join(sorted(features & _MISSING))
        raise Rejection("incomplete", f"not all atoms are given: {missing}")


def _number(name: str, species: Mapping[str, Mapping[str, Any]]) -> int:
    """The atomic number of a species; one that is not described is an element by its name."""
    described = species.get(name, {"chemical_symbols": [name], "concentration": [1.0]})
    symbols = list(described["chemical_symbols"])
    concentration = [float(share) for share in described["concentration"]]
    if len(symbols) != 1 or len(concentration) != 1 or concentration[0] != 1:
        shares = ", ".join(map("{}: {}".format, symbols, concentration))
        raise Rejection("disordered", f"a site {name!r} is occupied by {shares}")
    if described.get("attached"):
        raise Rejection("incomplete", f"atoms attached to {name!r} have no positions")
    if symbols[0] not in SYMBOLS[1:]:
        raise Rejection("unknown_element", f"{symbols[0]!r} is not an element")
    if name in SYMBOLS[1:] and name != symbols[0]:
        raise Rejection("unreadable", f"calls a site {name!r} that it describes as {symbols[0]}")
    return atomic_number(symbols[0])


def to_entry(name: str, cell: RawCell, row: Mapping[str, Any]) -> dict[str, Any]:
    """A cell as an entry, the columns of its row as properties of ours.

    Args:
        name: id of the entry.
        cell: the atoms of one unit cell.
        row: numbers and texts by the names of their columns.

    Example:
        >>> cell = RawCell(4 * np.eye(3), np.zeros((1, 3)), np.array([84]))
        >>> entry = to_entry("po", cell, {"e_hull": 0.1, "group_0.1": 221})
        >>> entry["attributes"]["chemical_formula_reduced"], entry["attributes"]["_jaxcrys_e_hull"]
        ('Po', 0.1)
        >>> properties_of(entry)["group_0.1"]
        221
    """
    columns, names = _columns(row)
    attributes = _described(cell) | {PREFIX + key: value for key, value in columns.items()}
    if names:
        attributes[NAMES] = names
    return {"type": "structures", "id": name, "attributes": attributes}


def _columns(row: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Columns by names that OPTIMADE allows (small letters, digits, ``_``), and what changed."""
    columns: dict[str, Any] = {}
    names: dict[str, str] = {}
    for name, value in row.items():
        allowed = "".join(c if c in _ALLOWED else "_" for c in name.lower())
        while allowed in columns:
            allowed += "_"
        columns[allowed] = value
        if allowed != name:
            names[allowed] = name
    return columns, names


_ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")


def _described(cell: RawCell) -> dict[str, Any]:
    """The attributes that OPTIMADE defines."""
    symbols = [SYMBOLS[number] for number in cell.numbers]
    counts = dict(sorted(Counter(symbols).items()))
    units = gcd(*counts.values())
    reduced = "".join(f"{s}{'' if n == units else n // units}" for s, n in counts.items())
    return {
        "immutable_id": None,
        "last_modified": None,
        "elements": list(counts),
        "nelements": len(counts),
        "elements_ratios": [count / len(symbols) for count in counts.values()],
        "chemical_formula_descriptive": reduced,
        "chemical_formula_reduced": reduced,
        "chemical_formula_anonymous": anonymous_formula(
            sorted((count // units for count in counts.values()), reverse=True)
        ),
        "dimension_types": [1, 1, 1],
        "nperiodic_dimensions": 3,
        "lattice_vectors": cell.lattice.tolist(),
        "cartesian_site_positions": (cell.frac @ cell.lattice).tolist(),
        "nsites": len(symbols),
        "species": [
            {"name": symbol, "chemical_symbols": [symbol], "concentration": [1.0]}
            for symbol in counts
        ],
        "species_at_sites": symbols,
        "structure_features": [],
    }


def response_meta(count: int) -> dict[str, Any]:
    """What stands beside ``data`` in a response that holds so many entries."""
    provider = {
        "name": "jaxcrys",
        "description": "crystals written by jaxcrys",
        "prefix": PREFIX.strip("_"),
    }
    return {
        "query": {"representation": ""},
        "api_version": API_VERSION,
        "more_data_available": False,
        "data_returned": count,
        "provider": provider,
    }


HEADER = {"x-optimade": {"meta": {"api_version": API_VERSION}}}
"""First line of a file of JSON lines."""
