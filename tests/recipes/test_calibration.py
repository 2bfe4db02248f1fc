"""Temperatures that fit held-out crystals."""

import jax
import numpy as np
import pytest

from jaxcrys.nn.set_transformer import SetTransformerConfig
from jaxcrys.recipes import wyformer
from jaxcrys.recipes.calibration import TEMPERATURES, calibrate, log_likelihoods
from jaxcrys.recipes.template_likelihood import template_log_prob
from tests.crystals import random_crystals

CRYSTALS = random_crystals(60, sites=1, seed=3)


@pytest.fixture(scope="module")
def made():
    config = wyformer.Config(network=SetTransformerConfig(layers=1, channels=16, heads=2))
    return config, wyformer.init(jax.random.key(0), config)


def test_at_one_it_is_the_likelihood(made):
    """Templates of one site have one order: the parts add up to their log-probability."""
    config, params = made
    one = int(np.abs(TEMPERATURES - 1).argmin())
    found = log_likelihoods(params, CRYSTALS, config=config)[:, one - 1 : one + 2]
    logs = template_log_prob(params, CRYSTALS, config=config).log_prob
    parts = logs.mean() - config.group_log_weights[0]  # groups are alike before the data are seen
    assert found[1:].sum(0).min() - 0.1 < parts < found[1:].sum(0).max() + 0.1


def test_a_network_that_is_too_sure_is_cooled(made):
    """Scores blown up by a factor want a temperature larger by that factor."""
    config, params = made
    plain = calibrate(params, CRYSTALS, config=config)
    louder = jax.tree.map(lambda x: x, params)
    for name in ("logits",):
        louder["params"][name] = jax.tree.map(lambda x: 2 * x, params["params"][name])
    hot = calibrate(louder, CRYSTALS, config=config)
    ratio = hot.element_temperature / plain.element_temperature
    bound = TEMPERATURES[-1] / plain.element_temperature
    assert ratio == pytest.approx(min(2, bound), rel=0.05)
    assert hot.position_temperature == plain.position_temperature
