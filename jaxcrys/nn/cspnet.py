"""CSPNet: a fully connected network on the atoms of the unit cell (DiffCSP, Jiao et al. 2023).

Pairs see each other through plane waves of their fractional difference and the lattice
coefficients, so outputs do not change under translations or permutations of the atoms. The network
has no notion of rotation: vectors come out in fractional coordinates.
"""

import dataclasses
import functools
import typing
from typing import Any, Literal

import jax.numpy as jnp
from flax import linen as nn

from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import ArrayLike, Bool, Float
from jaxcrys.crystal.primitive import PrimitiveCell
from jaxcrys.nn.functional import check_sizes, masked_mean, pair_waves, time_embedding
from jaxcrys.nn.precision import Precision, arithmetic
from jaxcrys.nn.property_tokens import PropertyTokens


@dataclasses.dataclass(frozen=True)
class CSPNetConfig:
    """Size of a CSPNet; the paper's is 6 layers of 512 channels and 128 frequencies."""

    kind: Literal["cspnet"] = "cspnet"
    """Marks these settings as a CSPNet's."""
    layers: int = 4
    channels: int = 64
    frequencies: int = 16
    time_channels: int = 64
    species: int = 119
    """Number of different species inputs and species logits, the unknown species 0 included."""
    properties: int = 0
    """Numbers that can be told of a crystal."""
    dtype: Precision = "float32"
    """Of the network's arithmetic; parameters, waves, sums, what each atom knows, and outputs stay
    in float32."""


def validate(config: CSPNetConfig) -> None:
    """Check the settings.

    Raises:
        InputError: naming the setting that cannot be used.

    Example:
        >>> validate(CSPNetConfig())
    """
    check_sizes(config, "layers", "channels", "frequencies", "time_channels", "species")


@pytree
class CSPNetOutput:
    """What the network says.

    Attributes:
        vectors: one fractional vector for each atom; 0 in the padding.
        lattice: six lattice coefficients for each crystal.
        logits: species logits of each atom; 0 in the padding.
    """

    vectors: Float[ArrayLike, "b p 3"]
    lattice: Float[ArrayLike, "b 6"]
    logits: Float[ArrayLike, "b p z"]


def embed_species(species: int, channels: int, *, name: str) -> nn.Embed:
    """A vector for each element, of the size of the other inputs beside it.

    Linen's default is smaller by √channels: next to plane waves and the time the elements would
    hardly be seen, and not be learned for thousands of steps.
    """
    return nn.Embed(species, channels, embedding_init=nn.initializers.normal(1.0), name=name)


class CSPLayer(nn.Module):
    """One round of messages between all pairs, with a residual update of the atoms."""

    channels: int
    dtype: Any = None

    @nn.compact
    def __call__(
        self,
        atoms: Float[ArrayLike, "b p c"],
        waves: Float[ArrayLike, "b p q w"],
        lattice: Float[ArrayLike, "b 6"],
        mask: Bool[ArrayLike, "b #p q"],
    ) -> Float[ArrayLike, "b p c"]:
        """Messages are an MLP of (receiver, sender, waves, lattice), averaged over senders.

        The MLP's first layer is a sum of one linear map for each of these inputs, so that only the
        waves are multiplied once for each pair.
        """
        dense = functools.partial(nn.Dense, self.channels, dtype=self.dtype)
        hidden = nn.LayerNorm(dtype=self.dtype)(atoms)
        repeats = waves.shape[-2] // atoms.shape[-2]
        receiver = dense(name="receiver")(hidden)
        sender = dense(use_bias=False, name="sender")(hidden)
        sender = jnp.repeat(sender, repeats, axis=-2)
        cell = dense(use_bias=False, name="lattice")(lattice)
        pair = dense(use_bias=False, name="waves")(waves)
        pair = pair + (receiver + cell[:, None, :])[:, :, None, :] + sender[:, None, :, :]
        message = nn.silu(dense(name="message")(nn.silu(pair)))
        mean = masked_mean(message, mask)
        update = dense(name="update_in")(jnp.concatenate([hidden, mean], -1))
        return atoms + nn.silu(dense(name="update_out")(nn.silu(update)))


class CSPNet(nn.Module):
    """The network; ``init`` and ``apply`` are those of Linen."""

    config: CSPNetConfig

    @nn.compact
    def __call__(
        self,
        cell: PrimitiveCell,
        lattice: Float[ArrayLike, "b 6"],
        time: Float[ArrayLike, "b"],
        properties: Float[ArrayLike, "b p"] | None = None,
    ) -> CSPNetOutput:
        """Read a batch of cells.

        Args:
            cell: the atoms modulo centring and their images.
            lattice: lattice coefficients in any normalisation.
            time: noise level as a number of order 1 to 1000.
            properties: standardised, NaN where not known; none are known without them.
        """
        config = self.config
        senders, sender_mask = _senders(cell)
        waves = pair_waves(cell.frac, senders, frequencies=config.frequencies)
        clock = nn.Dense(config.channels, name="time")(time_embedding(time, config.time_channels))
        if config.properties and properties is not None:
            clock = clock + PropertyTokens(config.channels, name="properties")(properties).sum(-2)
        atoms = embed_species(config.species, config.channels, name="species")(cell.species)
        atoms = nn.Dense(config.channels, name="input")(atoms) + clock[:, None, :]
        for index in range(config.layers):
            layer = CSPLayer(config.channels, arithmetic(config.dtype), name=f"layer_{index}")
            atoms = layer(atoms, waves, lattice, sender_mask[:, None, :])
        atoms = nn.LayerNorm()(atoms)
        existing = cell.mask[..., None]
        pooled = masked_mean(atoms, cell.mask)
        return CSPNetOutput(
            vectors=nn.Dense(3, use_bias=False, name="vectors")(atoms) * existing,
            lattice=nn.Dense(6, use_bias=False, name="lattice")(pooled),
            logits=nn.Dense(config.species, name="logits")(atoms) * existing,
        )


def _senders(
    cell: PrimitiveCell,
) -> tuple[Float[ArrayLike, "b q 3"], Bool[ArrayLike, "b q"]]:
    """All atoms of the conventional cell: the images of each primitive atom side by side."""
    frac = cell.frac[..., :, None, :] + cell.images[..., None, :, :]
    mask = cell.mask[..., :, None] & cell.image_mask[..., None, :]
    return frac.reshape(*frac.shape[:-3], -1, 3), mask.reshape(*mask.shape[:-2], -1)


def run_cspnet(
    config: CSPNetConfig,
    params: Any,
    cell: PrimitiveCell,
    lattice: Float[ArrayLike, "b 6"],
    time: Float[ArrayLike, "b"],
    properties: Float[ArrayLike, "b p"] | None = None,
) -> CSPNetOutput:
    """The network as a pure function of its parameters; arguments as for :class:`CSPNet`."""
    output = CSPNet(config).apply(params, cell, lattice, time, properties)
    return typing.cast(CSPNetOutput, output)
