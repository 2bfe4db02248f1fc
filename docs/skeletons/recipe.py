"""Skeleton of a recipe: a straight flow of lattice and free coordinates in given templates.

Copy it into a package of yours and register it there (see ``how_to/write_a_recipe``), or to
``jaxcrys/recipes/``. What each function promises stands in ``jaxcrys/recipes/base.py``.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from jaxcrys.core.errors import InputError
from jaxcrys.nn.backbone import (
    BackboneConfig,
    backbone_cost,
    init_backbone,
    run_backbone,
    validate_backbone,
)
from jaxcrys.nn.cspnet import CSPNetConfig
from jaxcrys.processes import flow
from jaxcrys.recipes import Recipe
from jaxcrys.recipes.factors import masks_of, sum_and_count, weighted_loss
from jaxcrys.recipes.lattice_scale import fit_scale, from_standard, to_standard


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings: frozen, of plain values and other such dataclasses."""

    network: BackboneConfig = CSPNetConfig(layers=2, channels=32, frequencies=8)
    steps: int = 20
    mean: tuple[float, ...] = (0.0,) * 6
    scale: tuple[float, ...] = (1.0,) * 6


def validate(config):
    """Name the setting that cannot be used."""
    validate_backbone(config.network)
    if config.steps < 1:
        raise InputError("steps", f"must be at least 1, got {config.steps}")


def fit(config, crystals):
    """What follows from the training set: here the scale of the lattice coefficients."""
    mean, scale = fit_scale(crystals)
    return dataclasses.replace(config, mean=mean, scale=scale)


def start(key, crystal):
    """Where the paths of one crystal begin: a normal lattice, uniform coordinates."""
    one, other = jax.random.split(key)
    return jax.random.normal(one, (6,)), jax.random.uniform(other, crystal.free.shape)


def velocity(params, crystals, lattice, free, time, config, shape):
    """What the network says of crystals that are on their way."""
    real = from_standard(lattice, crystals, config.mean, config.scale)
    now = dataclasses.replace(crystals, lattice=real, free=free)
    return run_backbone(config.network, params, now, lattice, 1000 * time, shape=shape)


def loss(params, key, crystals, *, config, shape, properties=None, training=False):
    """Squared error of the velocity at a random time of each path."""
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(len(crystals.group)))
    masks, time = masks_of(crystals), jax.vmap(jax.random.uniform)(keys)
    begin, end = jax.vmap(start)(keys, crystals), to_standard(crystals, config.mean, config.scale)
    lattice_way = flow.way(begin[0], end, masks.lattice, periodic=False)
    free_way = flow.way(begin[1], crystals.free, masks.free, periodic=True)
    lattice = flow.point(end - lattice_way, lattice_way, time[:, None], periodic=False)
    moved = flow.point(begin[1], free_way, time[:, None, None], periodic=True)
    free = jnp.where(masks.free, moved, 0)
    said = velocity(params, crystals, lattice, free, time, config, shape)
    metrics = {
        "lattice": sum_and_count((said.lattice - lattice_way) ** 2, masks.lattice),
        "free": sum_and_count((said.free - free_way) ** 2, masks.free),
    }
    return weighted_loss(metrics, {"lattice": 1.0, "free": 1.0}), metrics


def sample(params, keys, templates, *, config, shape, target=None):
    """Follow the velocity from start to end; sample i depends on ``keys[i]`` alone."""
    masks = masks_of(templates)
    lattice, free = jax.vmap(start)(keys, templates)
    state = jnp.where(masks.lattice, lattice, 0), jnp.where(masks.free, free, 0)

    def one_step(number, state):
        time = jnp.full(templates.group.shape, number / config.steps)
        said = velocity(params, templates, *state, time, config, shape)
        step = functools.partial(flow.step, t=0.0, length=1 / config.steps)
        return (
            step(state[0], said.lattice, mask=masks.lattice, periodic=False),
            step(state[1], said.free, mask=masks.free, periodic=True),
        )

    lattice, free = jax.lax.fori_loop(0, config.steps, one_step, state)
    real = from_standard(lattice, templates, config.mean, config.scale)
    return dataclasses.replace(templates, lattice=real, free=free)


RECIPE = Recipe(
    makes="crystals",
    config=Config,
    presets={"tiny": Config(), "small": Config(CSPNetConfig(layers=4, channels=96))},
    validate=validate,
    fit=fit,
    init=lambda key, config: init_backbone(key, config.network),
    loss=loss,
    cost=lambda config: backbone_cost(config.network),
    sample=sample,
)
