"""Discrete diffusion against explicit transition matrices multiplied in float64."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcrys.processes import discrete, strided_times
from jaxcrys.processes.discrete import Discrete

STEPS, SAMPLES = 6, 20000
NEGLIGIBLE = 1e-20
"""The cosine schedule ends at ᾱ_T = 4e-33 by rounding of π; the process takes it for 0."""

PROCESSES = {
    "absorbing": Discrete("absorbing", 4, STEPS, schedule="mutual_information"),
    "absorbing, cosine": Discrete("absorbing", 4, STEPS, kl_weight=0.7),
    "uniform": Discrete("marginal", 4, STEPS, schedule="mutual_information"),
    "marginal": Discrete("marginal", 4, STEPS, marginal=(0.4, 0.35, 0.05, 0.2), kl_weight=0.7),
    "marginal with a zero": Discrete("marginal", 4, STEPS, marginal=(0.5, 0.0, 0.2, 0.3)),
}
P0 = np.array([0.1, 0.5, 0.15, 0.25])
"""Distribution of the clean data in the tests of samplers."""


@pytest.fixture(params=PROCESSES, name="process")
def every_process(request):
    return PROCESSES[request.param]


@pytest.fixture(params=["absorbing", "absorbing, cosine", "marginal"], name="typical")
def typical_process(request):
    return PROCESSES[request.param]


def transition_matrices(process):
    """Q_1 … Q_T with rows of sum 1: Q[x_{t-1}, x_t]."""
    time = np.arange(process.steps + 1) / process.steps
    if process.schedule == "cosine":
        survival = np.cos((time + 0.008) / 1.008 * np.pi / 2) ** 2
    else:
        survival = 1 - time
    states = 4 + (process.kind == "absorbing")
    stationary = np.eye(states)[-1] if states == 5 else np.array(process.marginal or [0.25] * 4)
    return [
        ratio * np.eye(states) + (1 - ratio) * stationary[None, :]
        for ratio in survival[1:] / survival[:-1]
    ]


def product(process, start, stop):
    """Q_{start+1} … Q_stop: from time start to time stop."""
    states = 4 + (process.kind == "absorbing")
    return np.linalg.multi_dot(
        [np.eye(states), np.eye(states), *transition_matrices(process)[start:stop]]
    )


def brute_posterior(process, t, s, p0):
    """Σ q(x_s | x_t, x_0) p(x_0) as [x_t, x_s], by Bayes' rule; NaN where x_t cannot be."""
    to_s, to_t, between = product(process, 0, s), product(process, 0, t), product(process, s, t)
    result = np.zeros_like(between)
    for x0 in np.flatnonzero(p0):
        reached = to_t[x0] > NEGLIGIBLE
        joint = (to_s[x0][:, None] * between).T
        result[reached] += p0[x0] * joint[reached] / to_t[x0][reached, None]
    total = result.sum(1, keepdims=True)
    return np.divide(result, total, out=np.full_like(result, np.nan), where=total > 0)


def logits_of(p0, rows):
    with np.errstate(divide="ignore"):
        return (np.tile(np.log(p0), (rows, 1)) + 3.7).astype(np.float32)


@pytest.mark.parametrize("p0", [P0, [0.0, 0.3, 0.7, 0.0], [0.0, 0.0, 0.0, 1.0]])
def test_posterior_is_that_of_the_matrices(process, p0, compiled):
    p0 = np.array(p0)
    states = discrete.num_states(process)
    xt, posterior = np.arange(states), compiled(discrete.posterior_logits)
    for s, t in itertools.combinations(range(STEPS + 1), 2):
        ours = np.exp(posterior(process, xt, t, s, logits_of(p0, states)))
        oracle = brute_posterior(process, t, s, p0)
        known = ~np.isnan(oracle).any(1)
        np.testing.assert_allclose(ours[known], oracle[known], rtol=2e-5, atol=1e-7)
        assert (ours[known][oracle[known] == 0] == 0).all()
        np.testing.assert_allclose(ours.sum(1), 1, rtol=1e-5)


def test_evidence_and_what_else_is_known_are_weighed_by_bayes_rule(process, compiled):
    """p(x_s | x_t) ∝ Σ p(x_0) q(x_s | x_0) q(x_t | x_s), for x_0 known by all else as P0."""
    states = discrete.num_states(process)
    xt, posterior = np.arange(states), compiled(discrete.posterior_logits)
    for s, t in itertools.combinations(range(STEPS + 1), 2):
        logits = compiled(discrete.with_evidence)(process, logits_of(P0, states), xt, t)
        joint = (P0 @ product(process, 0, s)[:4])[:, None] * product(process, s, t)
        joint = np.where(joint > NEGLIGIBLE, joint, 0).T
        possible = joint.sum(1) > 0
        ours = np.exp(posterior(process, xt, t, s, logits))[possible]
        oracle = joint[possible] / joint[possible].sum(1, keepdims=True)
        np.testing.assert_allclose(ours, oracle, rtol=5e-5, atol=1e-7)


def test_noisy_classes_have_the_frequencies_of_the_matrices(typical, compiled, assert_mean):
    x0 = np.full(SAMPLES, 2)
    for t in (1, 3, STEPS):
        xt = compiled(discrete.corrupt)(typical, jax.random.key(t), x0, t, np.ones(SAMPLES, bool))
        states = discrete.num_states(typical)
        assert_mean(np.eye(states)[np.asarray(xt)], product(typical, 0, t)[2])


@pytest.mark.parametrize("step", [discrete.step, discrete.hop])
@pytest.mark.parametrize(("t", "s"), [(1, 0), (5, 2), (STEPS, 3)])
def test_step_has_the_frequencies_of_the_posterior(typical, t, s, step, compiled, assert_mean):
    last = discrete.num_states(typical) - 1
    xt = np.full(SAMPLES, last)
    xs = compiled(step)(
        typical, jax.random.key(t), xt, t, s, logits_of(P0, SAMPLES), np.ones(SAMPLES, bool)
    )
    oracle = brute_posterior(typical, t, s, P0)[last]
    assert_mean(np.eye(last + 1)[np.asarray(xs)], oracle)


@pytest.mark.parametrize("xt", range(4))
def test_hop_goes_where_step_goes_from_every_class(process, xt, compiled, assert_mean):
    p0, states = np.array([0.1, 0.0, 0.3, 0.6]), discrete.num_states(process)
    noisy, logits = np.full(SAMPLES, xt), logits_of(p0, SAMPLES)
    posterior = compiled(discrete.posterior_logits)
    for t, s in ((5, 2), (3, 0)):
        xs = compiled(discrete.hop)(
            process, jax.random.key(t), noisy, t, s, logits, np.ones(SAMPLES, bool)
        )
        wanted = np.exp(posterior(process, np.arange(states), t, s, logits[:states]))[xt]
        found = np.eye(states)[np.asarray(xs)]
        assert_mean(found, wanted)
        assert (found.sum(0)[wanted == 0] == 0).all()


def brute_loss(process, p, x0, xt, t):
    """Cross-entropy plus the weighted divergence of one entry."""
    cost = -np.log(p[x0])
    if process.kl_weight:
        exact = brute_posterior(process, t, t - 1, np.eye(4)[x0])[xt]
        model = brute_posterior(process, t, t - 1, p)[xt]
        some = exact > 0
        divergence = (exact[some] * np.log(exact[some] / model[some])).sum()
        cost += process.kl_weight * divergence
    return cost


@pytest.mark.parametrize("t", [1, 2, 5, STEPS])
def test_loss_is_that_of_the_matrices(typical, t, compiled):
    states = discrete.num_states(typical)
    pairs = np.array(list(itertools.product(range(4), range(states))))
    p = np.random.default_rng(0).dirichlet(np.ones(4), size=len(pairs))
    mask = np.arange(len(pairs)) % 3 > 0
    possible = product(typical, 0, t)[pairs[:, 0], pairs[:, 1]] > 0
    live = mask & possible & ((pairs[:, 1] == 4) if states == 5 else True)
    total, count = compiled(discrete.loss)(
        typical,
        np.log(p),
        pairs[:, 0],
        pairs[:, 1],
        t,
        mask & possible,
    )
    oracle = sum(brute_loss(typical, p[i], *pairs[i], t) for i in np.flatnonzero(live))
    assert int(count) == live.sum()
    np.testing.assert_allclose(total, oracle, rtol=1e-4)


def test_gradients_are_finite_where_classes_are_forbidden(process):
    xt = np.array([2, 2, discrete.num_states(process) - 1])
    x0, logits = np.full(3, 2), logits_of(np.array([0.0, 0.3, 0.7, 0.0]), 3)
    logits[1] = -np.inf
    mask = np.array([True, False, True])
    value = lambda z, t: discrete.loss(process, z, x0, xt, t, mask)[0]  # noqa: E731
    gradient = jax.jit(jax.grad(value))
    for t in (1, 3, STEPS):
        slope = np.asarray(gradient(logits, t))
        assert np.isfinite(slope).all()
        assert (slope[1] == 0).all()


def exact_logits(xt, t, p0, tables):
    """Log p(x_0 | x_t) for independent entries with clean distribution ``p0``."""
    return jnp.log(jnp.asarray(p0, "float32")).reshape(1, -1) + tables[t].T[xt, :4]


@pytest.mark.parametrize(
    ("name", "jumps", "p0"),
    [
        ("absorbing", 40, P0),
        ("absorbing", 7, [0.4, 0.0, 0.6, 0.0]),
        ("marginal", 40, [0.4, 0.0, 0.6, 0.0]),
        ("marginal", 7, P0),
    ],
)
def test_exact_denoiser_recovers_the_data(name, jumps, p0, compiled, assert_mean):
    marginal = (0.4, 0.35, 0.05, 0.2) if name == "marginal" else None
    process = Discrete(name, 4, 40, marginal)
    with np.errstate(divide="ignore"):
        tables = np.log(np.stack([product(process, 0, t) for t in range(41)]))
    tables, mask = jnp.asarray(tables, jnp.float32), np.ones(SAMPLES, bool)

    def body(x, now):
        key, t, s = now
        logits = exact_logits(x, t, p0, tables)
        return discrete.step(process, key, x, t, s, logits, mask), None

    times = jnp.asarray(strided_times(40, jumps))
    keys = jax.random.split(jax.random.key(1), jumps)
    nothing = np.zeros(SAMPLES, np.int32)
    start = compiled(discrete.prior)(process, jax.random.key(0), mask, nothing)
    x, _ = jax.jit(lambda x: jax.lax.scan(body, x, (keys, times[:-1], times[1:])))(start)
    frequency = np.eye(5)[np.asarray(x)]
    assert_mean(frequency, np.append(p0, 0))
    assert (frequency.sum(0)[np.append(p0, 0) == 0] == 0).all()


def test_forbidden_classes_have_no_probability_at_time_zero(process, compiled):
    """Whatever x_t is, even one that contradicts what is allowed."""
    states = discrete.num_states(process)
    xt = np.full(states, 4) if process.kind == "absorbing" else np.arange(states)
    allowed = np.array([0.0, 0.0, 1.0, 1.0])
    logits = compiled(discrete.posterior_logits)(process, xt, 3, 0, logits_of(allowed, states))
    assert (np.exp(logits)[:, :2] == 0).all()
    np.testing.assert_allclose(np.exp(logits)[:, :4].sum(1), 1, rtol=1e-6)


@pytest.mark.parametrize("step", [discrete.step, discrete.hop])
def test_what_is_revealed_stays(step, compiled):
    """An absorbing process never moves a revealed entry, whatever the network says of it."""
    xt, logits = np.arange(SAMPLES) % 4, logits_of(np.array([0.0, 0.5, 0.5, 0.0]), SAMPLES)
    process, mask = PROCESSES["absorbing"], np.ones(SAMPLES, bool)
    for t, s in ((1, 0), (STEPS, 3)):
        xs = compiled(step)(process, jax.random.key(0), xt, t, s, logits, mask)
        np.testing.assert_array_equal(xs, xt)


@pytest.mark.parametrize("step", [discrete.step, discrete.hop])
def test_an_entry_without_a_way_on_stays(process, step, compiled):
    last, mask = discrete.num_states(process) - 1, np.ones(SAMPLES, bool)
    xt, logits = np.full(SAMPLES, last), np.full((SAMPLES, 4), -np.inf)
    xs = compiled(step)(process, jax.random.key(0), xt, 3, 0, logits, mask)
    np.testing.assert_array_equal(xs, xt)


def test_mutual_information_schedule_reveals_evenly(compiled, assert_mean):
    process, mask = PROCESSES["absorbing"], np.ones(SAMPLES, bool)
    x0 = np.zeros(SAMPLES, int)
    for t in range(STEPS + 1):
        xt = compiled(discrete.corrupt)(process, jax.random.key(t), x0, t, mask)
        assert_mean(discrete.is_masked(process, xt), t / STEPS)
