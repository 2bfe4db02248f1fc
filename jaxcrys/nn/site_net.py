"""A network on the sites of the asymmetric unit alone (after SymmCD, Levy et al., ICLR 2025).

The layers are CSPNet's: every site receives messages from all sites through plane waves of the
fractional difference of their representatives; symmetry copies are not seen, but where edges to
them are given in their place. As the group fixes the origin, sites also know where they lie, and
which symmetry elements pass through them; and the crystal knows the operations of its group, axis
by axis.
"""

import dataclasses
import typing
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import ArrayLike, Bool, Float, Int, Key
from jaxcrys.nn.cspnet import CSPLayer, embed_species
from jaxcrys.nn.fresh import fresh_parameters
from jaxcrys.nn.functional import check_sizes, masked_mean, pair_waves, plane_waves, time_embedding
from jaxcrys.nn.image_edges import ImageEdges
from jaxcrys.nn.precision import Precision, arithmetic
from jaxcrys.symmetry.group_bits import LATTICE_TYPES, group_bits, lattice_type


@dataclasses.dataclass(frozen=True)
class SiteNetConfig:
    """Size of the network; the published one has 8 layers of 1024 channels and 128 frequencies."""

    kind: Literal["sites"] = "sites"
    """Marks these settings as a site network's."""
    layers: int = 4
    channels: int = 96
    frequencies: int = 24
    time_channels: int = 64
    species: int = 119
    """Number of different species inputs and species logits, the empty slot 0 included."""
    copies: bool = False
    """Whether sites vote for their own elements on the other sites; see :class:`Votes`."""
    dtype: Precision = "float32"
    """Of the layers' arithmetic, as of CSPNet's."""


def validate(config: SiteNetConfig) -> None:
    """Check the settings.

    Raises:
        InputError: naming the setting that cannot be used.

    Example:
        >>> validate(SiteNetConfig())
    """
    check_sizes(config, "layers", "channels", "frequencies", "time_channels", "species")


@pytree
class Sites:
    """What the network reads of a batch.

    Attributes:
        group: space groups.
        occupied: which sites exist.
        species: their elements; 0 in empty slots.
        symmetry: features of the site symmetry.
        frac: fractional coordinates of the representatives.
        place: coordinates, of period 1, that tell where a site lies.
        lattice: lattice coefficients in any normalisation.
        images: edges to symmetry images; None for those between representatives.
    """

    group: Int[ArrayLike, "b"]
    occupied: Bool[ArrayLike, "b s"]
    species: Int[ArrayLike, "b s"]
    symmetry: Float[ArrayLike, "b s f"]
    frac: Float[ArrayLike, "b s 3"]
    place: Float[ArrayLike, "b s 3"]
    lattice: Float[ArrayLike, "b 6"]
    images: ImageEdges | None = None


@pytree
class SiteNetOutput:
    """What the network says.

    Attributes:
        vectors: one vector for each site; 0 in the padding.
        lattice: six lattice coefficients for each crystal.
        species: logits of each site's element; 0 in the padding.
        symmetry: as many logits as the site symmetry has features.
    """

    vectors: Float[ArrayLike, "b s 3"]
    lattice: Float[ArrayLike, "b 6"]
    species: Float[ArrayLike, "b s z"]
    symmetry: Float[ArrayLike, "b s f"]


class Votes(nn.Module):
    """What each site says for, or against, its own element on each other site.

    The logit of element z on site i grows by Σ_{j ≠ i, z_j = z} q_i · k_j / √c. So that a crystal
    has few elements, each on several sites, need not be learned element by element: copying what
    is elsewhere is built in (as in pointer networks, Vinyals et al. 2015; See et al. 2017).
    """

    species: int

    @nn.compact
    def __call__(
        self,
        hidden: Float[ArrayLike, "b s c"],
        species: Int[ArrayLike, "b s"],
        occupied: Bool[ArrayLike, "b s"],
    ) -> Float[ArrayLike, "b s z"]:
        """Sums of the votes."""
        channels, sites = hidden.shape[-1], hidden.shape[-2]
        asking = nn.Dense(channels, name="asking")(hidden)
        voting = nn.Dense(channels, name="voting")(hidden)
        votes = jnp.einsum("bic,bjc->bij", asking, voting) / channels**0.5
        others = jnp.asarray(occupied)[:, None, :] & ~jnp.eye(sites, dtype=bool)
        elements = jax.nn.one_hot(species, self.species)
        return jnp.einsum("bij,bjz->biz", jnp.where(others, votes, 0), elements)


class SiteNet(nn.Module):
    """The network; ``init`` and ``apply`` are those of Linen."""

    config: SiteNetConfig

    @nn.compact
    def __call__(self, sites: Sites, time: Float[ArrayLike, "b"]) -> SiteNetOutput:
        """Read a batch of asymmetric units.

        Args:
            sites: as they are now.
            time: noise level as a number of order 1 to 1000.
        """
        config, channels = self.config, self.config.channels
        bits = group_bits(sites.group).reshape(*sites.group.shape, -1)
        kind = jax.nn.one_hot(lattice_type(sites.group), len(LATTICE_TYPES))
        group = nn.Dense(channels, name="group_in")(jnp.concatenate([bits, kind], -1))
        clock = nn.Dense(channels, name="time")(time_embedding(time, config.time_channels))
        crystal = nn.Dense(channels, name="group")(nn.silu(group)) + clock

        waves, mask = _edges(sites, config.frequencies)
        origin = jnp.zeros_like(sites.place[..., :1, :])
        place = pair_waves(sites.place, origin, frequencies=config.frequencies)[..., 0, :]
        hidden = embed_species(config.species, channels, name="species_in")(sites.species)
        hidden = hidden + nn.Dense(channels, name="symmetry_in")(sites.symmetry)
        hidden = hidden + nn.Dense(channels, name="place")(place) + crystal[:, None, :]
        hidden = nn.Dense(channels, name="input")(nn.silu(hidden))
        for index in range(config.layers):
            layer = CSPLayer(channels, arithmetic(config.dtype), name=f"layer_{index}")
            hidden = layer(hidden, waves, sites.lattice, mask)
        hidden = nn.LayerNorm()(hidden)
        existing = sites.occupied[..., None]
        pooled = masked_mean(hidden, sites.occupied)
        species = nn.Dense(config.species, name="species_logits")(hidden)
        if config.copies:
            species = species + Votes(config.species, name="votes")(
                hidden, sites.species, sites.occupied
            )
        return SiteNetOutput(
            vectors=nn.Dense(3, use_bias=False, name="vectors")(hidden) * existing,
            lattice=nn.Dense(6, use_bias=False, name="lattice")(pooled),
            species=species * existing,
            symmetry=nn.Dense(sites.symmetry.shape[-1], name="symmetry_logits")(hidden) * existing,
        )


def _edges(
    sites: Sites, frequencies: int
) -> tuple[Float[ArrayLike, "b s q w"], Bool[ArrayLike, "b #s q"]]:
    """Plane waves of all edges, and which edges there are."""
    if sites.images is None:
        waves = pair_waves(sites.frac, sites.frac, frequencies=frequencies)
        return waves, jnp.asarray(sites.occupied)[:, None, :]
    return plane_waves(sites.images.difference, frequencies=frequencies), sites.images.mask


def init_site_net(key: Key[jax.Array, ""], config: SiteNetConfig, *, features: int) -> Any:
    """Fresh parameters, for a number of features of the site symmetry.

    Example:
        >>> config = SiteNetConfig(layers=1, channels=4)
        >>> list(init_site_net(jax.random.key(0), config, features=195))
        ['params']
    """

    def init(key: jax.Array) -> Any:
        sites = Sites(
            group=jnp.ones(1, jnp.int32),
            occupied=jnp.ones((1, 1), bool),
            species=jnp.ones((1, 1), jnp.int32),
            symmetry=jnp.zeros((1, 1, features)),
            frac=jnp.zeros((1, 1, 3)),
            place=jnp.zeros((1, 1, 3)),
            lattice=jnp.zeros((1, 6)),
        )
        return SiteNet(config).init(key, sites, jnp.zeros(1))

    return fresh_parameters(init, key)


def run_site_net(
    config: SiteNetConfig, params: Any, sites: Sites, time: Float[ArrayLike, "b"]
) -> SiteNetOutput:
    """The network as a pure function of its parameters; arguments as for :class:`SiteNet`."""
    return typing.cast(SiteNetOutput, SiteNet(config).apply(params, sites, time))
