"""The orbit network: equivariant messages between sites, at the cost of the asymmetric unit.

Features live on sites, as irreducible representations of O(3): C channels for each degree l, of
parity (-1)^l. A receiver is a site's representative; its neighbours are atoms of the whole crystal,
and the features of an atom are those of its site, turned by the operation that made it. A message
of degree l₃ is

    m_i = Σ_p Σ_n w_n Σ_CG G_i[n, l₁, p] ⊗ h_p[l₂],    G_i[n, l, p] = Σ_edges R_n(r) Y_l(r̂)

where G gathers the edges from site i to the images of atom p. It depends on the geometry alone and
is computed once; a layer is a few matrix products per crystal, without gather or scatter. What
comes out at a representative is what the same network gives there on all atoms of the unit cell.
"""

import dataclasses
import itertools
import typing
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import ArrayLike, Float
from jaxcrys.crystal.orbit_graph import OrbitGraph
from jaxcrys.crystal.types import Crystal
from jaxcrys.nn.equivariant import (
    Images,
    couples,
    coupling,
    crystal_mean,
    edge_basis,
    images_of,
    invariant_norm,
    rms_norm,
    turn,
)
from jaxcrys.nn.functional import time_embedding
from jaxcrys.symmetry.site_symmetry import SITE_SYMMETRIES, site_symmetry_id
from jaxcrys.symmetry.tables import NUM_GROUPS

Features = dict[int, ArrayLike]
"""By degree l: [b, s, 2l+1, c]."""


@dataclasses.dataclass(frozen=True)
class OrbitNetConfig:
    """Size of an orbit network.

    Attributes:
        layers: rounds of messages.
        channels: channels of each degree.
        degree: largest degree of the features; 0 and 1 are scalars and vectors.
        filter_degree: largest degree of the spherical harmonics of the edges.
        radial: radial functions of an edge.
        filters: learned combinations of them, for each path and layer.
        time_channels: width of the embedding of time.
        species: number of different species inputs and logits, the unknown species 0 included.
        symmetry: whether sites know their site symmetry and crystals their group.
    """

    layers: int = 4
    channels: int = 64
    degree: int = 1
    filter_degree: int = 2
    radial: int = 16
    filters: int = 6
    time_channels: int = 64
    species: int = 119
    symmetry: bool = True


def validate(config: OrbitNetConfig) -> None:
    """Check the settings.

    Raises:
        InputError: naming the setting that cannot be used.

    Example:
        >>> validate(OrbitNetConfig())
    """
    for name in ("layers", "channels", "radial", "filters", "time_channels", "species", "degree"):
        if getattr(config, name) < 1:
            raise InputError(f"network.{name}", f"must be at least 1, got {getattr(config, name)}")
    if config.time_channels % 2:
        raise InputError("network.time_channels", f"must be even, got {config.time_channels}")
    if config.filter_degree < max(2, config.degree):
        raise InputError(
            "network.filter_degree", f"must be at least 2 and degree, got {config.filter_degree}"
        )


@pytree
class OrbitNetOutput:
    """What the network says.

    Attributes:
        vectors: one Cartesian vector for each site, in its Wyckoff tangent space.
        tensor: one symmetric Cartesian tensor for each crystal, summed over its atoms and divided
            by their number; it has the symmetry of the crystal.
        logits: species logits of each site.
        scalars: invariant features of each site.
    """

    vectors: Float[ArrayLike, "b s 3"]
    tensor: Float[ArrayLike, "b 3 3"]
    logits: Float[ArrayLike, "b s z"]
    scalars: Float[ArrayLike, "b s c"]


class OrbitNet(nn.Module):
    """The network; ``init`` and ``apply`` are those of Linen."""

    config: OrbitNetConfig

    @nn.compact
    def __call__(
        self, crystal: Crystal, graph: OrbitGraph, time: Float[ArrayLike, "b"]
    ) -> OrbitNetOutput:
        """Read a batch of crystals.

        Args:
            crystal: groups, positions and elements; 0 is an unknown element.
            graph: their neighbours.
            time: noise level as a number of order 1 to 1000.
        """
        config = self.config
        occupied = (crystal.wyckoff > 0)[..., None]
        geometry = edge_basis(graph, radial=config.radial, degree=config.filter_degree)
        images = images_of(graph, num_sites=crystal.wyckoff.shape[-1])
        condition = nn.silu(nn.Dense(config.channels, name="time")(
            time_embedding(time, config.time_channels)))  # fmt: skip
        scalars = nn.Embed(config.species, config.channels, name="species")(crystal.species)
        if config.symmetry:
            sites = nn.Embed(len(SITE_SYMMETRIES) + 1, config.channels, name="site_symmetry")
            groups = nn.Embed(NUM_GROUPS + 1, config.channels, name="group")
            scalars = scalars + sites(site_symmetry_id(crystal.wyckoff))
            condition = condition + groups(crystal.group)
        shape = scalars.shape
        features = {0: scalars[..., None, :]} | {
            degree: jnp.zeros((*shape[:-1], 2 * degree + 1, shape[-1]), scalars.dtype)
            for degree in range(1, config.degree + 1)
        }
        for index in range(config.layers):
            layer = OrbitLayer(config, first=index == 0, name=f"layer_{index}")
            features = layer(features, geometry, images, condition, occupied)
        return Readout(config, name="readout")(features, geometry, images, graph, occupied)


class OrbitLayer(nn.Module):
    """One round of messages, and an update of each site from what it got."""

    config: OrbitNetConfig
    first: bool

    @nn.compact
    def __call__(
        self,
        features: Features,
        geometry: dict[int, jax.Array],
        images: Images,
        condition: Float[ArrayLike, "b c"],
        occupied: ArrayLike,
    ) -> Features:
        """Return the updated features."""
        channels, degree = self.config.channels, self.config.degree
        normed = {0: nn.LayerNorm(name="norm")(features[0])} | {
            k: rms_norm(features[k]) for k in range(1, degree + 1)
        }
        sent = {0: normed[0]} if self.first else normed
        message = Messages(self.config, degree, name="messages")(sent, geometry, images)
        invariants = [normed[0][..., 0, :], message[0][..., 0, :]]
        invariants += [invariant_norm(message[k]) for k in range(1, degree + 1)]
        shift = nn.Dense(2 * channels, name="condition")(condition)[..., None, :]
        hidden = nn.Dense(2 * channels, name="mix")(jnp.concatenate(invariants, -1)) + shift
        hidden = nn.Dense((1 + 2 * degree) * channels, name="out")(nn.silu(hidden))
        update, *gates = jnp.split(hidden, 1 + 2 * degree, axis=-1)
        result = {0: features[0] + (update * occupied)[..., None, :]}
        for k in range(1, degree + 1):
            own = nn.Dense(channels, use_bias=False, name=f"own_{k}")(normed[k])
            for_own, for_message = (gate[..., None, :] for gate in gates[2 * k - 2 : 2 * k])
            change = own * for_own + message[k] * for_message
            result[k] = features[k] + change * occupied[..., None]
        return result


class Messages(nn.Module):
    """What the neighbours tell a site, for every degree up to ``degree``."""

    config: OrbitNetConfig
    degree: int

    @nn.compact
    def __call__(
        self, features: Features, geometry: dict[int, jax.Array], images: Images
    ) -> Features:
        """Return messages by degree."""
        config = self.config
        senders = {k: turn(images, values, k) for k, values in features.items()}
        result = {}
        for out in range(self.degree + 1):
            parts = []
            for edge, inner in itertools.product(geometry, senders):
                if not couples(edge, inner, out):
                    continue
                name = f"{edge}_{inner}_{out}"
                mix = self.param(f"radial_{name}", nn.initializers.lecun_normal(),
                                 (config.radial, config.filters))  # fmt: skip
                weight = self.param(f"filter_{name}", nn.initializers.normal(1.0),
                                    (config.filters, config.channels))  # fmt: skip
                filtered = jnp.einsum("bsnmp,nq->bsqmp", geometry[edge], mix)
                coupled = jnp.einsum("bsqmp,mio->bsqopi", filtered, coupling(edge, inner, out))
                flat = coupled.reshape(*coupled.shape[:-2], -1)
                sent = senders[inner].reshape(senders[inner].shape[0], -1, config.channels)
                gathered = jnp.einsum("bsqox,bxc->bsqoc", flat, sent)
                parts.append((gathered * weight[:, None, :]).sum(-3))
            joined = jnp.concatenate(parts, -1) / np.sqrt(config.filters)
            result[out] = nn.Dense(config.channels, use_bias=False, name=f"join_{out}")(joined)
        return result


class Readout(nn.Module):
    """Vectors, tensor and logits from the last features."""

    config: OrbitNetConfig

    @nn.compact
    def __call__(
        self,
        features: Features,
        geometry: dict[int, jax.Array],
        images: Images,
        graph: OrbitGraph,
        occupied: ArrayLike,
    ) -> OrbitNetOutput:
        """Return what the network says."""
        config = self.config
        scalars = nn.LayerNorm(name="norm")(features[0][..., 0, :])
        normed = {0: scalars[..., None, :]} | {
            k: rms_norm(features[k]) for k in range(1, config.degree + 1)
        }
        message = Messages(config, 2, name="messages")(normed, geometry, images)
        known = jnp.concatenate([scalars, message[0][..., 0, :]], -1)
        hidden = nn.silu(nn.Dense(2 * config.channels, name="hidden")(known))
        gates = nn.Dense(3 * config.channels + 1, name="gates")(hidden)
        for_own, for_message, for_tensor, trace = jnp.split(
            gates, np.cumsum([config.channels] * 3), axis=-1
        )
        own, told = normed[1] * for_own[..., None, :], message[1] * for_message[..., None, :]
        vectors = (own + told).mean(-1)
        shear = (message[2] * for_tensor[..., None, :]).mean(-1)
        basis = coupling(1, 1, 2)
        tensor = jnp.einsum("bsm,ijm->bsij", shear, basis) + trace[..., None] * np.eye(3) / 3
        return OrbitNetOutput(
            vectors=vectors * occupied,
            tensor=crystal_mean(tensor, images, graph.atom_mask),
            logits=nn.Dense(config.species, name="logits")(hidden) * occupied,
            scalars=scalars * occupied,
        )


def run_orbit_net(
    config: OrbitNetConfig,
    params: Any,
    crystal: Crystal,
    graph: OrbitGraph,
    time: Float[ArrayLike, "b"],
) -> OrbitNetOutput:
    """The network as a pure function of its parameters; arguments as for :class:`OrbitNet`."""
    output = OrbitNet(config).apply(params, crystal, graph, time)
    return typing.cast(OrbitNetOutput, output)
