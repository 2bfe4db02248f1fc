"""How long an evaluation takes, and where the time goes, beside CDVAE's metrics done straight.

    python benchmarks/evaluation.py GENERATED... --train TRAIN --test TEST [--num 10000]
        [--fingerprints 1000] [--straight 1000] [--workers 2]

GENERATED are generated sets, whose crystals are taken in turns; if they have too few, again, a
little moved. TRAIN and TEST are prepared datasets. "Straight" are validity and fingerprints of one
sample after the other as CDVAE computes them: matminer on every atom of the primitive cell. In the
same run, on the same samples, both must give the same fingerprints.
"""

import argparse
import contextlib
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

from jaxcrys.core.chunks import ChunkStore
from jaxcrys.core.progress import Progress
from jaxcrys.core.pytree import take
from jaxcrys.crystal import Crystal, load_crystals
from jaxcrys.crystal.convert import structure_from_raw
from jaxcrys.crystal.disturb import disturb
from jaxcrys.evaluation import composition_valid, structure_valid
from jaxcrys.evaluation.composition_scale import MEANS, SPREADS
from jaxcrys.evaluation.evaluate import Protocol, Resources, evaluate
from jaxcrys.evaluation.reference import read_reference
from jaxcrys.evaluation.samples import of_crystal, primitive_atoms
from jaxcrys.evaluation.work import Processes


class Watch(Progress):
    """Prints what each task took."""

    @contextlib.contextmanager
    def bar(self, name, *, total, done=0):
        """See :meth:`Progress.bar`."""
        begin = time.perf_counter()
        with super().bar(name, total=total, done=done) as bar:
            yield bar
        seconds = time.perf_counter() - begin
        print(f"  {name}: {total} in {seconds:.0f} s ({seconds / max(total, 1) * 1e3:.1f} ms each)",
              flush=True)  # fmt: skip


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("generated", type=Path, nargs="+")
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--num", type=int, default=10_000)
    parser.add_argument("--fingerprints", type=int, default=1000)
    parser.add_argument("--straight", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    crystals = enough(given.generated, given.num)
    samples = [of_crystal(crystal, f"{i:05d}") for i, crystal in enumerate(crystals)]
    train, test = read_reference(given.train), read_reference(given.test)
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, Processes(given.workers) as work:
        resources = Resources(work, ChunkStore(Path(folder) / "work", "key"), Watch())
        protocol = Protocol(fingerprints=given.fingerprints)
        found = evaluate(samples, train, test, resources, protocol=protocol)
    whole = time.perf_counter() - begin
    print(f"{given.num} samples on {given.workers} processes: {whole:.0f} s in all")
    for figure in found.figures:
        if figure.name in ("structure_valid", "composition_valid", "COV-R", "COV-P"):
            print(f"  {figure.name}: {figure.value:.4f}")
    if given.straight:
        straight(crystals[: given.straight], found.rows)


def enough(paths: list[Path], count: int) -> list:
    """Crystals of all sets in turns, again and again a little elsewhere."""
    random = np.random.default_rng(0)
    each = -(-count // len(paths))
    sets = [some(load_crystals(path), each, random) for path in paths]
    return [crystal for turn in zip(*sets, strict=True) for crystal in turn][:count]


def some(batch: Crystal, count: int, random: np.random.Generator) -> list[Crystal]:
    """So many crystals of a batch."""
    have, found = len(batch.group), []
    for number in range(-(-count // have)):
        moved = disturb(batch, random, atoms=0.02) if number else batch
        found += [take(moved, index) for index in range(have)]
    return found[:count]


def straight(crystals: list, rows: list) -> None:
    """One sample after the other, every atom."""
    warnings.simplefilter("ignore")
    from matminer.featurizers.composition.composite import ElementProperty
    from matminer.featurizers.site.fingerprint import CrystalNNFingerprint

    sites = CrystalNNFingerprint.from_preset("ops")
    magpie = ElementProperty.from_preset("magpie", impute_nan=False)
    spent = {"validity": 0.0, "structure fingerprints": 0.0, "composition fingerprints": 0.0}
    worst = 0.0
    for crystal, row in zip(crystals, rows, strict=False):
        structure = structure_from_raw(primitive_atoms(crystal))
        begin = time.perf_counter()
        structure_valid(crystal), composition_valid(crystal)
        spent["validity"] += time.perf_counter() - begin
        begin = time.perf_counter()
        try:
            each = [sites.featurize(structure, atom) for atom in range(len(structure))]
        except Exception:
            each = None
        spent["structure fingerprints"] += time.perf_counter() - begin
        begin = time.perf_counter()
        raw = np.array(magpie.featurize(structure.composition), float)
        spent["composition fingerprints"] += time.perf_counter() - begin
        if each is not None and "structure_fingerprint" in row:
            apart = np.abs(np.mean(each, 0) - row["structure_fingerprint"]).max()
            scaled = np.nan_to_num((raw - MEANS) / SPREADS)
            worst = max(worst, apart, np.abs(scaled - row["composition_fingerprint"]).max())
    print(f"straight, {len(crystals)} samples on one core:")
    for name, seconds in spent.items():
        print(f"  {name}: {seconds:.0f} s ({seconds / len(crystals) * 1e3:.1f} ms each)")
    total = sum(spent.values()) / len(crystals)
    print(f"  10,000 would take {total * 1e4 / 60:.0f} core-minutes")
    print(f"fingerprints differ by {worst:.1e} at most")


if __name__ == "__main__":
    main()
