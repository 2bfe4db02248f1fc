"""What stands in the package data: small, integers only, each file accounted for."""

from pathlib import Path

import numpy as np

import jaxcrys.symmetry

DATA = Path(jaxcrys.symmetry.__file__).parent / "data"
MOST_BYTES = 3_000_000


def test_every_file_is_in_the_table_with_its_size():
    table = (DATA / "README.md").read_text(encoding="utf-8")
    files = sorted(path for path in DATA.iterdir() if path.name != "README.md")
    assert files
    for path in files:
        assert f"`{path.name}` | {round(path.stat().st_size / 1000)} kB" in table
    assert sum(path.stat().st_size for path in files) < MOST_BYTES


def test_nothing_but_integers_and_names():
    for path in DATA.glob("*.npz"):
        with np.load(path, allow_pickle=False) as stored:
            assert {stored[name].dtype.kind for name in stored} <= set("iubS")
