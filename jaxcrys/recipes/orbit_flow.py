"""Flow matching of lattice and free coordinates: few steps, exact symmetry.

Group and Wyckoff positions are given. Free coordinates start uniform on their tori and go straight
to the nearest of the equivalent descriptions of the data (``recipes.coupling``); lattice
coefficients start from a normal distribution of the crystal family, with the volume that the
elements suggest (``recipes.lattice_prior``), and go straight as well (Lipman et al. 2023; Chen and
Lipman 2024 for flows on manifolds). The network sees sites through their symmetry images; the orbit
network's vectors lie in the Wyckoff tangent spaces and its tensor has the symmetry of the family,
so nothing is projected. With ``species="generated"`` elements are drawn too, from a mask that is
lifted site by site; any part of them may be given. Properties of the crystals may be told, and
asked for (``recipes.properties``).
"""

import dataclasses

import jax
import jax.numpy as jnp

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import ArrayLike, Bool, Float, Key
from jaxcrys.crystal.buckets import Cost
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.crystal.types import Crystal
from jaxcrys.nn.backbone import (
    backbone_cost,
    init_backbone,
    validate_backbone,
)
from jaxcrys.nn.cspnet import CSPNetConfig
from jaxcrys.nn.orbit_net import OrbitNetConfig
from jaxcrys.processes import flow, unmasking
from jaxcrys.recipes import lattice_prior
from jaxcrys.recipes.base import Metrics, Params, Recipe
from jaxcrys.recipes.coupling import couple
from jaxcrys.recipes.factors import (
    cartesian_changes,
    masks_of,
    mean_over_atoms,
    sum_and_count,
    weighted_loss,
)
from jaxcrys.recipes.flow_model import Answer, Config, State, crystal_of, predict
from jaxcrys.recipes.flow_sampler import JOURNEY, sample, start_of, streams_of
from jaxcrys.recipes.lattice_prior import to_standard
from jaxcrys.recipes.properties import (
    Target,
    any_known,
    condition,
    told_in_training,
    told_values,
    validate_properties,
)
from jaxcrys.recipes.substitution import substitute

MISFIT_TIMES = (0.7, 0.8, 0.9)
"""When :func:`misfit` looks: late enough to tell the crystal, early enough to be unsure."""


@pytree
class Example:
    """A training example: a point of a path, and what the network is to say there.

    Attributes:
        crystals: the data, with the elements that are known at the start.
        state: the point.
        lattice: target of the lattice; likewise ``free``.
        hidden: sites whose element is still unknown.
    """

    crystals: Crystal
    state: State
    lattice: Float[ArrayLike, "b 6"]
    free: Float[ArrayLike, "b s 3"]
    hidden: Bool[ArrayLike, "b s"]


def validate(config: Config) -> None:
    """Check the settings.

    Raises:
        InputError: naming the setting that cannot be used.
    """
    validate_backbone(config.network)
    flow.validate(config.flow)
    lattice_prior.validate(config.prior)
    for name in ("lattice_weight", "free_weight", "species_weight", "lattice_spread"):
        if not getattr(config, name) >= 0:
            raise InputError(name, f"must not be negative, got {getattr(config, name)}")
    if not 0 <= config.substitutions <= 1:
        raise InputError("substitutions", f"must be 0 to 1, got {config.substitutions}")
    validate_properties(config)


def fit(config: Config, crystals: Crystal) -> Config:
    """Take atomic volumes, and the spread of the lattices of each family, from the data."""
    known = config.species == "given"
    prior = lattice_prior.fit_lattice_prior(crystals, species_known=known)
    return dataclasses.replace(config, prior=prior)


def init(key: Key[jax.Array, ""], config: Config) -> Params:
    """Parameters of the network."""
    return init_backbone(key, config.network)


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
    """Squared error of the network at a random time for each crystal."""
    batch = crystals.group.shape[0]
    own = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(batch))
    keys = streams_of(own)
    told = told_in_training(own, properties, config)
    time = jax.vmap(flow.draw_time, (None, 0))(config.flow, keys["time"])
    if training and config.substitutions:
        # with other elements the properties would be wrong
        share = jnp.where(any_known(told), 0, config.substitutions)
        crystals = jax.vmap(substitute, (0, 0, None, 0))(
            keys["substitution"], crystals, config.prior, share
        )
    example = _example(keys, crystals, time, config)
    dropout = jax.random.fold_in(key, batch) if training else None
    said = predict(
        params, example.crystals, example.state, time,
        config=config, shape=shape, told=told_values(Target(told), config), dropout=dropout,
    )  # fmt: skip
    free, lattice = _errors(example, said, config)
    masks = masks_of(crystals)
    metrics = {
        "lattice": (lattice.sum(), masks.lattice.sum().astype(jnp.float32)),
        "free": (free.sum(), masks.free.sum().astype(jnp.float32)),
    }
    if config.species == "generated":
        logs = jax.nn.log_softmax(said.species)
        right = jnp.take_along_axis(logs, crystals.species[..., None], -1)[..., 0]
        metrics["species"] = sum_and_count(-right, example.hidden)
    weights = {name: getattr(config, f"{name}_weight") for name in metrics}
    return weighted_loss(metrics, weights), metrics


def misfit(
    params: Params,
    keys: Key[jax.Array, "b"],
    crystals: Crystal,
    *,
    config: Config,
    shape: CellShape,
) -> Float[jax.Array, "b"]:
    """How badly the network recovers each crystal from its own disturbed states.

    The squared error of the free coordinates, a mean over atoms, at a few late times. Crystals as
    the network expects them have a small one: it stands in for an energy where there is none.
    """
    total = jnp.zeros(crystals.group.shape)
    for number, when in enumerate(MISFIT_TIMES):
        drawn = streams_of(jax.vmap(jax.random.fold_in, (0, None))(keys, number))
        time = jnp.full(crystals.group.shape, when)
        example = _example(drawn, crystals, time, dataclasses.replace(config, species="given"))
        said = predict(params, crystals, example.state, time, config=config, shape=shape)
        free, _ = _errors(example, said, config)
        total = total + mean_over_atoms(free, crystals)
    return total / len(MISFIT_TIMES)


def _example(
    keys: dict[str, jax.Array], crystals: Crystal, time: Float[jax.Array, "b"], config: Config
) -> Example:
    """A point of a path to each crystal."""
    masks = masks_of(crystals)
    start_species, species = crystals.species, crystals.species
    if config.species == "generated":
        given = jax.vmap(unmasking.given)(keys["known"], crystals.species)
        lifted = jax.vmap(lambda k, t: jax.random.uniform(k, masks.species.shape[1:]) < t)(
            keys["species"], time
        )
        start_species = jnp.where(given, crystals.species, 0)
        species = jnp.where(given | lifted, crystals.species, 0)
    known = dataclasses.replace(crystals, species=start_species)
    first = start_of(keys, known)
    start, end = couple(crystals, first.free)
    free = flow.way(start, end, masks.free, periodic=True)
    goal = to_standard(known, config.prior)
    lattice = flow.way(first.lattice, goal, masks.lattice, periodic=False)
    state = State(
        lattice=flow.point(first.lattice, lattice, time[:, None], periodic=False),
        free=flow.point(start, free, time[:, None, None], periodic=True),
        species=species,
    )
    return Example(
        crystals=known,
        state=state,
        lattice=flow.target(config.flow, lattice, time[:, None]),
        free=flow.target(config.flow, free, time[:, None, None]),
        hidden=masks.species & (species == 0),
    )


def _errors(
    example: Example, said: Answer, config: Config
) -> tuple[Float[ArrayLike, "b s"], Float[ArrayLike, "b"]]:
    """Squared errors of each site's coordinates, in atomic lengths, and of each lattice."""
    masks = masks_of(example.crystals)
    lattice = jnp.where(masks.lattice, said.lattice - example.lattice, 0)
    crystal = crystal_of(example.crystals, example.state, config)
    vectors = cartesian_changes(crystal, said.free - example.free)
    free = jnp.where(masks.free.any(-1), (vectors**2).sum(-1), 0)
    return free, (lattice**2).sum(-1)


def _generates_species(config: Config) -> bool:
    return config.species == "generated"


def _cost(config: Config) -> Cost:
    return backbone_cost(config.network)


PRESETS = {
    "tiny": Config(network=OrbitNetConfig(layers=2, channels=32, heads=4, neighbours=24)),
    "small": Config(network=OrbitNetConfig(layers=4, channels=64, dropout=0.1)),
    "base": Config(network=OrbitNetConfig(layers=6, channels=128, dropout=0.1)),
    "full_cell": Config(network=CSPNetConfig(layers=4, channels=96, frequencies=24)),
}

RECIPE = Recipe(
    makes="crystals",
    config=Config,
    presets=PRESETS,
    validate=validate,
    fit=fit,
    init=init,
    loss=loss,
    cost=_cost,
    condition=condition,
    geometry_properties=lambda config: config.properties,
    sample=sample,
    journey=JOURNEY,
    misfit=misfit,
    obeys=frozenset(("lattice", "properties")),
    generates_species=_generates_species,
)
