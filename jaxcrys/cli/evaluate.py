"""``jaxcrys evaluate``."""

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any, Literal

from jaxcrys.cli.arguments import Set
from jaxcrys.cli.console import Console
from jaxcrys.cli.relax import potential_and_judge
from jaxcrys.core.chunks import ChunkStore
from jaxcrys.core.errors import InputError
from jaxcrys.core.files import atomic_path, sha256, sweep_partials
from jaxcrys.core.progress import Progress
from jaxcrys.core.versions import library_versions
from jaxcrys.crystal.storage import CRYSTALS_FILE
from jaxcrys.data.prepare import cores, hash_of
from jaxcrys.evaluation.baseline import NAME, nearest_prototypes
from jaxcrys.evaluation.energies import Energies
from jaxcrys.evaluation.evaluate import (
    Evaluation,
    Protocol,
    Resources,
    check_protocol,
    evaluate,
    evaluate_predictions,
    formulas_of,
)
from jaxcrys.evaluation.page import Column
from jaxcrys.evaluation.predictions import TRIES
from jaxcrys.evaluation.reference import Reference, read_reference
from jaxcrys.evaluation.report import FIGURES_FILE, read_figures, write_evaluation
from jaxcrys.evaluation.samples import read_samples
from jaxcrys.evaluation.work import Processes, key_of
from jaxcrys.potentials.host import AnyPotential
from jaxcrys.stability.judge import Judge

SHOWN = (
    "valid", "lemat_valid", "unique_novel", "P1 at 0.1 Å", "as asked or more at 0.001 Å",
    "χ²(groups)", "COV-R", "COV-P", "stable at 0.1 eV/atom, relaxed",
    "S.U.N. at 0.1 eV/atom, relaxed", "match rate, k = 1, all", "RMSE, k = 1, all", "METRe",
)  # fmt: skip
"""Figures that the command prints."""


@dataclasses.dataclass(frozen=True)
class Command:
    """Score a set of crystals, whoever generated it, by the protocols of the field.

    Writes report.html to look at, report.json, and a table with a row for each sample. An
    interrupted call goes on where it stopped when it is given again.

    Attributes:
        generated: a set made by 'jaxcrys generate', or files: a folder or zip of CIFs, extxyz, a
            CSV with a column cif, JSON of pymatgen.
        test: a dataset made by 'jaxcrys prepare': what the samples should be like, or the true
            crystals that were to be predicted.
        out: folder to write.
        train: the dataset that the generator was trained on, for novelty; beside predictions
            stands what its nearest prototypes would score.
        csp: score structure predictions: by formula, or in rows, as many for each crystal of the
            test set, in its order.
        only_predicted: with --csp formula, leave out test crystals of whose formula there is no
            prediction.
        potential: relax the samples with it: nequix-mp-1, a .nqx file, or ase:MODULE:CLASS.
        hull: by which the relaxed crystals are judged, made by 'jaxcrys hull'.
        release: relax once more without symmetry, and say how many groups are kept.
        compare: other evaluations, whose figures stand beside in the report.
        name: of the set, in the report.
        fingerprints: of so many samples and test crystals, for coverage; 0 for none.
        cutoffs: of coverage: mp_20, perov_5 or carbon_24.
        limit: evaluate only so many samples.
        seed: of all random choices.
        workers: processes; as many as there are cores by default.
        scheduler: address of a Dask scheduler to work on in place of processes here.
        timeout: seconds that a single sample or pair may take.
    """

    generated: Set
    test: Path
    out: Path
    train: Path | None = None
    csp: Literal["formula", "rows"] | None = None
    only_predicted: bool = False
    potential: str | None = None
    hull: Path | None = None
    release: bool = False
    compare: tuple[Path, ...] = ()
    name: str | None = None
    fingerprints: int = 1000
    cutoffs: str = "mp_20"
    limit: int | None = None
    seed: int = 0
    workers: int | None = None
    scheduler: str | None = None
    timeout: float = 60.0

    def run(self, console: Console) -> None:
        """Evaluate."""
        self._check()
        progress = console.progress
        record = self._record()
        others = [read_figures(folder) for folder in self.compare]
        if self.out.exists():
            if not self._finished(record):
                raise InputError(
                    str(self.out), "exists and was made otherwise", "choose another --out"
                )
        else:
            self._evaluate(record, others, progress)
        console.tell(summary(self.out))
        text = f"written to {self.out}: open {self.out}/report.html"
        console.tell(text, out=self.out, figures=read_figures(self.out).figures)

    def _check(self) -> None:
        check_protocol(self._protocol())
        if self.csp is None and self.train is None:
            raise InputError(
                "--train", "is needed to tell what is new", "or score predictions: --csp formula"
            )
        if self.only_predicted and self.csp != "formula":
            raise InputError("--only-predicted", "goes with --csp formula")
        if self.hull is not None and self.potential is None:
            raise InputError("--hull", "judges relaxed crystals", "say --potential as well")
        _ = self._judged  # refuses what cannot be used before anything is examined
        for name in ("limit", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"--{name}", f"must be at least 1, got {value}")
        if not self.timeout > 0:
            raise InputError("--timeout", f"must be positive, got {self.timeout}")

    def _protocol(self) -> Protocol:
        return Protocol(fingerprints=self.fingerprints, cutoffs=self.cutoffs, seed=self.seed)

    def _record(self) -> dict[str, Any]:
        """All that the result depends on."""
        sets = {"generated": self.generated, "test": self.test, "train": self.train}
        record: dict[str, Any] = {
            name: {"path": str(path), "sha256": _hash(path)} for name, path in sets.items() if path
        }
        if self.csp is None:
            record |= {"measured": dataclasses.asdict(self._protocol())}
        return record | {
            "csp": self.csp,
            "only_predicted": self.only_predicted,
            "limit": self.limit,
            "potential": self._potential_record(),
            "release": self.release,
            "hull": None if self.hull is None else {"sha256": sha256(self.hull)},
            "timeout": self.timeout,
            "versions": library_versions() | _judges(),
        }

    @functools.cached_property
    def _judged(self) -> tuple[AnyPotential, Judge, dict[str, Any]] | None:
        """The potential and what judges its energies, if one was given."""
        return potential_and_judge(self.potential, self.hull) if self.potential else None

    def _potential_record(self) -> dict[str, str] | None:
        if self._judged is None:
            return None
        potential = self._judged[0]
        return {"name": potential.name, "sha256": potential.digest}

    def _finished(self, record: dict[str, Any]) -> bool:
        try:
            stored = json.loads((self.out / FIGURES_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return stored.get("protocol") == json.loads(json.dumps(record))

    def _evaluate(self, record: dict[str, Any], others: list, progress: Progress) -> None:
        work_folder = self.out.parent / f".{self.out.name}.work"
        sweep_partials(self.out)
        store = ChunkStore(work_folder, key_of(record))
        samples = read_samples(self.generated, limit=self.limit)
        test = read_reference(self.test)
        train = read_reference(self.train) if self.train else None
        progress.say(f"{len(samples)} samples of {self.generated}")
        with _workers(self) as work:
            resources = Resources(work, store, progress)
            if self.csp is not None:
                found = evaluate_predictions(
                    samples, test, resources, by=self.csp, only_predicted=self.only_predicted
                )
                formulas = formulas_of(found.rows)
                if self.only_predicted:
                    test = test.of_formulas(formulas)
                tries = min(max(TRIES), max(formulas.values(), default=1))
                others = [*others, *_baseline(train, test, tries, resources)]
            elif train is not None:
                energies = self._energies(work_folder / f"{key_of(record)}.energies", progress)
                found = evaluate(
                    samples, train, test, resources, protocol=self._protocol(), energies=energies
                )
        self._write(found, record, others, test, None if self.csp else train)
        store.discard()

    def _write(
        self,
        found: Evaluation,
        record: dict[str, Any],
        others: list,
        test: Reference,
        train: Reference | None,
    ) -> None:
        name = self.name or self.generated.name
        with atomic_path(self.out) as partial:
            write_evaluation(partial, name, found, record, test=test, train=train, others=others)

    def _energies(self, folder: Path, progress: Progress) -> Energies | None:
        """What relaxes and judges the rows, if a potential was given."""
        if self._judged is None:
            return None
        potential, judge, described = self._judged
        return Energies(
            potential, judge.columns, described, folder, release=self.release, progress=progress
        )


def _baseline(
    train: Reference | None, test: Reference, tries: int, resources: Resources
) -> list[Column]:
    """What the nearest prototypes of the training set would score, as many for each formula."""
    if train is None:
        return []
    samples = nearest_prototypes(train.crystals, test.formula, tries)
    if not samples:
        return []
    own = dataclasses.replace(resources, store=resources.store.part("baseline"))
    return [Column(NAME, evaluate_predictions(samples, test, own).figures)]


def summary(folder: Path) -> str:
    """The main figures of an evaluation, a line each."""
    figures = [figure for figure in read_figures(folder).figures if figure.name in SHOWN]
    return "\n".join(
        f"{figure.name:<34} {figure.value:8.4f}  [{figure.low:.4f}, {figure.high:.4f}]"
        for figure in figures
    )


def _hash(path: Path) -> str:
    """Of what a set holds."""
    crystals = path / CRYSTALS_FILE
    return sha256(crystals) if crystals.exists() else hash_of(path)


def _judges() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in ("smact", "matminer", "pymatgen", "spglib"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def _workers(command: Command) -> Any:
    """A context that yields what does the work."""
    if command.scheduler is None:
        return Processes(command.workers or cores(), command.timeout)
    from jaxcrys.evaluation.cluster import cluster

    return cluster(command.scheduler, command.timeout)
