"""The files of a generated set: table, unit cells, CIFs."""

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.files import file_names
from jaxcrys.core.pytree import take
from jaxcrys.core.typing import ArrayLike
from jaxcrys.crystal.build import validate
from jaxcrys.crystal.cif import to_cif
from jaxcrys.crystal.convert import detect_group, to_atoms
from jaxcrys.crystal.describe import describe
from jaxcrys.crystal.storage import save_crystals
from jaxcrys.crystal.types import Crystal
from jaxcrys.data.crystal_set import TABLE_FILE, crystal_id
from jaxcrys.symmetry.groups import constrain_lattice

SYMPRECS = (0.1, 0.01, 0.001)
"""Tolerances in Å at which the group of each sample is detected."""

OK = "ok"


def exact(crystals: Crystal) -> Crystal:
    """In double precision, with the lattice set onto its family again.

    The sampler works in single precision; coordinates and lattice are free numbers, so that any
    value of them has the symmetry exactly.
    """
    lattice = np.asarray(crystals.lattice, np.float64)
    return Crystal(
        group=crystals.group,
        wyckoff=crystals.wyckoff,
        species=crystals.species,
        free=np.asarray(crystals.free, np.float64),
        lattice=constrain_lattice(lattice, crystals.group),
    )


def report_rows(
    crystals: Crystal,
    *,
    more: Mapping[str, ArrayLike],
    seed: int | None = None,
    advance: Callable[[], None],
) -> list[dict[str, Any]]:
    """One row for each crystal: what was asked, what spglib finds, and its geometry.

    ``status`` is ``ok``, or says what is wrong with a sample that has no unit cell.

    Args:
        crystals: a batch.
        more: further columns; an ``id`` or a ``seed`` among them goes before those made here.
        seed: they were drawn with.
        advance: called after each.
    """
    crystals = exact(crystals)
    rows = []
    for index in range(len(crystals.group)):
        own = {name: np.asarray(values[index]).item() for name, values in more.items()}
        rows.append(_row(take(crystals, index), index, seed, own))
        advance()
    return rows


def _row(crystal: Crystal, index: int, seed: int | None, more: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"id": crystal_id(index)} | ({} if seed is None else {"seed": seed})
    row |= {**more, "status": OK}
    row["group"] = int(crystal.group)
    detected = dict.fromkeys((f"group_{symprec}" for symprec in SYMPRECS), "")
    try:
        validate(crystal)
    except InputError as error:
        return row | {"status": str(error)} | detected
    detected = {f"group_{symprec}": detect_group(crystal, symprec) for symprec in SYMPRECS}
    return row | detected | describe(crystal)


def write_report(folder: Path, crystals: Crystal, rows: list[dict[str, Any]]) -> None:
    """Write all files of a generated set into a new folder; samples without a cell have no CIF."""
    import ase.io

    crystals = exact(crystals)
    (folder / "cif").mkdir(parents=True)
    save_crystals(folder / "crystals.npz", crystals)
    frames, files = [], file_names([row["id"] for row in rows])
    for index, row in enumerate(rows):
        if row["status"] != OK:
            continue
        crystal = take(crystals, index)
        name = f"{row['formula']}_{row['id']}"
        text = to_cif(crystal, name=name)
        (folder / "cif" / f"{files[index]}.cif").write_text(text, encoding="utf-8")
        atoms = to_atoms(crystal)
        keys = ("id", "seed", "group", "wyckoff")
        atoms.info |= {key: row[key] for key in keys if key in row}
        frames.append(atoms)
    ase.io.write(folder / "structures.extxyz", frames, format="extxyz")
    write_rows(folder, rows)


def write_rows(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Write ``table.csv``."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with (folder / TABLE_FILE).open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
