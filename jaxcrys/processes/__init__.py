"""Processes: how a factor of a crystal is corrupted and drawn.

Each is a frozen dataclass of settings and a module of pure functions for one sample, under the same
names everywhere (:mod:`.contract` is the specification):

    corrupt(process, key, x0, t, mask)                  draw x_t, and the target to predict
    loss(process, prediction, …, mask)                  (sum, count)
    prior(process, key, mask, fixed)                    draw x_T
    step(process, key, xt, t, s, prediction, mask)      draw x_s, for any s < t

A process knows nothing of networks, crystals or recipes.

>>> import jax, jax.numpy as jnp
>>> from jaxcrys.processes import wrapped_normal
>>> process = wrapped_normal.WrappedNormal()
>>> x0, mask = jnp.full((2, 3), 0.25), jnp.ones((2, 3), bool)
>>> xt, target = wrapped_normal.corrupt(process, jax.random.key(0), x0, 500, mask)
>>> xt.shape, target.shape
((2, 3), (2, 3))
"""

from jaxcrys.processes import (
    categorical,
    discrete,
    empirical,
    gaussian,
    schedules,
    wrapped_density,
    wrapped_normal,
)
from jaxcrys.processes.contract import Corrupt, Loss, Prior, Step
from jaxcrys.processes.discrete import Discrete
from jaxcrys.processes.empirical import Templates
from jaxcrys.processes.gaussian import MaskedGaussian
from jaxcrys.processes.registry import EXAMPLES, PROCESSES, from_settings, functions, settings
from jaxcrys.processes.schedules import Time, strided_times
from jaxcrys.processes.wrapped_normal import WrappedNormal

__all__ = [
    "EXAMPLES",
    "PROCESSES",
    "Corrupt",
    "Discrete",
    "Loss",
    "MaskedGaussian",
    "Prior",
    "Step",
    "Templates",
    "Time",
    "WrappedNormal",
    "categorical",
    "discrete",
    "empirical",
    "from_settings",
    "functions",
    "gaussian",
    "schedules",
    "settings",
    "strided_times",
    "wrapped_density",
    "wrapped_normal",
]
