"""``jaxcrys generate``."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from jaxcrys.cli.train import json_object
from jaxcrys.core.errors import InputError
from jaxcrys.core.progress import TerminalProgress
from jaxcrys.recipes.model import load_model, with_settings
from jaxcrys.sampling.generate import generate
from jaxcrys.sampling.summary import summary
from jaxcrys.sampling.wish import Wish


@dataclasses.dataclass(frozen=True)
class Command:
    """Draw new crystals from a trained run.

    Sample i depends on the seed and on i alone. An interrupted call goes on where it stopped when
    it is given again.

    Attributes:
        run_folder: a run made by 'jaxcrys train'.
        out: folder for the crystals: crystals.npz, structures.extxyz, cif/, table.csv, run.json.
        num: how many crystals.
        seed: of all random numbers.
        candidates: draws for each crystal; the one that the model trusts most is kept.
        keep: how many of the candidates are kept, the best first.
        clash_steps: steps by which atoms that came too near each other are moved apart.
        settings: JSON object of settings of the recipe's sampler to change, for example
            '{"flow": {"steps": 50}}'.
        batch_size: crystals that are drawn at a time.
        space_group: space group number; several may be given.
        template: positions of the one space group given, such as "4a 4b" or "Na@4a Cl@4b".
        formula: exact composition, with a template.
        templates_from: a dataset; sample i takes group, positions and elements of its crystal i.
            Or a run of wyformer, which draws them.
        chemical_system: elements that may occur, such as Li-P-S; this and the next two need
            templates from a run of wyformer.
        elements_required: elements that must occur, such as Li.
        max_atoms: most atoms in the primitive cell.
        checkpoint: best, latest, or a step.
    """

    run_folder: Annotated[Path, tyro.conf.arg(name="run")]
    out: Path
    num: int = 32
    seed: int = 0
    candidates: int = 1
    keep: int = 1
    clash_steps: int = 0
    settings: str = "{}"
    batch_size: int = 64
    space_group: tuple[int, ...] = ()
    template: str | None = None
    formula: str | None = None
    templates_from: Path | None = None
    chemical_system: str | None = None
    elements_required: str | None = None
    max_atoms: int | None = None
    checkpoint: str = "best"

    def run(self) -> None:
        """Generate."""
        if self.checkpoint not in ("best", "latest") and not self.checkpoint.isdecimal():
            raise InputError(
                "--checkpoint", f"must be best, latest or a step, got {self.checkpoint!r}"
            )
        model = load_model(self.run_folder, checkpoint=self.checkpoint)
        rows = generate(
            with_settings(model, json_object(self.settings, "--settings")),
            self.out,
            num=self.num,
            seed=self.seed,
            candidates=self.candidates,
            keep=self.keep,
            clash_steps=self.clash_steps,
            batch_size=self.batch_size,
            wish=Wish(
                groups=self.space_group,
                template=self.template,
                formula=self.formula,
                templates_from=self.templates_from,
                chemical_system=self.chemical_system,
                elements_required=self.elements_required,
                max_atoms=self.max_atoms,
            ),
            progress=TerminalProgress(),
        )
        print(summary(rows))
        print(f"written to {self.out}")
