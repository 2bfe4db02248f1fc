"""The orbit network: equivariant attention between sites, at the cost of the asymmetric unit.

Features live on sites: C invariant channels, and C channels for each degree l, of parity (-1)^l. A
site i, as the representative of its orbit, attends to the atoms p of the whole crystal with H
heads. What it is told, of degree l, is

    m_i[l] = Σ_p exp(q_i · k_p) D_ip[l] v_p[l] / Σ_p exp(q_i · k_p) B_ip,
    D_ip[l] = Σ_edges w d_l(r) Y_l(r̂),    B_ip = Σ_edges w b(r) >= 0,    D_ip[0] = B_ip,

where the edges lead from the site to the images of atom p under lattice translations, w is their
smooth weight, Y_l are spherical harmonics, d_l and b learned radial functions, and the query q, key
k and value v linear in the invariant features; an atom has those of its site. The weights are a
softmax over the edges, biased by their length; as the bias does not depend on the elements, sums
over edges depend on the geometry alone and are computed once, and a layer is a few matrix products
per crystal, without gather or scatter. What comes out at a representative is what the same network
gives there on all atoms of any unit cell.
"""

import dataclasses
import functools
import math
import typing
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import ArrayLike, Float, Key
from jaxcrys.crystal.orbit_graph import OrbitGraph
from jaxcrys.crystal.types import Crystal
from jaxcrys.nn.equivariant import (
    Images,
    coupling,
    crystal_mean,
    edge_basis,
    images_of,
    invariant_norm,
    rms_norm,
)
from jaxcrys.nn.functional import check_sizes, time_embedding
from jaxcrys.nn.precision import Precision, arithmetic
from jaxcrys.nn.property_tokens import PropertyTokens
from jaxcrys.symmetry.site_symmetry import SITE_SYMMETRIES, site_symmetry_id
from jaxcrys.symmetry.tables import NUM_GROUPS

Features = dict[int, ArrayLike]
"""By degree l: [b, s, 2l+1, c]."""

NOBODY = 1e-6
"""Added to the sum of the weights, for sites without neighbours."""


@dataclasses.dataclass(frozen=True)
class OrbitNetConfig:
    """Size of an orbit network.

    Attributes:
        kind: marks these settings as an orbit network's.
        neighbours: neighbours of each site that the network sees.
        cutoff: largest distance of a neighbour, Å.
        reach: cells searched for neighbours on each side (``crystal.orbit_graph``); 2 finds the 32
            nearest in all crystals of the Materials Project that were tried.
        layers: rounds of messages.
        channels: channels of each degree.
        degree: largest degree of the features; 1 are vectors.
        heads: of the attention; a divisor of ``channels``.
        radial: radial functions of an edge.
        widest: centre of the widest of them, Å.
        time_channels: width of the embedding of time.
        species: number of different species inputs and logits, the unknown species 0 included.
        properties: numbers that can be told of a crystal.
        symmetry: whether sites know their site symmetry and crystals their group.
        dropout: share of each layer's hidden invariants that training drops.
        dtype: of the network's arithmetic; parameters, geometry and outputs stay in float32.
    """

    kind: Literal["orbit"] = "orbit"
    neighbours: int = 32
    cutoff: float = 8.0
    reach: int = 2
    layers: int = 4
    channels: int = 64
    degree: int = 1
    heads: int = 8
    radial: int = 16
    widest: float = 8.0
    time_channels: int = 64
    species: int = 119
    properties: int = 0
    symmetry: bool = True
    dropout: float = 0.0
    dtype: Precision = "float32"


def validate(config: OrbitNetConfig) -> None:
    """Check the settings.

    Raises:
        InputError: naming the setting that cannot be used.

    Example:
        >>> validate(OrbitNetConfig())
    """
    positive = ("layers", "channels", "radial", "heads", "time_channels", "species", "degree")
    check_sizes(config, *positive, "neighbours", "reach")
    for name in ("cutoff", "widest"):
        if not getattr(config, name) > 0:
            raise InputError(f"network.{name}", f"must be positive, got {getattr(config, name)}")


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
        self,
        crystal: Crystal,
        graph: OrbitGraph,
        time: Float[ArrayLike, "b"],
        properties: Float[ArrayLike, "b p"] | None = None,
    ) -> OrbitNetOutput:
        """Read a batch of crystals.

        Args:
            crystal: groups, positions and elements; 0 is an unknown element.
            graph: their neighbours.
            time: noise level as a number of order 1 to 1000.
            properties: standardised, NaN where not known; none are known without them.
        """
        config, dtype = self.config, arithmetic(self.config.dtype)
        occupied = (crystal.wyckoff > 0)[..., None]
        geometry = edge_basis(
            graph, radial=config.radial, widest=config.widest, degree=max(2, config.degree)
        )
        images = images_of(graph, num_sites=crystal.wyckoff.shape[-1])
        if dtype is not None:
            narrow = functools.partial(jnp.asarray, dtype=dtype)
            geometry = jax.tree.map(narrow, geometry)
            images = dataclasses.replace(images, source=narrow(images.source))
        dense = functools.partial(nn.Dense, config.channels, dtype=dtype)
        embed = functools.partial(nn.Embed, features=config.channels, dtype=dtype)
        condition = nn.silu(dense(name="time")(time_embedding(time, config.time_channels)))
        scalars = embed(config.species, name="species")(crystal.species)
        if config.symmetry:
            sites = embed(len(SITE_SYMMETRIES) + 1, name="site_symmetry")
            groups = embed(NUM_GROUPS + 1, name="group")
            scalars = scalars + sites(site_symmetry_id(crystal.wyckoff))
            condition = condition + groups(crystal.group)
        if config.properties and properties is not None:
            told = PropertyTokens(config.channels, dtype=dtype, name="properties")
            condition = condition + told(properties).sum(-2)
        shape = scalars.shape
        features = {0: scalars[..., None, :]} | {
            degree: jnp.zeros((*shape[:-1], 2 * degree + 1, shape[-1]), scalars.dtype)
            for degree in range(1, config.degree + 1)
        }
        for index in range(config.layers):
            layer = OrbitLayer(config, name=f"layer_{index}")
            features = layer(features, geometry, images, condition, occupied)
        return Readout(config, name="readout")(features, geometry, images, graph, occupied)


class OrbitLayer(nn.Module):
    """One round of attention, and an update of each site from what it was told."""

    config: OrbitNetConfig

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
        config = self.config
        channels, degrees = config.channels, range(1, config.degree + 1)
        dense = functools.partial(nn.Dense, dtype=arithmetic(config.dtype))
        scalars = nn.LayerNorm(name="norm", dtype=arithmetic(config.dtype))(features[0][..., 0, :])
        own = {
            k: dense(channels, use_bias=False, name=f"own_{k}")(rms_norm(features[k]))
            for k in degrees
        }
        told = OrbitAttention(config, config.degree, name="attention")(scalars, geometry, images)
        invariants = [scalars, told[0][..., 0, :]]
        invariants += [invariant_norm(told[k]) for k in degrees]
        invariants += [(own[k] * told[k]).sum(-2) for k in degrees]
        shift = dense(2 * channels, name="condition")(condition)[..., None, :]
        hidden = dense(2 * channels, name="mix")(jnp.concatenate(invariants, -1)) + shift
        still = not self.has_rng("dropout")
        hidden = nn.Dropout(config.dropout, deterministic=still)(nn.silu(hidden))
        hidden = dense((1 + 2 * config.degree) * channels, name="out")(hidden)
        update, *gates = jnp.split(hidden[..., None, :], 1 + 2 * config.degree, axis=-1)
        changes = {0: update} | {
            k: own[k] * gates[2 * k - 2] + told[k] * gates[2 * k - 1] for k in degrees
        }
        return {k: features[k] + changes[k] * occupied[..., None] for k in features}


class OrbitAttention(nn.Module):
    """What the atoms around tell each site, for every degree up to ``degree``."""

    config: OrbitNetConfig
    degree: int

    @nn.compact
    def __call__(
        self,
        scalars: Float[ArrayLike, "b s c"],
        geometry: dict[int, jax.Array],
        images: Images,
    ) -> Features:
        """Return messages by degree."""
        config, dtype = self.config, scalars.dtype
        channels, heads = config.channels, config.heads
        dense = functools.partial(nn.Dense, use_bias=False, dtype=arithmetic(config.dtype))

        def radial(name: str) -> jax.Array:
            return self.param(name, nn.initializers.normal(1.0), (config.radial, heads))

        def in_heads(values: jax.Array) -> jax.Array:
            return values.reshape(*values.shape[:-1], heads, channels // heads)

        query = in_heads(dense(channels, name="query")(scalars))
        sent = dense((2 + self.degree) * channels, name="send")(scalars)
        sent = jnp.einsum("bps,bsc->bpc", images.source, sent)
        key, *values = map(in_heads, jnp.split(sent, 2 + self.degree, axis=-1))
        bias = jnp.exp(radial("bias")).astype(dtype)
        near = jnp.einsum("bsnp,nh->bsph", geometry[0][:, :, :, 0], bias)
        alike = jnp.einsum("bshd,bphd->bsph", query, key) / math.sqrt(channels // heads)
        factor = _exponential(alike, images.exists[:, None, :, None])
        factor = factor / ((factor * near).sum(-2, keepdims=True) + NOBODY)

        result = {}
        for k in range(self.degree + 1):
            way = near[:, :, None]
            if k:
                mix = radial(f"radial_{k}").astype(dtype)
                way = jnp.einsum("bsnmp,nh->bsmph", geometry[k], mix)
            told = jnp.einsum("bsmph,bphd->bsmhd", way * factor[:, :, None], values[k])
            told = told.reshape(*told.shape[:-2], channels)
            result[k] = dense(channels, name=f"join_{k}")(told)
        count = jnp.einsum("bsnmp,nh->bsmh", geometry[0], radial("count").astype(dtype))
        result[0] = result[0] + dense(channels, name="crowd")(count)
        return result


def _exponential(alike: Float[ArrayLike, "b s p h"], exists: ArrayLike) -> jax.Array:
    """Exp of the logits up to a factor for each site and head, so that it cannot overflow."""
    most = jnp.where(exists, alike, -jnp.inf).max(-2, keepdims=True)
    most = jnp.where(jnp.isfinite(most), most, 0)  # of empty crystals
    return jnp.where(exists, jnp.exp(jnp.where(exists, alike - jax.lax.stop_gradient(most), 0)), 0)


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
        dense = functools.partial(nn.Dense, dtype=arithmetic(config.dtype))
        scalars = nn.LayerNorm(name="norm", dtype=arithmetic(config.dtype))(features[0][..., 0, :])
        told = OrbitAttention(config, 2, name="attention")(scalars, geometry, images)
        known = jnp.concatenate([scalars, told[0][..., 0, :]], -1)
        hidden = nn.silu(dense(2 * config.channels, name="hidden")(known))
        gates = dense(3 * config.channels + 1, name="gates")(hidden)
        for_own, for_told, for_tensor, trace = jnp.split(
            gates, np.cumsum([config.channels] * 3), axis=-1
        )
        own = rms_norm(features[1]) * for_own[..., None, :]
        vectors = (own + told[1] * for_told[..., None, :]).mean(-1)
        shear = (told[2] * for_tensor[..., None, :]).mean(-1)
        logits = dense(config.species, name="logits")(hidden)
        dtype = graph.vector.dtype
        vectors, shear, trace, logits, scalars = (
            x.astype(dtype) for x in (vectors, shear, trace, logits, scalars)
        )
        tensor = jnp.einsum("bsm,ijm->bsij", shear, coupling(1, 1, 2))
        tensor = tensor + trace[..., None] * np.eye(3, dtype=np.float32) / 3
        return OrbitNetOutput(
            vectors=vectors * occupied,
            tensor=crystal_mean(tensor, images, graph.atom_mask),
            logits=logits * occupied,
            scalars=scalars * occupied,
        )


def run_orbit_net(
    config: OrbitNetConfig,
    params: Any,
    crystal: Crystal,
    graph: OrbitGraph,
    time: Float[ArrayLike, "b"],
    *,
    properties: Float[ArrayLike, "b p"] | None = None,
    dropout: Key[jax.Array, ""] | None = None,
) -> OrbitNetOutput:
    """The network as a pure function of its parameters; arguments as for :class:`OrbitNet`.

    ``dropout`` is the key of what training drops; without one nothing is dropped.
    """
    rngs = {} if dropout is None else {"dropout": dropout}
    output = OrbitNet(config).apply(params, crystal, graph, time, properties, rngs=rngs)
    return typing.cast(OrbitNetOutput, output)
