"""Small models for tests: runs of fresh parameters, without a training."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxcrys.core.checkpoint import open_checkpoints
from jaxcrys.crystal import Crystal
from jaxcrys.crystal.buckets import choose_shapes
from jaxcrys.nn import CSPNetConfig
from jaxcrys.nn.set_transformer import SetTransformerConfig
from jaxcrys.processes.flow import Flow
from jaxcrys.recipes import get_recipe
from jaxcrys.recipes.model import ModelConfig, model_to_json
from jaxcrys.recipes.run_folder import checkpoints_path, write_run
from jaxcrys.training.join import join
from tests.crystals import random_crystals

NETWORK = CSPNetConfig(layers=1, channels=16, frequencies=4, time_channels=8)


def fresh_run(
    folder: Path,
    *,
    recipe: str,
    settings: Any,
    crystals: Crystal | None = None,
    properties: dict[str, np.ndarray] | None = None,
) -> Path:
    """A run, on random crystals by default, without a step: it samples, but knows nothing."""
    crystals = random_crystals(60, seed=1) if crystals is None else crystals
    functions = get_recipe(recipe)
    settings = functions.fit(settings, crystals)
    if properties is not None:
        columns = np.stack(list(properties.values()), axis=-1)
        settings = functions.condition(settings, tuple(properties), columns)
    config = ModelConfig(
        recipe=recipe,
        settings=settings,
        shapes=choose_shapes(crystals, limit=1, cost=functions.cost(settings)),
        sites=crystals.wyckoff.shape[-1],
    )
    described = {"model": model_to_json(config), "data": {"training": len(crystals.group)}}
    write_run(folder, described, crystals)
    params = functions.init(jax.random.key(0), settings)
    with open_checkpoints(checkpoints_path(folder)) as store:
        store.save(0, {"ema": params}, described, loss=0.0)
    return folder


def fresh_crystals(folder: Path, *, species: str) -> Path:
    """One that draws crystals for templates."""
    settings = dataclasses.replace(
        get_recipe("diffcsp_pp").presets["tiny"],
        network=NETWORK,
        species=species,
        sampler_steps=10,
    )
    return fresh_run(folder, recipe="diffcsp_pp", settings=settings)


def fresh_orbit(folder: Path) -> Path:
    """A run of orbit, and beside it the two halves that it was joined from."""
    geometry, templates = (
        folder.with_name(f"{folder.name}_{half}") for half in ("geometry", "templates")
    )
    tiny = get_recipe("orbit_flow").presets["tiny"]
    settings = dataclasses.replace(tiny, species="given", network=NETWORK, flow=Flow(steps=3))
    fresh_run(geometry, recipe="orbit_flow", settings=settings)
    settings = dataclasses.replace(
        get_recipe("wyformer").presets["tiny"],
        network=SetTransformerConfig(layers=1, channels=16, heads=2),
    )
    fresh_run(templates, recipe="wyformer", settings=settings)
    join(templates, geometry, folder)
    return folder
