"""Two ways to write the site symmetry of a site as categories, for discrete diffusion.

``axes``: fifteen categories, the symmetry element along each axis (SymmCD, Levy et al., ICLR 2025).
What is drawn need not belong to any position, and several positions of a group may share it: it is
decoded to the nearest position, by its elements and then by the coordinates.

``positions``: one category, which of the group's positions it is. Networks know a position by its
oriented symbol and its enumeration among those with the same symbol, so that groups can learn from
each other.

Of what no position of the group has, the probability is zero.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.typing import ArrayLike, Float, Int, Key
from jaxcrys.processes.categorical import draw
from jaxcrys.recipes.census import Census, log_of, position_shares
from jaxcrys.symmetry.nearest_position import nearest_position
from jaxcrys.symmetry.oracles import legal_positions
from jaxcrys.symmetry.site_symmetry import (
    MAX_SHARING,
    SITE_SYMMETRIES,
    site_symmetry_id,
    site_symmetry_index,
)
from jaxcrys.symmetry.symmetry_bits import SITE_ELEMENTS, SYMMETRY_AXES, site_elements
from jaxcrys.symmetry.tables import NUM_GROUPS, lookup
from jaxcrys.symmetry.wyckoff import (
    MAX_POSITIONS,
    free_mask,
    local_index,
    position_at,
    position_slots,
)

Category = Int[ArrayLike, "*b s e"]


class Given(NamedTuple):
    """What decoding starts from.

    Attributes:
        group: space groups.
        occupied: which slots are to be filled.
        wyckoff: positions that are given already, 0 elsewhere.
    """

    group: Int[ArrayLike, "b"]
    occupied: ArrayLike
    wyckoff: Int[ArrayLike, "b s"]


class SiteDescription(NamedTuple):
    """One of the two ways, as plain functions.

    Attributes:
        entries: categories of a site.
        classes: of each.
        features: numbers by which a network reads them, and logits by which it answers.
        encode: from positions to categories, [b, s, entries].
        log_marginal: logarithm of the stationary distribution in each group, -inf for what no
            position has: [b, 1, entries, classes].
        read: from group and categories to features, [b, s, features].
        answer: from group and logits of the network to logits of the categories.
        decode: positions and free coordinates, site by site.
    """

    entries: int
    classes: int
    features: int
    encode: Callable[[Int[ArrayLike, "b s"]], Category]
    log_marginal: Callable[[Census, Int[ArrayLike, "b"]], ArrayLike]
    read: Callable[[Int[ArrayLike, "b"], Category], ArrayLike]
    answer: Callable[[Int[ArrayLike, "b"], ArrayLike], ArrayLike]
    decode: Callable[..., tuple[ArrayLike, ArrayLike]]


@functools.cache
def _axis_marginals(census: Census) -> Float[np.ndarray, "231 15 13"]:
    shares = position_shares(census)
    elements = site_elements()[position_slots(np.arange(NUM_GROUPS + 1))]
    result = np.zeros((NUM_GROUPS + 1, len(SYMMETRY_AXES), len(SITE_ELEMENTS)))
    groups, axes = np.arange(NUM_GROUPS + 1)[:, None, None], np.arange(len(SYMMETRY_AXES))
    np.add.at(result, (groups, axes, elements), shares[..., None])
    return result


def _axis_encode(wyckoff: Int[ArrayLike, "b s"]) -> Category:
    return lookup(site_elements(), wyckoff)


def _axis_log_marginal(census: Census, group: Int[ArrayLike, "b"]) -> ArrayLike:
    return lookup(log_of(_axis_marginals(census)), group)[:, None]


def _axis_read(group: Int[ArrayLike, "b"], category: Category) -> ArrayLike:
    del group
    bits = jax.nn.one_hot(category, len(SITE_ELEMENTS))
    return bits.reshape(*bits.shape[:-2], -1)


def _axis_answer(group: Int[ArrayLike, "b"], logits: ArrayLike) -> ArrayLike:
    del group
    return logits.reshape(*logits.shape[:-1], len(SYMMETRY_AXES), len(SITE_ELEMENTS))


def _axis_decode(
    keys: Key[jax.Array, "b"],
    given: Given,
    category: Category,
    logits: ArrayLike,
    coordinates: Float[ArrayLike, "b s 3"],
) -> tuple[ArrayLike, ArrayLike]:
    """Take for each site the nearest position that is not full, and project the point onto it."""
    del keys, logits
    bits = jax.nn.one_hot(category, len(SITE_ELEMENTS))

    def choose(index: jax.Array, legal: ArrayLike) -> tuple[ArrayLike, ArrayLike]:
        own = (jnp.take(values, index, axis=1) for values in (bits, coordinates))
        return nearest_position(given.group, *own, allowed=legal)

    return _site_by_site(given, choose)


def _position_encode(wyckoff: Int[ArrayLike, "b s"]) -> Category:
    return jnp.maximum(local_index(wyckoff), 0)[..., None]


def _position_log_marginal(census: Census, group: Int[ArrayLike, "b"]) -> ArrayLike:
    return lookup(log_of(position_shares(census)), group)[:, None, None]


def _token(wyckoff: Int[ArrayLike, "*b"]) -> ArrayLike:
    return site_symmetry_id(wyckoff) * MAX_SHARING + site_symmetry_index(wyckoff)


def _position_read(group: Int[ArrayLike, "b"], category: Category) -> ArrayLike:
    wyckoff = position_at(group[:, None], category[..., 0])
    return jax.nn.one_hot(_token(wyckoff), POSITIONS.features)


def _position_answer(group: Int[ArrayLike, "b"], logits: ArrayLike) -> ArrayLike:
    tokens = _token(position_slots(group))[:, None, :]
    tokens = jnp.broadcast_to(tokens, (*logits.shape[:-1], MAX_POSITIONS))
    return jnp.take_along_axis(logits, tokens, -1)[..., None, :]


def _position_decode(
    keys: Key[jax.Array, "b"],
    given: Given,
    category: Category,
    logits: ArrayLike,
    coordinates: Float[ArrayLike, "b s 3"],
) -> tuple[ArrayLike, ArrayLike]:
    """Keep what was drawn; where it is full already, draw again from what the network said."""

    def choose(index: jax.Array, legal: ArrayLike) -> tuple[ArrayLike, ArrayLike]:
        own = jax.vmap(jax.random.fold_in, (0, None))(keys, index)
        drawn = jnp.take(category, index, axis=1)
        left = jnp.where(legal, jnp.take(logits, index, axis=1)[:, 0], -jnp.inf)
        other = jax.vmap(draw)(own, left)
        fits = jnp.take_along_axis(legal, drawn, -1)[:, 0]
        wyckoff = position_at(given.group, jnp.where(fits, drawn[:, 0], other))
        return wyckoff, jnp.take(coordinates, index, axis=1)

    return _site_by_site(given, choose)


def _site_by_site(
    given: Given, choose: Callable[[jax.Array, ArrayLike], tuple[ArrayLike, ArrayLike]]
) -> tuple[ArrayLike, ArrayLike]:
    """Fill the slots one after another; what is legal depends on those before."""

    def one_site(wyckoff: jax.Array, index: jax.Array) -> tuple[jax.Array, jax.Array]:
        fixed = jnp.take(start, index, axis=1)[:, None]
        # One more slot, so that a full template has room for the site in question.
        legal = legal_positions(given.group, jnp.pad(wyckoff, ((0, 0), (0, 1))))
        legal = jnp.where(fixed > 0, position_slots(given.group) == fixed, legal)
        position, free = choose(index, legal)
        position = jnp.where(jnp.take(given.occupied, index, axis=1), position, 0)
        return wyckoff.at[:, index].set(position), jnp.where(free_mask(position), free, 0)

    start = jnp.asarray(given.wyckoff, jnp.int32)
    wyckoff, free = jax.lax.scan(one_site, start, jnp.arange(start.shape[1]))
    return wyckoff, jnp.moveaxis(free, 0, 1)


AXES = SiteDescription(
    entries=len(SYMMETRY_AXES),
    classes=len(SITE_ELEMENTS),
    features=len(SYMMETRY_AXES) * len(SITE_ELEMENTS),
    encode=_axis_encode,
    log_marginal=_axis_log_marginal,
    read=_axis_read,
    answer=_axis_answer,
    decode=_axis_decode,
)
"""Symmetry elements on fifteen axes."""

POSITIONS = SiteDescription(
    entries=1,
    classes=MAX_POSITIONS,
    features=(len(SITE_SYMMETRIES) + 1) * MAX_SHARING,
    encode=_position_encode,
    log_marginal=_position_log_marginal,
    read=_position_read,
    answer=_position_answer,
    decode=_position_decode,
)
"""Positions by their index in the group."""
