"""What is fuzzed: for each reader inputs, and what must hold of whatever it makes of them.

A reader may raise ``InputError``; a record may be rejected. Nothing else may be raised, nothing may
take longer than :data:`SECONDS`, and an accepted crystal must be the one that others read.
"""

import contextlib
import signal
import tempfile
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st

from jaxcrys.core.errors import InputError
from jaxcrys.crystal.raw import RawCell
from jaxcrys.crystal.rejection import Rejection
from jaxcrys.crystal.storage import load_crystals, map_crystals
from jaxcrys.data.parsing import parse
from jaxcrys.data.readers import Record, read_records
from jaxcrys.data.rows import Settings, convert_record
from jaxcrys.potentials.nequix_file import load_nequix
from jaxcrys.recipes.release import load_release
from jaxcrys.stability.hull import load_hull
from jaxcrys.stability.sources import hull_of_entries
from tests.fuzz import seeds
from tests.fuzz.mutations import cells, damaged, written
from tests.fuzz.oracles import agreed

SECONDS = 20
"""For one input."""

BINARY = (".parquet", ".db", ".zip", ".csv.gz", ".extxyz.bz2")
SETTINGS = Settings(symprec=0.1, engine="spglib", compare=None, max_sites=None, max_atoms=400)


class Finding(AssertionError):
    """Something that must not be."""


class Verdict(NamedTuple):
    """What became of one input: records accepted and rejected, accepted ones nobody else reads."""

    accepted: int = 0
    rejected: int = 0
    unread: int = 0


class Target(NamedTuple):
    """A reader: its inputs, and what looks at one of them."""

    inputs: st.SearchStrategy[bytes]
    check: Callable[[bytes], Verdict]


@contextlib.contextmanager
def time_limit() -> Generator[None]:
    """Raise a finding where something hangs; C code ends first."""

    def end(*_: Any) -> None:
        raise Finding(f"takes longer than {SECONDS} s")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def check_file(ending: str, content: bytes) -> Verdict:
    """Read a file as ``prepare`` does."""
    with tempfile.TemporaryDirectory() as folder, time_limit():
        path = Path(folder) / f"input{ending}"
        path.write_bytes(content)
        verdicts = []
        try:
            for record in read_records(path):
                verdicts.append(check_record(record))
        except InputError:
            verdicts.append(Verdict(rejected=1))
    return Verdict(*map(sum, zip(*verdicts, strict=True))) if verdicts else Verdict(rejected=1)


def check_record(record: Record) -> Verdict:
    """Parse a record, and compare what is accepted."""
    outcome = convert_record(SETTINGS, record)
    if outcome.crystal is None:
        if outcome.row["code"] == "unexpected":
            raise Finding(outcome.row["reason"])
        return Verdict(rejected=1)
    cell: RawCell = parse(record.kind, record.content)
    answer = agreed(record.kind, record.content, cell)
    if answer is False:
        raise Finding(f"another crystal than others read: {cell}")
    return Verdict(accepted=1, unread=int(answer is None))


def check_stored(read: Callable[[Path], Any], content: bytes) -> Verdict:
    """Read a file of ours, whole or not at all."""
    with tempfile.TemporaryDirectory() as folder, time_limit():
        path = Path(folder) / "input.npz"
        path.write_bytes(content)
        try:
            read(path)
        except Rejection as error:
            raise Finding(f"a rejection where there is no record: {error}") from error
        except InputError:
            return Verdict(rejected=1)
    return Verdict(accepted=1)


def _drawn(kind: str) -> st.SearchStrategy[bytes]:
    return cells().map(lambda structure: written(structure, kind))


def _file(ending: str, inputs: st.SearchStrategy[bytes] | None = None) -> Target:
    if inputs is None:
        inputs = damaged(seeds.files()[ending], text=ending not in BINARY)
    return Target(inputs, lambda content: check_file(ending, content))


def _stored(name: str, read: Callable[[Path], Any]) -> Target:
    text = name in ("hull", "entries")
    return Target(damaged(seeds.stored()[name], text=text), lambda c: check_stored(read, c))


def _release() -> Target:
    import jaxcrys.recipes

    model = Path(jaxcrys.recipes.__file__).parent / "models" / "orbit-1.npz"
    inputs = damaged((model.read_bytes(),), text=False)
    return Target(inputs, lambda content: check_stored(load_release, content))


TARGETS: dict[str, Callable[[], Target]] = {
    **{ending.lstrip("."): lambda e=ending: _file(e) for ending in (
        ".cif", ".poscar", ".extxyz", ".csv", ".json", ".jsonl", ".optimade.json",
        ".parquet", ".db", ".zip", ".csv.gz", ".extxyz.bz2",
    )},
    "drawn.cif": lambda: _file(".cif", _drawn("cif")),
    "drawn.cif_by_ase": lambda: _file(".cif", _drawn("cif_by_ase")),
    "drawn.poscar": lambda: _file(".poscar", _drawn("poscar")),
    "drawn.extxyz": lambda: _file(".extxyz", _drawn("extxyz")),
    "crystals": lambda: _stored("crystals", load_crystals),
    "crystals.mapped": lambda: _stored("crystals", map_crystals),
    "hull": lambda: _stored("hull", load_hull),
    "entries": lambda: _stored("entries", hull_of_entries),
    "nequix": lambda: _stored("nequix", load_nequix),
    "release": _release,
}  # fmt: skip
"""Every reader by its name."""
