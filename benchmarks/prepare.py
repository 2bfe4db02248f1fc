"""How fast and how faithfully files of crystals become datasets.

    python benchmarks/prepare.py FILE... [--engine moyopy] [--workers 2] [--matched 200]

For each file: the share of rows accepted, rows per second, the share of groups equal to the file's
own ``spacegroup.number`` column, the time per row of parsing, symmetry search and assignment on
one core, and the share of crystals that pymatgen's StructureMatcher finds equal to the original.
"""

import argparse
import functools
import random
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

from jaxcrys.core.pytree import take
from jaxcrys.crystal.assign import assign_sites
from jaxcrys.crystal.convert import to_structure
from jaxcrys.crystal.raw import RawCell, check_cell
from jaxcrys.crystal.standardise import ENGINES, standardise
from jaxcrys.data import Record, load_dataset, prepare, read_records
from jaxcrys.data.dataset import Dataset
from jaxcrys.data.parsing import parse

LABEL = "spacegroup.number"
TIMED_ROWS = 300


def measure(path: Path, *, engine: str, workers: int | None, matched: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        begin = time.perf_counter()
        made = prepare(path, Path(scratch) / "dataset", engine=engine, workers=workers)
        seconds = time.perf_counter() - begin
        dataset = load_dataset(made.folder)
    accepted, rejected = made.meta["accepted"], made.meta["rejected"]
    total = accepted + rejected
    print(f"\n{path} ({engine}): {total} rows")
    print(f"  accepted {accepted / total:.4%}, {made.meta['rejected_by_code'] or 'none rejected'}")
    print(f"  {total / seconds:.0f} rows/s")
    if LABEL in dataset.table:
        equal = (dataset.table["group"] == dataset.table[LABEL]).mean()
        print(f"  groups equal to the labels {equal:.4%}")
    records = {record.row: record for record in read_records(path)}
    report_times(list(records.values()), engine)
    if matched:
        report_matches(dataset, records, matched)


def report_times(records: list[Record], engine: str) -> None:
    """Processor time of each step for some of the rows."""
    chosen = random.Random(0).sample(records, min(TIMED_ROWS, len(records)))
    seconds = dict.fromkeys(("parsing", "checks", "symmetry", "assignment"), 0.0)

    def timed(step, function, *arguments):
        begin = time.process_time()
        result = function(*arguments)
        seconds[step] += time.process_time() - begin
        return result

    for record in chosen:
        cell = timed("parsing", parse, record.kind, record.content)
        checked = timed("checks", check_cell, *cell)
        standard = timed("symmetry", functools.partial(standardise, engine=engine), checked)
        timed("assignment", assign_sites, *standard)
    each = ", ".join(f"{step} {1e3 * s / len(chosen):.2f}" for step, s in seconds.items())
    print(f"  ms of processor time per row: {each}")


def report_matches(dataset: Dataset, records: dict[str, Record], count: int) -> None:
    """Compare crystals with the structures they came from."""
    from pymatgen.analysis.structure_matcher import StructureMatcher

    matcher = StructureMatcher()
    rows = random.Random(0).sample(range(len(dataset.table)), min(count, len(dataset.table)))
    unequal = []
    for index in rows:
        record = records[dataset.table["row"][index]]
        original = plain_structure(parse(record.kind, record.content))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if not matcher.fit(original, to_structure(take(dataset.crystals, index))):
                unequal.append(dataset.table["id"][index])
    print(f"  equal under StructureMatcher {1 - len(unequal) / len(rows):.4%} of {len(rows)}")
    if unequal:
        print(f"  unequal: {', '.join(unequal)}")


def plain_structure(cell: RawCell):
    from pymatgen.core import Element, Structure

    species = [Element.from_Z(int(number)) for number in cell.numbers]
    return Structure(np.asarray(cell.lattice), species, cell.frac)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--engine", default="spglib", choices=ENGINES)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--matched", type=int, default=0)
    given = parser.parse_args()
    for path in given.files:
        measure(path, engine=given.engine, workers=given.workers, matched=given.matched)


if __name__ == "__main__":
    main()
