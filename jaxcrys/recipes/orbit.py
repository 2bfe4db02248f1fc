"""From nothing to crystals: templates as ``wyformer`` draws them, geometry as ``orbit_flow`` does.

    p(crystal) = p(group) p(sites, elements | group) p(coordinates, lattice | template)

The two halves share no parameters, and one run holds both. So a single command goes from a wish to
crystals: any of groups, sites, elements, formula, amounts and lattice may be fixed. A run is
trained as one, or joined from a run of each half (``training.join``), which need different numbers
of steps.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.typing import ArrayLike, Float, Int, Key
from jaxcrys.crystal.buckets import Cost
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.crystal.types import Crystal
from jaxcrys.processes.site_sequence import Limits
from jaxcrys.recipes import flow_sampler, orbit_flow, wyformer
from jaxcrys.recipes.base import Journey, LogProb, Metrics, Params, Recipe
from jaxcrys.recipes.flow_model import Answer
from jaxcrys.recipes.flow_sampler import Underway
from jaxcrys.recipes.properties import Target, either
from jaxcrys.recipes.properties import condition as learn_properties
from jaxcrys.recipes.template_likelihood import MOST_SETS

GEOMETRY = dataclasses.replace(orbit_flow.PRESETS["small"], species="given")


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of the recipe.

    Attributes:
        templates: settings of the half that draws groups, positions and elements.
        geometry: settings of the half that draws coordinates and lattice.
    """

    templates: wyformer.Config = wyformer.PRESETS["small"]
    geometry: orbit_flow.Config = GEOMETRY


def validate(config: Config) -> None:
    """Check the settings.

    Raises:
        InputError: naming the setting that cannot be used.
    """
    wyformer.validate(config.templates)
    orbit_flow.validate(config.geometry)


def fit(config: Config, crystals: Crystal) -> Config:
    """Take what either half takes from the data."""
    return Config(
        templates=wyformer.fit(config.templates, crystals),
        geometry=orbit_flow.fit(config.geometry, crystals),
    )


def condition(config: Config, names: Sequence[str], values: Float[np.ndarray, "b p"]) -> Config:
    """Learn to draw templates, and their geometry, for these properties."""
    return Config(
        templates=learn_properties(config.templates, names, values),
        geometry=learn_properties(config.geometry, names, values),
    )


def init(key: Key[jax.Array, ""], config: Config) -> Params:
    """Parameters of both networks."""
    templates, geometry = jax.random.split(key)
    return {
        "templates": wyformer.init(templates, config.templates),
        "geometry": orbit_flow.init(geometry, config.geometry),
    }


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
    """Sum of the losses of the halves."""
    first, second = jax.random.split(key)
    of_templates, metrics = wyformer.loss(
        params["templates"], first, crystals,
        config=config.templates, shape=shape, properties=properties, training=training,
    )  # fmt: skip
    of_geometry, more = orbit_flow.loss(
        params["geometry"], second, crystals,
        config=config.geometry, shape=shape, properties=properties, training=training,
    )  # fmt: skip
    return of_templates + of_geometry, metrics | more


def misfit(
    params: Params,
    keys: Key[jax.Array, "b"],
    crystals: Crystal,
    *,
    config: Config,
    shape: CellShape,
) -> Float[jax.Array, "b"]:
    """Of the geometry."""
    return orbit_flow.misfit(
        params["geometry"], keys, crystals, config=config.geometry, shape=shape
    )


def sample(
    params: Params,
    keys: Key[jax.Array, "b"],
    templates: Crystal,
    *,
    config: Config,
    shape: CellShape,
    target: Target | None = None,
) -> Crystal:
    """Geometry for templates."""
    return orbit_flow.sample(
        params["geometry"], keys, templates,
        config=config.geometry, shape=shape, target=_part(target, config, config.geometry),
    )  # fmt: skip


def aim(
    params: Params,
    templates: Crystal,
    way: Underway,
    index: Int[jax.Array, ""],
    *,
    config: Config,
    shape: CellShape,
    target: Target | None = None,
) -> tuple[Answer, Crystal]:
    """Where geometry is heading for."""
    return flow_sampler.aim(
        params["geometry"], templates, way, index,
        config=config.geometry, shape=shape, target=_part(target, config, config.geometry),
    )  # fmt: skip


def complete(
    params: Params,
    keys: Key[jax.Array, "b"],
    templates: Crystal,
    limits: Limits,
    *,
    config: Config,
    sites: int,
    target: Target | None = None,
) -> Crystal:
    """Templates from nothing, or from a part of them."""
    return wyformer.complete(
        params["templates"], keys, templates, limits,
        config=config.templates, sites=sites, target=_part(target, config, config.templates),
    )  # fmt: skip


def compose(
    params: Params,
    keys: Key[jax.Array, "b"],
    compositions: Any,
    owner: Int[np.ndarray, "b"],
    *,
    config: Config,
    sites: int,
    group_weights: Float[np.ndarray, "231"] | None = None,
    target: Target | None = None,
) -> Crystal:
    """Templates of exactly some compositions."""
    return wyformer.complete_formula(
        params["templates"], keys, compositions, owner,
        config=config.templates, sites=sites, group_weights=group_weights,
        target=_part(target, config, config.templates),
    )  # fmt: skip


def likelihood(
    params: Params,
    templates: Crystal,
    *,
    config: Config,
    formula_known: bool = False,
    equivalents: bool = False,
    most_sets: int = MOST_SETS,
) -> LogProb:
    """Log-probabilities of templates, the discrete part of a crystal."""
    return wyformer.template_log_prob(
        params["templates"], templates, config=config.templates,
        formula_known=formula_known, equivalents=equivalents, most_sets=most_sets,
    )  # fmt: skip


def _generates_species(config: Config) -> bool:
    return orbit_flow.RECIPE.generates_species(config.geometry)


def _part(
    target: Target | None, config: Config, half: wyformer.Config | orbit_flow.Config
) -> Target | None:
    """What is asked of one half: the properties that it knows."""
    if target is None or not half.properties:
        return None
    together = either(config.templates.properties, config.geometry.properties)
    names = [known.name for known in together]
    columns = np.array([names.index(known.name) for known in half.properties])
    return Target(jnp.asarray(target.values)[:, columns], target.guidance)


def _cost(config: Config) -> Cost:
    return orbit_flow.RECIPE.cost(config.geometry)


def _of_geometry(function: Callable) -> Callable:
    """A function of the geometry's settings as one of both halves'."""
    return lambda *given, config, **more: function(*given, config=config.geometry, **more)


PRESETS = {
    name: Config(
        templates=wyformer.PRESETS[name],
        geometry=dataclasses.replace(orbit_flow.PRESETS[name], species="given"),
    )
    for name in ("tiny", "small", "base")
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
    template_properties=lambda config: config.templates.properties,
    geometry_properties=lambda config: config.geometry.properties,
    sample=sample,
    journey=Journey(
        steps=lambda config: config.geometry.flow.steps,
        begin=_of_geometry(flow_sampler.begin),
        aim=aim,
        advance=_of_geometry(flow_sampler.advance),
        arrive=_of_geometry(flow_sampler.arrive),
    ),
    complete=complete,
    compose=compose,
    likelihood=likelihood,
    misfit=misfit,
    obeys=wyformer.OBEYS | orbit_flow.RECIPE.obeys,
    generates_species=_generates_species,
)
