"""``jaxcrys demo``: the whole road on a small embedded dataset."""

import csv
import dataclasses
from pathlib import Path

import numpy as np

from jaxcrys.cli.console import Console
from jaxcrys.core.files import atomic_path
from jaxcrys.core.pytree import take
from jaxcrys.crystal.primitive import num_primitive_atoms
from jaxcrys.crystal.storage import load_crystals
from jaxcrys.data.prepare import prepare
from jaxcrys.recipes import get_recipe
from jaxcrys.recipes.library import load_model
from jaxcrys.sampling.generate import generate
from jaxcrys.sampling.plan import Request
from jaxcrys.sampling.summary import summary
from jaxcrys.training import TrainingConfig, train

RECIPE, PRESET = "orbit_flow", "tiny"
CLASH_STEPS = 50
MOST_ATOMS = 20
TRAINING = TrainingConfig(
    steps=2000,
    batch_size=32,
    learning_rate=3e-3,
    warmup_steps=100,
    checkpoint_every=500,
    log_every=100,
    max_shapes=3,
)


@dataclasses.dataclass(frozen=True)
class Command:
    """Prepare, train, generate: the whole road in about three minutes on two cores.

    The dataset is the library of AFLOW prototypes that comes with pymatgen; those with at most 20
    atoms in the primitive cell are trained on. The model is small and trained for a short time: it
    shows how things fit together, not how good they can be.

    Attributes:
        out: folder for everything the demo makes.
        num: how many crystals to generate.
        seed: of all random numbers.
    """

    out: Path = Path("jaxcrys-demo")
    num: int = 32
    seed: int = 0

    def run(self, console: Console) -> None:
        """Run the demo."""
        progress = console.progress
        source = write_prototypes(self.out / "prototypes.csv")
        dataset = prepare(source, self.out / "dataset", progress=progress)
        console.tell(
            f"1. {dataset.meta['accepted']} prototype crystals read from {source} "
            f"({dataset.meta['rejected']} rejected)"
        )
        config = dataclasses.replace(TRAINING, seed=self.seed)
        settings = get_recipe(RECIPE).presets[PRESET]
        crystals = load_crystals(dataset.folder)
        crystals = take(crystals, np.asarray(num_primitive_atoms(crystals)) <= MOST_ATOMS)
        run = self.out / "run"
        trained = train(
            run, crystals, recipe=RECIPE, settings=settings, config=config, progress=progress
        )
        console.tell(
            f"2. trained {trained.steps} steps on the {len(crystals.group)} with at most "
            f"{MOST_ATOMS} atoms, in {trained.seconds:.0f} s"
        )
        crystals_folder = self.out / "crystals"
        rows = generate(
            load_model(run, checkpoint="latest"),
            crystals_folder,
            Request(num=self.num),
            seed=self.seed,
            clash_steps=CLASH_STEPS,
            progress=progress,
        )
        text = f"3. generated {len(rows)} crystals\n\n{summary(rows)}\n"
        console.tell(text, out=crystals_folder, crystals=rows)
        console.tell(f"tables and CIFs lie in {crystals_folder}; next: jaxcrys prepare YOUR_FILES")


def write_prototypes(path: Path) -> Path:
    """Write pymatgen's AFLOW prototypes as a CSV with a ``cif`` column, unless it is there."""
    if path.exists():
        return path
    from pymatgen.analysis.prototypes import AFLOW_PROTOTYPE_LIBRARY
    from pymatgen.io.cif import CifWriter

    with atomic_path(path) as partial, partial.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["material_id", "mineral", "strukturbericht", "cif"])
        for entry in AFLOW_PROTOTYPE_LIBRARY:
            tags = entry["tags"]
            cif = str(CifWriter(entry["snl"].structure))
            writer.writerow([tags["aflow"], tags["mineral"], tags["strukturbericht"], cif])
    return path
