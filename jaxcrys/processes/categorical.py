"""Arithmetic of log-probabilities with exact zeros: -inf gives no NaN, nor do its gradients."""

import jax
import jax.numpy as jnp

from jaxcrys.core.typing import Float, Int, Key


def log_sum_over(logits: Float[jax.Array, "*b c"]) -> Float[jax.Array, "*b 1"]:
    """Log of the sum of exponentials over the last axis, which is kept; a sum of zeros is -inf.

    Example:
        >>> log_sum_over(jnp.array([[-jnp.inf, 1.0], [-jnp.inf, -jnp.inf]]))
        Array([[  1.],
               [-inf]], dtype=float32)
    """
    top = jax.lax.stop_gradient(logits.max(-1, keepdims=True))
    finite = top > -jnp.inf
    top = jnp.where(finite, top, 0)
    total = jnp.exp(logits - top).sum(-1, keepdims=True)
    return jnp.where(finite, top + jnp.log(jnp.where(finite, total, 1)), -jnp.inf)


def log_sum(*terms: Float[jax.Array, "*#b"]) -> Float[jax.Array, "*b"]:
    """Log of the sum of the exponentials of several arrays.

    Example:
        >>> log_sum(jnp.array(-jnp.inf), jnp.array(-jnp.inf))
        Array(-inf, dtype=float32)
    """
    return log_sum_over(jnp.stack(jnp.broadcast_arrays(*terms), -1))[..., 0]


def normalise(logits: Float[jax.Array, "*b c"]) -> Float[jax.Array, "*b c"]:
    """Log-probabilities; a row of -inf stays as it is.

    Example:
        >>> normalise(jnp.array([3.0, -jnp.inf]))
        Array([  0., -inf], dtype=float32)
    """
    total = log_sum_over(logits)
    return logits - jnp.where(total > -jnp.inf, total, 0)


def divergence(
    log_p: Float[jax.Array, "*b c"], log_q: Float[jax.Array, "*b c"]
) -> Float[jax.Array, "*b"]:
    """KL(p ‖ q) = Σ p (log p - log q); the cross-entropy if p is certain.

    Example:
        >>> divergence(jnp.array([0.0, -jnp.inf]), normalise(jnp.zeros(2)))
        Array(0.6931472, dtype=float32)
    """
    possible = log_p > -jnp.inf
    excess = jnp.where(possible, log_p, 0) - jnp.where(possible, log_q, 0)
    return (jnp.exp(log_p) * excess).sum(-1)


def draw(key: Key[jax.Array, ""], logits: Float[jax.Array, "*b c"]) -> Int[jax.Array, "*b"]:
    """One class per row (Gumbel maximum). Classes at -inf are never drawn, if another is left.

    Example:
        >>> draw(jax.random.key(0), jnp.array([-jnp.inf, 0.0, -jnp.inf]))
        Array(1, dtype=int32)
    """
    return jnp.argmax(logits + jax.random.gumbel(key, logits.shape, logits.dtype), -1)


def class_at(
    level: Float[jax.Array, "*#b"], logits: Float[jax.Array, "*#b c"]
) -> Int[jax.Array, "*b"]:
    """The class where the sums of probabilities pass a level; for uniform levels, a draw.

    One random number for each row, where :func:`draw` needs one for each class. Classes at -inf are
    never drawn, if another is left; of those after the first, nor are any that are rarer than 1e-7,
    the distance of uniform numbers in float32.

    Args:
        level: uniform in [0, 1).
        logits: scores of the classes.

    Example:
        >>> logits = jnp.array([-jnp.inf, 0.0, 0.0])
        >>> int(class_at(jnp.array(0.0), logits)), int(class_at(jnp.array(0.6), logits))
        (1, 2)
    """
    upto = jnp.cumsum(jnp.exp(normalise(logits)), -1)
    return (upto <= (level * upto[..., -1])[..., None]).sum(-1)
