"""The crystals that a command is given: a set or dataset of ours, or files that are read first."""

import contextlib
import shutil
from collections.abc import Generator
from pathlib import Path

from jaxcrys.core.progress import Progress
from jaxcrys.crystal.storage import CRYSTALS_FILE
from jaxcrys.data.prepare import prepare


@contextlib.contextmanager
def as_set(source: Path, out: Path, progress: Progress) -> Generator[Path]:
    """A folder with crystals and their table.

    Files become a dataset beside ``out``, which goes when the work on it is done, and stays when
    that fails: the next call need not read them again. What could not be used is listed in ``out``.

    Raises:
        InputError: if nothing can be read.
    """
    if (source / CRYSTALS_FILE).exists():
        yield source
        return
    prepared = out.parent / f".{out.name}.prepared"
    rejected = prepare([source], out=prepared, progress=progress).meta["rejected"]
    yield prepared
    if rejected:
        records = "record" if rejected == 1 else "records"
        progress.say(f"{rejected} {records} could not be used: {out}/rejected.csv")
        shutil.copyfile(prepared / "rejected.csv", out / "rejected.csv")
    shutil.rmtree(prepared)
