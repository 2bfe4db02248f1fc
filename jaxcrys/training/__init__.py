"""Training: settings, state, batches and the loop."""

from jaxcrys.training.config import TrainingConfig
from jaxcrys.training.loop import train

__all__ = ["TrainingConfig", "train"]
