"""A transformer over the Wyckoff positions of a group and what they hold, all with all.

Tokens are the positions of the group and one for the crystal as a whole; slots that the group does
not have are never attended to. Positions are described by what all groups share (site symmetry,
multiplicity, freedom, place in the alphabet) beside an embedding of their own; groups by their
symmetry elements (inputs and task after WyckoffDiff, Ekström Kelvinius et al. 2025, with attention
for its pairwise messages).

Scores of numbers of sites are of low rank, for there are as many as positions times elements times
numbers: with e_z a vector for each element and h_p what is known of a position,

    score(p, z, k) = q_k(h_p) · e_z + c_k(h_p) [z is in the crystal] + b_zk,    score(p, z, 0) = 0
"""

import dataclasses
import functools
import math
import typing
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxcrys.core.typing import ArrayLike, Bool, Float, Int, Key
from jaxcrys.crystal.slots import ELEMENTS, Slots, sites_by_slot
from jaxcrys.nn.fresh import fresh_parameters
from jaxcrys.nn.functional import check_sizes, time_embedding
from jaxcrys.nn.precision import Precision, arithmetic
from jaxcrys.symmetry.group_bits import LATTICE_TYPES, group_bits, lattice_type
from jaxcrys.symmetry.symmetry_bits import site_symmetry_bits
from jaxcrys.symmetry.tables import NUM_GROUPS, NUM_POSITIONS
from jaxcrys.symmetry.wyckoff import (
    MAX_POSITIONS,
    degrees_of_freedom,
    multiplicity_modulo_centring,
    position_slots,
)

RARE = -8.0
"""Score of a site of a certain element before training: most of them do not exist."""


@dataclasses.dataclass(frozen=True)
class SlotNetworkConfig:
    """Size of a slot network.

    Attributes:
        layers: rounds of attention.
        channels: width of a token.
        heads: of the attention; a divisor of ``channels``.
        rank: of the scores of numbers of sites.
        max_count: most sites of one element on one position.
        time_channels: width of the embedding of the time.
        dropout: share of each layer's hidden numbers that training drops.
        dtype: of the layers' arithmetic; parameters, sums of tokens, softmax and scores stay in
            float32.
    """

    layers: int = 3
    channels: int = 128
    heads: int = 4
    rank: int = 32
    max_count: int = 8
    time_channels: int = 32
    dropout: float = 0.1
    dtype: Precision = "float32"


def validate(config: SlotNetworkConfig) -> None:
    """Check the settings.

    Raises:
        InputError: naming the setting that cannot be used.

    Example:
        >>> validate(SlotNetworkConfig())
    """
    check_sizes(config, "layers", "channels", "heads", "rank", "max_count", "time_channels")


class SlotNetwork(nn.Module):
    """The network; called through :func:`slot_logits`."""

    config: SlotNetworkConfig

    def setup(self) -> None:
        """Declare the parameters."""
        config = self.config
        self.group_bits = nn.Dense(config.channels)
        self.group = nn.Embed(NUM_GROUPS + 1, config.channels)
        self.site_bits = nn.Dense(config.channels)
        self.position = nn.Embed(NUM_POSITIONS + 1, config.channels)
        self.letter = nn.Embed(MAX_POSITIONS, config.channels)
        self.time = nn.Dense(config.channels)
        self.held = nn.Dense(config.channels, use_bias=False)
        self.composition = nn.Dense(config.channels, use_bias=False)
        self.blocks = [Block(config) for _ in range(config.layers)]
        self.norm = nn.LayerNorm()
        self.logits = nn.Dense(ELEMENTS)
        self.logits_present = nn.Dense(1)
        self.query = nn.Dense(config.max_count * config.rank)
        self.query_present = nn.Dense(config.max_count)
        self.element = self.param("element", nn.initializers.normal(1.0), (ELEMENTS, config.rank))
        self.often = self.param(
            "often", nn.initializers.constant(RARE), (ELEMENTS, config.max_count)
        )

    def __call__(
        self, group: jax.Array, slots: Slots, time: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Scores of what the slots hold; arguments of :func:`slot_logits`."""
        positions = jnp.asarray(position_slots(group))
        exists = positions > 0
        sites = jnp.where(exists[..., None], sites_by_slot(slots), 0)
        atoms = sites * multiplicity_modulo_centring(positions)[..., None]
        present = (atoms.sum(-2) > 0).astype(jnp.float32)
        told = self.describe(positions) + self.letter(jnp.arange(MAX_POSITIONS))
        told = told + self.held(_amounts(sites))
        whole = self.begin(group) + self.composition(_amounts(atoms.sum(-2)))
        x = jnp.concatenate([whole[..., None, :], told], -2)
        when = time_embedding(1000 * time, self.config.time_channels)
        x = x + self.time(when)[..., None, :]
        seen = jnp.concatenate([jnp.ones_like(exists[..., :1]), exists], -1)
        for block in self.blocks:
            x = block(x, seen)
        return self.scores(self.norm(x)[..., 1:, :], present)

    def begin(self, group: jax.Array) -> jax.Array:
        """What is told of the group."""
        bits = group_bits(group).reshape(*group.shape, -1)
        lattice = jax.nn.one_hot(lattice_type(group), len(LATTICE_TYPES))
        return self.group_bits(jnp.concatenate([bits, lattice], -1)) + self.group(group)

    def describe(self, wyckoff: jax.Array) -> jax.Array:
        """What is told of a position."""
        bits = site_symmetry_bits(wyckoff).reshape(*wyckoff.shape, -1)
        freedom = jax.nn.one_hot(degrees_of_freedom(wyckoff), 4)
        size = jnp.log2(jnp.maximum(multiplicity_modulo_centring(wyckoff), 1))[..., None] / 4
        known = jnp.concatenate([bits, freedom, size], -1)
        return self.site_bits(known) + self.position(wyckoff)

    def scores(self, hidden: jax.Array, present: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Scores of the element, and of the number of sites of each element, of each slot."""
        config, present = self.config, present[..., None, :]
        single = self.logits(hidden) + self.logits_present(hidden) * present
        query = self.query(hidden).reshape(*hidden.shape[:-1], config.max_count, config.rank)
        alike = jnp.einsum("...pkr,zr->...pzk", query, self.element / math.sqrt(config.rank))
        again = self.query_present(hidden)[..., None, :] * present[..., None]
        some = alike + again + self.often
        return single, jnp.concatenate([jnp.zeros_like(some[..., :1]), some], -1)


class Block(nn.Module):
    """Attention of all tokens to those that exist, then a change of each by itself."""

    config: SlotNetworkConfig

    def setup(self) -> None:
        """Declare the parameters."""
        channels, dtype = self.config.channels, arithmetic(self.config.dtype)
        dense = functools.partial(nn.Dense, dtype=dtype)
        self.before = nn.LayerNorm(dtype=dtype)
        self.ask = dense(channels, use_bias=False)
        self.send = dense(2 * channels, use_bias=False)
        self.join = dense(channels, use_bias=False)
        self.between = nn.LayerNorm(dtype=dtype)
        self.hidden = dense(4 * channels)
        self.out = dense(channels)
        self.drop = nn.Dropout(self.config.dropout)

    def __call__(self, x: jax.Array, seen: Bool[jax.Array, "*b p"]) -> jax.Array:
        """Change the tokens; only those in ``seen`` are attended to."""
        still = not self.has_rng("dropout")
        normed = self.before(x)
        key, value = jnp.split(self.send(normed), 2, axis=-1)
        told = _attend(*map(self._in_heads, (self.ask(normed), key, value)), seen)
        x = x + self.join(told.reshape(x.shape))
        hidden = self.drop(nn.silu(self.hidden(self.between(x))), deterministic=still)
        return x + self.out(hidden)

    def _in_heads(self, values: jax.Array) -> jax.Array:
        return values.reshape(*values.shape[:-1], self.config.heads, -1)


def _attend(query: jax.Array, key: jax.Array, value: jax.Array, seen: jax.Array) -> jax.Array:
    """Mean of the values, weighed by how alike query and key are; arrays are [b, p, h, d]."""
    alike = jnp.einsum("bqhd,bkhd->bhqk", query, key, preferred_element_type=jnp.float32)
    alike = jnp.where(seen[:, None, None, :], alike / math.sqrt(query.shape[-1]), -jnp.inf)
    weight = jax.nn.softmax(alike, axis=-1).astype(value.dtype)
    return jnp.einsum("bhqk,bkhd->bqhd", weight, value)


def _amounts(numbers: Int[jax.Array, "*b z"]) -> Float[jax.Array, "*b c"]:
    """Which elements there are, and how much of each."""
    return jnp.concatenate([(numbers > 0).astype(jnp.float32), jnp.log2(1.0 + numbers) / 4], -1)


def init_slot_network(key: Key[jax.Array, ""], config: SlotNetworkConfig) -> Any:
    """Fresh parameters.

    Example:
        >>> config = SlotNetworkConfig(layers=1, channels=8, heads=2)
        >>> list(init_slot_network(jax.random.key(0), config))
        ['params']
    """

    def init(key: jax.Array) -> Any:
        one = jnp.ones(1, jnp.int32)
        empty = Slots(
            jnp.zeros((1, MAX_POSITIONS), jnp.int32),
            jnp.zeros((1, MAX_POSITIONS, ELEMENTS), jnp.int32),
        )
        return SlotNetwork(config).init(key, one, empty, jnp.ones(1))

    return fresh_parameters(init, key)


def slot_logits(
    config: SlotNetworkConfig,
    params: Any,
    group: Int[ArrayLike, "b"],
    slots: Slots,
    time: Float[ArrayLike, "b"],
    *,
    dropout: Key[jax.Array, ""] | None = None,
) -> tuple[Float[jax.Array, "b 27 119"], Float[jax.Array, "b 27 119 k"]]:
    """What the network says of the clean occupation of each slot, given a noisy one.

    Args:
        config: size of the network.
        params: from :func:`init_slot_network`.
        group: space groups.
        slots: noisy occupations; what stands in slots that the group lacks is not read.
        time: share of the noise's time, 0 to 1.
        dropout: key of what training drops; without one nothing is dropped.

    Returns:
        Scores of the element (0 is none) of positions without free coordinates, and of the number
        of sites, 0 to ``max_count``, of each element on positions with free coordinates. Both are
        given for all slots.
    """
    rngs = {} if dropout is None else {"dropout": dropout}
    result = SlotNetwork(config).apply(params, group, slots, time, rngs=rngs)
    return typing.cast(tuple[jax.Array, jax.Array], result)
