"""Evaluate a set of crystals by the protocols of the field, whoever generated it.

Each sample is examined alone, then compared with those of its formula in the set and in the
training set; what is left are sums over the table. An interrupted call goes on.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxcrys.core.chunks import ChunkStore
from jaxcrys.core.errors import InputError
from jaxcrys.core.progress import Progress
from jaxcrys.evaluation import figures, pairs, predictions, stability
from jaxcrys.evaluation.distributions import CUTOFFS
from jaxcrys.evaluation.energies import Energies
from jaxcrys.evaluation.examine import Task, examine, lost
from jaxcrys.evaluation.figures import Figure
from jaxcrys.evaluation.reference import Reference
from jaxcrys.evaluation.samples import Sample
from jaxcrys.evaluation.work import Work, map_items

PAIRS_AT_ONCE = 64

Rows = list[dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Protocol:
    """What is measured, and on how much.

    Attributes:
        fingerprints: of so many samples and test crystals, drawn at random, fingerprints are
            computed for coverage, which is saturated and takes most of the time; 0 for none.
        real: so many test crystals are examined as samples are, to stand beside them.
        cutoffs: name of the coverage's cutoffs, those of a data set.
        most_pairs: of samples of one formula; of further ones only the same protostructures are
            compared by the matcher.
        seed: of all random choices.
    """

    fingerprints: int = 1000
    real: int = 1000
    cutoffs: str = "mp_20"
    most_pairs: int = 50_000
    seed: int = 0


class Evaluation(NamedTuple):
    """What was found.

    Attributes:
        rows: of each sample.
        figures: of all.
        notes: what was counted and left out, in words.
    """

    rows: Rows
    figures: list[Figure]
    notes: list[str]


@dataclasses.dataclass(frozen=True)
class Resources:
    """With what an evaluation is done.

    Attributes:
        work: who does it.
        store: keeps finished pieces.
        progress: told how far it is.
    """

    work: Work
    store: ChunkStore
    progress: Progress = dataclasses.field(default_factory=Progress)

    def map(self, name: str, function: Any, items: Sequence[Any], *, lost: Any,
            at_once: int = 32) -> list[Any]:  # fmt: skip
        """Results for all items; finished pieces are kept under ``name``."""
        return map_items(
            self.work, function, items, lost=lost, name=name, progress=self.progress,
            store=self.store.part(name.replace(" ", "_")), at_once=at_once,
        )  # fmt: skip


def check_protocol(protocol: Protocol) -> None:
    """Refuse senseless settings.

    Raises:
        InputError: naming the setting.
    """
    if protocol.cutoffs not in CUTOFFS:
        known = ", ".join(CUTOFFS)
        raise InputError("--cutoffs", f"must be one of {known}, got {protocol.cutoffs}")
    for name in ("fingerprints", "real"):
        if getattr(protocol, name) < 0:
            raise InputError(f"--{name}", f"must not be negative, got {getattr(protocol, name)}")


def evaluate(
    samples: Sequence[Sample],
    train: Reference,
    test: Reference,
    resources: Resources,
    *,
    protocol: Protocol | None = None,
    energies: Energies | None = None,
) -> Evaluation:
    """Evaluate crystals that were generated from nothing.

    Args:
        samples: as they were submitted.
        train: what the generator was trained on.
        test: what the samples should be like.
        resources: with what.
        protocol: what is measured.
        energies: relaxes and judges, if that is wanted.

    Raises:
        InputError: for no samples at all, or senseless settings.
    """
    protocol = protocol or Protocol()
    check_protocol(protocol)
    random = np.random.default_rng(protocol.seed)
    printed = _some(random, len(samples), protocol.fingerprints)
    rows = _examined(samples, "samples", resources, fingerprints=printed)
    chosen = _some(random, len(test.formula), max(protocol.real, protocol.fingerprints))
    first = range(min(protocol.fingerprints, len(chosen)))
    real = _examined(test.samples(chosen), "test crystals", resources, fingerprints=first)
    notes = _notes(rows, protocol)
    notes += _compare(rows, train, resources, protocol)
    if energies is not None:
        _extend(rows, energies.relaxed(rows))
        _extend(real, energies.as_they_are(real))
    floor = _some(random, len(train.formula), len(rows))
    found = figures.validity(rows, real) + figures.newness(rows) + figures.symmetry(rows)
    found += figures.breakdown(rows)
    if any(not row["reason"] for row in rows):
        found += figures.distributions(rows, train, test, floor)
    if protocol.fingerprints:
        found += figures.coverage(
            [rows[i] for i in printed], [real[i] for i in first], CUTOFFS[protocol.cutoffs]
        )
    if energies is not None:
        found += stability.stability(rows) + stability.energy_distances(rows, real)
    return Evaluation(rows, found, notes)


def evaluate_predictions(
    samples: Sequence[Sample],
    test: Reference,
    resources: Resources,
    *,
    by: str = "formula",
    only_predicted: bool = False,
) -> Evaluation:
    """Evaluate structures that were predicted for the crystals of a test set.

    Args:
        samples: predictions, the best first.
        test: the true crystals.
        resources: with what.
        by: how predictions belong to true crystals (``predictions.assign``).
        only_predicted: leave out true crystals of whose formula there is no prediction.

    Raises:
        InputError: for no samples at all, or numbers that do not fit.
    """
    rows = _examined(samples, "predictions", resources)
    if only_predicted:
        test = test.of_formulas(formulas_of(rows))
    truth = _examined(test.samples(range(len(test.formula))), "true crystals", resources)
    couples = predictions.assign(rows, truth, by)
    able = [(row, true) for row, true in couples if not rows[row]["reason"]]
    found_errors = resources.map(
        "matching", predictions.error, [(rows[a]["cell"], truth[b]["cell"]) for a, b in able],
        lost=predictions.hangs, at_once=PAIRS_AT_ONCE,
    )  # fmt: skip
    hung = found_errors.count(predictions.HUNG)
    errors = [None if value == predictions.HUNG else value for value in found_errors]
    known = dict(zip(able, errors, strict=True))
    all_errors = [known.get(couple) for couple in couples]
    for (row, _), value in zip(couples, all_errors, strict=True):
        before = rows[row].get("rmse")
        if value is not None and (before is None or value < before):
            rows[row]["rmse"] = value
    found = predictions.figures(rows, truth, couples, all_errors)
    notes = [f"the matcher hung on {hung} pairs, which count as no match"] if hung else []
    return Evaluation(rows, found, _notes(rows, None) + notes)


def formulas_of(rows: Rows) -> Counter[str]:
    """How many samples have each formula."""
    return Counter(row["formula"] for row in rows if not row["reason"])


def _examined(
    samples: Sequence[Sample], name: str, resources: Resources, *, fingerprints: Iterable[int] = ()
) -> Rows:
    if not samples:
        raise InputError(name, "there are none")
    wanted = set(fingerprints)
    tasks = [Task(sample, index in wanted) for index, sample in enumerate(samples)]
    return resources.map(f"examining {name}", examine, tasks, lost=lost)


def _extend(rows: Rows, more: Rows) -> None:
    """Add further columns to the rows."""
    for row, columns in zip(rows, more, strict=True):
        row |= columns


def _some(random: np.random.Generator, count: int, wanted: int) -> list[int]:
    """Different rows in random order; all of them if more are wanted than there are."""
    return random.permutation(count)[:wanted].tolist()


def _compare(rows: Rows, train: Reference, resources: Resources, protocol: Protocol) -> list[str]:
    """Add to the rows what is unique and what is new; say what was not compared."""
    within, skipped = _affordable(rows, protocol.most_pairs)
    same = resources.map(
        "comparing samples", pairs.compare,
        [pairs.Pair(rows[a]["cell"], rows[b]["cell"]) for a, b in within],
        lost=pairs.given_up, at_once=PAIRS_AT_ONCE,
    )  # fmt: skip
    against = pairs.in_reference(rows, train.formula)
    cells = {index: train.cell(index) for index in {b for _, b in against}}
    known = resources.map(
        "comparing with the training set", pairs.compare,
        [pairs.Pair(rows[a]["cell"], cells[b]) for a, b in against],
        lost=pairs.given_up, at_once=PAIRS_AT_ONCE,
    )  # fmt: skip
    if hung := sum(not found for found in (*same, *known)):
        skipped.append(f"the matcher hung on {hung} pairs, which count as different")
    labels = dict(zip(cells, train.labels(list(cells)), strict=True))
    seen: dict[int, set[str]] = {}
    for row, reference in against:
        seen.setdefault(row, set()).add(labels[reference])
    templates = train.prototypes()
    for index, row in enumerate(rows):
        good = not row["reason"]
        row["novel_hash"] = good and row["protostructure"] not in seen.get(index, set())
        row["novel_template"] = bool(row.get("prototype")) and row["prototype"] not in templates
    _mark_first(rows)
    for number, rule in enumerate(pairs.RULES):
        suffix = "" if rule == "match" else f"_{rule}"
        kept = pairs.first_of_kind(len(rows), _where(within, same, number))
        old = {row for row, _ in _where(against, known, number)}
        for index, row in enumerate(rows):
            good = not row["reason"]
            row[f"unique{suffix}"] = good and kept[index] == index
            row[f"novel{suffix}"] = good and index not in old
            if not suffix and good and kept[index] != index:
                row["same_as"] = rows[kept[index]]["name"]
    for row in rows:
        row["unique_novel"] = row["unique"] and row["novel"]
    return skipped


def _where(
    couples: list[tuple[int, int]], found: list[list[bool]], rule: int
) -> list[tuple[int, int]]:
    """The pairs that are the same by a rule; what the matcher hung on is not."""
    return [pair for pair, same in zip(couples, found, strict=True) if same and same[rule]]


def _affordable(rows: Rows, most: int) -> tuple[list[tuple[int, int]], list[str]]:
    """Pairs of the same formula; of formulas with too many, those of the same protostructure."""
    found = pairs.same_formula(rows)
    counts = Counter(rows[a]["formula"] for a, _ in found)
    many = {formula for formula, count in counts.items() if count > most}
    kept = [
        (a, b) for a, b in found
        if rows[a]["formula"] not in many or rows[a]["protostructure"] == rows[b]["protostructure"]
    ]  # fmt: skip
    notes = [
        f"{formula}: only samples of the same protostructure were compared by the matcher "
        f"({counts[formula]} pairs in all)"
        for formula in sorted(many)
    ]
    return kept, notes


def _mark_first(rows: Rows) -> None:
    """Which samples are the first of their protostructure."""
    seen: set[str] = set()
    for row in rows:
        label = row.get("protostructure", "")
        row["unique_hash"] = not row["reason"] and (not label or label not in seen)
        seen.add(label)


def _notes(rows: Rows, protocol: Protocol | None) -> list[str]:
    """What could not be judged."""
    notes = [
        f"{count} of {len(rows)} samples have no cell: {reason}"
        for reason, count in sorted(Counter(row["reason"] for row in rows if row["reason"]).items())
    ]
    failed = sum("fingerprint_failed" in row for row in rows)
    if failed:
        notes.append(f"{failed} samples have no fingerprints; they count as covered by nothing")
    if protocol is not None and 0 < protocol.fingerprints < len(rows):
        notes.append(
            f"coverage stands on {protocol.fingerprints} of {len(rows)} samples, drawn at random"
        )
    without = sum(not row["reason"] and not row["protostructure"] for row in rows)
    if without:
        notes.append(f"{without} samples fit no template: they have no hash, and none of their own")
    return notes
