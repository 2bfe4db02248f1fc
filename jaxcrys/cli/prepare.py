"""``jaxcrys prepare``."""

import dataclasses
from pathlib import Path

from jaxcrys.cli.arguments import Files
from jaxcrys.cli.console import Console
from jaxcrys.crystal.raw import MAX_ATOMS
from jaxcrys.crystal.standardise import SYMPREC
from jaxcrys.data.prepare import Prepared, prepare


@dataclasses.dataclass(frozen=True)
class Command:
    """Read crystals from files into a dataset: arrays, a table, and what was rejected and why.

    Inputs are CSV, CSV.GZ or parquet files with a column 'cif' or 'structure', folders or zips of
    CIF or POSCAR files, extxyz files, ASE databases, JSON of pymatgen and of OPTIMADE.

    Attributes:
        inputs: files and folders to read.
        out: folder of the dataset.
        symprec: tolerance of the symmetry search in Å.
        engine: what finds the symmetry: spglib, or moyopy (faster).
        compare: another engine to run beside, and to report where they differ.
        max_sites: reject crystals with more orbits.
        max_atoms: reject crystals with more atoms in the conventional cell.
        limit: read only so many records.
        workers: processes; as many as there are cores by default.
        overwrite: replace OUT if it holds another dataset.
    """

    inputs: Files
    out: Path
    symprec: float = SYMPREC
    engine: str = "spglib"
    compare: str | None = None
    max_sites: int | None = None
    max_atoms: int = MAX_ATOMS
    limit: int | None = None
    workers: int | None = None
    overwrite: bool = False

    def run(self, console: Console) -> None:
        """Prepare."""
        options = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        prepared = prepare(**options, progress=console.progress)
        console.tell(report(prepared), up_to_date=prepared.up_to_date, **prepared.meta)


def report(prepared: Prepared) -> str:
    """What came of it, in a few lines."""
    meta = prepared.meta
    lines = [f"{prepared.folder}: {meta['accepted']} crystals, {meta['rejected']} rejected"]
    lines += [f"  {code}: {number}" for code, number in meta["rejected_by_code"].items()]
    if "compare" in meta:
        other = meta["compare"]
        lines.append(f"  {other['engine']} finds another group for {other['differ']}")
    if prepared.up_to_date:
        lines.append("  up to date; nothing was done")
    return "\n".join(lines)
