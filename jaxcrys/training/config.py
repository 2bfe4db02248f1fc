"""Settings of a training run."""

import dataclasses
from typing import Literal

from jaxcrys.core.errors import InputError


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How a recipe is trained.

    Attributes:
        steps: optimiser steps.
        batch_size: crystals in a step, over all devices.
        microbatches: parts of a batch, whose gradients are averaged: a step takes the memory of
            one. The noise of a crystal depends on the part that it is in.
        optimiser: ``muon`` for the matrices of the layers, or ``adam`` for everything
            (``training.optimiser``).
        learning_rate: peak of the schedule: linear warm-up, then a cosine down to a hundredth.
        warmup_steps: length of the warm-up.
        weight_decay: share of each parameter, times the learning rate, that a step takes away.
        clip_norm: largest global norm of a gradient.
        ema_decay: decay of the exponential moving average of the parameters; validation and
            sampling use the average.
        checkpoint_every: steps between validations, each followed by a checkpoint.
        log_every: steps that one line of the metrics averages over.
        validation_size: at most so many crystals are held out, or taken of the validation set.
        max_shapes: most cell shapes to compile programs for.
        seed: of parameters, noise and order of the crystals.
    """

    steps: int = 20_000
    batch_size: int = 64
    microbatches: int = 1
    optimiser: Literal["muon", "adam"] = "muon"
    learning_rate: float = 3e-3
    warmup_steps: int = 500
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    checkpoint_every: int = 1000
    log_every: int = 100
    validation_size: int = 500
    max_shapes: int = 8
    seed: int = 0


def validate(config: TrainingConfig) -> None:
    """Check the settings before anything is computed.

    Raises:
        InputError: naming the setting.

    Example:
        >>> validate(TrainingConfig())
    """
    for name in (
        "steps",
        "batch_size",
        "microbatches",
        "checkpoint_every",
        "log_every",
        "max_shapes",
    ):
        if getattr(config, name) < 1:
            raise InputError(name, f"must be at least 1, got {getattr(config, name)}")
    if not config.learning_rate > 0:
        raise InputError("learning_rate", f"must be positive, got {config.learning_rate}")
    if not config.weight_decay >= 0:
        raise InputError("weight_decay", f"must not be negative, got {config.weight_decay}")
    if not 0 <= config.ema_decay < 1:
        raise InputError("ema_decay", f"must be in [0, 1), got {config.ema_decay}")
    if config.checkpoint_every % config.log_every:
        raise InputError(
            "checkpoint_every",
            f"must be a multiple of log_every, got {config.checkpoint_every} and "
            f"{config.log_every}",
            "so that a resumed run logs the same lines",
        )
