"""Skeleton of a process: noise that is added without shrinking the data.

    x_t = x_0 + σ_t ε,   ε ~ N(0, 1),   σ_0 = 0

Copy it to ``jaxcrys/processes/``, change it, and add it to ``processes/registry.py``: the contract
tests find it there. The contract itself is ``jaxcrys/processes/contract.py``.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jaxcrys.core.errors import InputError
from jaxcrys.processes.schedules import at_time, geometric_sigmas


@dataclasses.dataclass(frozen=True)
class Exploding:
    """Settings: plain numbers only, so that they survive JSON and can be static in jit."""

    steps: int = 100
    sigma_min: float = 0.01
    sigma_max: float = 100.0


def validate(process):
    """Name the setting that cannot be used."""
    if process.steps < 1:
        raise InputError("steps", f"must be at least 1, got {process.steps}")
    if not 0 < process.sigma_min < process.sigma_max:
        raise InputError("sigma_min", f"must be between 0 and sigma_max, got {process.sigma_min}")


def sigma(process, t, dtype):
    """σ_t, from a table that is made once."""
    validate(process)
    table = geometric_sigmas(process.sigma_min, process.sigma_max, process.steps)
    return at_time(table, t, dtype)


def corrupt(process, key, x0, t, mask):
    """Draw x_t; the target is ε, 0 where the mask is False."""
    x0 = jnp.asarray(x0)
    noise = jnp.where(mask, jax.random.normal(key, x0.shape, x0.dtype), 0)
    return x0 + sigma(process, t, x0.dtype) * noise, noise


def loss(process, prediction, target, mask):
    """Sum of the squared errors that count, and their number."""
    del process
    error = jnp.where(mask, jnp.asarray(prediction) - target, 0)
    return (error**2).sum(), jnp.asarray(mask).sum().astype(error.dtype)


def prior(process, key, mask, fixed):
    """Draw x_T where the mask is True; keep ``fixed`` elsewhere."""
    fixed = jnp.asarray(fixed)
    width = sigma(process, process.steps, fixed.dtype)
    return jnp.where(mask, width * jax.random.normal(key, fixed.shape, fixed.dtype), fixed)


def step(process, key, xt, t, s, prediction, mask):
    """Draw x_s from q(x_s | x_t, x_0), with x_0 as the prediction says."""
    xt = jnp.asarray(xt)
    late, early = sigma(process, t, xt.dtype), sigma(process, s, xt.dtype)
    share = (early / late) ** 2
    clean = xt - late * jnp.where(mask, prediction, 0)
    mean = share * xt + (1 - share) * clean
    spread = early * jnp.sqrt(1 - share)
    return jnp.where(mask, mean + spread * jax.random.normal(key, xt.shape, xt.dtype), xt)
