"""A transformer over growing sets of sites: what a template has so far, and what may come next.

Tokens are the space group, then one for each site (Wyckoff position, element), without positional
encoding (after WyFormer, Kazeev et al. 2025). What is known after some tokens starts from their
sum, which counts them, and gathers more in rounds of attention to the tokens as they are; so it
depends on the set of them, not on their order, and each token is read once. Positions are described
by what all groups share, their site symmetry, multiplicity and freedom, beside an embedding of
their own; groups by their symmetry elements.

What is said of the next position are scores of the group's positions by local index and of stopping
as the last; of the element, given the position, scores by atomic number.
"""

import dataclasses
import math
import typing
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import ArrayLike, Float, Int, Key
from jaxcrys.symmetry.group_bits import LATTICE_TYPES, group_bits, lattice_type
from jaxcrys.symmetry.symmetry_bits import site_symmetry_bits
from jaxcrys.symmetry.tables import NUM_GROUPS, NUM_POSITIONS
from jaxcrys.symmetry.wyckoff import (
    MAX_POSITIONS,
    degrees_of_freedom,
    multiplicity_modulo_centring,
    position_slots,
)

STOP = MAX_POSITIONS
"""Number of the choice to add no further site."""


@dataclasses.dataclass(frozen=True)
class SetTransformerConfig:
    """Size of a set transformer.

    Attributes:
        layers: rounds of attention.
        channels: width of a token.
        heads: of the attention; a divisor of ``channels``.
        species: number of different species inputs and scores; 0 is no element.
        dropout: share of each layer's hidden numbers that training drops.
    """

    layers: int = 3
    channels: int = 96
    heads: int = 6
    species: int = 119
    dropout: float = 0.1


def validate(config: SetTransformerConfig) -> None:
    """Check the settings.

    Raises:
        InputError: naming the setting that cannot be used.

    Example:
        >>> validate(SetTransformerConfig())
    """
    for name in ("layers", "channels", "heads", "species"):
        if getattr(config, name) < 1:
            raise InputError(f"network.{name}", f"must be at least 1, got {getattr(config, name)}")
    if config.channels % config.heads:
        raise InputError(
            "network.heads", f"must divide the {config.channels} channels, got {config.heads}"
        )
    if not 0 <= config.dropout < 1:
        raise InputError("network.dropout", f"must be 0 to below 1, got {config.dropout}")


@pytree
class Memory:
    """What the network keeps of the tokens so far, so that each is read once.

    Attributes:
        keys: of the attention, by layer l and token t; likewise ``values``.
        total: sum of the tokens.
    """

    keys: Float[jax.Array, "b l t h d"]
    values: Float[jax.Array, "b l t h d"]
    total: Float[jax.Array, "b c"]


class SetTransformer(nn.Module):
    """The network; its methods are called through the functions below."""

    config: SetTransformerConfig

    def setup(self) -> None:
        """Declare the parameters."""
        config = self.config
        self.group_bits = nn.Dense(config.channels)
        self.group = nn.Embed(NUM_GROUPS + 1, config.channels)
        self.site_bits = nn.Dense(config.channels)
        self.position = nn.Embed(NUM_POSITIONS + 1, config.channels)
        self.species = nn.Embed(config.species, config.channels)
        self.blocks = [Block(config) for _ in range(config.layers)]
        self.gather = nn.Dense(config.channels)
        self.norm = nn.LayerNorm()
        self.query = nn.Dense(config.channels)
        self.stop = nn.Dense(1)
        self.element_hidden = nn.Dense(2 * config.channels)
        self.logits = nn.Dense(config.species)

    def sequence(
        self, group: ArrayLike, wyckoff: ArrayLike, species: ArrayLike
    ) -> tuple[jax.Array, jax.Array]:
        """Scores after each of the first 0 to s tokens; arguments of :func:`sequence_logits`."""
        sites = self.describe(wyckoff) + self.species(species)
        tokens = jnp.concatenate([self.begin(group)[..., None, :], sites], -2)
        x = self.gather(nn.silu(jnp.cumsum(tokens, -2)))
        for block in self.blocks:
            x = block(x, tokens)
        hidden = self.norm(x)
        return self.positions(hidden, group), self.elements(hidden[..., :-1, :], wyckoff)

    def start(self, group: ArrayLike, tokens: int) -> tuple[Memory, jax.Array]:
        """Memory with room for ``tokens`` tokens, and what follows the group's."""
        config = self.config
        heads = (config.heads, config.channels // config.heads)
        empty = jnp.zeros((*group.shape, config.layers, tokens, *heads))
        memory = Memory(empty, empty, jnp.zeros((*group.shape, config.channels)))
        return self.extend(memory, self.begin(group), jnp.zeros((), jnp.int32))

    def add(
        self, memory: Memory, wyckoff: ArrayLike, species: ArrayLike, index: ArrayLike
    ) -> tuple[Memory, jax.Array]:
        """Read a site as token ``index``."""
        return self.extend(memory, self.describe(wyckoff) + self.species(species), index)

    def extend(
        self, memory: Memory, token: jax.Array, index: ArrayLike
    ) -> tuple[Memory, jax.Array]:
        """Read one more token."""
        total, keys, values = memory.total + token, [], []
        x = self.gather(nn.silu(total))
        for layer, block in enumerate(self.blocks):
            stored = memory.keys[:, layer], memory.values[:, layer]
            x, key, value = block.extend(x, token, *stored, index)
            keys.append(key)
            values.append(value)
        return Memory(jnp.stack(keys, 1), jnp.stack(values, 1), total), self.norm(x)

    def begin(self, group: ArrayLike) -> jax.Array:
        """Token of the group."""
        bits = group_bits(group).reshape(*group.shape, -1)
        lattice = jax.nn.one_hot(lattice_type(group), len(LATTICE_TYPES))
        return self.group_bits(jnp.concatenate([bits, lattice], -1)) + self.group(group)

    def describe(self, wyckoff: ArrayLike) -> jax.Array:
        """What is told of a position."""
        bits = site_symmetry_bits(wyckoff).reshape(*wyckoff.shape, -1)
        freedom = jax.nn.one_hot(degrees_of_freedom(wyckoff), 4)
        size = jnp.log2(jnp.maximum(multiplicity_modulo_centring(wyckoff), 1))[..., None] / 4
        known = jnp.concatenate([bits, freedom, size], -1)
        return self.site_bits(known) + self.position(wyckoff)

    def positions(self, hidden: jax.Array, group: ArrayLike) -> jax.Array:
        """Scores of the positions of the group, and of stopping, after each of t tokens."""
        offered = self.describe(position_slots(group)) / math.sqrt(self.config.channels)
        scores = jnp.einsum("btc,bpc->btp", self.query(hidden), offered)
        return jnp.concatenate([scores, self.stop(hidden)], -1)

    def elements(self, hidden: jax.Array, wyckoff: ArrayLike) -> jax.Array:
        """Scores of the element on a position."""
        known = jnp.concatenate([hidden, self.describe(wyckoff)], -1)
        return self.logits(nn.silu(self.element_hidden(known)))


class Block(nn.Module):
    """Attention of what is known to the tokens so far, then a change of it by itself."""

    config: SetTransformerConfig

    def setup(self) -> None:
        """Declare the parameters."""
        channels = self.config.channels
        self.before = nn.LayerNorm()
        self.of_token = nn.LayerNorm()
        self.ask = nn.Dense(channels, use_bias=False)
        self.send = nn.Dense(2 * channels, use_bias=False)
        self.join = nn.Dense(channels, use_bias=False)
        self.between = nn.LayerNorm()
        self.hidden = nn.Dense(4 * channels)
        self.out = nn.Dense(channels)
        self.drop = nn.Dropout(self.config.dropout)

    def __call__(self, x: jax.Array, tokens: jax.Array) -> jax.Array:
        """Change what is known after each token, by the tokens up to it."""
        count = x.shape[-2]
        causal = jnp.tril(jnp.ones((count, count), bool))
        key, value = self._sent(tokens)
        return self._change(x, _attend(self._asked(x), key, value, causal))

    def extend(
        self, x: jax.Array, token: jax.Array, keys: jax.Array, values: jax.Array, index: ArrayLike
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Change what is known after token ``index``, by those in memory and this one."""
        key, value = self._sent(token[..., None, :])
        here = (jnp.arange(keys.shape[-3]) == index)[:, None, None]
        keys, values = jnp.where(here, key, keys), jnp.where(here, value, values)
        seen = (jnp.arange(keys.shape[-3]) <= index)[None]
        x = x[..., None, :]
        changed = self._change(x, _attend(self._asked(x), keys, values, seen))
        return changed[..., 0, :], keys, values

    def _asked(self, x: jax.Array) -> jax.Array:
        return self._in_heads(self.ask(self.before(x)))

    def _sent(self, tokens: jax.Array) -> tuple[jax.Array, jax.Array]:
        key, value = jnp.split(self.send(self.of_token(tokens)), 2, axis=-1)
        return self._in_heads(key), self._in_heads(value)

    def _in_heads(self, values: jax.Array) -> jax.Array:
        return values.reshape(*values.shape[:-1], self.config.heads, -1)

    def _change(self, x: jax.Array, told: jax.Array) -> jax.Array:
        still = not self.has_rng("dropout")
        x = x + self.join(told.reshape(x.shape))
        hidden = self.drop(nn.silu(self.hidden(self.between(x))), deterministic=still)
        return x + self.out(hidden)


def _attend(
    query: jax.Array, key: jax.Array, value: jax.Array, seen: jax.Array
) -> Float[jax.Array, "b t h d"]:
    """Mean of the values, weighed by how alike query and key are; arrays are [b, t, h, d]."""
    alike = jnp.einsum("bqhd,bkhd->bhqk", query, key) / math.sqrt(query.shape[-1])
    weight = jax.nn.softmax(jnp.where(seen, alike, -jnp.inf), axis=-1)
    return jnp.einsum("bhqk,bkhd->bqhd", weight, value)


def init_set_transformer(key: Key[jax.Array, ""], config: SetTransformerConfig) -> Any:
    """Fresh parameters.

    Example:
        >>> config = SetTransformerConfig(layers=1, channels=8, heads=2)
        >>> list(init_set_transformer(jax.random.key(0), config))
        ['params']
    """
    one = jnp.ones((1, 1), jnp.int32)
    init = jax.jit(SetTransformer(config).init, static_argnames="method")
    return init(key, one[0], one, one, method="sequence")


def sequence_logits(
    config: SetTransformerConfig,
    params: Any,
    group: Int[ArrayLike, "b"],
    wyckoff: Int[ArrayLike, "b s"],
    species: Int[ArrayLike, "b s"],
    *,
    dropout: Key[jax.Array, ""] | None = None,
) -> tuple[Float[jax.Array, "b t 28"], Float[jax.Array, "b s z"]]:
    """What the network says along a sequence of sites, for training and probabilities.

    Args:
        config: size of the network.
        params: from :func:`init_set_transformer`.
        group: space groups.
        wyckoff: positions in the order in which they are read; empty slots, 0, at the end.
        species: atomic numbers.
        dropout: key of what training drops; without one nothing is dropped.

    Returns:
        Scores of the next position (or of :data:`STOP`) after the group and after each site, so
        t = s + 1; and of the element of each site, given its position and the sites before.
    """
    rngs = {} if dropout is None else {"dropout": dropout}
    result = SetTransformer(config).apply(
        params, group, wyckoff, species, rngs=rngs, method="sequence"
    )
    return typing.cast(tuple[jax.Array, jax.Array], result)


def start(
    config: SetTransformerConfig, params: Any, group: Int[ArrayLike, "b"], *, sites: int
) -> tuple[Memory, Float[jax.Array, "b c"]]:
    """Begin to read a template of at most ``sites`` sites: memory, and what the network knows."""
    result = SetTransformer(config).apply(params, group, sites + 1, method="start")
    return typing.cast(tuple[Memory, jax.Array], result)


def add_site(
    config: SetTransformerConfig,
    params: Any,
    memory: Memory,
    wyckoff: Int[ArrayLike, "b"],
    species: Int[ArrayLike, "b"],
    number: Int[ArrayLike, ""],
) -> tuple[Memory, Float[jax.Array, "b c"]]:
    """Read one more site; the first has the number 0."""
    result = SetTransformer(config).apply(
        params, memory, wyckoff, species, number + 1, method="add"
    )
    return typing.cast(tuple[Memory, jax.Array], result)


def position_logits(
    config: SetTransformerConfig,
    params: Any,
    hidden: Float[ArrayLike, "b c"],
    group: Int[ArrayLike, "b"],
) -> Float[jax.Array, "b 28"]:
    """Scores of the next position, and of stopping, from what the network knows."""
    result = SetTransformer(config).apply(params, hidden[:, None], group, method="positions")
    return typing.cast(jax.Array, result)[:, 0]


def element_logits(
    config: SetTransformerConfig,
    params: Any,
    hidden: Float[ArrayLike, "b c"],
    wyckoff: Int[ArrayLike, "b"],
) -> Float[jax.Array, "b z"]:
    """Scores of the element on a position, from what the network knows."""
    result = SetTransformer(config).apply(params, hidden, wyckoff, method="elements")
    return typing.cast(jax.Array, result)
