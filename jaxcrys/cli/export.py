"""``jaxcrys export``."""

import dataclasses
from typing import Literal

from jaxcrys.cli.arguments import Files, Set
from jaxcrys.cli.console import Console
from jaxcrys.data.crystal_set import read_set, usable
from jaxcrys.data.pool import Workers
from jaxcrys.data.prepare import cores
from jaxcrys.data.writers import check_targets, write

SHOWN = 3
"""So many of those that were left out are named."""


@dataclasses.dataclass(frozen=True)
class Command:
    """Write crystals with their table in the formats of others.

    The ending of each file decides: .extxyz, .db (ASE database), .json (pymatgen), .optimade.json,
    .jsonl (OPTIMADE), .csv, .parquet, .cif, .zip (of CIFs); a folder named cif or poscar gets a
    file for each crystal. Texts may be compressed (.gz, .bz2). A database that is there already
    grows; what it has stays as it is. Other files are never overwritten.

    Attributes:
        source: crystals: a generated set, a dataset, or files as 'jaxcrys prepare' reads them.
        files: what to write.
        cell: conventional or primitive unit cells, where there is no CIF.
        workers: processes for reading files; as many as there are cores by default.
    """

    source: Set
    files: Files
    cell: Literal["conventional", "primitive"] = "conventional"
    workers: int | None = None

    def run(self, console: Console) -> None:
        """Write the files."""
        check_targets(self.files, cell=self.cell)
        with Workers(self.workers or cores()) as workers:
            found = usable(read_set(self.source, workers=workers, progress=console.progress))
        written = {}
        for file in self.files:
            written[str(file)] = number = write(file, found.crystals, found.rows, cell=self.cell)
            there = len(found.crystals) - number
            console.tell(f"{file}: {number} crystals" + (f", {there} were there" if there else ""))
        if found.rejected:
            console.tell(f"{len(found.rejected)} could not be used:")
        for row in found.rejected[:SHOWN]:
            place = f"{row['source']} {row['row']}".strip() or row["id"]
            console.tell(f"  {place}: {row['reason']}")
        if len(found.rejected) > SHOWN:
            console.tell("  ...")
        console.result |= {"written": written, "left_out": found.rejected}
