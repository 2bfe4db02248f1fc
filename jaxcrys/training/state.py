"""The state of training, and the programs that advance it and measure it."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from jaxcrys.core.pytree import pytree
from jaxcrys.core.rng import stream
from jaxcrys.core.typing import Float, Int, Key
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.parallel.strategies import STRATEGIES
from jaxcrys.recipes.base import Metrics, Params
from jaxcrys.recipes.model import ModelConfig
from jaxcrys.training.config import TrainingConfig
from jaxcrys.training.examples import Examples
from jaxcrys.training.optimiser import optimiser


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


def init_state(
    model: ModelConfig, config: TrainingConfig, params: Params | None = None
) -> TrainState:
    """The state before the first step; fresh parameters, if none are given, follow the seed."""
    if params is None:
        key = stream(jax.random.key(config.seed), "parameters")
        params = model.functions.init(key, model.settings)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        ema=jax.tree.map(jnp.copy, params),
        optimiser=optimiser(config).init(params),
    )


@dataclasses.dataclass(frozen=True)
class Programs:
    """Compiled on their first call for each cell shape, or for all.

    Attributes:
        gradient: of (state, batch laid over the devices); keyword ``shape``.
        update: of :func:`make_update`; it takes the state's memory.
        evaluate: of :func:`make_evaluation`.
    """

    gradient: Callable[..., Any]
    update: Callable[[TrainState, Params], TrainState]
    evaluate: Callable[..., Metrics]


@functools.lru_cache(maxsize=2)
def make_programs(
    model: ModelConfig, config: TrainingConfig, mesh: Mesh, strategy: str = "sharded"
) -> Programs:
    """The same ones for the same settings, so that going on with a run compiles nothing again."""
    compiled = STRATEGIES[strategy].compile(
        make_gradient(model, config), functools.partial(_average, parts=config.microbatches),
        mesh, config.microbatches, "shape",
    )  # fmt: skip

    def gradient(state: TrainState, batch: Examples, *, shape: CellShape) -> Any:
        return compiled((state.step, state.params), batch, shape=shape)

    return Programs(
        gradient=gradient,
        update=jax.jit(make_update(config), donate_argnames="state"),
        evaluate=jax.jit(make_evaluation(model), static_argnames="shape"),
    )


def make_gradient(model: ModelConfig, config: TrainingConfig) -> Callable[..., Any]:
    """The gradient of a part of a batch, for one cell shape, as ``parallel.strategies`` wants it.

    Noise is drawn for the whole part from (seed, step, part), so that one device and many agree.
    """

    def gradient(
        common: tuple[Int[jax.Array, ""], Params],
        part: Int[jax.Array, ""],
        examples: Examples,
        *,
        shape: CellShape,
    ) -> tuple[Params, Metrics]:
        step, params = common
        key = jax.random.fold_in(stream(jax.random.key(config.seed), "noise"), step)
        differentiate = jax.value_and_grad(model.functions.loss, has_aux=True)
        (loss, metrics), gradients = differentiate(
            params, jax.random.fold_in(key, part), examples.crystals,
            config=model.settings, shape=shape, properties=examples.properties, training=True,
        )  # fmt: skip
        return gradients, metrics | {"loss": (loss, jnp.ones(()))}

    return gradient


def _average(total: tuple[Params, Metrics], *, parts: int) -> tuple[Params, Metrics]:
    """The mean gradient and its norm, from the sum over the parts of a batch."""
    gradients, metrics = total
    gradients = jax.tree.map(lambda leaf: leaf / parts, gradients)
    return gradients, metrics | {"gradient_norm": (optax.tree.norm(gradients), jnp.ones(()))}


def make_update(config: TrainingConfig) -> Callable[[TrainState, Params], TrainState]:
    """The step that follows a gradient; one program for all cell shapes."""
    optimise = optimiser(config)

    def update(state: TrainState, gradients: Params) -> TrainState:
        updates, moments = optimise.update(gradients, state.optimiser, state.params)
        params = optax.apply_updates(state.params, updates)
        decay = _ema_decay(state.step, config)
        ema = optax.incremental_update(params, state.ema, 1 - decay)
        return TrainState(state.step + 1, params, ema, moments)

    return update


def make_evaluation(model: ModelConfig) -> Callable[..., Metrics]:
    """The loss of a batch under fixed noise, with parameters given."""

    def evaluate(
        params: Params, key: Key[jax.Array, ""], examples: Examples, *, shape: CellShape
    ) -> Metrics:
        loss, metrics = model.functions.loss(
            params, key, examples.crystals,
            config=model.settings, shape=shape, properties=examples.properties,
        )  # fmt: skip
        count = (examples.crystals.wyckoff > 0).any(-1).sum().astype(loss.dtype)
        return metrics | {"loss": (loss * count, count)}

    return evaluate


def _ema_decay(step: Int[jax.Array, ""], config: TrainingConfig) -> Float[jax.Array, ""]:
    """Shorter memory in the first steps, so that the average forgets the initial parameters."""
    return jnp.minimum(config.ema_decay, (1 + step) / (10 + step))
