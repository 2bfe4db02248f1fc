"""``jaxcrys train``."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from jaxcrys.cli.arguments import Dataset
from jaxcrys.cli.config_file import read_config
from jaxcrys.cli.console import Console
from jaxcrys.core.errors import InputError
from jaxcrys.core.files import sha256
from jaxcrys.core.settings import changed, from_json
from jaxcrys.crystal.storage import CRYSTALS_FILE, map_crystals
from jaxcrys.data.properties import read_properties
from jaxcrys.parallel.distributed import is_first, start_distributed
from jaxcrys.recipes import get_recipe, known_recipes
from jaxcrys.recipes.library import load_model
from jaxcrys.training import TrainingConfig, train


@dataclasses.dataclass(frozen=True)
class Command:
    """Train a recipe on a dataset, or go on with a run that was interrupted.

    A run is a folder: its config, metrics.jsonl, and checkpoints. The same command with the same
    options goes on from the newest checkpoint and gives the same result as an unbroken run.

    Attributes:
        data: dataset folder, made by 'jaxcrys prepare'.
        out: folder of the run.
        val: dataset for validation; by default a twentieth of DATA is held out.
        config: YAML or JSON file of options: recipe, preset, species, settings, properties,
            training. Options on the command line go before it.
        recipe: which generator; of jaxcrys, or registered by another installed package.
        preset: size of the recipe: tiny, small, or a larger one that it names.
        settings: JSON object of recipe settings that differ from the preset, for example
            '{"network": {"channels": 64}}'.
        species: whether elements are generated (de novo) or given (structure prediction); by
            default as the preset says.
        properties: numeric columns of the dataset that crystals shall be drawn for, such as
            'formation_energy_per_atom,band_gap'; values may be missing.
        training: how to train.
        init: a trained model (run, released file or name) of the same recipe and size, whose
            parameters training starts from.
        strategy: how batches are laid over several devices; the results are the same. pmap gives
            each device whole microbatches.
        coordinator: HOST:PORT of the first of several processes, one for each host; Slurm jobs and
            TPU slices need none. 'auto' lets JAX look for it.
        processes: how many there are.
        process: which of them this is, from 0.
    """

    data: Dataset
    out: Path
    val: Path | None = None
    config: Path | None = None
    recipe: Annotated[str, tyro.conf.arg(metavar="|".join(known_recipes()))] = "orbit_flow"
    preset: str = "small"
    settings: str = "{}"
    species: Annotated[str | None, tyro.conf.arg(metavar="generated|given")] = None
    properties: str | None = None
    training: TrainingConfig = TrainingConfig()
    init: str | None = None
    strategy: Literal["sharded", "pmap"] = "sharded"
    coordinator: str | None = None
    processes: int | None = None
    process: int | None = None

    def run(self, console: Console) -> None:
        """Train."""
        start_distributed(self.coordinator, self.processes, self.process)
        names = [name.strip() for name in self.properties.split(",")] if self.properties else []
        result = train(
            self.out,
            map_crystals(self.data),
            map_crystals(self.val) if self.val else None,
            recipe=self.recipe,
            settings=recipe_settings(self.recipe, self.preset, self.settings, self.species),
            config=self.training,
            properties=read_properties(self.data, names) if names else None,
            validation_properties=read_properties(self.val, names) if names and self.val else None,
            source=describe_sources(self.data, self.val),
            init=load_model(self.init) if self.init else None,
            strategy=self.strategy,
            progress=console.progress,
        )
        values = {"out": self.out} | dataclasses.asdict(result)
        if not result.finished:
            console.tell(stopped(self.out, result.steps), **values)
        elif is_first():
            console.tell(
                f"{self.out}: {result.steps} steps, validation loss {result.loss:.4f} at step "
                f"{result.best_step}, {result.seconds:.0f} s",
                **values,
            )


def defaults(arguments: Sequence[str]) -> Command:
    """Defaults of the command, from the file that ``--config`` names if there is one.

    Raises:
        InputError: if the file cannot be read, or has an option that does not exist.
    """
    # data and out have no defaults: tyro still asks for them
    base = Command(data=tyro.MISSING, out=tyro.MISSING)
    arguments = list(arguments)
    given = [a.split("=", 1)[1] for a in arguments if a.startswith("--config=")]
    if "--config" in arguments[:-1]:
        given.append(arguments[arguments.index("--config") + 1])
    if not given:
        return base
    values = read_config(Path(given[-1]))
    texts = dict.fromkeys(("recipe", "preset", "species", "properties"), str)
    kinds: dict[str, type] = {**texts, "settings": dict, "training": dict}
    for name, value in values.items():
        if name not in kinds:
            raise InputError(given[-1], f"has no option {name!r}", f"known: {', '.join(kinds)}")
        if not isinstance(value, kinds[name]):
            kind = "named settings" if kinds[name] is dict else "text"
            raise InputError(f"{given[-1]}: {name}", f"must be {kind}, got {value!r}")
    training = from_json(TrainingConfig, values.pop("training", {}), f"{given[-1]}: training")
    settings = json.dumps(values.pop("settings", {}))
    return dataclasses.replace(
        base, config=Path(given[-1]), training=training, settings=settings, **values
    )


def stopped(run: Path, step: int) -> str:
    """What is said of a training that was asked to stop; tpu_configs/launch/start.sh knows it."""
    return f"{run}: saved at step {step}; the same command goes on from here"


def recipe_settings(recipe: str, preset: str, changes: str, species: str | None) -> Any:
    """The preset's settings with changes.

    Raises:
        InputError: for unknown presets or settings.
    """
    found = get_recipe(recipe)
    if preset not in found.presets:
        known = ", ".join(found.presets)
        raise InputError("--preset", f"{recipe} has no {preset!r}", f"known: {known}")
    given = json_object(changes, "--settings")
    if species is not None:
        given["species"] = species
    return changed(found.presets[preset], given)


def json_object(text: str, where: str) -> dict[str, Any]:
    """Read a JSON object given on the command line.

    Raises:
        InputError: if the text is something else.
    """
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(where, f"is not JSON ({error})") from error
    if not isinstance(values, dict):
        raise InputError(where, f"must be a JSON object, got {text}")
    return values


def describe_sources(data: Path, val: Path | None) -> dict[str, str]:
    """Names and hashes of the datasets, for the run's config."""
    sources = {"name": data.name, "sha256": _hash_of(data)}
    if val:
        sources |= {"validation": val.name, "validation_sha256": _hash_of(val)}
    return sources


def _hash_of(data: Path) -> str:
    return sha256(data / CRYSTALS_FILE if data.is_dir() else data)
