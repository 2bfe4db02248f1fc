"""Relax a set of crystals into a folder: resumable, atomic, with a row for each.

The folder is as ``sampling.generate`` writes it; its table has further columns: what became of the
relaxation, energies, how far the atoms and the cell moved, and the groups before and after.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from jaxcrys.core.chunks import ChunkStore
from jaxcrys.core.files import atomic_path, sweep_partials, write_json
from jaxcrys.core.progress import Progress
from jaxcrys.core.pytree import take
from jaxcrys.core.versions import library_versions
from jaxcrys.crystal.build import stack_crystals
from jaxcrys.crystal.convert import detect_group, from_arrays
from jaxcrys.crystal.expand import expand, num_atoms
from jaxcrys.crystal.p1 import to_p1
from jaxcrys.crystal.rejection import Rejection
from jaxcrys.crystal.standardise import SYMPREC
from jaxcrys.crystal.types import Crystal
from jaxcrys.geometry.lattice import matrix_from_coefficients, volume
from jaxcrys.potentials.host import AnyPotential
from jaxcrys.relaxation.relax import Relaxed, relax
from jaxcrys.relaxation.walk import SOUND, WalkSettings
from jaxcrys.sampling.generate import digest, finished
from jaxcrys.sampling.report import report_rows, write_report
from jaxcrys.sampling.trajectories import path_arrays, path_of, write_trajectories

OUTCOME = "outcome"

ASKED = "asked"
"""Column with the formula that a structure was predicted for."""


class Columns(Protocol):
    """Further columns for a crystal with its energy per atom (``stability.judge``)."""

    def __call__(self, crystal: Crystal, energy: float) -> Mapping[str, Any]:
        """Return them."""
        ...


def relax_set(
    potential: AnyPotential,
    crystals: Crystal,
    out: Path | str,
    *,
    source: str,
    settings: WalkSettings | None = None,
    release: bool = False,
    trajectories: bool = False,
    judged: Columns | None = None,
    judge: Mapping[str, Any] | None = None,
    more: Mapping[str, np.ndarray] | None = None,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Relax crystals and write them; an interrupted call goes on with those still missing.

    Args:
        potential: gives energies and forces.
        crystals: a batch.
        out: folder to write.
        source: what the crystals are, for the record: a path and a hash.
        settings: how to walk, and when to stop.
        release: relax once more without symmetry, and find the group that is left.
        trajectories: keep every step of the relaxation with symmetry.
        judged: makes further columns of a crystal and its energy.
        judge: what that depends on, for the record.
        more: columns that the crystals had before; structures with the same formula under
            ``asked`` are ordered by their energy in ``energy_rank``.
        progress: told how far it is.

    Returns:
        The rows of the table.

    Raises:
        InputError: for senseless settings, or an ``out`` that holds something else.
    """
    out, progress, settings = Path(out), progress or Progress(), settings or WalkSettings()
    record = {
        "source": source,
        "potential": {"name": potential.name, "sha256": potential.digest},
        "settings": dataclasses.asdict(settings),
        "release": release,
        "trajectories": trajectories,
        "judge": dict(judge or {}),
        "versions": library_versions(),
    }
    store = ChunkStore(out.parent / f".{out.name}.work", digest(record))
    rows = finished(out, record) if out.exists() else None
    sweep_partials(out)  # of a call that was killed
    if rows is not None:
        store.discard()
        return rows
    count = len(crystals.group)
    progress.say(f"relaxing {count} crystals with {potential.name} [{potential.digest[:8]}]")
    before = [take(crystals, index) for index in range(count)]
    work = functools.partial(_relaxed, potential, settings=settings, progress=progress)
    after = work(before, store=store, name="relaxing", trajectories=trajectories)
    columns = [_columns(*pair, judged) for pair in zip(before, after, strict=True)]
    final = [end.crystal for end in after]
    if release:
        free = [to_p1(end.crystal) if end.outcome in SOUND else end.crystal for end in after]
        let_go = work(free, store=store.part("p1"), name="without symmetry")
        final = [_with_symmetry(end) for end in let_go]
        for row, end, crystal in zip(columns, let_go, final, strict=True):
            row |= _released(end, crystal, judged)
    if more and ASKED in more:
        for row, rank in zip(columns, _energy_ranks(more[ASKED], columns), strict=True):
            row["energy_rank"] = rank
    batch = stack_crystals(final)
    shown = dict(more or {}) | {
        name: np.array([row.get(name, "") for row in columns], object)
        for name in dict.fromkeys(name for row in columns for name in row)
    }
    with progress.bar("describing", total=count) as bar:
        rows = report_rows(batch, more=shown, advance=bar.advance)
    with atomic_path(out) as partial:
        write_report(partial, batch, rows)
        if trajectories:
            write_trajectories(partial, after)
        write_json(partial / "run.json", record)
    store.discard()
    return rows


def _relaxed(
    potential: AnyPotential,
    crystals: Sequence[Crystal],
    *,
    settings: WalkSettings,
    store: ChunkStore,
    name: str,
    trajectories: bool = False,
    progress: Progress,
) -> list[Relaxed]:
    """Relax what the store does not have yet, and keep each result as it comes."""
    missing = [index for index in range(len(crystals)) if not store.has(index)]
    done = len(crystals) - len(missing)
    with progress.bar(name, total=len(crystals), done=done) as bar:

        def keep(number: int, result: Relaxed) -> None:
            numbers = {name: getattr(result, name) for name in _NUMBERS}
            store.save(missing[number], vars(result.crystal) | numbers | path_arrays(result))
            bar.advance()

        some = [crystals[index] for index in missing]
        relax(potential, some, settings, trajectory=trajectories, advance=keep)
    return [_load(store, index) for index in range(len(crystals))]


_NUMBERS = ("outcome", "steps", "energy", "start_energy", "force", "stress")


def _load(store: ChunkStore, index: int) -> Relaxed:
    arrays = store.load(index)
    crystal = Crystal(**{field.name: arrays[field.name] for field in dataclasses.fields(Crystal)})
    path, energies = path_of(crystal, arrays)
    numbers = {name: arrays[name].item() for name in _NUMBERS}
    return Relaxed(crystal, **numbers, path=path, energies=energies)


def _columns(start: Crystal, end: Relaxed, judged: Columns | None) -> dict[str, Any]:
    """What a row says of a relaxation with symmetry."""
    columns = {
        OUTCOME: end.outcome,
        "steps": end.steps,
        "energy_before": _shown(end.start_energy),
        "energy": _shown(end.energy),
        "fmax": _shown(end.force),
        "stress": _shown(end.stress),
        "group_before": detect_group(start, SYMPREC) if np.isfinite(start.lattice).all() else 0,
        "rmsd": _shown(rmsd(start, end.crystal)),
        "swelling": _shown(_size(end.crystal) / _size(start) - 1),
    }
    if judged is None or end.outcome not in SOUND:  # of others no library could say anything
        return columns
    begun = judged(start, end.start_energy)
    known = {f"{name}_before": begun[name] for name in ("e_form", "e_hull") if name in begun}
    return columns | known | dict(judged(end.crystal, end.energy))


def _released(end: Relaxed, crystal: Crystal, judged: Columns | None) -> dict[str, Any]:
    """What a row says of the relaxation without symmetry that followed; energies are of it."""
    columns = {
        "release_outcome": end.outcome,
        "release_steps": end.steps,
        "energy": _shown(end.energy),
        "fmax": _shown(end.force),
        "stress": _shown(end.stress),
        "group_released": int(crystal.group),
    }
    sound = end.outcome in SOUND
    return columns | dict(judged(crystal, end.energy) if judged and sound else {})


def _energy_ranks(asked: np.ndarray, columns: Sequence[Mapping[str, Any]]) -> list[int]:
    """1 for the structure of a formula with the lowest energy, 2 for the next, ..."""
    energy = [
        row["energy"] if row[OUTCOME] in SOUND and row["energy"] != "" else np.inf
        for row in columns
    ]
    ranks = np.zeros(len(columns), int)
    for formula in dict.fromkeys(asked.tolist()):
        own = np.flatnonzero(asked == formula)
        ranks[own[np.argsort(np.array(energy)[own], kind="stable")]] = 1 + np.arange(len(own))
    return ranks.tolist()


def _with_symmetry(end: Relaxed) -> Crystal:
    """What symmetry atoms have of themselves; none if it cannot be found."""
    if end.outcome not in SOUND:
        return end.crystal
    cell = expand(end.crystal, capacity=int(num_atoms(end.crystal)))
    try:
        return from_arrays(cell.lattice, cell.frac, cell.species)
    except Rejection:
        return end.crystal


def rmsd(start: Crystal, end: Crystal) -> float:
    """How far atoms moved, Å: root mean square over the cell, but for a drift of all together.

    Fractional coordinates are compared, in the lattice of ``end``: the change of the cell is not
    counted.

    Example:
        >>> from jaxcrys.crystal import build_crystal
        >>> near, far = (
        ...     build_crystal(99, [(22, "a", (0.0,)), (8, "a", (z,))], (4, 4, 4, 90, 90, 90))
        ...     for z in (0.5, 0.55)
        ... )
        >>> round(rmsd(near, far), 6)
        0.1
    """
    used = np.asarray(start.wyckoff) > 0
    cells = [
        expand(
            Crystal(
                group=one.group,
                wyckoff=np.asarray(one.wyckoff)[mask],
                species=np.asarray(one.species)[mask],
                free=np.asarray(one.free, np.float64)[mask],
                lattice=np.asarray(one.lattice, np.float64),
            ),
            capacity=int(num_atoms(one)),
        )
        for one, mask in ((start, used), (end, np.asarray(end.wyckoff) > 0))
    ]
    delta = np.asarray(cells[1].frac) - np.asarray(cells[0].frac)
    delta -= np.round(delta)
    delta -= delta.mean(0)
    return float(np.sqrt(((delta @ np.asarray(cells[1].lattice)) ** 2).sum(-1).mean()))


def _size(crystal: Crystal) -> float:
    return float(volume(matrix_from_coefficients(np.asarray(crystal.lattice, np.float64))))


def _shown(value: float) -> float | str:
    return round(value, 5) if np.isfinite(value) else ""
