"""From gradients to changes of the parameters: the learning rate's schedule, and the optimisers.

Adam (Kingma and Ba 2015) scales each number of a gradient by itself. Muon (Jordan et al. 2024)
turns the gradient of a matrix into the nearest orthogonal one, so that all directions of the matrix
learn at the same pace; it moves the kernels of the layers, and Adam everything else: embeddings,
radial functions, norms, biases and logits. Changes of a kernel are scaled to the size of Adam's, a
root mean square of the learning rate, so that both share one schedule (Liu et al. 2025, Muon is
scalable for LLM training, section 2.2). Both decouple weight decay (Loshchilov and Hutter 2019).
"""

from typing import Any

import jax
import optax
import optax.contrib

from jaxcrys.recipes.base import Params
from jaxcrys.training.config import TrainingConfig

LAST_LAYERS = "logits"
"""How kernels that belong to Adam are named at the end: their columns are classes, which are not
alike."""


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
    """The optimiser of a run, behind a limit on the norm of the gradient.

    Example:
        >>> import jax.numpy as jnp
        >>> optimise = optimiser(TrainingConfig(learning_rate=0.1, warmup_steps=0))
        >>> params = {"kernel": jnp.ones((2, 2))}
        >>> updates, _ = optimise.update(params, optimise.init(params), params)
        >>> bool((updates["kernel"] < 0).all())
        True
    """
    rate, decay = learning_rate(config), config.weight_decay
    if config.optimiser == "adam":
        chosen = optax.adamw(rate, weight_decay=decay)
    else:
        chosen = optax.contrib.muon(
            rate,
            weight_decay=decay,
            adam_weight_decay=decay,
            consistent_rms=1.0,
            muon_weight_dimension_numbers=kernels,
        )
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), chosen)


def kernels(params: Params) -> Any:
    """Marks the leaves that Muon moves: matrices named ``kernel``, less those of the last layers.

    Those of several members of an ensemble are stacked along the first axis, and each moves by
    itself.

    Example:
        >>> import jax.numpy as jnp
        >>> marks = kernels({"mix": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}})
        >>> marks["mix"]["kernel"] is not None, marks["mix"]["bias"] is None
        (True, True)
    """

    def mark(path: tuple[Any, ...], leaf: jax.Array) -> optax.contrib.MuonDimensionNumbers | None:
        names = [str(getattr(key, "key", key)) for key in path]
        last = any(name.endswith(LAST_LAYERS) for name in names)
        matrix = names[-1] == "kernel" and leaf.ndim >= 2 and min(leaf.shape[-2:]) > 1
        if not matrix or last:
            return None
        return optax.contrib.MuonDimensionNumbers(leaf.ndim - 2, leaf.ndim - 1)

    return jax.tree_util.tree_map_with_path(mark, params)
