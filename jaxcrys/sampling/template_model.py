"""Templates drawn from a trained model of templates, within what a wish fixes."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxcrys.core.compiling import quick_jit
from jaxcrys.core.elements import parse_formula
from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import take
from jaxcrys.core.rng import sample_keys
from jaxcrys.core.typing import Float, Int, Key
from jaxcrys.crystal.buckets import fit_sites, join_crystals, slot_widths
from jaxcrys.crystal.hidden_symmetry import hides_symmetry
from jaxcrys.crystal.primitive import num_primitive_atoms
from jaxcrys.crystal.types import Crystal
from jaxcrys.parallel.blocks import block_size, in_blocks
from jaxcrys.processes.site_sequence import Limits
from jaxcrys.recipes.base import Composition, get_recipe, recipe_names
from jaxcrys.recipes.model import Model
from jaxcrys.recipes.properties import Target
from jaxcrys.recipes.template_likelihood import USUAL_SETS
from jaxcrys.sampling.limits import limits_of, weights_of
from jaxcrys.sampling.targets import Asked, asked_of, target_of
from jaxcrys.sampling.wish import Wish, atoms_of, parse_template, sites_of
from jaxcrys.symmetry.wyckoff import local_index

Keys = Callable[[Int[np.ndarray, "b"]], Key[jax.Array, "b"]]
"""The random keys of samples, by their numbers."""

BATCH = 256
"""Templates that are drawn at a time, at most."""

STREAM = 0x7E3A
"""Tells the random numbers of a template from those of its geometry."""

ATTEMPTS = 8
"""Times that a template is drawn, as long as all its crystals have a larger group than it says."""


def draw_templates(
    model: Model,
    wish: Wish,
    index: Int[np.ndarray, "b"],
    *,
    seed: int,
    asked: Asked | None = None,
) -> Crystal:
    """Templates with elements for some samples; each depends on (seed, its index) alone.

    Those whose crystals could not but have a larger group are drawn again, :data:`ATTEMPTS` times
    at most. Of a recipe that draws everything at once they have their geometry already.

    Args:
        model: draws them.
        wish: what they shall keep to.
        index: numbers of the samples.
        seed: of all random numbers.
        asked: the properties of the wish, where another model helps to meet them.

    Raises:
        InputError: if the model does not make templates, or no template meets the wish.
    """
    if model.config.functions.complete is None:
        raise InputError(
            str(model.run),
            f"is a run of {model.config.recipe}, which makes no templates",
            f"give a dataset, or a run of one of {', '.join(recipe_names(completes=True))}",
        )
    check_obeys(model.config.recipe, wish)
    target = target_of(model, asked or asked_of([model], wish, index, seed=seed))
    size = block_size(len(index), most=BATCH)  # whatever is drawn again needs no other program
    draw = functools.partial(_draw_open, size=size) if wish.formula is None else _draw_formula
    templates = draw(model, wish, index, target, functools.partial(_keys, seed))
    for attempt in range(1, ATTEMPTS):
        hidden = np.flatnonzero(hides_symmetry(templates))
        if not len(hidden):
            break
        keys = functools.partial(_keys, seed, attempt=attempt)
        again = draw(model, wish, index[hidden], take(target, hidden), keys)
        templates = jax.tree.map(functools.partial(_with_rows, rows=hidden), templates, again)
    return templates


def _with_rows(values: np.ndarray, others: np.ndarray, *, rows: np.ndarray) -> np.ndarray:
    changed = np.array(values)
    changed[rows] = others
    return changed


def _draw_open(
    model: Model,
    wish: Wish,
    index: Int[np.ndarray, "b"],
    target: Target | None,
    keys: Keys,
    *,
    size: int,
) -> Crystal:
    """Templates whose composition is open."""
    sites = model.config.sites
    limits = limits_of(wish, sites)

    def draw(complete: Any, rows: np.ndarray, target: Target | None) -> Crystal:
        given = given_sites(wish, len(rows), sites)
        told = {} if target is None else {"target": target}
        return complete(model.params, keys(rows), given, limits, **told)

    widths = _widths(model, wish, index, limits, keys)
    drawn, rows = [], []
    for width in np.unique(widths):
        chosen = np.flatnonzero(widths == width)
        complete = _completion(model.config.recipe, model.config.settings, int(width))
        part = in_blocks(
            functools.partial(draw, complete), index[chosen], take(target, chosen), size=size
        )
        drawn.append(part)
        rows.append(chosen)
    return take(fit_sites(join_crystals(drawn), sites), np.argsort(np.concatenate(rows)))


def _widths(
    model: Model, wish: Wish, index: Int[np.ndarray, "b"], limits: Limits, keys: Keys
) -> Int[np.ndarray, "b"]:
    """In how many slots each sample is drawn: few, where it is known that it has few sites."""
    sites = model.config.sites
    if model.config.functions.sizes is None:
        return np.full(len(index), sites)
    count = _counting(model.config.recipe, model.config.settings)

    def of(rows: np.ndarray) -> jax.Array:
        return count(keys(rows), given_sites(wish, len(rows), sites), limits)

    return np.minimum(slot_widths(in_blocks(of, index, size=BATCH)), sites)


def log_probabilities(model: Model, templates: Crystal) -> Float[np.ndarray, "b"] | None:
    """Log-probability of each template under the model, any description of it; None if unknown.

    Of the model that is told of nothing, whatever the templates were drawn for.
    """
    likelihood = model.config.functions.likelihood
    if likelihood is None:
        return None
    return likelihood(
        model.params, templates,
        config=model.config.settings, formula_known=False, equivalents=True, most_sets=USUAL_SETS,
    ).log_prob  # fmt: skip


def check_obeys(recipe: str, wish: Wish) -> None:
    """Refuse a wish that the recipe's templates cannot keep to.

    Raises:
        InputError: naming the option, and recipes that can.
    """
    template = None if wish.template is None else parse_template(wish.template)
    for field, option, value in (
        ("groups", "--groups", wish.groups),
        ("groups", "--lattice", wish.lattice),
        ("allowed", "--chemical-system", wish.chemical_system),
        ("required", "--elements-required", wish.elements_required),
        ("amounts", "--atoms", atoms_of(wish)),
        ("amounts", "--sites", sites_of(wish)),
        ("sites", "--template", template),
        ("formula", "--formula", wish.formula),
        ("properties", "--properties", wish.properties),
    ):
        if value is not None and field not in get_recipe(recipe).obeys:
            able = [n for n in recipe_names(completes=True) if field in get_recipe(n).obeys]
            raise InputError(option, f"{recipe} cannot keep to it", f"use {' or '.join(able)}")


def given_sites(wish: Wish, count: int, sites: int) -> Crystal:
    """Templates with the group and the sites that the wish gives, all else blank."""
    group, wyckoff, species = np.zeros(count, np.int32), *np.zeros((2, count, sites), np.int32)
    if wish.template is not None:
        template = parse_template(wish.template)
        group[:] = template.group
        wyckoff[:, : len(template.sites)] = [position for position, _ in template.sites]
        species[:, : len(template.sites)] = [number for _, number in template.sites]
    return Crystal(
        group=group,
        wyckoff=wyckoff,
        species=species,
        free=np.zeros((count, sites, 3), np.float32),
        lattice=np.zeros((count, 6), np.float32),
    )


def _draw_formula(
    model: Model, wish: Wish, index: Int[np.ndarray, "b"], target: Target | None, keys: Keys
) -> Crystal:
    """Templates of exactly the formula."""
    compose = model.config.functions.compose
    assert compose is not None
    composition = composition_of(wish, most_atoms=largest_cell(model))
    return compose(
        model.params, keys(index), [composition], np.zeros(len(index), int),
        config=model.config.settings, sites=model.config.sites,
        group_weights=weights_of(wish), target=target,
    )  # fmt: skip


def composition_of(wish: Wish, *, most_atoms: int) -> Composition:
    """The exact composition that a wish with a formula asks for.

    The numbers of formula units are those within the atoms that the wish allows, or within the
    largest cells of the training set; one unit always is.

    Example:
        >>> composition_of(Wish(formula="BaTiO3"), most_atoms=12).units
        (1, 2)
    """
    assert wish.formula is not None
    for option, value in (
        ("--chemical-system", wish.chemical_system),
        ("--elements-required", wish.elements_required),
        ("--sites", wish.sites),
    ):
        if value is not None:
            raise InputError(option, "cannot be given with --formula, which says the elements")
    counts = parse_formula(wish.formula)
    divisor = int(np.gcd.reduce(list(counts.values())))
    reduced = {number: count // divisor for number, count in counts.items()}
    size = sum(reduced.values())
    low, high = atoms_of(wish) or (1, max(most_atoms, size))
    units = tuple(range(-(-low // size), high // size + 1))
    if not units:
        raise InputError(
            "--atoms", f"no number of formula units of {size} atoms is in {low} to {high}",
            f"the nearest are {high // size * size or size} and {-(-low // size) * size}",
        )  # fmt: skip
    sites = ()
    if wish.template is not None:
        template = parse_template(wish.template)
        if not all(number for _, number in template.sites):
            raise InputError("--template", "needs its elements, where a --formula is given as well")
        sites = tuple((int(local_index(np.asarray(w))), z) for w, z in template.sites)
    groups = np.flatnonzero(np.isfinite(weights_of(wish)))
    return Composition(reduced, units, tuple(groups.tolist()), sites)


def largest_cell(model: Model) -> int:
    """Atoms in the largest primitive cell of the training set."""
    return int(num_primitive_atoms(model.templates).max())


def _keys(seed: int, index: Int[np.ndarray, "b"], attempt: int = 0) -> Key[jax.Array, "b"]:
    keys = jax.vmap(jax.random.fold_in, (0, None))(sample_keys(seed, index), STREAM)
    return jax.vmap(jax.random.fold_in, (0, None))(keys, attempt) if attempt else keys


@functools.cache
def _counting(recipe: str, config: Any) -> Callable[..., jax.Array]:
    sizes = get_recipe(recipe).sizes
    assert sizes is not None
    return quick_jit(functools.partial(sizes, config=config))


@functools.cache
def _completion(recipe: str, config: Any, sites: int) -> Callable[..., Crystal]:
    complete = get_recipe(recipe).complete
    assert complete is not None
    return quick_jit(functools.partial(complete, config=config, sites=sites))
