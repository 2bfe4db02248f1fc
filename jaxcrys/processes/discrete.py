"""Discrete diffusion of categorical variables (D3PM, Austin et al. 2021), closed forms only.

Until time t an entry keeps its class with probability ᾱ_t and is otherwise redrawn from a
stationary distribution π:

    q(x_t | x_0) = ᾱ_t [x_t = x_0] + (1 - ᾱ_t) π(x_t)

``kind="absorbing"`` has one more class, the mask, and π is certain of it; ``kind="marginal"`` has
π given, or uniform (Vignac et al. 2023 take π from the training set, which gave the kind its name).
Where π differs from entry to entry, say by the space group, the functions take it as ``log_pi``.
The network predicts logits of x_0. Logits of -inf are hard masks: see :func:`posterior_logits`.
"""

import dataclasses
import functools
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import ArrayLike, Bool, Float, Int, Key
from jaxcrys.processes.categorical import (
    class_at,
    divergence,
    draw,
    log_sum,
    log_sum_over,
    normalise,
)
from jaxcrys.processes.schedules import Time, at_time, cosine_alpha_bar, linear_alpha_bar


@dataclasses.dataclass(frozen=True)
class Discrete:
    """Settings of the process.

    Attributes:
        kind: "absorbing" or "marginal".
        num_classes: number of classes of clean data, 0 … num_classes - 1. The mask of an absorbing
            process is the class ``num_classes``.
        steps: number T of time steps.
        marginal: the probabilities π of a marginal process; None is uniform.
        schedule: "cosine" (Nichol & Dhariwal 2021), or "mutual_information", ᾱ_t = 1 - t/T, in
            which an absorbing process loses the same number of entries at each step.
        kl_weight: weight of the variational term in :func:`loss`, beside the cross-entropy's 1.
    """

    kind: Literal["absorbing", "marginal"]
    num_classes: int
    steps: int = 1000
    marginal: tuple[float, ...] | None = None
    schedule: Literal["cosine", "mutual_information"] = "cosine"
    kl_weight: float = 0.0


def validate(process: Discrete) -> None:
    """Check the settings.

    Raises:
        InputError: naming the setting that cannot be used.

    Example:
        >>> validate(Discrete("marginal", 2, marginal=(0.25, 0.75)))
    """
    if process.kind not in ("absorbing", "marginal"):
        raise InputError("kind", f"must be 'absorbing' or 'marginal', got {process.kind!r}")
    if process.schedule not in ("cosine", "mutual_information"):
        raise InputError(
            "schedule", f"must be 'cosine' or 'mutual_information', got {process.schedule!r}"
        )
    if process.steps < 1 or process.num_classes < 1:
        raise InputError("steps, num_classes", "must be at least 1")
    if process.marginal is None:
        return
    if process.kind == "absorbing":
        raise InputError("marginal", "an absorbing process has none", "pass None")
    if len(process.marginal) != process.num_classes:
        raise InputError(
            "marginal",
            f"must have {process.num_classes} probabilities, got {len(process.marginal)}",
        )
    if min(process.marginal) < 0 or abs(sum(process.marginal) - 1) > 1e-6:
        raise InputError("marginal", "must be probabilities that add to 1", "divide by their sum")


def num_states(process: Discrete) -> int:
    """Number of classes of x_t: those of clean data, and the mask if there is one.

    Example:
        >>> num_states(Discrete("absorbing", 100))
        101
    """
    return process.num_classes + (process.kind == "absorbing")


def is_masked(process: Discrete, xt: Int[ArrayLike, "*event"]) -> Bool[jax.Array, "*event"]:
    """Which entries of x_t are in the mask class; none in a marginal process.

    Example:
        >>> is_masked(Discrete("absorbing", 3), jnp.array([2, 3]))
        Array([False,  True], dtype=bool)
    """
    return (jnp.asarray(xt) == process.num_classes) & (process.kind == "absorbing")


@functools.cache
def _tables(process: Discrete) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of ᾱ_t over the times and of π over the states."""
    validate(process)
    if process.schedule == "cosine":
        alpha_bar = cosine_alpha_bar(process.steps, clip=(0.0, 1.0))
    else:
        alpha_bar = linear_alpha_bar(process.steps)
    if process.kind == "absorbing":
        stationary = np.eye(num_states(process))[-1]
    else:
        uniform = (1 / process.num_classes,) * process.num_classes
        stationary = np.asarray(process.marginal or uniform)
    with np.errstate(divide="ignore"):
        return np.log(alpha_bar), np.log(stationary / stationary.sum())


LogPi = Float[ArrayLike, "*#event states"] | None
"""Normalised logarithm of π for each entry, -inf where a class is impossible; by default, and in
an absorbing process, that of the process."""


def _log_stationary(
    process: Discrete, shape: tuple[int, ...], log_pi: ArrayLike | None = None
) -> jax.Array:
    table = jnp.asarray(_tables(process)[1] if log_pi is None else log_pi, jnp.float32)
    return jnp.broadcast_to(table, (*shape, num_states(process)))


def _log_keep(process: Discrete, t: Time) -> jax.Array:
    return at_time(_tables(process)[0], t, np.dtype(np.float32))


def _log_lose(log_keep: jax.Array) -> jax.Array:
    """Log(1 - exp(log_keep)), accurate at both ends."""
    return jnp.log(-jnp.expm1(log_keep))


def _log_transition(
    x: jax.Array, log_keep: jax.Array, stationary: Float[jax.Array, "*event states"]
) -> jax.Array:
    """Log q(x | earlier state), for every earlier state on a new last axis."""
    own = jax.nn.one_hot(x, stationary.shape[-1], dtype=bool)
    log_pi = jnp.where(own, stationary, -jnp.inf).max(-1, keepdims=True)
    other = _log_lose(log_keep) + log_pi
    return jnp.where(own, log_sum(log_keep, other), other)


def corrupt(
    process: Discrete,
    key: Key[jax.Array, ""],
    x0: Int[ArrayLike, "*event"],
    t: Time,
    mask: Bool[ArrayLike, "*event"],
    *,
    log_pi: LogPi = None,
) -> Int[jax.Array, "*event"]:
    """Draw x_t given x_0; ``x0`` comes back where ``mask`` is False.

    Example:
        >>> x0, mask = jnp.array([1, 2, 0]), jnp.array([True, True, False])
        >>> corrupt(Discrete("absorbing", 4), jax.random.key(0), x0, 1000, mask)
        Array([4, 4, 0], dtype=int32)
    """
    x0 = jnp.asarray(x0)
    key_keep, key_draw = jax.random.split(key)
    keep = jax.random.uniform(key_keep, x0.shape) < jnp.exp(_log_keep(process, t))
    noise = draw(key_draw, _log_stationary(process, x0.shape, log_pi)).astype(x0.dtype)
    return jnp.where(mask & ~keep, noise, x0)


def posterior_logits(
    process: Discrete,
    xt: Int[ArrayLike, "*event"],
    t: Time,
    s: Time,
    x0_logits: Float[ArrayLike, "*event classes"],
    *,
    log_pi: LogPi = None,
) -> Float[jax.Array, "*event states"]:
    """Normalised log Σ_{x_0} q(x_s | x_t, x_0) p(x_0) for every class x_s, in O(classes).

    With a = ᾱ_t / ᾱ_s, Bayes' rule gives (Austin et al. 2021, equations 3 and 4)

        q(x_s | x_t, x_0) = q(x_t | x_s) q(x_s | x_0) / q(x_t | x_0)
        q(x_t | x_s) = a [x_t = x_s] + (1 - a) π(x_t)

    Classes that cannot lead to x_t have no part in the sum. Where x_t contradicts every class that
    p allows, x_t is ignored. An absorbing process never moves an entry that is not masked. So what
    p forbids has probability exactly 0 in x_0, and in every x_s that an absorbing process reveals.
    Where p forbids every class, all logits are -inf.

    Args:
        process: the settings.
        xt: the noisy classes.
        t: their time, 1 to T.
        s: the time to go to, 0 <= s < t.
        x0_logits: logits of p(x_0), -inf for classes that are forbidden.
        log_pi: π of each entry, where it is not the process's.

    Example:
        >>> logits = jnp.array([0.0, -jnp.inf])
        >>> jnp.exp(posterior_logits(Discrete("marginal", 2), jnp.array(1), 500, 0, logits))
        Array([1., 0.], dtype=float32)
    """
    xt, logits = jnp.asarray(xt), jnp.asarray(x0_logits)
    spare = num_states(process) - process.num_classes
    padding = [(0, 0)] * xt.ndim + [(0, spare)]
    log_p = normalise(jnp.pad(logits, padding, constant_values=-jnp.inf))
    keep_t, keep_s = _log_keep(process, t), _log_keep(process, s)

    stationary = _log_stationary(process, xt.shape, log_pi)
    evidence = _log_transition(xt, keep_t, stationary)
    transition = _log_transition(xt, keep_t - keep_s, stationary)
    possible = evidence > -jnp.inf
    consistent = (possible & (log_p > -jnp.inf)).any(-1, keepdims=True)
    weighed = jnp.where(possible, log_p - jnp.where(possible, evidence, 0), -jnp.inf)
    weights = jnp.where(consistent, weighed, log_p)

    redrawn = _log_lose(keep_s) + stationary + log_sum_over(weights)
    reached = log_sum(keep_s + weights, redrawn) + jnp.where(consistent, transition, 0)
    if process.kind == "marginal":
        return normalise(reached)
    stay = jnp.where(jax.nn.one_hot(xt, num_states(process), dtype=bool), 0, -jnp.inf)
    return jnp.where(is_masked(process, xt)[..., None], normalise(reached), stay)


def with_evidence(
    process: Discrete,
    logits: Float[ArrayLike, "*event classes"],
    xt: Int[ArrayLike, "*event"],
    t: Time,
    *,
    log_pi: LogPi = None,
) -> Float[jax.Array, "*event classes"]:
    """Logits of x_0 given x_t and all else, from logits given all else.

    By Bayes' rule p(x_0 | x_t, else) ∝ q(x_t | x_0) p(x_0 | else), as noise is independent from
    entry to entry. The first factor is known, so a network need only learn the second; and in
    :func:`posterior_logits`, which divides by the first, its errors are not magnified.

    Example:
        >>> process = Discrete("marginal", 2)
        >>> logits = with_evidence(process, jnp.zeros(2), jnp.array(1), 500)
        >>> jax.nn.softmax(logits).round(2).tolist()  # half of the entries are kept at that time
        [0.25, 0.75]
    """
    xt = jnp.asarray(xt)
    evidence = _log_transition(
        xt, _log_keep(process, t), _log_stationary(process, xt.shape, log_pi)
    )
    return jnp.asarray(logits) + evidence[..., : process.num_classes]


def loss(
    process: Discrete,
    logits: Float[ArrayLike, "*event classes"],
    x0: Int[ArrayLike, "*event"],
    xt: Int[ArrayLike, "*event"],
    t: Time,
    mask: Bool[ArrayLike, "*event"],
    *,
    log_pi: LogPi = None,
) -> tuple[Float[jax.Array, ""], Float[jax.Array, ""]]:
    """Cross-entropy of x_0, plus ``kl_weight`` times the variational term of one step.

    The variational term is the divergence of :func:`posterior_logits` from the posterior of the
    true x_0, at s = t - 1 (Austin et al. 2021, equations 1 and 5). In an absorbing process only
    entries that are masked at t count: the others are known.

    Returns:
        the sum over the entries that count and where ``mask`` is True, and their number.

    Example:
        >>> process, mask = Discrete("absorbing", 2), jnp.array([True, True])
        >>> x0, xt = jnp.array([0, 1]), jnp.array([2, 1])
        >>> total, count = loss(process, jnp.zeros((2, 2)), x0, xt, 500, mask)
        >>> round(float(total), 4), float(count)
        (0.6931, 1.0)
    """
    x0, xt, logits, mask = (jnp.asarray(value) for value in (x0, xt, logits, mask))
    live = mask & is_masked(process, xt) if process.kind == "absorbing" else mask
    x0, xt = jnp.where(live, x0, 0), jnp.where(live, xt, 0)
    logits = jnp.where(live[..., None], logits, 0)

    truth = jnp.where(jax.nn.one_hot(x0, process.num_classes, dtype=bool), 0, -jnp.inf)
    cost = divergence(truth, normalise(logits))
    if process.kl_weight:
        s = jnp.maximum(jnp.asarray(t) - 1, 0)
        exact = posterior_logits(process, xt, t, s, truth, log_pi=log_pi)
        found = posterior_logits(process, xt, t, s, logits, log_pi=log_pi)
        cost = cost + process.kl_weight * divergence(exact, found)
    return jnp.where(live, cost, 0).sum(), live.sum(dtype=logits.dtype)


def prior(
    process: Discrete,
    key: Key[jax.Array, ""],
    mask: Bool[ArrayLike, "*event"],
    fixed: Int[ArrayLike, "*event"],
    *,
    log_pi: LogPi = None,
) -> Int[jax.Array, "*event"]:
    """Draw x_T from π (all masked, if absorbing) where ``mask`` is True, ``fixed`` elsewhere.

    Example:
        >>> mask = jnp.array([True, False])
        >>> prior(Discrete("absorbing", 4), jax.random.key(0), mask, jnp.array([0, 1]))
        Array([4, 1], dtype=int32)
    """
    fixed = jnp.asarray(fixed)
    drawn = draw(key, _log_stationary(process, fixed.shape, log_pi)).astype(fixed.dtype)
    return jnp.where(mask, drawn, fixed)


def step(
    process: Discrete,
    key: Key[jax.Array, ""],
    xt: Int[ArrayLike, "*event"],
    t: Time,
    s: Time,
    logits: Float[ArrayLike, "*event classes"],
    mask: Bool[ArrayLike, "*event"],
    *,
    log_pi: LogPi = None,
) -> Int[jax.Array, "*event"]:
    """Draw x_s from :func:`posterior_logits`, for any earlier time s.

    Entries where ``mask`` is False, and entries in which every class is forbidden, stay as they are
    in ``xt``: a mask class left in x_0 tells that an oracle found no way on.

    Example:
        >>> process, mask = Discrete("absorbing", 2), jnp.array([True, False])
        >>> logits = jnp.array([[-jnp.inf, 0.0], [0.0, 0.0]])
        >>> compiled = jax.jit(step, static_argnums=0)
        >>> compiled(process, jax.random.key(0), jnp.array([2, 9]), 1000, 0, logits, mask)
        Array([1, 9], dtype=int32)
    """
    xt = jnp.asarray(xt)
    posterior = posterior_logits(process, xt, t, s, logits, log_pi=log_pi)
    drawn = draw(key, posterior).astype(xt.dtype)
    return jnp.where(mask & (posterior > -jnp.inf).any(-1), drawn, xt)


def hop(
    process: Discrete,
    key: Key[jax.Array, ""],
    xt: Int[ArrayLike, "*event"],
    t: Time,
    s: Time,
    logits: Float[ArrayLike, "*event classes"],
    mask: Bool[ArrayLike, "*event"],
) -> Int[jax.Array, "*event"]:
    """Draw x_s with the probabilities of :func:`step`, by way of a drawn x_0; cheaper.

    Given x_0, an entry stays x_t, becomes x_0, or is drawn from π: the terms of the product

        q(x_t | x_s) q(x_s | x_0)
            = (a [x_t = x_s] + (1 - a) π(x_t)) (ᾱ_s [x_s = x_0] + (1 - ᾱ_s) π(x_s))

    so that random numbers are needed for each entry only, not for each class.

    Example:
        >>> process, mask = Discrete("absorbing", 2), jnp.array([True, False])
        >>> logits = jnp.array([[-jnp.inf, 0.0], [0.0, 0.0]])
        >>> compiled = jax.jit(hop, static_argnums=0)
        >>> compiled(process, jax.random.key(0), jnp.array([2, 9]), 1000, 0, logits, mask)
        Array([1, 9], dtype=int32)
    """
    xt, logits = jnp.asarray(xt), jnp.asarray(logits)
    of_x0, of_choice, of_new = jax.random.uniform(key, (3, *xt.shape))
    keep_t, keep_s = _log_keep(process, t), _log_keep(process, s)
    a, lost = jnp.exp(keep_t - keep_s), -jnp.expm1(keep_t - keep_s)
    stationary = jnp.exp(jnp.asarray(_tables(process)[1], jnp.float32))
    pi = stationary[jnp.clip(xt, 0, num_states(process) - 1)]

    own = jax.nn.one_hot(xt, process.num_classes, dtype=bool) & (keep_t > -jnp.inf)
    possible = own | ((pi > 0) & (keep_t < 0))[..., None]
    legal = logits > -jnp.inf
    consistent = (possible & legal).any(-1)
    x0 = class_at(of_x0, jnp.where(possible | ~consistent[..., None], logits, -jnp.inf))

    share, anew = jnp.exp(keep_s), -jnp.expm1(keep_s)
    back = jnp.where(consistent, lost * pi, 1)
    stay = jnp.where(consistent, a * (jnp.where(x0 == xt, share, 0) + anew * pi), 0)
    level = of_choice * (stay + back * share + back * anew)
    # One row for all entries: XLA takes seconds to work out, while compiling, the sums of many.
    new = class_at(of_new, _log_stationary(process, (1,) * xt.ndim))
    xs = jnp.where(level < stay, xt, jnp.where(level < stay + back * share, x0, new))
    moves = mask & legal.any(-1)
    if process.kind == "absorbing":
        moves = moves & is_masked(process, xt)
    return jnp.where(moves, xs, xt).astype(xt.dtype)
