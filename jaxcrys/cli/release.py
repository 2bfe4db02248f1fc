"""``jaxcrys release``."""

import dataclasses
from pathlib import Path

import tyro

from jaxcrys.cli.console import Console
from jaxcrys.core.errors import InputError
from jaxcrys.recipes.release import save_release
from jaxcrys.recipes.run_folder import load_run


@dataclasses.dataclass(frozen=True)
class Command:
    """Write a trained model into one small file, to keep, to move or to give away.

    It holds the averaged weights, the settings and the templates; no optimiser, no pickle. 'jaxcrys
    generate --run FILE' and 'jaxcrys predict --run FILE' read it.

    Attributes:
        source: a run made by 'jaxcrys train' or 'jaxcrys join'.
        out: the file, *.npz.
        card: a Markdown file that goes with it: data, licence, figures, limits.
        checkpoint: best, latest, or a step.
    """

    source: tyro.conf.Positional[Path]
    out: Path
    card: Path | None = None
    checkpoint: str = "best"

    def run(self, console: Console) -> None:
        """Write the file."""
        model = load_run(self.source, checkpoint=self.checkpoint)
        try:
            card = self.card.read_text(encoding="utf-8") if self.card else ""
        except (OSError, ValueError) as error:
            raise InputError("--card", f"{self.card} is not a readable text ({error})") from error
        save_release(self.out, model, card=card)
        size = self.out.stat().st_size / 1e6
        console.tell(
            f"{self.out}: {model.config.recipe}, step {model.step}, {size:.1f} MB",
            out=self.out, recipe=model.config.recipe, step=model.step,
        )  # fmt: skip
