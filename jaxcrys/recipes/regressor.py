"""Numbers of given crystals, such as a band gap, with how sure they are: a deep ensemble.

Each of a few members, an orbit network of its own first parameters, says a mean μ_m and a variance
σ_m² for every property (Lakshminarayanan et al. 2017, Simple and Scalable Predictive Uncertainty
Estimation using Deep Ensembles). Together they say

    μ = mean_m μ_m,    σ² = mean_m σ_m² + mean_m (μ_m - μ)²,

where the first part of σ² is what the data leave open, and the second, on which the members
disagree, what the model does not know. Each learns by the negative logarithm of its own likelihood,
weighted by σ^(2β) with β = 1/2, so that what is hard to tell is not given up early (Seitzer et al.
2022, On the Pitfalls of Heteroscedastic Uncertainty Estimation). The validation loss is that of the
normal distribution of μ and σ.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import ArrayLike, Float, Key
from jaxcrys.crystal.buckets import Cost, orbit_cost
from jaxcrys.crystal.orbit_graph import GraphShape, orbit_graph
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.crystal.types import Crystal
from jaxcrys.nn import orbit_net
from jaxcrys.nn.backbone import init_backbone
from jaxcrys.nn.functional import check_sizes
from jaxcrys.nn.orbit_net import OrbitNetConfig, run_orbit_net
from jaxcrys.nn.property_head import PropertyHead, init_property_head
from jaxcrys.recipes.base import Estimate, Metrics, Params, Recipe
from jaxcrys.recipes.properties import Property, fit_properties, standardise

Numbers = tuple[jax.Array, jax.Array]
"""Means, and logarithms of variances."""

BETA = 0.5
"""Exponent of the variance by which the loss is weighted."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of the recipe.

    Attributes:
        network: size of each member.
        members: how many there are.
        targets: the properties, taken from the training set.
    """

    network: OrbitNetConfig = OrbitNetConfig()
    members: int = 4
    targets: tuple[Property, ...] = ()


def validate(config: Config) -> None:
    """Check the settings.

    Raises:
        InputError: naming the setting that cannot be used.
    """
    orbit_net.validate(config.network)
    check_sizes(config, "members")


def fit(config: Config, crystals: Crystal) -> Config:
    """Nothing but the values of the properties is taken from the data (:func:`condition`)."""
    del crystals
    return config


def condition(config: Config, names: Sequence[str], values: Float[np.ndarray, "b p"]) -> Config:
    """The settings with the properties that are learned."""
    return dataclasses.replace(config, targets=fit_properties(names, values))


def init(key: Key[jax.Array, ""], config: Config) -> Params:
    """Parameters of all members, one after another along the first axis of each array."""
    one = jnp.ones((1, 1), jnp.int32)
    crystal = Crystal(one[0], one, one, jnp.zeros((1, 1, 3)), jnp.zeros((1, 6)))
    properties = max(1, len(config.targets))  # a preset, which names none yet, can be built too
    size = {"channels": config.network.channels, "properties": properties}

    def member(key: jax.Array) -> Params:
        first, second = jax.random.split(key)
        return {
            "network": init_backbone(first, config.network),
            "head": init_property_head(second, crystal, **size),
        }

    members = [member(own) for own in jax.random.split(key, config.members)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)


def loss(
    params: Params,
    key: Key[jax.Array, ""],
    crystals: Crystal,
    *,
    config: Config,
    shape: CellShape,
    properties: Float[ArrayLike, "b p"] | None = None,
    training: bool = False,
) -> tuple[Float[jax.Array, ""], Metrics]:
    """Negative log-likelihood of the known values: of each member in training, else of all.

    Raises:
        InputError: if no properties are given.
    """
    if properties is None or not config.targets:
        raise InputError("--properties", "names nothing to learn", "name columns of the dataset")
    known = ~jnp.isnan(jnp.asarray(properties)) & (crystals.wyckoff > 0).any(-1, keepdims=True)
    values = jnp.where(known, standardise(properties, config.targets), 0)
    dropout = jax.random.split(key, config.members) if training else None
    mean, log_variance = members(params, crystals, config=config, shape=shape, dropout=dropout)
    together = mixture(mean, log_variance)
    if training:
        errors = _surprise(values, mean, log_variance)
        errors = (errors * jax.lax.stop_gradient(jnp.exp(BETA * log_variance))).mean(0)
    else:
        log_variance = 2 * jnp.log(together.spread)
        errors = _surprise(values, jnp.asarray(together.mean), log_variance)
    count = known.sum().astype(jnp.float32)
    scale = jnp.array([target.scale for target in config.targets])
    off = jnp.where(known, jnp.abs(together.mean - values) * scale, 0).sum(0)
    metrics: Metrics = {
        f"error_{target.name}": (off[i], known[:, i].sum().astype(jnp.float32))
        for i, target in enumerate(config.targets)
    }
    return jnp.where(known, errors, 0).sum() / jnp.maximum(count, 1), metrics


def estimate(params: Params, crystals: Crystal, *, config: Config, shape: CellShape) -> Estimate:
    """Values of each property in the units of the data, and their standard deviations."""
    together = mixture(*members(params, crystals, config=config, shape=shape))
    mean = jnp.array([target.mean for target in config.targets])
    scale = jnp.array([target.scale for target in config.targets])
    return Estimate(mean=mean + scale * together.mean, spread=scale * together.spread)


def members(
    params: Params,
    crystals: Crystal,
    *,
    config: Config,
    shape: CellShape,
    dropout: Key[jax.Array, "m"] | None = None,
) -> tuple[Float[jax.Array, "m b p"], Float[jax.Array, "m b p"]]:
    """Standardised mean and logarithm of the variance by each member."""
    network = config.network
    size = GraphShape(atoms=shape.atoms, neighbours=network.neighbours, reach=network.reach)
    graph = orbit_graph(crystals, size, cutoff=network.cutoff)
    now = jnp.zeros(crystals.group.shape)  # these crystals are not on their way

    def one(params: Params, key: jax.Array | None) -> Numbers:
        said = run_orbit_net(network, params["network"], crystals, graph, now, dropout=key)
        head = PropertyHead(len(config.targets))
        return cast(Numbers, head.apply(params["head"], said.scalars, crystals))

    return jax.vmap(one, in_axes=(0, None if dropout is None else 0))(params, dropout)


def mixture(mean: Float[jax.Array, "m *b"], log_variance: Float[jax.Array, "m *b"]) -> Estimate:
    """Mean and standard deviation of equal parts of normal distributions.

    Example:
        >>> found = mixture(jnp.array([0.0, 2.0]), jnp.log(jnp.array([3.0, 3.0])))
        >>> float(found.mean), float(found.spread)
        (1.0, 2.0)
    """
    spread = jnp.sqrt(jnp.exp(log_variance).mean(0) + mean.var(0))
    return Estimate(mean=mean.mean(0), spread=spread)


def _surprise(values: jax.Array, mean: jax.Array, log_variance: jax.Array) -> jax.Array:
    """Negative logarithm of the normal density."""
    squared = (values - mean) ** 2 * jnp.exp(-log_variance)
    return (squared + log_variance + math.log(2 * math.pi)) / 2


def _cost(config: Config) -> Cost:
    del config
    return orbit_cost


PRESETS = {
    "tiny": Config(OrbitNetConfig(layers=2, channels=32, heads=4, neighbours=24), members=2),
    "small": Config(network=OrbitNetConfig(layers=3, channels=48, dropout=0.1)),
    "base": Config(network=OrbitNetConfig(layers=4, channels=96, dropout=0.1)),
}

RECIPE = Recipe(
    makes="numbers",
    config=Config,
    presets=PRESETS,
    validate=validate,
    fit=fit,
    init=init,
    loss=loss,
    cost=_cost,
    condition=condition,
    estimate=estimate,
)
