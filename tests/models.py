"""Small trained models for tests."""

import dataclasses
from pathlib import Path

from jaxcrys.nn import CSPNetConfig
from jaxcrys.nn.set_transformer import SetTransformerConfig
from jaxcrys.processes.flow import Flow
from jaxcrys.recipes import get_recipe
from jaxcrys.training import TrainingConfig, train
from jaxcrys.training.join import join
from tests.crystals import random_crystals

NETWORK = CSPNetConfig(layers=1, channels=16, frequencies=4, time_channels=8)
CONFIG = TrainingConfig(
    steps=10,
    batch_size=8,
    learning_rate=1e-3,
    warmup_steps=2,
    checkpoint_every=10,
    log_every=5,
    optimiser="adam",
    max_shapes=1,
)


def train_small(folder: Path, *, species: str) -> Path:
    """A run of ten steps on random crystals: it samples, but knows nothing."""
    settings = dataclasses.replace(
        get_recipe("diffcsp_pp").presets["tiny"],
        network=NETWORK,
        species=species,
        sampler_steps=10,
    )
    crystals = random_crystals(60, seed=1)
    train(folder, crystals, recipe="diffcsp_pp", settings=settings, config=CONFIG)
    return folder


def train_templates(folder: Path) -> Path:
    """A run of ten steps that draws templates."""
    settings = dataclasses.replace(
        get_recipe("wyformer").presets["tiny"],
        network=SetTransformerConfig(layers=1, channels=16, heads=2),
    )
    train(folder, random_crystals(60, seed=1), recipe="wyformer", settings=settings, config=CONFIG)
    return folder


def train_orbit(folder: Path) -> Path:
    """A run of orbit, joined from two halves of ten steps."""
    tiny = get_recipe("orbit_flow").presets["tiny"]
    settings = dataclasses.replace(tiny, species="given", network=NETWORK, flow=Flow(steps=3))
    geometry = folder.with_name(f"{folder.name}_geometry")
    train(
        geometry, random_crystals(60, seed=1), recipe="orbit_flow", settings=settings, config=CONFIG
    )
    templates = train_templates(folder.with_name(f"{folder.name}_templates"))
    join(templates, geometry, folder)
    return folder
