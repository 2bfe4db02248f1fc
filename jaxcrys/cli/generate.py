"""``jaxcrys generate``."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro

from jaxcrys.cli.console import Console
from jaxcrys.cli.relax import check_relaxation, relax_drawn
from jaxcrys.cli.train import json_object
from jaxcrys.core.errors import InputError
from jaxcrys.potentials.library import load_potential
from jaxcrys.recipes.library import IN_THE_BOX, load_model
from jaxcrys.recipes.model import with_settings
from jaxcrys.sampling.energy_guide import EnergyGuide
from jaxcrys.sampling.generate import generate
from jaxcrys.sampling.guide import Guide
from jaxcrys.sampling.plan import Request
from jaxcrys.sampling.property_guide import PropertyGuide
from jaxcrys.sampling.request_file import read_requests
from jaxcrys.sampling.summary import summary
from jaxcrys.sampling.wish import Wish, parse_properties


@dataclasses.dataclass(frozen=True)
class Command:
    """Draw new crystals from a trained model; by default from the one that comes with jaxcrys.

    What is fixed is kept in every sample; what no crystal can meet is refused at once. Sample i
    depends on the seed, on i and on what is asked for alone. An interrupted call goes on where it
    stopped when it is given again.

    Attributes:
        out: folder for the crystals: crystals.npz, structures.extxyz, cif/, table.csv, run.json.
        trained: a run made by 'jaxcrys train', a file made by 'jaxcrys release', or the name of a
            model that comes with jaxcrys.
        num: how many crystals.
        seed: of all random numbers.
        candidates: draws for each crystal; the one that the model trusts most is kept.
        keep: how many of the candidates are kept, the best first.
        clash_steps: steps by which atoms that came too near each other are moved apart.
        settings: JSON object of settings of the recipe's sampler to change, for example
            '{"flow": {"steps": 50}}'.
        batch_size: crystals that are drawn at a time, fewer of large cells.
        strategy: how they are laid over several accelerators; the results are the same.
        requests: YAML or JSON file of several requests, in place of the options below; each with
            the names of these options, and num.
        groups: space groups, such as 14,62,225, or with weights, such as 14=2,62=1.
        template: a group and its sites with or without elements, such as "58: 2a Mn, 4g Li" or
            "221: 1a, 1b, 3c"; ", ..." at the end lets further sites follow.
        formula: exact composition, with any number of formula units that fits.
        chemical_system: elements that may occur, such as Li-P-S.
        elements_required: elements that must occur, such as Li.
        atoms: atoms in the primitive cell, such as 12 or 4-20.
        max_atoms: most atoms in the primitive cell.
        sites: number of sites, such as 3 or 2-5.
        lattice: a,b,c in Å and α,β,γ in degrees of the conventional cell.
        properties: values or ranges that the model was trained with, such as
            "band_gap=1:2, formation_energy_per_atom=-1.5". They are aimed at, not kept exactly.
        guidance: weight by which they are stressed: 0 for none, 1 by default, rarely more than 3.
        templates_from: a dataset; sample i takes group, positions and elements of its crystal i.
            Or a run of a recipe such as wyformer, which draws them.
        checkpoint: best, latest, or a step.
        energy_guidance: a potential, nequix-mp-1, a .nqx file or ase:MODULE:CLASS, that takes what
            a run of orbit or orbit_flow is heading for down in energy on the way. Costs
            energy_steps + 1 evaluations of each crystal at each guided step.
        energy_steps: by which it is taken down at each guided step.
        property_guidance: a run of 'jaxcrys fit', by whose estimates coordinates and lattice are
            led towards the values of --toward on the way.
        toward: ranges or values for --property-guidance, such as "band_gap=1:2".
        guided_since: share of the sampler's steps before the first guided one.
        relax: relax what was drawn with this potential, nequix-mp-1 or a .nqx file, into
            OUT/relaxed, as 'jaxcrys relax' does.
        hull: by which the relaxed crystals are judged, made by 'jaxcrys hull'.
    """

    out: Path
    trained: Annotated[str, tyro.conf.arg(name="run")] = IN_THE_BOX
    num: int = 32
    seed: int = 0
    candidates: int = 1
    keep: int = 1
    clash_steps: int = 0
    settings: str = "{}"
    batch_size: int = 64
    strategy: Literal["sharded", "pmap"] = "sharded"
    requests: Path | None = None
    groups: str | None = None
    template: str | None = None
    formula: str | None = None
    chemical_system: str | None = None
    elements_required: str | None = None
    atoms: str | None = None
    max_atoms: int | None = None
    sites: str | None = None
    lattice: str | None = None
    properties: str | None = None
    guidance: float | None = None
    templates_from: Path | None = None
    checkpoint: str = "best"
    energy_guidance: str | None = None
    energy_steps: int = 2
    property_guidance: str | None = None
    toward: str | None = None
    guided_since: float = 0.6
    relax: str | None = None
    hull: Path | None = None

    def run(self, console: Console) -> None:
        """Generate."""
        if self.checkpoint not in ("best", "latest") and not self.checkpoint.isdecimal():
            raise InputError(
                "--checkpoint", f"must be best, latest or a step, got {self.checkpoint!r}"
            )
        check_relaxation(self.relax, self.hull)
        model = load_model(self.trained, checkpoint=self.checkpoint)
        rows = generate(
            with_settings(model, json_object(self.settings, "--settings")),
            self.out,
            *self.asked(),
            seed=self.seed,
            candidates=self.candidates,
            keep=self.keep,
            clash_steps=self.clash_steps,
            guide=self.guide(),
            batch_size=self.batch_size,
            strategy=self.strategy,
            progress=console.progress,
        )
        console.tell(summary(rows))
        console.tell(f"written to {self.out}", out=self.out, crystals=rows)
        relax_drawn(self.out, self.relax, self.hull, console)

    def guide(self) -> Guide | None:
        """What guides the sampler."""
        if (self.property_guidance is None) != (self.toward is None):
            raise InputError("--property-guidance", "goes with --toward", "say both or neither")
        if self.energy_guidance and self.property_guidance:
            raise InputError("--property-guidance", "cannot be had beside --energy-guidance")
        if self.energy_guidance:
            potential = load_potential(self.energy_guidance)
            return EnergyGuide(potential, self.energy_steps, self.guided_since)
        if self.property_guidance and self.toward:
            model, wanted = load_model(self.property_guidance), parse_properties(self.toward)
            return PropertyGuide(model, wanted, since=self.guided_since)
        return None

    def asked(self) -> tuple[Request, ...]:
        """The requests of the file, or the one that the options make."""
        wish = Wish(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Wish)})
        if self.requests is None:
            return (Request(wish, self.num),)
        if wish != Wish():
            raise InputError("--requests", "stands in place of the other options of what to draw")
        return read_requests(self.requests)
