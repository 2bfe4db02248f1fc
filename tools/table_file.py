"""Write a table of the package data, or check that the one on disk is what its tool makes."""

import argparse
import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

DATA = Path(__file__).parents[1] / "jaxcrys" / "symmetry" / "data"


def write_or_check(name: str, build: Callable[[], dict[str, np.ndarray]], about: str) -> None:
    """The command line of a tool: write ``name``, or compare with ``--check``."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    target, content = DATA / name, build()
    if check:
        sys.exit(0 if same(target, content) else f"{target} is not what this tool makes; "
                                                 "run it without --check")  # fmt: skip
    target.write_bytes(serialise(content))
    print(f"{target}: {target.stat().st_size} bytes")


def same(path: Path, content: dict[str, np.ndarray]) -> bool:
    with np.load(path) as stored:
        return set(stored) == set(content) and all(
            np.array_equal(stored[k], v) and stored[k].dtype == v.dtype for k, v in content.items()
        )


def serialise(arrays: dict[str, np.ndarray]) -> bytes:
    """The same bytes on every machine: fixed names, order and time stamps."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
