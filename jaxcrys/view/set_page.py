"""From a set of crystals to its page."""

from pathlib import Path
from typing import NamedTuple

from jaxcrys.core.progress import Progress
from jaxcrys.crystal.standardise import SYMPREC
from jaxcrys.data.crystal_set import CrystalSet, chunked, read_set
from jaxcrys.data.pool import Workers
from jaxcrys.sampling.report import file_names
from jaxcrys.view.crystal_card import Shown, Task, lost, show_crystal
from jaxcrys.view.page import page
from jaxcrys.view.table import Table, make_table

MOST_CRYSTALS = 500
"""That are shown by default."""


class SetPage(NamedTuple):
    """A page as text, and a line that says how many crystals are in it."""

    text: str
    counted: str


def set_page(
    path: Path | str,
    *,
    limit: int = MOST_CRYSTALS,
    symprec: float = SYMPREC,
    workers: int = 1,
    progress: Progress | None = None,
) -> SetPage:
    """Make the page of a set; the same set gives the same text.

    Args:
        path: a folder with ``crystals.npz``, or what ``data.readers`` understands.
        limit: how many crystals to show at most.
        symprec: tolerance in Å at which symmetry is found, where it is not known.
        workers: processes to use.
        progress: told how far it is.

    Raises:
        InputError: if nothing can be read, or there is no crystal.
    """
    path, progress = Path(path), progress or Progress()
    with Workers(workers) as pool:
        found = read_set(path, limit=limit, symprec=symprec, workers=pool, progress=progress)
        shown = _show(found, pool, progress)
    table = make_table([each.columns for each in shown], found.rows)
    lines = _notes(found, table, symprec)
    text = page(path.resolve().name, table, shown, notes=lines, rejected=found.rejected)
    return SetPage(text, _counted(found))


def _show(found: CrystalSet, pool: Workers, progress: Progress) -> list[Shown]:
    """What is shown of each crystal, made by the workers."""
    names = file_names([row["id"] for row in found.rows])
    tasks = [Task(*each) for each in zip(found.crystals, names, strict=True)]
    shown: list[Shown] = []
    with progress.bar("patterns", total=len(tasks)) as bar:
        for _, made in pool.map(show_crystal, chunked(tasks), lost=lost):
            shown += made
            bar.advance(len(made))
    return shown


def _left_out(found: CrystalSet) -> int:
    return found.total - len(found.crystals) - len(found.rejected)


def _counted(found: CrystalSet) -> str:
    """How many crystals there are, and how many were left out."""
    count, left_out = len(found.crystals), _left_out(found)
    text = f"{count:,} crystal{'' if count == 1 else 's'}"
    verb = "is" if left_out == 1 else "are"
    return text + (f"; {left_out:,} more {verb} left out" if left_out else "")


def _notes(found: CrystalSet, table: Table, symprec: float) -> list[str]:
    """Sentences that stand under the title."""
    more = " (more with jaxcrys view --limit)" if _left_out(found) else ""
    lines = [f"{_counted(found)}{more}."]
    if found.found:
        lines.append(f"Symmetry found by spglib at {symprec:g} Å.")
    if table.constant:
        same = ", ".join(f"{name} {value}" for name, value in table.constant.items())
        lines.append(f"The same for all: {same}.")
    if table.same:
        lines.append(f"Equal to the group for all: {', '.join(table.same)}.")
    return lines
