"""From one raw record to a crystal and its row of the table, or to the row of its rejection."""

from typing import Any, NamedTuple

from jaxcrys.crystal.convert import from_arrays
from jaxcrys.crystal.describe import formula, total_dof, wyckoff_string
from jaxcrys.crystal.expand import num_atoms
from jaxcrys.crystal.raw import RawCell, check_cell
from jaxcrys.crystal.rejection import Rejection
from jaxcrys.crystal.standardise import standardise
from jaxcrys.crystal.types import Crystal
from jaxcrys.data.parsing import parse
from jaxcrys.data.readers import Record

ID_COLUMNS = ("material_id", "id", "entry_id", "name")


class Settings(NamedTuple):
    """How records become crystals; see :func:`jaxcrys.data.prepare`."""

    symprec: float
    engine: str
    compare: str | None
    max_sites: int | None
    max_atoms: int


class Outcome(NamedTuple):
    """A crystal with its row of the table, or None with the row of its rejection."""

    crystal: Crystal | None
    row: dict[str, Any]


def convert_record(settings: Settings, record: Record) -> Outcome:
    """Read one record; whatever is wrong with it becomes a rejection.

    Example:
        >>> settings = Settings(0.1, "spglib", None, None, 400)
        >>> convert_record(settings, Record("a.csv", "0", "cif", "nonsense", {})).row["code"]
        'unreadable'
    """
    try:
        cell = parse(record.kind, record.content)
        crystal = from_arrays(
            *cell, symprec=settings.symprec, engine=settings.engine, max_atoms=settings.max_atoms
        )
        sites = len(crystal.wyckoff)
        if settings.max_sites is not None and sites > settings.max_sites:
            raise Rejection("too_many_sites", f"{sites} sites, more than {settings.max_sites}")
    except Rejection as rejection:
        return rejected(record, rejection)
    except Exception as error:
        return rejected(record, Rejection("unexpected", f"{type(error).__name__}: {error}"))
    row = _row(record, crystal)
    if settings.compare:
        row[f"group_{settings.compare}"] = _group(cell, settings.compare, settings)
    return Outcome(crystal, row | _properties(record, row))


def rejected(record: Record, rejection: Rejection) -> Outcome:
    """The outcome of a record that cannot be used."""
    row = {
        "source": record.source,
        "row": record.row,
        "id": record_id(record),
        "code": rejection.code,
        "reason": rejection.problem,
    }
    return Outcome(None, row)


def record_id(record: Record) -> str:
    """What the record calls itself, or else its row.

    Example:
        >>> record_id(Record("a.csv", "7", "cif", "", {"material_id": "mp-22"}))
        'mp-22'
    """
    named = (record.properties[column] for column in ID_COLUMNS if record.properties.get(column))
    return next(named, record.row or record.source)


def _row(record: Record, crystal: Crystal) -> dict[str, Any]:
    return {
        "id": record_id(record),
        "source": record.source,
        "row": record.row,
        "formula": formula(crystal),
        "atoms": int(num_atoms(crystal)),
        "group": int(crystal.group),
        "wyckoff": wyckoff_string(crystal),
        "dof": total_dof(crystal),
    }


def _properties(record: Record, row: dict[str, Any]) -> dict[str, str]:
    """The columns of the input, renamed where a column of ours has the name."""
    return {
        f"input_{name}" if name in row else name: value for name, value in record.properties.items()
    }


def _group(cell: RawCell, engine: str, settings: Settings) -> int:
    """The group that an engine finds, 0 if none."""
    try:
        checked = check_cell(*cell, max_atoms=settings.max_atoms)
        return standardise(checked, symprec=settings.symprec, engine=engine).group
    except Rejection:
        return 0
