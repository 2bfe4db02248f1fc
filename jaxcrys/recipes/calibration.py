"""Temperatures of a template model that fit crystals it has not seen (Guo et al. 2017).

A network trained for long is surer than it is right. What it says of the group for a known formula,
of positions and of elements has a temperature T each, by which the scores are divided; the best one
makes held-out choices likeliest:

    T = argmax Σ log softmax(scores / T)[choice].
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.rng import sample_keys
from jaxcrys.core.typing import Float, Key
from jaxcrys.crystal.formula import formula_of
from jaxcrys.crystal.types import Crystal
from jaxcrys.nn.set_transformer import sequence_logits
from jaxcrys.parallel.blocks import in_blocks
from jaxcrys.processes.categorical import normalise
from jaxcrys.processes.site_sequence import log_prob, random_order
from jaxcrys.recipes.base import Params
from jaxcrys.recipes.site_model import FORMULA_SLOTS, Config, unknown_formula

TEMPERATURES = np.geomspace(0.5, 2.5, 41)
"""Those that are tried."""

BLOCK = 256
"""Crystals that the network reads together."""


def calibrate(params: Params, crystals: Crystal, *, config: Config, seed: int = 0) -> Config:
    """The settings with the temperatures that fit held-out crystals best.

    Args:
        params: of the network.
        crystals: that it was not trained on, on the host.
        config: settings of the recipe.
        seed: of the order in which sites are read.
    """
    found = log_likelihoods(params, crystals, config=config, seed=seed)
    told, positions, elements = TEMPERATURES[found.argmax(-1)].round(3).tolist()
    return dataclasses.replace(
        config,
        told_temperature=told,
        position_temperature=positions,
        element_temperature=elements,
    )


def log_likelihoods(
    params: Params, crystals: Crystal, *, config: Config, seed: int = 0
) -> Float[np.ndarray, "3 t"]:
    """Mean log-probability of the choices of group, positions and elements at each temperature.

    The formula is told for the group alone, without which its shares are those of the training set.
    """
    program = _program(config)

    def run(rows: np.ndarray, block: Crystal) -> jax.Array:
        return program(params, sample_keys(seed, rows), block)

    values = in_blocks(run, np.arange(len(crystals.group)), crystals, size=BLOCK)
    return values.astype(np.float64).mean(0)


@functools.cache
def _program(config: Config) -> Callable[..., jax.Array]:
    temperatures = jnp.asarray(TEMPERATURES, jnp.float32)

    def run(params: Params, keys: Key[jax.Array, "b"], crystals: Crystal) -> jax.Array:
        wyckoff, species = jax.vmap(random_order)(keys, crystals.wyckoff, crystals.species)
        sites = jnp.asarray(crystals.group), wyckoff, species
        formula = formula_of(crystals, slots=FORMULA_SLOTS)
        told, *_ = sequence_logits(config.network, params, formula, *sites)
        unknown = unknown_formula(len(crystals.group))
        _, *scores = sequence_logits(config.network, params, unknown, *sites)
        prior = jnp.asarray((-jnp.inf, *config.group_log_weights))

        def at(temperature: jax.Array) -> jax.Array:
            groups = normalise(prior + told / temperature)
            group = jnp.take_along_axis(groups, sites[0][:, None], -1)[:, 0]
            positions, elements = log_prob(*(score / temperature for score in scores), *sites)
            return jnp.stack([group, positions, elements], -1)

        return jnp.moveaxis(jax.vmap(at)(temperatures), 0, -1)

    return jax.jit(run)
