"""What the network of ``orbit_flow`` says of crystals on their way to the data."""

import dataclasses
from typing import Literal

import jax

from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import ArrayLike, Float, Int, Key
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.crystal.types import Crystal
from jaxcrys.nn.backbone import BackboneConfig, run_backbone
from jaxcrys.nn.orbit_net import OrbitNetConfig
from jaxcrys.processes.flow import Flow
from jaxcrys.recipes.base import Params
from jaxcrys.recipes.lattice_prior import LatticePrior, from_standard
from jaxcrys.recipes.properties import Property

NETWORK_TIME = 1000.0
"""The network reads time on this scale."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of the recipe.

    Attributes:
        species: whether the elements are generated (de novo) or given (structure prediction).
        network: which network, and its size.
        flow: what the network learns, and how the sampler integrates.
        lattice_weight: weight of the lattice in the loss; likewise the other two.
        lattice_spread: how far the lattices' starts are spread when samples are drawn, as a share
            of the spread in training. 1 draws lattices as varied as the data; from 0, the typical
            start, the flow ends at the most typical lattice of a template, which is nearer to the
            true one where only one is.
        substitutions: share of training crystals that get similar elements in place of their own
            (``recipes.substitution``); never those of which a property is told.
        properties: that can be told, taken from the training set.
        properties_share: share of the training crystals of which any property is told.
        each_property_share: share of the known properties of these that is told.
        prior: start of the lattices, from the training set.
    """

    species: Literal["generated", "given"] = "generated"
    network: BackboneConfig = OrbitNetConfig()
    flow: Flow = Flow()
    lattice_weight: float = 1.0
    free_weight: float = 1.0
    species_weight: float = 0.3
    lattice_spread: float = 1.0
    substitutions: float = 0.0
    properties: tuple[Property, ...] = ()
    properties_share: float = 0.8
    each_property_share: float = 0.5
    prior: LatticePrior = LatticePrior()


@pytree
class State:
    """A crystal on its way: lattice in standard units, free coordinates, elements (0 unknown)."""

    lattice: Float[ArrayLike, "b 6"]
    free: Float[ArrayLike, "b s 3"]
    species: Int[ArrayLike, "b s"]


@pytree
class Answer:
    """What the network says: targets of the flow in standard units, and what the elements are."""

    lattice: Float[ArrayLike, "b 6"]
    free: Float[ArrayLike, "b s 3"]
    species: Float[ArrayLike, "b s z"]


def predict(
    params: Params,
    templates: Crystal,
    state: State,
    time: Float[ArrayLike, "b"],
    *,
    config: Config,
    shape: CellShape,
    told: Float[jax.Array, "b p"] | None = None,
    dropout: Key[jax.Array, ""] | None = None,
) -> Answer:
    """Run the network on crystals on their way; ``told`` are standardised properties."""
    crystal = crystal_of(templates, state, config)
    output = run_backbone(
        config.network, params, crystal, state.lattice, NETWORK_TIME * time,
        shape=shape, properties=told, dropout=dropout,
    )  # fmt: skip
    return Answer(lattice=output.lattice, free=output.free, species=output.species)


def crystal_of(templates: Crystal, state: State, config: Config) -> Crystal:
    """The crystal that a state describes; ``templates`` say which elements the start knew."""
    return Crystal(
        group=templates.group,
        wyckoff=templates.wyckoff,
        species=state.species,
        free=state.free,
        lattice=from_standard(state.lattice, templates, config.prior),
    )
