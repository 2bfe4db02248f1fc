"""Structure prediction with the true template: what is told, which draw counts, what is kept."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from jaxcrys.core.pytree import take
from jaxcrys.crystal import build_crystal, stack_crystals
from jaxcrys.evaluation.true_template import (
    errors,
    evenly_spaced,
    score,
    store_of,
    templates_of,
)
from jaxcrys.recipes import get_recipe
from jaxcrys.recipes.model import Model, ModelConfig
from jaxcrys.sampling.draw import Drawn, Draws

RUTILE = build_crystal(136, [(22, "a"), (8, "f", (0.3,))], (4.6, 4.6, 2.96, 90, 90, 90))
ROCKSALT = build_crystal(225, [(11, "a"), (17, "b")], (5.64, 5.64, 5.64, 90, 90, 90))


@pytest.fixture
def references():
    return stack_crystals([RUTILE, ROCKSALT])


def test_models_are_told_the_template_and_no_geometry(references):
    told = templates_of(references)
    assert not told.free.any()
    assert not told.lattice.any()
    for name in ("group", "wyckoff", "species"):
        np.testing.assert_array_equal(getattr(told, name), getattr(references, name))


def test_crystals_are_spread_over_the_set_and_none_is_taken_twice(references):
    many = take(references, np.arange(10) % 2)
    many = dataclasses.replace(many, group=np.arange(10))
    assert evenly_spaced(many, 4).group.tolist() == [0, 3, 6, 9]
    assert evenly_spaced(many, 30).group.tolist() == list(range(10))


def test_the_first_draw_the_chosen_and_the_best_are_scored(references):
    """Candidates come the best by score first; the first draw has the number 0."""
    predicted = take(references, np.array([0, 1, 0, 1]))
    drawn = Drawn(predicted, np.array([0, 0, 1, 1]), np.array([1, 0, 0, 1]), np.zeros(4))
    found = score(drawn, references, 2)
    assert (found["count"], found["candidates"]) == (2, 2)
    rates = {name: found[name]["match rate, RMSE"][0] for name in ("one draw", "chosen", "best")}
    assert rates == {"one draw": 0.0, "chosen": 0.5, "best": 1.0}
    assert found["best"]["by crystal system"] == {
        "tetragonal": [1, 1.0, 0.0], "cubic": [1, 1.0, 0.0],
    }  # fmt: skip
    assert found["chosen"]["by free coordinates (count, match rate, RMSE)"] == {
        "0-0": [1, 0.0, None], "1-1": [1, 1.0, 0.0],
    }  # fmt: skip


def test_what_does_not_match_is_infinitely_far(references):
    found = errors(take(references, np.array([0, 0])), references)
    assert np.isfinite(found).tolist() == [True, False]


def test_draws_are_kept_for_the_same_model_crystals_and_draws_alone(references, tmp_path):
    settings = get_recipe("orbit_flow").presets["tiny"]
    model = Model(
        ModelConfig("orbit_flow", settings, (), 2), {"w": np.zeros(2)}, references, 1, Path("run")
    )
    other = dataclasses.replace(model, params={"w": np.ones(2)})
    store_of(tmp_path / "work", model, references, Draws()).save(0, {"a": np.zeros(1)})
    assert store_of(tmp_path / "work", model, references, Draws()).has(0)
    assert not store_of(tmp_path / "work", other, references, Draws()).has(0)
    assert not store_of(tmp_path / "work", model, take(references, slice(1)), Draws()).has(0)
    assert not store_of(tmp_path / "work", model, references, Draws(seed=1)).has(0)
