"""``jaxcrys predict``."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from jaxcrys.cli.console import Console
from jaxcrys.cli.relax import check_relaxation, relax_drawn
from jaxcrys.core.errors import InputError
from jaxcrys.recipes.library import IN_THE_BOX, load_model
from jaxcrys.sampling.predict import Prediction, predict
from jaxcrys.sampling.proposals import Sources
from jaxcrys.sampling.report import OK
from jaxcrys.sampling.template_model import largest_cell
from jaxcrys.sampling.wish import parse_groups


@dataclasses.dataclass(frozen=True)
class Command:
    """Propose the structures of a formula; space group and number of formula units are open.

    Templates are drawn from the model, each of exactly the formula, and taken from crystals of the
    training set with similar elements. The best get a geometry. The table says of each its score
    and where its template came from.

    Attributes:
        formula: such as BaTiO3; several may be given.
        out: folder for the crystals, as 'jaxcrys generate' writes it.
        trained: a run of orbit, or one of orbit_flow beside --templates-from; a released model, by
            file or name; by default the one that comes with jaxcrys.
        keep: structures of each formula, each of another template, the best first.
        candidates: draws of the geometry of each template, of which the best is kept.
        draw_all: draw the geometry of known templates as well, instead of keeping that of the
            crystal they were taken from.
        drawn: templates that the model draws for each formula.
        retrieved: templates taken from the training set for each formula.
        max_atoms: most atoms in the primitive cell; by default as in the training set.
        groups: space groups to choose from, such as 14,62,225.
        clash_steps: steps by which atoms that came too near each other are moved apart.
        templates_from: a run of wyformer that draws the templates.
        seed: of all random numbers.
        batch_size: crystals that are drawn at a time, fewer of large cells.
        checkpoint: best, latest, or a step.
        relax: relax the structures with this potential, nequix-mp-1 or a .nqx file, into
            OUT/relaxed, as 'jaxcrys relax' does; energy_rank orders those of a formula.
        hull: by which the relaxed structures are judged, made by 'jaxcrys hull'.
    """

    formula: tuple[str, ...]
    out: Path
    trained: Annotated[str, tyro.conf.arg(name="run")] = IN_THE_BOX
    keep: int = Prediction.keep
    candidates: int = Prediction.candidates
    draw_all: bool = False
    drawn: int = Sources.drawn
    retrieved: int = Sources.retrieved
    max_atoms: int | None = None
    groups: str | None = None
    clash_steps: int = 0
    templates_from: Path | None = None
    seed: int = 0
    batch_size: int = 64
    checkpoint: str = "best"
    relax: str | None = None
    hull: Path | None = None

    def run(self, console: Console) -> None:
        """Predict."""
        if not self.formula:
            raise InputError("--formula", "names no formula", "write --formula BaTiO3")
        check_relaxation(self.relax, self.hull)
        model = load_model(self.trained, checkpoint=self.checkpoint)
        sources = Sources(
            drawn=self.drawn,
            retrieved=self.retrieved,
            max_atoms=largest_cell(model) if self.max_atoms is None else self.max_atoms,
            groups=tuple(parse_groups(self.groups)) if self.groups else (),
        )
        rows = predict(
            model,
            self.out,
            self.formula,
            templates=load_model(self.templates_from) if self.templates_from else None,
            settings=Prediction(
                self.keep, self.candidates, not self.draw_all, sources, self.clash_steps
            ),
            seed=self.seed,
            batch_size=self.batch_size,
            progress=console.progress,
        )
        for row in rows:
            names = ("asked", "rank", "score", "source", "parent", "group", "status")
            shown = [str(row[name]) for name in names if row[name] != OK]
            wyckoff = str(row.get("wyckoff", ""))
            console.tell("  ".join([f"{text:<9}" for text in shown] + [wyckoff]))
        console.tell(f"written to {self.out}", out=self.out, crystals=rows)
        relax_drawn(self.out, self.relax, self.hull, console)
