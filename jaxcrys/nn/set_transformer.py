"""A transformer over growing sets of sites: what a template has so far, and what may come next.

Tokens are the elements of the formula and numbers such as a band gap, where they are known, the
space group, then one for each site (Wyckoff position, element), without positional encoding (after
WyFormer, Kazeev et al. 2025). What
is known after some tokens starts from their sum, which counts them, and gathers more in rounds of
attention to the tokens as they are; so it depends on the set of them, not on their order, and each
token is read once. Positions are described by what all groups share, their site symmetry,
multiplicity and freedom, beside an embedding of their own; groups by their symmetry elements.

What is said of the group are scores by its number; of the next position, scores of the group's
positions by local index and of stopping as the last; of the element, given the position, scores by
atomic number.
"""

import dataclasses
import functools
import math
import typing
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import ArrayLike, Bool, Float, Int, Key
from jaxcrys.crystal.formula import Formula
from jaxcrys.nn.fresh import fresh_parameters
from jaxcrys.nn.functional import check_sizes
from jaxcrys.nn.precision import Precision, arithmetic
from jaxcrys.nn.property_tokens import PropertyTokens
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

MOST_AMOUNT = 15
"""Atoms of an element in a formula unit that are told apart; more count as so many."""


@dataclasses.dataclass(frozen=True)
class SetTransformerConfig:
    """Size of a set transformer.

    Attributes:
        layers: rounds of attention.
        channels: width of a token.
        heads: of the attention; a divisor of ``channels``.
        species: number of different species inputs and scores; 0 is no element.
        dropout: share of the numbers in each layer that training drops.
        properties: numbers that can be told of a crystal.
        dtype: of the network's arithmetic; parameters, sums of tokens, softmax and scores stay in
            float32.
    """

    layers: int = 3
    channels: int = 96
    heads: int = 6
    species: int = 119
    dropout: float = 0.1
    properties: int = 0
    dtype: Precision = "float32"


def validate(config: SetTransformerConfig) -> None:
    """Check the settings.

    Raises:
        InputError: naming the setting that cannot be used.

    Example:
        >>> validate(SetTransformerConfig())
    """
    check_sizes(config, "layers", "channels", "heads", "species")


@pytree
class Memory:
    """What the network keeps of the tokens so far, so that each is read once.

    Attributes:
        keys: of the attention, by layer l and token t; likewise ``values``.
        seen: which tokens there are.
        total: sum of the tokens.
    """

    keys: Float[jax.Array, "b l t h d"]
    values: Float[jax.Array, "b l t h d"]
    seen: Bool[jax.Array, "b t"]
    total: Float[jax.Array, "b c"]


class SetTransformer(nn.Module):
    """The network; its methods are called through the functions below."""

    config: SetTransformerConfig

    def setup(self) -> None:
        """Declare the parameters."""
        config, dtype = self.config, arithmetic(self.config.dtype)
        dense = functools.partial(nn.Dense, dtype=dtype)
        embed = functools.partial(nn.Embed, features=config.channels, dtype=dtype)
        self.nothing = self.param("nothing", nn.initializers.normal(1.0), (config.channels,))
        self.amount = dense(config.channels)
        self.group_bits = dense(config.channels)
        self.group = embed(NUM_GROUPS + 1)
        self.site_bits = dense(config.channels)
        self.position = embed(NUM_POSITIONS + 1)
        self.species = embed(config.species)
        self.blocks = [Block(config) for _ in range(config.layers)]
        self.gather = dense(config.channels)
        self.norm = nn.LayerNorm(dtype=dtype)
        self.ask_group = dense(config.channels)
        self.query = dense(config.channels)
        self.stop = dense(1)
        self.element_hidden = dense(2 * config.channels)
        self.logits = dense(config.species)
        if config.properties:
            self.properties = PropertyTokens(config.channels, dtype=dtype)

    def sequence(
        self,
        formula: Formula,
        group: ArrayLike,
        wyckoff: ArrayLike,
        species: ArrayLike,
        properties: ArrayLike | None = None,
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Scores after what is told at the start, and after each of the next 0 to s tokens."""
        tokens, seen = self.begin(formula, properties)
        sites = self.describe(wyckoff) + self.species(species)
        rest = jnp.concatenate([self.describe_group(group)[..., None, :], sites], -2)
        first = tokens.shape[-2] - 1  # the last token before anything is said
        tokens = jnp.concatenate([tokens, rest], -2)
        seen = jnp.concatenate([seen, jnp.ones(rest.shape[:-1], bool)], -1)
        x = self.gather(nn.silu(jnp.cumsum(_counted(tokens, seen), -2)[:, first:]))
        up_to = jnp.arange(tokens.shape[-2]) <= first + jnp.arange(x.shape[-2])[:, None]
        visible = up_to & seen[:, None, None]
        for block in self.blocks:
            x = block(x, tokens, visible)
        hidden = self.norm(x)
        known = hidden[:, 1:]
        return (
            self.groups(hidden[:, 0]),
            self.positions(known, group),
            self.elements(known[..., :-1, :], wyckoff),
        )

    def whole(
        self,
        formula: Formula,
        group: ArrayLike,
        wyckoff: ArrayLike,
        species: ArrayLike,
        properties: ArrayLike | None = None,
    ) -> jax.Array:
        """What is known after all tokens."""
        tokens, seen = self.begin(formula, properties)
        sites = self.describe(wyckoff) + self.species(species)
        tokens = jnp.concatenate([tokens, self.describe_group(group)[..., None, :], sites], -2)
        there = jnp.pad(wyckoff > 0, [(0, 0), (1, 0)], constant_values=True)
        seen = jnp.concatenate([seen, there], -1)
        x = self.gather(nn.silu(_counted(tokens, seen).sum(-2, keepdims=True)))
        for block in self.blocks:
            x = block(x, tokens, seen[:, None, None])
        return self.norm(x[:, 0]).astype(jnp.float32)

    def start(
        self, formula: Formula, further: int, properties: ArrayLike | None = None
    ) -> tuple[Memory, jax.Array]:
        """Read what is told at the start, with room for ``further`` tokens more."""
        config = self.config
        tokens, seen = self.begin(formula, properties)
        batch, first = seen.shape
        heads = (config.heads, config.channels // config.heads)
        empty = jnp.zeros((batch, config.layers, first + further, *heads), arithmetic(config.dtype))
        unseen = jnp.zeros((batch, first + further), bool)
        memory = Memory(empty, empty, unseen, jnp.zeros((batch, config.channels)))
        return self.extend(memory, tokens, seen, 0)

    def add_group(self, memory: Memory, group: ArrayLike, index: ArrayLike) -> Any:
        """Read the group as token ``index``."""
        token = self.describe_group(group)[:, None]
        return self.extend(memory, token, jnp.ones(token.shape[:2], bool), index)

    def add_site(
        self, memory: Memory, wyckoff: ArrayLike, species: ArrayLike, index: ArrayLike
    ) -> tuple[Memory, jax.Array]:
        """Read a site as token ``index``."""
        token = (self.describe(wyckoff) + self.species(species))[:, None]
        return self.extend(memory, token, jnp.ones(token.shape[:2], bool), index)

    def extend(
        self, memory: Memory, tokens: jax.Array, seen: jax.Array, index: ArrayLike | int
    ) -> tuple[Memory, jax.Array]:
        """Read more tokens, the first as number ``index``."""
        total = memory.total + _counted(tokens, seen).sum(-2)
        seen = jax.lax.dynamic_update_slice_in_dim(memory.seen, seen, index, 1)
        keys, values = memory.keys, memory.values
        x = self.gather(nn.silu(total))[:, None]
        for layer, block in enumerate(self.blocks):
            key, value = block.sent(tokens)
            place = (0, layer, index, 0, 0)
            keys = jax.lax.dynamic_update_slice(keys, key[:, None], place)
            values = jax.lax.dynamic_update_slice(values, value[:, None], place)
            x = block.change(x, keys[:, layer], values[:, layer], seen[:, None, None])
        return Memory(keys, values, seen, total), self.norm(x[:, 0])

    def begin(self, formula: Formula, properties: ArrayLike | None) -> tuple[jax.Array, jax.Array]:
        """One token that is always there, those of formula and properties, and which there are."""
        elements, amounts = jnp.asarray(formula.elements), jnp.asarray(formula.amounts)
        share = amounts / jnp.maximum(amounts.sum(-1, keepdims=True), 1)
        amount = jax.nn.one_hot(jnp.minimum(amounts, MOST_AMOUNT), MOST_AMOUNT + 1)
        of_elements = self.species(elements) + self.amount(
            jnp.concatenate([amount, share[..., None]], -1)
        )
        first = jnp.broadcast_to(self.nothing, (*elements.shape[:-1], 1, self.config.channels))
        tokens = jnp.concatenate([first, of_elements], -2)
        there = jnp.pad(elements > 0, [(0, 0), (1, 0)], constant_values=True)
        if properties is None or not self.config.properties:
            return tokens, there
        told, known = self.properties(properties), ~jnp.isnan(properties)
        return jnp.concatenate([tokens, told], -2), jnp.concatenate([there, known], -1)

    def groups(self, hidden: jax.Array) -> jax.Array:
        """Scores of all groups by number; entry 0 is none."""
        offered = self.describe_group(jnp.arange(NUM_GROUPS + 1)) / math.sqrt(self.config.channels)
        return self.ask_group(hidden).astype(jnp.float32) @ offered.astype(jnp.float32).T

    def describe_group(self, group: ArrayLike) -> jax.Array:
        """Token of a group."""
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
        query, offered = (x.astype(jnp.float32) for x in (self.query(hidden), offered))
        scores = jnp.einsum("btc,bpc->btp", query, offered)
        return jnp.concatenate([scores, self.stop(hidden).astype(jnp.float32)], -1)

    def elements(self, hidden: jax.Array, wyckoff: ArrayLike) -> jax.Array:
        """Scores of the element on a position."""
        known = jnp.concatenate([hidden, self.describe(wyckoff)], -1)
        return self.logits(nn.silu(self.element_hidden(known))).astype(jnp.float32)


class Block(nn.Module):
    """Attention of what is known to the tokens so far, then a change of it by itself."""

    config: SetTransformerConfig

    def setup(self) -> None:
        """Declare the parameters."""
        channels, dtype = self.config.channels, arithmetic(self.config.dtype)
        self.before = nn.LayerNorm(dtype=dtype)
        self.of_token = nn.LayerNorm(dtype=dtype)
        self.ask = nn.Dense(channels, use_bias=False, dtype=dtype)
        self.send = nn.Dense(2 * channels, use_bias=False, dtype=dtype)
        self.join = nn.Dense(channels, use_bias=False, dtype=dtype)
        self.between = nn.LayerNorm(dtype=dtype)
        self.hidden = nn.Dense(4 * channels, dtype=dtype)
        self.out = nn.Dense(channels, dtype=dtype)
        self.drop = nn.Dropout(self.config.dropout)

    def __call__(self, x: jax.Array, tokens: jax.Array, visible: jax.Array) -> jax.Array:
        """Change what is known at each place by the tokens visible from there."""
        return self.change(x, *self.sent(tokens), visible)

    def sent(self, tokens: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Keys and values of tokens."""
        key, value = jnp.split(self.send(self.of_token(tokens)), 2, axis=-1)
        return self._in_heads(key), self._in_heads(value)

    def change(
        self, x: jax.Array, key: jax.Array, value: jax.Array, visible: jax.Array
    ) -> jax.Array:
        """Change what is known by what tokens sent."""
        still = not self.has_rng("dropout")
        told = _attend(self._in_heads(self.ask(self.before(x))), key, value, visible)
        x = x + self.drop(self.join(told.reshape(x.shape)), deterministic=still)
        hidden = self.drop(nn.silu(self.hidden(self.between(x))), deterministic=still)
        return x + self.out(hidden)

    def _in_heads(self, values: jax.Array) -> jax.Array:
        return values.reshape(*values.shape[:-1], self.config.heads, -1)


def _counted(tokens: jax.Array, seen: jax.Array) -> Float[jax.Array, "b t c"]:
    """Tokens that are there, to be summed."""
    return jnp.where(seen[..., None], tokens, 0).astype(jnp.float32)


def _attend(
    query: jax.Array, key: jax.Array, value: jax.Array, seen: jax.Array
) -> Float[jax.Array, "b t h d"]:
    """Mean of the values, weighed by how alike query and key are; arrays are [b, t, h, d]."""
    alike = jnp.einsum("bqhd,bkhd->bhqk", query, key) / math.sqrt(query.shape[-1])
    alike = jnp.where(seen, alike, -jnp.inf).astype(jnp.float32)
    weight = jax.nn.softmax(alike, axis=-1).astype(value.dtype)
    return jnp.einsum("bhqk,bkhd->bqhd", weight, value)


def init_set_transformer(key: Key[jax.Array, ""], config: SetTransformerConfig) -> Any:
    """Fresh parameters.

    Example:
        >>> config = SetTransformerConfig(layers=1, channels=8, heads=2)
        >>> list(init_set_transformer(jax.random.key(0), config))
        ['params']
    """

    def init(key: jax.Array) -> Any:
        one = jnp.ones((1, 1), jnp.int32)
        inputs = Formula(one, one), one[0], one, one, jnp.zeros((1, config.properties))
        return SetTransformer(config).init(key, *inputs, method="sequence")

    return fresh_parameters(init, key)


def sequence_logits(
    config: SetTransformerConfig,
    params: Any,
    formula: Formula,
    group: Int[ArrayLike, "b"],
    wyckoff: Int[ArrayLike, "b s"],
    species: Int[ArrayLike, "b s"],
    *,
    properties: Float[ArrayLike, "b p"] | None = None,
    dropout: Key[jax.Array, ""] | None = None,
) -> tuple[Float[jax.Array, "b g"], Float[jax.Array, "b t 28"], Float[jax.Array, "b s z"]]:
    """What the network says along a sequence of sites, for training and probabilities.

    Args:
        config: size of the network.
        params: from :func:`init_set_transformer`.
        formula: of the crystals, with the same number of slots wherever the parameters are used.
        group: space groups.
        wyckoff: positions in the order in which they are read; empty slots, 0, at the end.
        species: atomic numbers.
        properties: standardised, NaN where not known; none are known without them.
        dropout: key of what training drops; without one nothing is dropped.

    Returns:
        Scores of the group, 0 to 230; of the next position (or of :data:`STOP`) after the group and
        after each site, so t = s + 1; and of the element of each site, given its position and the
        sites before.
    """
    rngs = {} if dropout is None else {"dropout": dropout}
    return SetTransformer(config).apply(  # ty: ignore[invalid-explicit-return]
        params, formula, group, wyckoff, species, properties, rngs=rngs, method="sequence"
    )


def read_sites(
    config: SetTransformerConfig,
    params: Any,
    formula: Formula,
    group: Int[ArrayLike, "b"],
    wyckoff: Int[ArrayLike, "b s"],
    species: Int[ArrayLike, "b s"],
    *,
    properties: Float[ArrayLike, "b p"] | None = None,
) -> Float[jax.Array, "b c"]:
    """What the network knows of whole sets of sites, which their order does not change."""
    result = SetTransformer(config).apply(
        params, formula, group, wyckoff, species, properties, method="whole"
    )
    return typing.cast(jax.Array, result)


def start(
    config: SetTransformerConfig, params: Any, formula: Formula, *,
    sites: int, properties: Float[ArrayLike, "b p"] | None = None,
) -> tuple[Memory, Float[jax.Array, "b c"]]:  # fmt: skip
    """Begin a template of at most ``sites`` sites: memory, and what the network knows."""
    result = SetTransformer(config).apply(params, formula, sites + 1, properties, method="start")
    return typing.cast(tuple[Memory, jax.Array], result)


def add_group(
    config: SetTransformerConfig, params: Any, memory: Memory, group: Int[ArrayLike, "b"],
    *, sites: int,
) -> tuple[Memory, Float[jax.Array, "b c"]]:  # fmt: skip
    """Read the group."""
    index = memory.seen.shape[-1] - sites - 1
    result = SetTransformer(config).apply(params, memory, group, index, method="add_group")
    return typing.cast(tuple[Memory, jax.Array], result)


def add_site(
    config: SetTransformerConfig, params: Any, memory: Memory, wyckoff: Int[ArrayLike, "b"],
    species: Int[ArrayLike, "b"], number: Int[ArrayLike, ""], *, sites: int,
) -> tuple[Memory, Float[jax.Array, "b c"]]:  # fmt: skip
    """Read one more site; the first has the number 0."""
    index = memory.seen.shape[-1] - sites + number
    result = SetTransformer(config).apply(
        params, memory, wyckoff, species, index, method="add_site"
    )
    return typing.cast(tuple[Memory, jax.Array], result)


def group_logits(
    config: SetTransformerConfig, params: Any, hidden: Float[ArrayLike, "b c"]
) -> Float[jax.Array, "b g"]:
    """Scores of the groups by number, from what the network knows of the formula."""
    result = SetTransformer(config).apply(params, hidden, method="groups")
    return typing.cast(jax.Array, result)


def position_logits(
    config: SetTransformerConfig, params: Any, hidden: Float[ArrayLike, "b c"],
    group: Int[ArrayLike, "b"],
) -> Float[jax.Array, "b 28"]:  # fmt: skip
    """Scores of the next position, and of stopping, from what the network knows."""
    result = SetTransformer(config).apply(params, hidden[:, None], group, method="positions")
    return typing.cast(jax.Array, result)[:, 0]


def element_logits(
    config: SetTransformerConfig, params: Any, hidden: Float[ArrayLike, "b c"],
    wyckoff: Int[ArrayLike, "b"],
) -> Float[jax.Array, "b z"]:  # fmt: skip
    """Scores of the element on a position, from what the network knows."""
    result = SetTransformer(config).apply(params, hidden, wyckoff, method="elements")
    return typing.cast(jax.Array, result)
