"""A set of sites as a sequence of choices: a position or to stop, then an element, and so on.

A template of n sites is read in a random order σ. Under a model of the next choice,

    log p(σ) = Σ_i log p(position_i | sites before) + log p(element_i | position_i, sites before)
               + log p(stop | all sites),

with exact zeros for what the symmetry forbids (``symmetry.oracles``), so that each sequence that
can be drawn is a template. The same set of sites can come in many orders, and p(set) = Σ_σ p(σ).
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import ArrayLike, Bool, Float, Int, Key
from jaxcrys.processes.categorical import normalise
from jaxcrys.symmetry.oracles import (
    Amounts,
    can_finish,
    legal_positions,
    missing_elements,
)
from jaxcrys.symmetry.tables import NUM_GROUPS
from jaxcrys.symmetry.wyckoff import local_index, position_slots

ELEMENTS = 119
"""Entries of masks by atomic number; 0 is no element."""


@pytree
class Limits:
    """What templates may contain.

    Attributes:
        groups: log-weights of space groups by number, -inf where forbidden, which count beside
            the model's own; entry 0 is no group.
        allowed: elements that may occur.
        required: elements that must occur.
        amounts: numbers of atoms and of sites, or None for any.
    """

    groups: Float[ArrayLike, "231"]
    allowed: Bool[ArrayLike, "119"]
    required: Bool[ArrayLike, "119"]
    amounts: Amounts | None = None


def no_limits() -> Limits:
    """Any groups, elements and amounts.

    Example:
        >>> no_limits().required.any()
        np.False_
    """
    return Limits(
        groups=np.where(np.arange(NUM_GROUPS + 1) > 0, 0, -np.inf),
        allowed=np.arange(ELEMENTS) > 0,
        required=np.zeros(ELEMENTS, bool),
    )


def random_order(
    key: Key[jax.Array, ""], wyckoff: Int[ArrayLike, "*b s"], species: Int[ArrayLike, "*b s"]
) -> tuple[Int[ArrayLike, "*b s"], Int[ArrayLike, "*b s"]]:
    """The sites of each template in a random order, empty slots at the end.

    Example:
        >>> wyckoff, species = jnp.array([0, 5, 7]), jnp.array([0, 11, 17])
        >>> random_order(jax.random.key(0), wyckoff, species)[0].tolist()
        [7, 5, 0]
    """
    place = jnp.where(wyckoff > 0, jax.random.uniform(key, wyckoff.shape), 2)
    order = jnp.argsort(place, axis=-1)
    return jnp.take_along_axis(wyckoff, order, -1), jnp.take_along_axis(species, order, -1)


def legal_choices(
    group: Int[ArrayLike, "*b"],
    wyckoff: Int[ArrayLike, "*b s"],
    species: Int[ArrayLike, "*b s"],
    limits: Limits | None = None,
) -> Bool[ArrayLike, "*b 28"]:
    """Which positions may come next, by local index, and whether the template may stop.

    Only what can still end within the limits is legal. Without limits the symmetry alone decides.

    Example:
        >>> sites, none = jnp.zeros(4, jnp.int32), jnp.zeros(4, jnp.int32)
        >>> legal_choices(jnp.array(2), sites, none).sum().item()  # nine positions
        9
    """
    positions = legal_positions(group, wyckoff)
    stop = (wyckoff > 0).any(-1)
    if limits is not None:
        missing = missing_elements(species, limits.required).sum(-1)
        tried = position_slots(group)
        after = jnp.concatenate(
            [jnp.broadcast_to(wyckoff[..., None, :], (*tried.shape, wyckoff.shape[-1])),
             tried[..., None]], -1,
        )  # fmt: skip
        room = (wyckoff == 0).sum(-1) - 1
        positions &= _can_end(
            limits, group[..., None], after, missing[..., None] - 1, room[..., None]
        )
        stop &= (missing == 0) & _can_end(limits, group, wyckoff, missing, 0 * room)
    return jnp.concatenate([positions, jnp.asarray(stop)[..., None]], -1)


def legal_species(
    group: Int[ArrayLike, "*b"],
    wyckoff: Int[ArrayLike, "*b s"],
    species: Int[ArrayLike, "*b s"],
    limits: Limits,
) -> Bool[ArrayLike, "*b 119"]:
    """Which elements the next may be of the sites that have none yet, one or several."""
    missing = missing_elements(species, limits.required)
    others = ((wyckoff > 0) & (species == 0)).sum(-1) - 1
    room = (wyckoff == 0).sum(-1)
    spare = _can_end(limits, group, wyckoff, missing.sum(-1) - others, room)[..., None]
    anything = jnp.asarray(limits.allowed) | jnp.asarray(limits.required)
    return jnp.where(spare, anything, missing) & (jnp.arange(anything.shape[-1]) > 0)


def _can_end(
    limits: Limits, group: ArrayLike, wyckoff: ArrayLike, fewest: ArrayLike, most: ArrayLike
) -> Bool[ArrayLike, "*b"]:
    """Whether ``fewest`` to ``most`` further sites can end within the limits."""
    fewest = jnp.maximum(fewest, 0)
    if limits.amounts is None:
        return jnp.broadcast_to(fewest <= most, wyckoff.shape[:-1])
    return can_finish(limits.amounts, group, wyckoff, fewest, most)


def log_prob(
    positions: Float[ArrayLike, "*b t 28"],
    elements: Float[ArrayLike, "*b s z"],
    group: Int[ArrayLike, "*b"],
    wyckoff: Int[ArrayLike, "*b s"],
    species: Int[ArrayLike, "*b s"],
    *,
    allowed: Bool[ArrayLike, "*b z"] | None = None,
) -> tuple[Float[ArrayLike, "*b"], Float[ArrayLike, "*b"]]:
    """Log-probabilities of all choices of positions, and of all elements, of one sequence each.

    To stop is a choice even where all slots are full, so that padding changes nothing.

    Args:
        positions: scores of a model after the group and after each site, so t = s + 1.
        elements: its scores of the element of each site.
        group: space groups.
        wyckoff: positions in the order of the sequence, empty slots at the end.
        species: atomic numbers.
        allowed: elements that may occur, where not all may.
    """
    slots = wyckoff.shape[-1]
    occupied = wyckoff > 0
    count = occupied.sum(-1)
    before = jnp.arange(slots + 1) < jnp.arange(slots + 1)[:, None]
    one_more = [(0, 0)] * (wyckoff.ndim - 1) + [(0, 1)]
    so_far = jnp.where(before, jnp.pad(wyckoff, one_more)[..., None, :], 0)
    legal = legal_choices(group[..., None], so_far, so_far)  # without limits elements do not matter
    chosen = jnp.where(occupied, local_index(wyckoff), positions.shape[-1] - 1)
    chosen = jnp.concatenate([chosen, jnp.full_like(chosen[..., :1], positions.shape[-1] - 1)], -1)
    logs = normalise(jnp.where(legal, positions, -jnp.inf))
    logs = jnp.take_along_axis(logs, chosen[..., None], -1)[..., 0]
    made = jnp.arange(slots + 1) <= count[..., None]
    real = jnp.arange(elements.shape[-1]) > 0
    possible = real if allowed is None else real & allowed[..., None, :]
    of_element = normalise(jnp.where(possible, elements, -jnp.inf))
    of_element = jnp.take_along_axis(of_element, species[..., None], -1)[..., 0]
    return (
        jnp.where(made, logs, 0).sum(-1),
        jnp.where(occupied, jnp.where(occupied, of_element, 0), 0).sum(-1),
    )
