"""Templates of exactly one formula: the choices of ``wyformer`` under the oracle of compositions.

The number of formula units Z and the space group are open. The network is told the formula and
scores what may come next; ``symmetry.oracles.composition`` marks the choices from which the formula
can still be completed, so that no template is ever discarded and each that is drawn has the
formula. The oracle is an integer search on the host; the network runs on the device, for many
templates at once.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxcrys.core.compiling import quick_jit
from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import take
from jaxcrys.core.typing import Float, Int, Key
from jaxcrys.crystal.formula import Formula, formula_arrays
from jaxcrys.crystal.types import Crystal
from jaxcrys.nn.set_transformer import STOP
from jaxcrys.parallel.blocks import block_size
from jaxcrys.recipes import site_model
from jaxcrys.recipes.base import Composition, Params
from jaxcrys.recipes.properties import Target
from jaxcrys.recipes.site_model import FORMULA_SLOTS, Config
from jaxcrys.symmetry import oracles
from jaxcrys.symmetry.groups import lattice_fixed
from jaxcrys.symmetry.oracles import CompositionState
from jaxcrys.symmetry.tables import NUM_GROUPS
from jaxcrys.symmetry.wyckoff import position_at

BLOCK = 512
"""Templates that are drawn together at most."""


class Programs(NamedTuple):
    """Compiled pieces of the network's part."""

    begin: Any
    add_group: Any
    positions: Any
    elements: Any
    add_site: Any


def reachable_states(composition: Composition, *, sites: int) -> dict[int, CompositionState]:
    """Where templates of a formula begin: for each group that can hold it, the state of the oracle.

    Args:
        composition: what is asked for.
        sites: most sites.

    Raises:
        InputError: if no group can hold the formula, with the smallest changes that would help.

    Example:
        >>> found = reachable_states(Composition({11: 1, 17: 1}, (1,), (225, 227)), sites=4)
        >>> sorted(found)  # in 227 the smallest orbits hold two atoms of the primitive cell
        [225]
    """
    options = {"primitive": True, "max_sites": sites}
    groups = composition.groups or tuple(range(1, NUM_GROUPS + 1))
    found = {}
    for group in groups:
        units = oracles.reachable_units(composition.counts, group, composition.units, **options)
        if units:
            state = oracles.start(composition.counts, group, units, **options)
            try:
                found[group] = _with_sites(state, composition.sites)
            except InputError:
                continue
    if not found:
        group = composition.groups[0] if composition.groups else 1
        oracles.check_reachable(composition.counts, group, composition.units, **options)
        raise InputError(
            "sites", "no template of the formula has the sites given", "ask for fewer sites"
        )
    return found


def _with_sites(state: CompositionState, sites: Sequence[tuple[int, int]]) -> CompositionState:
    for position, number in sites:
        if number not in state.elements:
            raise InputError("sites", f"element {number} is not in the formula")
        state = oracles.place(state, position, state.elements.index(number))
    return state


def complete_formula(
    params: Params,
    keys: Key[jax.Array, "b"],
    compositions: Sequence[Composition],
    owner: Int[np.ndarray, "b"],
    *,
    config: Config,
    sites: int,
    group_weights: Float[np.ndarray, "231"] | None = None,
    target: Target | None = None,
) -> Crystal:
    """Draw templates, each of exactly the formula it is for.

    Args:
        params: of the network.
        keys: one for each template.
        compositions: what is asked for.
        owner: which of them each template is for.
        config: settings of the recipe.
        sites: slots of the templates.
        group_weights: log-weights of the groups, beside the model's own.
        target: properties that are asked for.

    Returns:
        Crystals without geometry, NumPy arrays.

    Raises:
        InputError: if a formula cannot be held by any group asked for.
    """
    formulas = [formula_arrays(c.counts, slots=FORMULA_SLOTS) for c in compositions]
    begins = [reachable_states(composition, sites=sites) for composition in compositions]
    stacked = jax.tree.map(lambda *parts: np.stack(parts), *formulas)
    drawn = []
    size = block_size(len(owner), most=BLOCK)
    for first in range(0, len(owner), size):
        rows = np.minimum(np.arange(first, first + size), len(owner) - 1)
        block = _draw_block(
            params, keys[rows], take(stacked, owner[rows]), [begins[i] for i in owner[rows]],
            programs=_programs(config, sites), sites=sites,
            weights=np.zeros(NUM_GROUPS + 1) if group_weights is None else group_weights,
            target=take(target, rows),
        )  # fmt: skip
        drawn += block[: len(owner) - first]
    group = np.array([state.group for state in drawn], np.int32)
    wyckoff, species = (
        np.array(part, np.int32)
        for part in zip(*(oracles.site_arrays(s.group, s.sites, sites) for s in drawn), strict=True)
    )
    return Crystal(
        group=group,
        wyckoff=wyckoff,
        species=species,
        free=np.zeros((*wyckoff.shape, 3), np.float32),
        lattice=lattice_fixed(group).astype(np.float32),
    )


def _draw_block(
    params: Params,
    keys: Key[jax.Array, "b"],
    formula: Formula,
    begins: Sequence[Mapping[int, CompositionState]],
    *,
    programs: Programs,
    sites: int,
    weights: Float[np.ndarray, "231"],
    target: Target | None,
) -> list[CompositionState]:
    """One template for each row: first its group, then its sites one by one."""
    told = {"guidance": None if target is None else target.guidance}
    memory, scores = programs.begin(params, keys, formula, target=target)
    states = [
        options[max(options, key=lambda group: row[group])]
        for options, row in zip(begins, np.asarray(scores) + weights, strict=True)
    ]
    group = np.array([state.group for state in states], np.int32)
    memory, hidden = programs.add_group(params, memory, group, **told)
    going = np.ones(len(states), bool)
    for index in range(sites):
        given = [state.sites[index] if index < len(state.sites) else None for state in states]
        masks = [oracles.choices(state) for state in states]
        offered = np.asarray(programs.positions(params, keys, hidden, group, index, **told))
        chosen = np.array(
            [
                site[0] if site else _best_position(choices, row)
                for site, choices, row in zip(given, masks, offered, strict=True)
            ]
        )
        going &= chosen != STOP
        if not going.any():
            break
        position = np.where(going, position_at(group, np.where(going, chosen, 0)), 0)
        offered = np.asarray(programs.elements(params, keys, hidden, position, index, **told))
        species = np.zeros_like(position)
        for row in np.flatnonzero(going):
            if given[row]:
                species[row] = given[row][1]
                continue
            allowed = np.flatnonzero(masks[row].mask[chosen[row]])
            numbers = np.array(states[row].elements)[allowed]
            best = allowed[np.argmax(offered[row, numbers])]
            species[row] = states[row].elements[best]
            states[row] = oracles.place(states[row], int(chosen[row]), int(best))
        memory, hidden = programs.add_site(
            params, memory, position.astype(np.int32), species.astype(np.int32), index, **told
        )
    return states


def _best_position(choices: oracles.Choices, scores: Float[np.ndarray, "28"]) -> int:
    legal = np.append(choices.mask.any(-1), choices.may_stop)
    return int(np.argmax(np.where(legal, scores, -np.inf)))


@functools.cache
def _programs(config: Config, sites: int) -> Programs:
    known = {"config": config, "sites": sites}
    return Programs(
        begin=quick_jit(functools.partial(site_model.begin, **known)),
        add_group=quick_jit(functools.partial(site_model.read_group, **known)),
        positions=quick_jit(functools.partial(site_model.offer_positions, config=config)),
        elements=quick_jit(functools.partial(site_model.offer_elements, config=config)),
        add_site=quick_jit(functools.partial(site_model.read_site, **known)),
    )
