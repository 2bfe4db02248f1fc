"""Templates site by site: probabilities that sum to one, and choices that symmetry allows."""

import dataclasses
import functools
import itertools

import jax
import numpy as np
import pytest
from scipy.special import log_softmax

from jaxcrys.core.pytree import take
from jaxcrys.core.rng import sample_keys
from jaxcrys.crystal.equivalents import equivalents
from jaxcrys.crystal.formula import formula_of
from jaxcrys.crystal.primitive import CellShape, num_primitive_atoms
from jaxcrys.nn.set_transformer import (
    STOP,
    SetTransformerConfig,
    add_group,
    add_site,
    element_logits,
    group_logits,
    position_logits,
    sequence_logits,
    start,
)
from jaxcrys.processes.site_sequence import Limits, legal_choices, no_limits
from jaxcrys.recipes import wyformer
from jaxcrys.recipes.site_model import sequence_log_prob
from jaxcrys.recipes.template_likelihood import template_log_prob
from jaxcrys.recipes.wyformer import FORMULA_SLOTS, unknown_formula
from jaxcrys.symmetry.oracles import make_amounts
from jaxcrys.symmetry.wyckoff import position_slots
from tests.crystals import random_crystals
from tests.devices import on_device, single_precision
from tests.programs import compiled

NETWORK = SetTransformerConfig(layers=2, channels=16, heads=2, species=119)
SHAPE = CellShape(sites=5, atoms=24, images=4)

read_formula = jax.jit(functools.partial(formula_of, slots=FORMULA_SLOTS))


@pytest.fixture(scope="module")
def made():
    crystals = random_crystals(24, sites=5, seed=3)
    config = wyformer.fit(wyformer.Config(network=NETWORK), crystals)
    return config, single_precision(crystals), wyformer.init(jax.random.key(0), config)


def empty(count, sites=5):
    blank = random_crystals(1, sites=sites, seed=0)
    blank = single_precision(blank)
    return jax.tree.map(lambda x: np.zeros((count, *x.shape[1:]), x.dtype), blank)


def completed(config, params, templates, limits=None, *, seed=0, sites=5):
    draw = jax.jit(functools.partial(wyformer.complete, config=config, sites=sites))
    keys = sample_keys(seed, np.arange(len(templates.group)))
    return jax.device_get(draw(params, keys, templates, limits or no_limits()))


def test_reading_site_by_site_is_reading_the_sequence(made):
    """With the memory the network says after each site what it says of the whole sequence."""
    config, crystals, params = made
    formula = read_formula(crystals)
    told = np.arange(len(crystals.group)) % 2 == 0  # of the others it is not known
    formula = jax.tree.map(lambda part: np.where(told[:, None], part, 0), formula)
    near = functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-4)
    of = functools.partial(compiled, config=config.network)
    groups, positions, elements = of(sequence_logits)(
        params, formula, crystals.group, crystals.wyckoff, crystals.species
    )
    memory, hidden = of(start, sites=5)(params, formula)
    near(of(group_logits)(params, hidden), groups)
    memory, hidden = of(add_group, sites=5)(params, memory, crystals.group)
    for site in range(5):
        near(of(position_logits)(params, hidden, crystals.group), positions[:, site])
        wyckoff, species = crystals.wyckoff[:, site], crystals.species[:, site]
        near(of(element_logits)(params, hidden, wyckoff), elements[:, site])
        memory, hidden = of(add_site, sites=5)(params, memory, wyckoff, species, np.asarray(site))


def test_half_precision_says_nearly_the_same(made):
    """With the same float32 parameters; and site by site it says what it says of the sequence."""
    config, crystals, params = made
    narrow, formula = dataclasses.replace(config.network, dtype="bfloat16"), read_formula(crystals)
    told = (params, formula, crystals.group, crystals.wyckoff, crystals.species)
    wide, low = (compiled(sequence_logits, network)(*told) for network in (config.network, narrow))
    for full, half in zip(wide, low, strict=True):
        assert half.dtype == np.float32
        assert not np.array_equal(full, half)
        assert np.abs(full - half).max() < 0.06 * np.abs(full).max()
    of = functools.partial(compiled, config=narrow)
    memory, _ = of(start, sites=5)(params, formula)
    _, known = of(add_group, sites=5)(params, memory, crystals.group)
    first = of(position_logits)(params, known, crystals.group)
    np.testing.assert_allclose(first, low[1][:, 0], atol=0.05 * np.abs(low[1]).max())


def test_what_follows_does_not_depend_on_the_order(made):
    config, crystals, params = made
    three = np.flatnonzero((np.asarray(crystals.wyckoff) > 0).sum(-1) >= 3)
    chosen = take(crystals, three)
    read = compiled(sequence_logits, config.network)
    formula = read_formula(chosen)
    orders = np.array([[0, 1, 2, 3, 4], [2, 0, 1, 3, 4], [1, 2, 0, 3, 4]])
    scores = [
        read(params, formula, chosen.group, chosen.wyckoff[:, order], chosen.species[:, order])
        for order in orders
    ]
    scores = [np.asarray(positions)[:, 3] for _, positions, _ in scores]
    for other in scores[1:]:
        np.testing.assert_allclose(other, scores[0], rtol=1e-3, atol=1e-4)


def test_probabilities_of_all_templates_sum_to_one(made):
    """Brute force over P-1, with eight inversion centres, and three elements.

    Every template of one site, and every one of two, whether or not it goes on.
    """
    config, _, _ = made
    network = dataclasses.replace(config.network, species=4)
    config = dataclasses.replace(config, network=network)
    params = wyformer.init(jax.random.key(5), config)
    slots = np.asarray(position_slots(np.array(2)))
    sites = [(int(w), z) for w in slots[slots > 0] for z in (1, 2, 3)]
    general = max(w for w, _ in sites)
    pairs = [
        (one, two)
        for one, two in itertools.combinations_with_replacement(sites, 2)
        if one[0] != two[0] or one[0] == general  # an inversion centre holds one site
    ]
    read = compiled(sequence_logits, network)
    total = 0.0
    for sets in ([(site,) for site in sites], pairs):
        values = np.array(sets, np.int32)
        group, wyckoff, species = np.full(len(sets), 2), values[..., 0], values[..., 1]
        templates = dataclasses.replace(
            empty(len(sets), values.shape[1]), group=group, wyckoff=wyckoff, species=species
        )
        logs, exact = template_log_prob(params, templates, config=config)
        assert exact.all()
        logs = logs - config.group_log_weights[1]
        if sets is pairs:
            _, scores, _ = read(params, unknown_formula(len(sets)), group, wyckoff, species)
            room = np.pad(wyckoff, ((0, 0), (0, 1))), np.pad(species, ((0, 0), (0, 1)))
            legal = np.asarray(jax.jit(legal_choices)(group, *room))
            scores = np.where(legal, np.asarray(scores)[:, 2], -np.inf)
            logs = logs - log_softmax(scores, axis=-1)[:, STOP]
        total += np.exp(logs).sum()
    assert total == pytest.approx(1, abs=1e-4)


def test_the_sum_is_that_over_all_orders(made):
    """Order by order, from what the network says along each sequence."""
    config, crystals, params = made
    logs, exact = template_log_prob(params, crystals, config=config)
    assert exact.all()
    occupied = (np.asarray(crystals.wyckoff) > 0).sum(-1)
    rows = [*np.flatnonzero(occupied == 3)[:3], int(occupied.argmax())]
    orders = []
    for row in rows:
        one = take(crystals, row)
        pairs = list(zip(one.wyckoff.tolist(), one.species.tolist(), strict=True))
        different = sorted(set(itertools.permutations(pairs[: occupied[row]])))
        rest = [(0, 0)] * (5 - occupied[row])
        orders.append(np.array([[*order, *rest] for order in different], np.int32))
    sequences, owner = np.concatenate(orders), np.repeat(rows, list(map(len, orders)))
    along = jax.jit(functools.partial(sequence_log_prob, config=config))
    parts = along(
        params, unknown_formula(len(owner)), np.asarray(crystals.group)[owner],
        sequences[..., 0], sequences[..., 1],
    )  # fmt: skip
    along_each = np.asarray(sum(parts))
    for row in rows:
        assert logs[row] == pytest.approx(np.logaddexp.reduce(along_each[owner == row]), abs=1e-4)


def test_estimates_approach_the_sum(made):
    config, crystals, params = made
    chosen = take(crystals, np.arange(8))
    exact, _ = template_log_prob(params, chosen, config=config)
    several = (np.asarray(chosen.wyckoff) > 0).sum(-1) > 1
    assert several.any()
    one, known = template_log_prob(params, chosen, config=config, most_sets=1)
    assert (known == ~several).all()
    means = np.mean(
        [
            np.exp(template_log_prob(params, chosen, config=config, most_sets=1, seed=i)[0] - exact)
            for i in range(60)
        ],
        axis=0,
    )
    np.testing.assert_allclose(means, 1, atol=0.25)  # the estimate of the sum has no bias
    np.testing.assert_allclose(one[~several], exact[~several], rtol=1e-5)


def test_an_estimate_depends_on_the_template_alone(made):
    """Not on its place in the batch, nor on the order of its sites; on the seed it does."""
    config, crystals, params = made
    chosen = take(crystals, np.arange(8))
    estimate = functools.partial(template_log_prob, params, config=config, most_sets=1)
    logs, exact = estimate(chosen)
    assert (~exact).any()
    backwards = dataclasses.replace(
        chosen, wyckoff=chosen.wyckoff[:, ::-1], species=chosen.species[:, ::-1]
    )
    turned, _ = estimate(take(backwards, np.arange(8)[::-1]))
    np.testing.assert_allclose(turned[::-1], logs, rtol=1e-5)
    other, _ = estimate(chosen, seed=1)
    assert (np.abs(other - logs)[~exact] > 1e-4).any()


def test_all_descriptions_are_counted(made):
    """The sum over descriptions is that over the templates that they are, one by one."""
    config, _, params = made
    crystals = random_crystals(6, sites=3, seed=11)
    whole, exact = template_log_prob(params, crystals, config=config, equivalents=True)
    assert exact.all()
    for row in range(6):
        others = equivalents(take(crystals, row))
        others = take(others, np.flatnonzero(others.group == crystals.group[row]))
        sets = np.sort(others.wyckoff * 1000 + others.species)  # a set of sites for each
        different = take(others, np.unique(sets, axis=0, return_index=True)[1])
        logs, _ = template_log_prob(params, different, config=config)
        assert np.logaddexp.reduce(logs) == pytest.approx(whole[row], abs=1e-3)


def test_samples_come_as_often_as_their_probability_says():
    """Groups 1 and 2: shares of 20,000 samples of two slots against exact log-probabilities."""
    network = SetTransformerConfig(layers=1, channels=8, heads=2, species=4)
    config = wyformer.Config(network=network)
    params = wyformer.init(jax.random.key(1), config)
    limits = dataclasses.replace(
        no_limits(),
        groups=np.where(np.isin(np.arange(231), (1, 2)), 0.0, -np.inf),
        allowed=np.arange(4) > 0,
        required=np.zeros(4, bool),
    )
    drawn = completed(config, params, empty(20_000, 2), limits, sites=2)
    single = drawn.wyckoff[:, 1] == 0
    kinds, counts = np.unique(
        np.stack([drawn.group, drawn.wyckoff[:, 0], drawn.species[:, 0]], -1)[single],
        axis=0, return_counts=True,
    )  # fmt: skip
    templates = dataclasses.replace(
        empty(len(kinds), 1), group=kinds[:, 0], wyckoff=kinds[:, 1:2], species=kinds[:, 2:3]
    )
    logs, _ = template_log_prob(params, templates, config=config)
    share = np.exp(logs - np.log(2 / 230))  # groups are alike before the data are seen
    assert len(kinds) == 3 + 9 * 3
    error = np.sqrt(share * (1 - share) / 20_000)
    assert (np.abs(counts / 20_000 - share) < 4.5 * error).all()


def test_limits_are_kept(made):
    config, _, params = made
    numbers = np.arange(119)
    limits = Limits(
        groups=np.where(np.isin(np.arange(231), (14, 62, 225)), 0.0, -np.inf),
        allowed=np.isin(numbers, (3, 15, 16, 8)),
        required=np.isin(numbers, (3, 8)),
        amounts=make_amounts(range(7, 17), sites=(3, 4)),
    )
    drawn = completed(config, params, empty(200), limits)
    assert set(np.unique(drawn.group)) <= {14, 62, 225}
    assert set(np.unique(drawn.species)) <= {0, 3, 8, 15, 16}
    for required in (3, 8):
        assert (drawn.species == required).any(-1).all()
    atoms, sites = num_primitive_atoms(drawn), (drawn.wyckoff > 0).sum(-1)
    assert ((atoms >= 7) & (atoms <= 16)).all()
    assert ((sites >= 3) & (sites <= 4)).all()


def test_equivalent_descriptions_are_shown_in_training():
    """The average over descriptions under training is that over all of them, one by one."""
    crystals = random_crystals(1, sites=2, seed=11)
    others = equivalents(take(crystals, 0))
    assert len(others.group) > 1
    config = dataclasses.replace(
        wyformer.Config(network=dataclasses.replace(NETWORK, dropout=0.0)), augment=True
    )
    params = wyformer.init(jax.random.key(0), config)
    many = on_device(jax.tree.map(lambda x: np.repeat(x, 1000, 0), crystals))
    loss = functools.partial(wyformer.loss, config=config, shape=SHAPE)
    shown, _ = jax.jit(functools.partial(loss, training=True))(params, jax.random.key(0), many)
    every = on_device(jax.tree.map(lambda x: np.repeat(x, 100, 0), others))
    wanted, _ = jax.jit(loss)(params, jax.random.key(1), every)
    assert float(shown) == pytest.approx(float(wanted), rel=0.03)
