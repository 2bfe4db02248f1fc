import csv
import functools
import gzip
import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import jax
import pytest
from filelock import FileLock

from jaxcrys.cli.demo import write_prototypes
from tests.models import fresh_crystals, fresh_orbit

MOST_MAPS = 6000
"""Pieces of memory of a process; a program takes three or more."""


@pytest.fixture(scope="module", autouse=True)
def forget_programs():
    """Let go of compiled programs, of which files share few, before they fill the memory."""
    yield
    maps = Path("/proc/self/maps")
    if not maps.exists() or len(maps.read_bytes().splitlines()) > MOST_MAPS:
        jax.clear_caches()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real crystals, where there is one."""
    folder = Path(__file__).parents[1] / "../shared/data"
    if not folder.is_dir():
        pytest.skip("the folder of real crystals is not here")
    return folder.resolve()


@pytest.fixture(scope="session")
def shared_rows(shared_data: Path) -> Callable[[str, int], list[dict[str, str]]]:
    """Reads evenly spaced rows of one of its tables."""

    def rows(name: str, count: int) -> list[dict[str, str]]:
        with gzip.open(shared_data / f"{name}.csv.gz", "rt", encoding="utf-8") as handle:
            every = list(csv.DictReader(handle))
        return every[:: max(1, len(every) // count)][:count]

    return rows


@pytest.fixture(scope="session")
def built_once(tmp_path_factory, request) -> Callable[[str, Callable[[Path], Path]], Path]:
    """Builds a folder in the first process that asks for it; the others wait and share it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if hasattr(request.config, "workerinput") else base

    def build(name: str, make: Callable[[Path], Path]) -> Path:
        folder, done = shared / f"{name}_run" / name, shared / f"{name}_run" / "done"
        folder.parent.mkdir(exist_ok=True)
        with FileLock(shared / f"{name}.lock"):
            if not done.exists():
                make(folder)
                done.touch()
        return folder

    return build


@pytest.fixture(scope="session")
def pymatgen_prototypes() -> ModuleType:
    """Pymatgen's module of prototypes, which reads a library of them, for seconds, on import."""
    return importlib.import_module("pymatgen.analysis.prototypes")


@pytest.fixture(scope="session")
def prototype_rows(built_once) -> list[list[str]]:
    """The table of prototypes of the demo, its header first."""
    folder = built_once("prototypes", lambda folder: write_prototypes(folder / "all.csv"))
    with (folder / "all.csv").open(encoding="utf-8", newline="") as handle:
        return list(csv.reader(handle))


@pytest.fixture(scope="session")
def given_run(built_once):
    """A run of diffcsp_pp that has learned nothing, for known elements."""
    return built_once("given", functools.partial(fresh_crystals, species="given"))


@pytest.fixture(scope="session")
def generated_run(built_once):
    """Likewise, for elements that are drawn."""
    return built_once("generated", functools.partial(fresh_crystals, species="generated"))


@pytest.fixture(scope="session")
def orbit_run(built_once):
    """A run of orbit that has learned nothing, and beside it those it was joined from."""
    return built_once("orbit", fresh_orbit)
