"""``jaxcrys join``."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from jaxcrys.cli.console import Console
from jaxcrys.crystal.storage import load_crystals
from jaxcrys.training.join import join


@dataclasses.dataclass(frozen=True)
class Command:
    """Put a run of wyformer and a run of orbit_flow together into one of orbit.

    The first draws groups, positions and elements, the second coordinates and lattice for elements
    that are given. The new run does both: jaxcrys generate and jaxcrys predict need no other.

    Attributes:
        templates: run of wyformer.
        geometry: run of orbit_flow, trained with --species given.
        out: folder of the new run.
        val: dataset that neither has seen: the temperatures of the templates are set on it.
        checkpoint: which of each: best, latest, or a step.
    """

    templates: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="TEMPLATES")]
    geometry: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="GEOMETRY")]
    out: Path
    val: Path | None = None
    checkpoint: str = "best"

    def run(self, console: Console) -> None:
        """Join."""
        validation = load_crystals(self.val) if self.val else None
        model = join(
            self.templates, self.geometry, self.out,
            validation=validation, checkpoint=self.checkpoint,
        )  # fmt: skip
        console.tell(
            f"{self.out}: a run of orbit, with the {len(model.templates.group)} crystals that "
            "the geometry was trained on",
            out=self.out,
        )
