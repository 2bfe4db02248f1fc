"""Skeleton of a network: each site reads itself, the mean of all sites, the group and the time.

Copy it to ``jaxcrys/nn/``. A network knows nothing of processes: it is a frozen config, a module of
Flax Linen that holds the parameters, and the pure functions ``init`` and ``run``. This one has the
interface of ``nn/backbone.py``, so that recipes can take it in place of the networks there.
"""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxcrys.crystal.types import Crystal
from jaxcrys.nn.backbone import BackboneOutput
from jaxcrys.nn.fresh import fresh_parameters
from jaxcrys.nn.functional import check_sizes, masked_mean, time_embedding
from jaxcrys.symmetry.wyckoff import free_mask

POSITIONS, GROUPS, ELEMENTS = 1732, 231, 119
"""Numbers of ids, the empty one included."""


@dataclasses.dataclass(frozen=True)
class SiteMeanConfig:
    """Size of the network; ``kind`` tells it from others in JSON."""

    kind: Literal["site_mean"] = "site_mean"
    channels: int = 32
    time_channels: int = 16
    species: int = ELEMENTS


def validate(config):
    """Name the setting that cannot be used."""
    check_sizes(config, "channels", "time_channels")


class SiteMean(nn.Module):
    """The layers; in the padding of every output stands 0."""

    config: SiteMeanConfig

    @nn.compact
    def __call__(self, crystal, standard, time):
        """Read a batch of crystals."""
        width, exists = self.config.channels, crystal.wyckoff > 0
        angle = 2 * jnp.pi * jnp.where(free_mask(crystal.wyckoff), crystal.free, 0)
        sites = nn.Embed(POSITIONS, width)(crystal.wyckoff)
        sites = sites + nn.Embed(ELEMENTS, width)(crystal.species)
        sites = sites + nn.Dense(width)(jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], -1))
        whole = nn.Embed(GROUPS, width)(crystal.group) + nn.Dense(width)(standard)
        whole = whole + nn.Dense(width)(time_embedding(time, self.config.time_channels))
        for _ in range(2):
            mean = nn.Dense(width)(masked_mean(sites, exists)) + whole
            sites = sites + nn.Dense(width)(nn.silu(nn.LayerNorm()(sites + mean[:, None])))
        pooled = masked_mean(sites, exists)
        return BackboneOutput(
            lattice=nn.Dense(6)(pooled),
            free=jnp.where(free_mask(crystal.wyckoff), nn.Dense(3)(sites), 0),
            species=nn.Dense(self.config.species)(sites) * exists[..., None],
        )


def init(key, config):
    """Fresh parameters."""

    def make(key):
        one = jnp.ones((1, 1), jnp.int32)
        crystal = Crystal(jnp.ones(1, jnp.int32), one, one, jnp.zeros((1, 1, 3)), jnp.zeros((1, 6)))
        return SiteMean(config).init(key, crystal, crystal.lattice, jnp.zeros(1))

    return fresh_parameters(make, key)


def run(config, params, crystal, standard, time, *, shape, properties=None, dropout=None):
    """The network as a pure function; ``shape`` is static, the last two are not used here."""
    del shape, properties, dropout
    return jax.tree.map(jnp.float32, SiteMean(config).apply(params, crystal, standard, time))
