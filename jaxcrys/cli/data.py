"""``jaxcrys data``."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from jaxcrys.cli.console import Console
from jaxcrys.core.download import MEGABYTE
from jaxcrys.core.errors import InputError
from jaxcrys.data.fetch import dataset_names, fetch, find, next_commands
from jaxcrys.data.public import PublicDataset


@dataclasses.dataclass(frozen=True)
class Fetch:
    """Fetch a public dataset, and check that its files are what they must be.

    An interrupted download goes on when the command is given again; files that are there already
    are checked and left as they are.

    Attributes:
        name: mp_20, mpts_52, perov_5, carbon_24, alex_mp_20, or one of another installed package;
            'jaxcrys data list' describes them.
        out: folder to put it in; a folder of that name by default.
    """

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    out: Path | None = None

    def run(self, console: Console) -> None:
        """Fetch."""
        dataset = find(self.name)
        folder = Path(self.name) if self.out is None else self.out
        files = fetch(self.name, folder, progress=console.progress)
        text = f"{folder}: {dataset.about}; {dataset.crystals:,} crystals"
        console.tell(text, out=folder, files=files)
        for file in files:
            console.tell(f"  {file.name}, {file.size / MEGABYTE:.1f} MB: {file.verdict}")
        console.tell(f"licence: {dataset.licence}", licence=dataset.licence)
        console.tell("\n".join(f"cite: {work}" for work in dataset.citation))
        console.tell("next:")
        console.tell("\n".join(f"  {command}" for command in next_commands(self.name, folder)))


@dataclasses.dataclass(frozen=True)
class List:
    """List the public datasets that can be fetched."""

    def run(self, console: Console) -> None:
        """List them."""
        for name in dataset_names():
            try:
                dataset = find(name)
            except InputError as error:  # of another package; the rest can be listed all the same
                console.tell(str(error))
                continue
            console.tell(f"{name}: {dataset.about}", **{name: dataset})
            console.tell(f"  {dataset.crystals:,} crystals, {_size(dataset)}, {dataset.licence}")


Command = (
    Annotated[Fetch, tyro.conf.subcommand("fetch")] | Annotated[List, tyro.conf.subcommand("list")]
)
"""What is to be done with them."""


def _size(dataset: PublicDataset) -> str:
    sizes = [file.size for file in dataset.files if file.size is not None]
    if len(sizes) < len(dataset.files):
        return "size not known"
    return f"{sum(sizes) / MEGABYTE:.1f} MB"
