"""Small trained models for tests."""

import dataclasses
from pathlib import Path

from jaxcrys.nn import CSPNetConfig
from jaxcrys.recipes import get_recipe
from jaxcrys.training import TrainingConfig, train
from tests.crystals import random_crystals

NETWORK = CSPNetConfig(layers=1, channels=16, frequencies=4, time_channels=8)
CONFIG = TrainingConfig(
    steps=10,
    batch_size=8,
    learning_rate=1e-3,
    warmup_steps=2,
    checkpoint_every=10,
    log_every=5,
    max_shapes=2,
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
