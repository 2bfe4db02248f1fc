"""Is the symmetry of a generated set exact? Counted on the files as written.

    python experiments/exact_symmetry.py OUT

Every operation of the group asked for (from spglib's database) is applied to the atoms of
``OUT/structures.extxyz``; each must land within 1e-4 Å on an atom of the same element, and leave
the metric of the lattice as it is. The groups that spglib detects come from ``OUT/table.csv``.
"""

import argparse
import csv
from collections import Counter
from pathlib import Path

import ase.io
import numpy as np
import spglib

from jaxcrys.evaluation import check_symmetry
from jaxcrys.symmetry import load_tables

TOLERANCE = 1e-4
SYMPRECS = ("0.1", "0.01", "0.001")


def main() -> None:
    """Check a folder and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    with (out / "table.csv").open(encoding="utf-8") as handle:
        rows = [row for row in csv.DictReader(handle) if row["status"] == "ok"]
    frames = ase.io.read(out / "structures.extxyz", ":")
    groups = [int(row["group"]) for row in rows]
    checks = [
        check_symmetry(
            frame.cell.array, frame.get_scaled_positions(), frame.numbers, *operations(group)
        )
        for frame, group in zip(frames, groups, strict=True)
    ]
    deviations = np.array([check.deviation for check in checks])
    exact = deviations < TOLERANCE
    print(f"{len(rows)} crystals over {len(set(groups))} groups")
    print(f"every operation within {TOLERANCE} Å: {exact.sum()} of {len(rows)}")
    print(f"largest deviation {deviations.max():.1e} Å, largest strain "
          f"{max(check.strain for check in checks):.1e}")  # fmt: skip
    for symprec in SYMPRECS:
        found = Counter(
            kind(frame, group, int(row[f"group_{symprec}"]), float(symprec))
            for frame, row, group in zip(frames, rows, groups, strict=True)
        )
        print(f"detected at symprec {symprec}: {dict(found)}")


def operations(group: int) -> tuple[np.ndarray, np.ndarray]:
    """Operations of the standard setting, from spglib."""
    found = spglib.get_symmetry_from_database(int(load_tables().group_hall_number[group]))
    return found["rotations"], found["translations"]


def kind(frame: ase.Atoms, asked: int, detected: int, symprec: float) -> str:
    """Equal, a supergroup (it has all operations asked for and more), none found, or neither."""
    if detected == asked:
        return "equal"
    if not detected:
        return "none found (atoms closer than symprec)"
    cell = (frame.cell.array, frame.get_scaled_positions(), frame.numbers)
    found = spglib.get_symmetry(cell, symprec=symprec)
    for rotation, shift in zip(*operations(asked), strict=True):
        same = (found["rotations"] == rotation).all((1, 2))
        turn = found["translations"][same] - shift
        turn = (turn - np.round(turn)) @ frame.cell.array
        if not (np.linalg.norm(turn, axis=-1) < 2 * symprec).any():
            return "other"
    return "supergroup"


if __name__ == "__main__":
    main()
