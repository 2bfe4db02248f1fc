"""``jaxcrys release``."""

import dataclasses
from pathlib import Path

from jaxcrys.cli.arguments import Run
from jaxcrys.cli.console import Console
from jaxcrys.core.errors import InputError
from jaxcrys.recipes.library import load_model
from jaxcrys.recipes.model_folder import save_model_folder
from jaxcrys.recipes.release import SUFFIX, save_release


@dataclasses.dataclass(frozen=True)
class Command:
    """Write a trained model into one small file or folder, to keep, to move or to give away.

    It holds the averaged weights, the settings and the templates; no optimiser, no pickle. A folder
    has the form in which model hubs hold models: a card, config.json and model.safetensors.
    'jaxcrys generate --run OUT' and 'jaxcrys predict --run OUT' read both.

    Attributes:
        source: a run made by 'jaxcrys train', 'jaxcrys fit' or 'jaxcrys join', or a model.
        out: a file, *.npz, or a folder.
        card: a Markdown file that goes with it: data, licence, figures, limits.
        checkpoint: best, latest, or a step.
    """

    source: Run
    out: Path
    card: Path | None = None
    checkpoint: str = "best"

    def run(self, console: Console) -> None:
        """Write the file."""
        model = load_model(self.source, checkpoint=self.checkpoint)
        try:
            card = self.card.read_text(encoding="utf-8") if self.card else ""
        except (OSError, ValueError) as error:
            raise InputError("--card", f"{self.card} is not a readable text ({error})") from error
        if self.out.suffix == SUFFIX:
            save_release(self.out, model, card=card)
        else:
            save_model_folder(self.out, model, card=card)
        files = [path for path in (self.out, *self.out.rglob("*")) if path.is_file()]
        size = sum(path.stat().st_size for path in files) / 1e6
        console.tell(
            f"{self.out}: {model.config.recipe}, step {model.step}, {size:.1f} MB",
            out=self.out, recipe=model.config.recipe, step=model.step,
        )  # fmt: skip
