"""From wishes to the template of each sample: where groups, positions and elements come from.

A template is a crystal whose group and positions are given, and whose elements are given where
they are not 0; its coordinates are to be drawn, and its lattice where it is not fixed.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jaxcrys.core.chunks import ChunkStore
from jaxcrys.core.elements import parse_formula
from jaxcrys.core.errors import InputError
from jaxcrys.core.progress import Progress
from jaxcrys.core.pytree import take
from jaxcrys.core.rng import sample_keys, stream
from jaxcrys.core.typing import ArrayLike, Float, Int
from jaxcrys.crystal.buckets import join_crystals
from jaxcrys.crystal.build import fit_lattice
from jaxcrys.crystal.primitive import num_primitive_atoms
from jaxcrys.crystal.storage import load_crystals
from jaxcrys.crystal.types import Crystal
from jaxcrys.geometry.lattice import matrix_from_parameters
from jaxcrys.processes import empirical
from jaxcrys.recipes.library import is_model, load_model
from jaxcrys.recipes.model import Model
from jaxcrys.sampling.limits import weights_of
from jaxcrys.sampling.targets import Asked, asked_of, join_asked
from jaxcrys.sampling.template_model import draw_templates, log_probabilities
from jaxcrys.sampling.wish import (
    Wish,
    assignments,
    atoms_of,
    check_wish,
    elements_of,
    lattice_of,
    parse_template,
    sites_of,
)
from jaxcrys.symmetry.groups import lattice_fixed, symbol
from jaxcrys.symmetry.wyckoff import multiplicity

CHUNK = 1024
"""Templates that are drawn before they are kept."""


@dataclasses.dataclass(frozen=True)
class Request:
    """A wish, and how many crystals of it.

    Attributes:
        wish: what is fixed.
        num: how many.
        name: in tables; a number where it has none.
    """

    wish: Wish = dataclasses.field(default_factory=Wish)
    num: int = 32
    name: str = ""


class Plan(NamedTuple):
    """What is to be drawn.

    Attributes:
        templates: of all samples.
        request: number of the request of each.
        log_prob: log-probability of each template under the model that drew it; NaN where none did.
        asked: properties that each is drawn for.
        modes: for each request in words, where its templates come from.
    """

    templates: Crystal
    request: Int[np.ndarray, "b"]
    log_prob: Float[np.ndarray, "b"]
    asked: Asked
    modes: tuple[str, ...]


class Work(NamedTuple):
    """Where finished work is kept, and who is told how far it is.

    Attributes:
        store: of templates that are drawn already; None to draw all of them now.
        progress: told how many there are.
    """

    store: ChunkStore | None = None
    progress: Progress = Progress()


def make_plan(
    model: Model, requests: Sequence[Request], *, seed: int, work: Work | None = None
) -> Plan:
    """The templates of all samples; sample i depends on (seed, i) and on its wish alone.

    Raises:
        InputError: if a wish contradicts itself, or cannot be met with this model.
    """
    if not requests:
        raise InputError("requests", "there are none")
    for request in requests:
        if request.num < 1:
            raise InputError("--num", f"must be at least 1, got {request.num}")
        check_wish(request.wish)
    work = work or Work()
    load = functools.cache(load_model)  # many requests may name the same run
    parts, told, first = [], [], 0
    for number, request in enumerate(requests):
        index = np.arange(first, first + request.num)
        drawing = _drawing_model(model, request.wish, load)
        own = work.store and work.store.part(f"templates_{number}")
        models = [model] if drawing is None or drawing is model else [drawing, model]
        asked = asked_of(models, request.wish, index, seed=seed)
        part = _plan_one(model, drawing, request.wish, asked, index, seed, work._replace(store=own))
        parts.append(
            part._replace(
                templates=_with_lattice(model, part.templates, request.wish),
                mode=part.mode + _for_properties(model, drawing if part.drawn else None, asked),
            )
        )
        told.append((asked, request.num))
        first += request.num
    templates = join_crystals([part.templates for part in parts])
    _check_elements(model, templates)
    numbers = np.repeat(np.arange(len(requests)), [request.num for request in requests])
    return Plan(
        templates=templates,
        request=numbers,
        log_prob=np.concatenate([part.log_prob for part in parts]),
        asked=join_asked(told),
        modes=tuple(part.mode for part in parts),
    )


class _Part(NamedTuple):
    """The plan of one request."""

    templates: Crystal
    mode: str
    log_prob: Float[np.ndarray, "b"]
    drawn: bool


def _plan_one(
    model: Model,
    drawing: Model | None,
    wish: Wish,
    asked: Asked | None,
    index: Int[np.ndarray, "b"],
    seed: int,
    work: Work,
) -> _Part:
    """The plan of one request; ``drawing`` is the model that draws templates, if there is one."""
    template = None if wish.template is None else parse_template(wish.template)
    if template and not template.more:
        whole = all(number for _, number in template.sites)
        if whole or wish.formula or drawing is None:
            templates = _from_template(wish, _words(index, seed), model.config.sites)
            _check_fixed(wish, take(templates, 0))
            elements = "as given" if whole else "of the formula" if wish.formula else "drawn"
            return _undrawn(templates, f"template as given, elements {elements}")
    if drawing is not None:
        where = "this run" if drawing is model else str(drawing.run)
        return _drawn(drawing, wish, asked, index, seed, work, where=where)
    if wish.formula is not None or template:
        raise InputError(
            "--formula" if wish.formula else "--template",
            "needs a whole --template, or a model of templates",
            "give --templates-from a run of wyformer, or a run of orbit",
        )
    _refuse_limits(wish)
    if wish.templates_from is not None:
        if wish.groups:
            raise InputError("--templates-from", "is a dataset, which already says the groups")
        references = load_crystals(wish.templates_from)
        chosen = take(references, index % len(references.group))
        templates = blank(chosen.group, chosen.wyckoff, chosen.species, model.config.sites)
        return _undrawn(templates, f"templates and elements of {wish.templates_from}")
    templates = _from_training(model, wish, index, seed)
    return _undrawn(templates, "templates of the training set, elements drawn")


def _for_properties(model: Model, drawing: Model | None, asked: Asked | None) -> str:
    """In words, what the properties that are asked for decide.

    Raises:
        InputError: if one decides nothing, as the templates are given.
    """
    if asked is None:
        return ""
    of_geometry = model.config.functions.geometry_properties(model.config.settings)
    of_templates = (
        drawing.config.functions.template_properties(drawing.config.settings) if drawing else ()
    )
    told = []
    for name in asked.values:
        places = [
            place
            for place, known in (("templates", of_templates), ("geometry", of_geometry))
            if name in [each.name for each in known]
        ]
        if not places:
            raise InputError(
                "--properties", f"{name} decides templates alone, and these are given",
                "leave one of them out",
            )  # fmt: skip
        told.append(f"{name} asked for in {' and '.join(places)}")
    return "; " + ", ".join(told)


def _undrawn(templates: Crystal, mode: str) -> _Part:
    """The plan of a request whose templates no model has drawn."""
    return _Part(templates, mode, np.full(len(templates.group), np.nan), drawn=False)


def _drawn(
    drawing: Model,
    wish: Wish,
    asked: Asked | None,
    index: Int[np.ndarray, "b"],
    seed: int,
    work: Work,
    *,
    where: str,
) -> _Part:
    """The plan of a request whose templates a model draws."""
    parts = []
    with work.progress.bar("drawing templates", total=len(index)) as bar:
        for number, start in enumerate(range(0, len(index), CHUNK)):
            rows = slice(start, start + CHUNK)
            if work.store is None or not work.store.has(number):
                part = _draw_chunk(drawing, wish, take(asked, rows), index[rows], seed)
                if work.store is not None:
                    work.store.save(number, part)
            else:
                part = work.store.load(number)
            parts.append(part)
            bar.advance(len(index[rows]))
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    log_prob = joined.pop("log_prob")
    what = "exact formula" if wish.formula else "new templates"
    return _Part(
        templates=Crystal(**joined),
        mode=f"{what}, drawn by {drawing.config.recipe} of {where}",
        log_prob=log_prob,
        drawn=True,
    )


def _draw_chunk(
    drawing: Model, wish: Wish, asked: Asked | None, index: Int[np.ndarray, "b"], seed: int
) -> dict[str, np.ndarray]:
    """Some of the templates of a request, and their log-probabilities."""
    templates = draw_templates(drawing, wish, index, seed=seed, asked=asked)
    log_prob = log_probabilities(drawing, templates)
    return vars(templates) | {
        "log_prob": np.full(len(index), np.nan) if log_prob is None else log_prob
    }


def _drawing_model(model: Model, wish: Wish, load: Callable[[Path], Model]) -> Model | None:
    """The model that draws templates: another run, this one, or none."""
    if wish.templates_from is not None:
        found = is_model(wish.templates_from)
        return load(wish.templates_from) if found else None
    return model if model.config.functions.complete is not None else None


def _check_fixed(wish: Wish, template: Crystal) -> None:
    """That a template which is fixed already keeps to the rest of the wish."""
    occupied = template.wyckoff > 0
    for option, asked, found in (
        ("--max-atoms" if wish.max_atoms else "--atoms", atoms_of(wish),
         int(num_primitive_atoms(template))),
        ("--sites", sites_of(wish), int(occupied.sum())),
    ):  # fmt: skip
        if asked and not asked[0] <= found <= asked[1]:
            raise InputError(option, f"does not allow the {found} of the --template")
    open_elements = (occupied & (template.species == 0)).any()
    allowed, required = elements_of(wish)
    present = np.isin(np.arange(len(allowed)), template.species[occupied])
    for option, value, broken in (
        ("--chemical-system", wish.chemical_system, present & ~allowed),
        ("--elements-required", wish.elements_required, required & ~present),
    ):
        if value is None:
            continue
        if open_elements:
            raise InputError(
                option, "needs a model of templates, where the --template leaves elements open",
                "give --templates-from a run of wyformer, or a run of orbit",
            )  # fmt: skip
        if broken.any():
            raise InputError(option, f"is {value}, the --template says otherwise")


def _refuse_limits(wish: Wish) -> None:
    """What only a model of templates can keep to."""
    for option, value in (
        ("--chemical-system", wish.chemical_system),
        ("--elements-required", wish.elements_required),
        ("--max-atoms" if wish.max_atoms else "--atoms", atoms_of(wish)),
        ("--sites", sites_of(wish)),
    ):
        if value is not None:
            raise InputError(
                option, "needs a model of templates",
                "give --templates-from a run of wyformer, or a run of orbit",
            )  # fmt: skip


def _from_template(wish: Wish, words: Int[np.ndarray, "b"], sites: int) -> Crystal:
    assert wish.template is not None
    template = parse_template(wish.template)
    given = sorted(template.sites)
    species = [tuple(number for _, number in given)]
    if wish.formula is not None:
        species = assignments(given, parse_formula(wish.formula))
        if not species:
            atoms = [int(multiplicity(np.asarray(w))) for w, _ in given]
            raise InputError(
                "--formula",
                f"{wish.formula} does not fit {wish.template!r}, whose positions hold "
                f"{' + '.join(map(str, atoms))} atoms",
            )
    way = words % len(species)  # every way is equally likely
    wyckoff = np.tile([w for w, _ in given], (len(way), 1))
    return blank(np.full(len(way), template.group), wyckoff, np.asarray(species)[way], sites)


def _from_training(model: Model, wish: Wish, index: Int[np.ndarray, "b"], seed: int) -> Crystal:
    training = model.templates
    templates = empirical.fit(np.asarray(training.group), np.asarray(training.wyckoff))
    weights = weights_of(wish)[np.asarray(templates.group)]
    if not np.isfinite(weights).any():
        groups = np.flatnonzero(np.isfinite(weights_of(wish)))[:8]
        names = ", ".join(f"{symbol(int(g))} ({g})" for g in groups)
        raise InputError(
            "--groups", f"the training set has no crystal in {names}", "give a --template"
        )
    weighted = dataclasses.replace(templates, log_weight=templates.log_weight + weights)
    draw = jax.jit(jax.vmap(lambda key: empirical.sample(weighted, key)))
    chosen = np.asarray(draw(_keys(index, seed)))
    wyckoff = np.asarray(templates.wyckoff)[chosen]
    group = np.asarray(templates.group)[chosen]
    return blank(group, wyckoff, np.zeros_like(wyckoff), model.config.sites)


def _keys(index: Int[np.ndarray, "b"], seed: int) -> jax.Array:
    return jax.vmap(stream, (0, None))(sample_keys(seed, index), "template")


def _words(index: Int[np.ndarray, "b"], seed: int) -> Int[np.ndarray, "b"]:
    """A random number for each sample: a word of its key is as random as a draw from it."""
    return np.asarray(jax.random.key_data(_keys(index, seed))).reshape(len(index), -1)[:, -1]


def blank(group: ArrayLike, wyckoff: ArrayLike, species: ArrayLike, sites: int) -> Crystal:
    """Templates as crystals without geometry, in at least ``sites`` slots."""
    extra = max(sites - wyckoff.shape[-1], 0)
    wyckoff, species = (
        np.pad(np.asarray(a, np.int32), [(0, 0), (0, extra)]) for a in (wyckoff, species)
    )
    group = np.asarray(group, np.int32)
    return Crystal(
        group=group,
        wyckoff=wyckoff,
        species=species,
        free=np.zeros((*wyckoff.shape, 3), np.float32),
        lattice=lattice_fixed(group).astype(np.float32),
    )


def _with_lattice(model: Model, templates: Crystal, wish: Wish) -> Crystal:
    """The lattice that is asked for, in the place of a blank one."""
    parameters = lattice_of(wish)
    if parameters is None:
        return templates
    if "lattice" not in model.config.functions.obeys:
        raise InputError("--lattice", f"{model.config.recipe} draws it", "use a run of orbit_flow")
    matrix = np.asarray(matrix_from_parameters(np.array(parameters)))
    lattices = {int(group): fit_lattice(matrix, int(group)) for group in np.unique(templates.group)}
    rows = [lattices[int(group)] for group in templates.group]
    return dataclasses.replace(templates, lattice=np.array(rows, np.float32))


def _check_elements(model: Model, templates: Crystal) -> None:
    open_sites = (templates.wyckoff > 0) & (templates.species == 0)
    functions = model.config.functions
    if open_sites.any() and not functions.generates_species(model.config.settings):
        raise InputError(
            str(model.run),
            "was trained with the elements given, and does not draw them",
            "give --template and --formula, or --templates-from a dataset or a run of wyformer",
        )
