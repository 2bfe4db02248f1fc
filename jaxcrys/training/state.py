"""The state of training and the one step that advances it."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxcrys.core.pytree import pytree
from jaxcrys.core.rng import stream
from jaxcrys.core.typing import Float, Int, Key
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.crystal.types import Crystal
from jaxcrys.recipes.base import Metrics, Params
from jaxcrys.recipes.model import ModelConfig
from jaxcrys.training.config import TrainingConfig


@pytree
class TrainState:
    """Everything that a step changes.

    Attributes:
        step: steps done.
        params: parameters.
        ema: their exponential moving average.
        optimiser: state of the optimiser.
    """

    step: Int[jax.Array, ""]
    params: Params
    ema: Params
    optimiser: Any


def learning_rate(config: TrainingConfig) -> optax.Schedule:
    """Linear warm-up to the peak, cosine down to a hundredth of it at the last step."""
    return optax.warmup_cosine_decay_schedule(
        init_value=0.0,
        peak_value=config.learning_rate,
        warmup_steps=min(config.warmup_steps, config.steps // 2),
        decay_steps=config.steps,
        end_value=config.learning_rate / 100,
    )


def optimiser(config: TrainingConfig) -> optax.GradientTransformation:
    """Adam with clipped gradients and decoupled weight decay (Loshchilov and Hutter 2019)."""
    adam = optax.adamw(learning_rate(config), weight_decay=config.weight_decay)
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), adam)


def init_state(model: ModelConfig, config: TrainingConfig) -> TrainState:
    """Fresh parameters, a function of the seed."""
    key = stream(jax.random.key(config.seed), "parameters")
    params = model.functions.init(key, model.settings)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        ema=jax.tree.map(jnp.copy, params),
        optimiser=optimiser(config).init(params),
    )


def make_step(
    model: ModelConfig, config: TrainingConfig
) -> Callable[..., tuple[TrainState, Metrics]]:
    """The training step as a pure function of (state, crystals), for one cell shape.

    Noise is drawn for the global batch from (seed, step), so that one device and many agree.
    """
    optimise = optimiser(config)

    def step(state: TrainState, crystals: Crystal, *, shape: CellShape):
        key = jax.random.fold_in(stream(jax.random.key(config.seed), "noise"), state.step)
        gradient = jax.value_and_grad(model.functions.loss, has_aux=True)
        (loss, metrics), grads = gradient(
            state.params, key, crystals, config=model.settings, shape=shape, training=True
        )
        updates, moments = optimise.update(grads, state.optimiser, state.params)
        params = optax.apply_updates(state.params, updates)
        decay = _ema_decay(state.step, config)
        ema = optax.incremental_update(params, state.ema, 1 - decay)
        one = jnp.ones(())
        metrics |= {"loss": (loss, one), "gradient_norm": (optax.tree.norm(grads), one)}
        return TrainState(state.step + 1, params, ema, moments), metrics

    return step


def make_evaluation(model: ModelConfig) -> Callable[..., Metrics]:
    """The loss of a batch under fixed noise, with parameters given."""

    def evaluate(
        params: Params, key: Key[jax.Array, ""], crystals: Crystal, *, shape: CellShape
    ) -> Metrics:
        loss, metrics = model.functions.loss(
            params, key, crystals, config=model.settings, shape=shape
        )
        count = (crystals.wyckoff > 0).any(-1).sum().astype(loss.dtype)
        return metrics | {"loss": (loss * count, count)}

    return evaluate


def _ema_decay(step: Int[jax.Array, ""], config: TrainingConfig) -> Float[jax.Array, ""]:
    """Shorter memory in the first steps, so that the average forgets the initial parameters."""
    return jnp.minimum(config.ema_decay, (1 + step) / (10 + step))
