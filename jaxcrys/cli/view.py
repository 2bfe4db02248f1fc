"""``jaxcrys view``."""

import dataclasses
import webbrowser
from pathlib import Path

from jaxcrys.cli.arguments import Set
from jaxcrys.cli.console import Console
from jaxcrys.core.errors import InputError
from jaxcrys.core.files import sweep_partials, write_text
from jaxcrys.crystal.standardise import SYMPREC
from jaxcrys.data.prepare import cores
from jaxcrys.view.set_page import MOST_CRYSTALS, set_page


@dataclasses.dataclass(frozen=True)
class Command:
    """Make one HTML page of a set of crystals, to look through what is in it.

    It has a table to sort and filter, and of each crystal a view in three dimensions, its Wyckoff
    positions, its lattice, its powder pattern and its CIF. It needs no network.

    Attributes:
        source: a folder made by 'jaxcrys generate', 'predict' or 'relax', a dataset, or files:
            CIF, POSCAR, extxyz, a CSV with a column cif, a folder or zip of them.
        out: the page, *.html; view.html in the folder, or beside the file, by default.
        limit: show only so many crystals.
        open: open it in the browser.
        symprec: tolerance in Å at which the symmetry of files is found.
        workers: processes; as many as there are cores by default.
    """

    source: Set
    out: Path | None = None
    limit: int = MOST_CRYSTALS
    open: bool = False
    symprec: float = SYMPREC
    workers: int | None = None

    def run(self, console: Console) -> None:
        """Write the page, and open it."""
        self._check()
        out = page_path(self.source) if self.out is None else self.out
        made = set_page(
            self.source, limit=self.limit, symprec=self.symprec,
            workers=self.workers or cores(), progress=console.progress,
        )  # fmt: skip
        sweep_partials(out)  # of a call that was killed
        write_text(out, made.text)
        console.tell(f"{out}: {made.counted}, {out.stat().st_size / 1e6:.1f} MB", out=out)
        if self.open and not webbrowser.open(out.resolve().as_uri()):
            console.tell("no browser was found: open the file with one")

    def _check(self) -> None:
        for name in ("limit", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"--{name}", f"must be at least 1, got {value}")
        if not self.symprec > 0:
            raise InputError("--symprec", f"must be a positive length in Å, got {self.symprec}")
        if self.out is not None and self.out.suffix.lower() not in (".html", ".htm"):
            raise InputError("--out", f"must be a file *.html, got {self.out}")


def page_path(source: Path) -> Path:
    """Where the page goes by default: into a folder, or beside a file.

    Example:
        >>> page_path(Path("sets/all.csv.gz")).as_posix()
        'sets/all.csv.html'
    """
    return source / "view.html" if source.is_dir() else source.with_suffix(".html")
