"""Templates drawn from a trained model of templates, within the limits of a wish."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.blocks import in_blocks
from jaxcrys.core.elements import atomic_number
from jaxcrys.core.errors import InputError
from jaxcrys.core.rng import sample_keys
from jaxcrys.core.typing import Bool
from jaxcrys.crystal.types import Crystal
from jaxcrys.processes.site_sequence import ELEMENTS, Limits, no_limits
from jaxcrys.recipes.base import get_recipe, recipe_names
from jaxcrys.recipes.model import Model
from jaxcrys.sampling.wish import Wish
from jaxcrys.symmetry.oracles import most_further_sites
from jaxcrys.symmetry.tables import NUM_GROUPS

BATCH = 256
"""Templates that are drawn at a time."""

STREAM = 0x7E3A
"""Tells the random numbers of a template from those of its geometry."""


def draw_templates(model: Model, wish: Wish, *, num: int, seed: int) -> Crystal:
    """Templates with elements for the first ``num`` samples; each depends on (seed, i) alone.

    Of a recipe that draws everything at once they have their geometry already.

    Raises:
        InputError: if the model does not make templates, or no template meets the wish.
    """
    functions, sites = model.config.functions, model.config.sites
    if functions.complete is None:
        raise InputError(
            str(model.run),
            f"is a run of {model.config.recipe}, which makes no templates",
            f"give a dataset, or a run of one of {', '.join(recipe_names(completes=True))}",
        )
    check_obeys(model.config.recipe, wish)
    limits = limits_of(wish, sites)
    complete = _completion(model.config.recipe, model.config.settings, sites)

    def draw(index: np.ndarray) -> Crystal:
        keys = jax.vmap(jax.random.fold_in, (0, None))(sample_keys(seed, index), STREAM)
        return complete(model.params, keys, _nothing(len(index), sites), limits)

    return in_blocks(draw, np.arange(num), size=BATCH)


def check_obeys(recipe: str, wish: Wish) -> None:
    """Refuse a wish that the recipe cannot keep to.

    Raises:
        InputError: naming the option, and recipes that can.
    """
    for field, option, value in (
        ("groups", "--space-group", wish.groups or None),
        ("allowed", "--chemical-system", wish.chemical_system),
        ("required", "--elements-required", wish.elements_required),
        ("max_atoms", "--max-atoms", wish.max_atoms),
    ):
        if value is not None and field not in get_recipe(recipe).obeys:
            able = [n for n in recipe_names(completes=True) if field in get_recipe(n).obeys]
            raise InputError(option, f"{recipe} cannot keep to it", f"use {' or '.join(able)}")


def limits_of(wish: Wish, sites: int) -> Limits:
    """What a wish says of groups, elements and atoms; of the groups, those in which it can be met.

    Raises:
        InputError: if there is no such group.

    Example:
        >>> limits = limits_of(Wish(groups=(1, 227), elements_required="Li-O", max_atoms=3), 9)
        >>> np.flatnonzero(limits.groups).tolist()  # the smallest orbits of 227 hold two atoms
        [1]
    """
    required, allowed = np.zeros(ELEMENTS, bool), np.arange(ELEMENTS) > 0
    if wish.elements_required is not None:
        required = _mask(wish.elements_required, "--elements-required")
    if wish.chemical_system is not None:
        allowed = _mask(wish.chemical_system, "--chemical-system")
    if (required & ~allowed).any():
        raise InputError(
            "--elements-required",
            f"{wish.elements_required} is not within the chemical system {wish.chemical_system}",
        )
    anything = no_limits()
    most = anything.max_atoms if wish.max_atoms is None else np.asarray(wish.max_atoms, np.int32)
    numbers = np.arange(1, NUM_GROUPS + 1)
    room = most_further_sites(
        numbers, np.zeros((NUM_GROUPS, sites), np.int32), max_atoms=most, primitive=True
    )
    possible = np.concatenate([[False], room >= max(int(required.sum()), 1)])
    wanted = np.isin(np.arange(NUM_GROUPS + 1), wish.groups) if wish.groups else anything.groups
    if not (possible & wanted).any():
        raise InputError(
            "--max-atoms" if wish.max_atoms is not None else "--elements-required",
            f"no group asked for holds {max(int(required.sum()), 1)} sites in {int(most)} atoms of "
            f"the primitive cell and {sites} sites",
            "ask for more atoms, fewer elements, or another group",
        )
    return Limits(groups=possible & wanted, allowed=allowed, required=required, max_atoms=most)


def _mask(elements: str, where: str) -> Bool[np.ndarray, "119"]:
    """Elements written such as Li-P-S."""
    mask = np.zeros(ELEMENTS, bool)
    for symbol in elements.split("-"):
        try:
            mask[atomic_number(symbol)] = True
        except InputError as error:
            raise InputError(where, str(error), "write it as Li-P-S") from error
    return mask


def _nothing(count: int, sites: int) -> Crystal:
    empty = jnp.zeros((count, sites), jnp.int32)
    return Crystal(
        group=jnp.zeros(count, jnp.int32),
        wyckoff=empty,
        species=empty,
        free=jnp.zeros((count, sites, 3)),
        lattice=jnp.zeros((count, 6)),
    )


@functools.cache
def _completion(recipe: str, config: Any, sites: int) -> Callable[..., Crystal]:
    complete = get_recipe(recipe).complete
    assert complete is not None
    return jax.jit(functools.partial(complete, config=config, sites=sites))
