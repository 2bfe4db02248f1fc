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
    legal_elements,
    legal_positions,
    may_stop,
    missing_elements,
    most_further_sites,
)
from jaxcrys.symmetry.tables import NUM_GROUPS
from jaxcrys.symmetry.wyckoff import local_index

ELEMENTS = 119
"""Entries of masks by atomic number; 0 is no element."""


@pytree
class Limits:
    """What templates may contain; one for each, or one for all.

    Attributes:
        groups: space groups that may be drawn, by number; entry 0 is no group.
        allowed: elements that may occur.
        required: elements that must occur.
        max_atoms: most atoms in the primitive cell.
    """

    groups: Bool[ArrayLike, "*b 231"]
    allowed: Bool[ArrayLike, "*b 119"]
    required: Bool[ArrayLike, "*b 119"]
    max_atoms: Int[ArrayLike, "*b"]


def no_limits(max_atoms: int = 10_000) -> Limits:
    """Any elements, and so many atoms.

    Example:
        >>> int(no_limits(20).max_atoms)
        20
    """
    anything = np.arange(ELEMENTS) > 0
    return Limits(
        groups=np.arange(NUM_GROUPS + 1) > 0,
        allowed=anything,
        required=np.zeros(ELEMENTS, bool),
        max_atoms=np.asarray(max_atoms, np.int32),
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

    Only what leaves room for the elements that are still required is legal. Without limits the
    symmetry alone decides.

    Example:
        >>> sites, none = jnp.zeros(4, jnp.int32), jnp.zeros(4, jnp.int32)
        >>> legal_choices(jnp.array(2), sites, none).sum().item()  # nine positions
        9
    """
    if limits is None:
        positions = legal_positions(group, wyckoff)
        stop = (wyckoff > 0).any(-1)
    else:
        further = jnp.maximum(missing_elements(species, limits.required).sum(-1) - 1, 0)
        positions = legal_positions(
            group, wyckoff, max_atoms=limits.max_atoms, primitive=True, further=further
        )
        stop = may_stop(species, limits.required)
    return jnp.concatenate([positions, jnp.asarray(stop)[..., None]], -1)


def legal_species(
    group: Int[ArrayLike, "*b"],
    wyckoff: Int[ArrayLike, "*b s"],
    species: Int[ArrayLike, "*b s"],
    limits: Limits,
) -> Bool[ArrayLike, "*b 119"]:
    """Which elements the newest site may have, the one without an element among ``wyckoff``."""
    after = most_further_sites(group, wyckoff, max_atoms=limits.max_atoms, primitive=True)
    return legal_elements(
        species, allowed=limits.allowed, required=limits.required, remaining=1 + after
    )


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
