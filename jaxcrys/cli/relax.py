"""``jaxcrys relax``."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from jaxcrys.cli.arguments import Set
from jaxcrys.cli.console import Console
from jaxcrys.cli.source import as_set
from jaxcrys.core.errors import InputError
from jaxcrys.core.files import sha256
from jaxcrys.core.progress import Progress
from jaxcrys.core.pytree import take
from jaxcrys.crystal.storage import CRYSTALS_FILE, load_crystals
from jaxcrys.data.crystal_set import read_rows
from jaxcrys.potentials.host import AnyPotential
from jaxcrys.potentials.library import corrections_for, load_potential
from jaxcrys.relaxation.walk import WalkSettings
from jaxcrys.sampling.relaxed import OUTCOME, relax_set
from jaxcrys.stability.hull import Scale, load_hull
from jaxcrys.stability.judge import Judge, make_judge

GPA = 1 / 160.21766208
"""eV/Å³."""

KEPT = (
    "id", "seed", "material_id", "request", "asked", "rank", "score", "source", "parent",
    "prototype", "log_prob", "candidate",
)  # fmt: skip
"""Columns that a set keeps from before it was relaxed."""


RELAXED = "relaxed"
"""Folder in a set of crystals for what became of them."""


@dataclasses.dataclass(frozen=True)
class Command:
    """Relax crystals in their own free coordinates and lattice: their symmetry stays exact.

    The table says of each what became of it, its energy, and how far it moved; with a hull also its
    formation energy, its energy above the hull, and what it would decompose into. An interrupted
    call goes on where it stopped when it is given again.

    Attributes:
        source: crystals: a generated set, a dataset, or files as 'jaxcrys prepare' reads them.
        out: folder to write, as 'jaxcrys generate' does.
        potential: nequix-mp-1, which is fetched once, a .nqx file, or ase:MODULE:CLASS.
        hull: a file made by 'jaxcrys hull'.
        allow_other_hull: take a hull that stands on other energies all the same.
        corrections: MP2020 or none; by default what the potential is known to need.
        minimiser: lbfgs or fire.
        force: eV/Å; converged when no force on an atom is larger.
        stress: GPa; and no component of stress plus pressure.
        steps: most steps of a crystal.
        pressure: GPa.
        fixed_cell: keep the lattice as it is.
        release: relax once more without symmetry, and say which group is left.
        trajectories: write each step, as extended XYZ with energies.
        limit: relax only so many.
    """

    source: Set
    out: Path
    potential: str = "nequix-mp-1"
    hull: Path | None = None
    allow_other_hull: bool = False
    corrections: str | None = None
    minimiser: str = "lbfgs"
    force: float = 0.05
    stress: float = 0.5
    steps: int = 500
    pressure: float = 0.0
    fixed_cell: bool = False
    release: bool = False
    trajectories: bool = False
    limit: int | None = None

    def run(self, console: Console) -> None:
        """Relax."""
        settings = WalkSettings(
            minimiser=self.minimiser,
            force=self.force,
            stress=self.stress * GPA,
            steps=self.steps,
            pressure=self.pressure * GPA,
            fixed_cell=self.fixed_cell,
        )
        rows = relax_folder(
            self.source, self.out, potential=self.potential, hull=self.hull,
            allow_other_hull=self.allow_other_hull, corrections=self.corrections,
            settings=settings, release=self.release, trajectories=self.trajectories,
            limit=self.limit, progress=console.progress,
        )  # fmt: skip
        console.tell(summary(rows))
        console.tell(f"written to {self.out}", out=self.out, crystals=rows)


def check_relaxation(potential: str | None, hull: Path | None) -> None:
    """Refuse what cannot be relaxed before anything is drawn.

    Raises:
        InputError: for a potential or a hull that cannot be used.
    """
    if potential is None and hull is not None:
        raise InputError("--hull", "judges relaxed crystals", "say --relax nequix-mp-1 as well")
    if potential is not None:
        potential_and_judge(potential, hull)


def relax_drawn(folder: Path, potential: str | None, hull: Path | None, console: Console) -> None:
    """Relax a set that was just written into a folder inside it, if that was asked for."""
    if potential is None:
        return
    out = folder / RELAXED
    rows = relax_folder(folder, out, potential=potential, hull=hull, progress=console.progress)
    console.tell(summary(rows))
    console.tell(f"written to {out}", relaxed={"out": out, "crystals": rows})


def potential_and_judge(
    potential: str,
    hull: Path | None,
    *,
    allow_other_hull: bool = False,
    corrections: str | None = None,
) -> tuple[AnyPotential, Judge, dict[str, Any]]:
    """A potential, what judges its energies, and what that depends on, for records.

    Raises:
        InputError: for a potential or a hull that cannot be used.
    """
    model = load_potential(potential)
    scale = Scale(model.name, model.digest, corrections or corrections_for(model))
    stands = load_hull(hull) if hull else None
    described = {
        "corrections": scale.corrections,
        "hull": {"path": str(hull), "sha256": sha256(hull), "source": stands.source}
        if hull and stands
        else None,
    }
    return model, make_judge(scale, stands, allow_other=allow_other_hull), described


def relax_folder(
    source: Path,
    out: Path,
    *,
    potential: str,
    hull: Path | None = None,
    allow_other_hull: bool = False,
    corrections: str | None = None,
    settings: WalkSettings | None = None,
    release: bool = False,
    trajectories: bool = False,
    limit: int | None = None,
    progress: Progress,
) -> list[dict[str, Any]]:
    """Relax what lies in a folder or file; options as those of :class:`Command`."""
    if limit is not None and limit < 1:
        raise InputError("--limit", f"must be at least 1, got {limit}")
    model, judge, described = potential_and_judge(
        potential, hull, allow_other_hull=allow_other_hull, corrections=corrections
    )
    with as_set(source, out, progress) as folder:
        crystals, rows = load_crystals(folder), read_rows(folder)
        if limit is not None:
            crystals, rows = take(crystals, slice(limit)), rows[:limit]
        kept = [name for name in KEPT if rows and name in rows[0]]
        return relax_set(
            model, crystals, out,
            source=f"{folder} {sha256(folder / CRYSTALS_FILE)} {limit or 'all'}",
            settings=settings, release=release, trajectories=trajectories,
            judged=judge.columns, judge=described,
            more={name: np.array([row[name] for row in rows], object) for name in kept},
            progress=progress,
        )  # fmt: skip


def summary(rows: list[dict[str, Any]]) -> str:
    """What became of a set, in a few lines."""
    outcomes: dict[str, int] = {}
    for row in rows:
        outcomes[row[OUTCOME]] = outcomes.get(row[OUTCOME], 0) + 1
    lines = [", ".join(f"{count} {name}" for name, count in outcomes.items())]
    units = {
        "steps": "",
        "energy": " eV/atom",
        "rmsd": " Å",
        "e_hull_before": " eV/atom",
        "e_hull": " eV/atom",
    }
    numbers = {
        name: np.array([float(row[name]) for row in rows if row.get(name) not in (None, "")])
        for name in units
    }
    for name, unit in units.items():
        values = numbers[name]
        if len(values):
            lines.append(f"{name}: median {np.median(values):.3f}, mean {values.mean():.3f}{unit}")
    for name, when in (("e_hull_before", "before"), ("e_hull", "after")):
        above = numbers[name]
        if len(above):
            shares = (f"{(above <= cut).mean():.1%} at {cut} eV/atom or less" for cut in (0.0, 0.1))
            lines.append(
                f"above the hull {when}: {', '.join(shares)} ({len(above)} of {len(rows)} known)"
            )
    return "\n".join(lines)
