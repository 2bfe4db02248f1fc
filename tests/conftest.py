import csv
import gzip
from collections.abc import Callable
from pathlib import Path

import jax
import pytest

from tests.models import train_orbit, train_small


@pytest.fixture(scope="module", autouse=True)
def forget_programs():
    """Let go of what a file compiled: a process with thousands of programs crashes in the end."""
    yield
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
def given_run(tmp_path_factory):
    """A run of diffcsp_pp that has learned nothing, for known elements."""
    return train_small(tmp_path_factory.mktemp("given") / "run", species="given")


@pytest.fixture(scope="session")
def generated_run(tmp_path_factory):
    """Likewise, for elements that are drawn."""
    return train_small(tmp_path_factory.mktemp("generated") / "run", species="generated")


@pytest.fixture(scope="session")
def orbit_run(tmp_path_factory):
    """A run of orbit that has learned nothing, and beside it those it was joined from."""
    return train_orbit(tmp_path_factory.mktemp("orbit") / "run")
