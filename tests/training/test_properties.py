"""Training on properties: crystals follow them, and an interrupted run goes on to the last bit."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.crystal import build_crystal, load_crystals, stack_crystals
from jaxcrys.nn.orbit_net import OrbitNetConfig
from jaxcrys.recipes import get_recipe
from jaxcrys.recipes.library import load_model
from jaxcrys.recipes.run_folder import metrics_path
from jaxcrys.sampling.generate import generate
from jaxcrys.sampling.plan import Request, make_plan
from jaxcrys.sampling.targets import GUIDANCE
from jaxcrys.sampling.template_model import draw_templates
from jaxcrys.sampling.wish import Wish
from jaxcrys.training import TrainingConfig, train
from jaxcrys.training.join import join
from jaxcrys.training.metrics import read_metrics
from tests.breaking import BreaksAt
from tests.crystals import random_crystals
from tests.models import fresh_run

CONFIG = TrainingConfig(
    steps=300, batch_size=32, learning_rate=5e-3, warmup_steps=10, checkpoint_every=300,
    log_every=50, ema_decay=0.9, max_shapes=1, optimiser="adam",
)  # fmt: skip
SODIUM, POTASSIUM = 11, 19
FOLLOWS = 0.8
"""Share of the crystals in which the property decides the element."""


def settings():
    tiny = get_recipe("wyformer").presets["tiny"]
    network = dataclasses.replace(tiny.network, layers=1, channels=16, dropout=0.0)
    return dataclasses.replace(tiny, network=network, formula_share=0.0)


def salts(count):
    """Chlorides of sodium (property near 0) and potassium (near 1), by the rule in most cases."""
    random = np.random.default_rng(0)
    value = random.integers(0, 2, count)
    follows = random.random(count) < FOLLOWS
    element = np.where((value == 1) == follows, POTASSIUM, SODIUM)
    crystals = [
        build_crystal(225, [(int(z), "a"), (17, "b")], (5, 5, 5, 90, 90, 90)) for z in element
    ]
    columns = {
        "kind": value + random.normal(0, 0.05, count),
        "noise": np.where(random.random(count) < 0.5, np.nan, random.normal(size=count)),
    }
    return stack_crystals(crystals), columns


@pytest.fixture(scope="module")
def salt_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("salts") / "run"
    crystals, columns = salts(400)
    train(
        folder, crystals,
        recipe="wyformer", settings=settings(), properties=columns,
        config=CONFIG,
    )  # fmt: skip
    return load_model(folder, checkpoint="latest")


def share_of_potassium(model, properties, guidance):
    wish = Wish(groups="225", properties=properties, guidance=guidance)
    drawn = draw_templates(model, wish, np.arange(1000), seed=0)
    sodium, potassium = ((drawn.species == z).any(-1) for z in (SODIUM, POTASSIUM))
    return (potassium & ~sodium).sum() / (potassium ^ sodium).sum()


def test_samples_follow_what_is_asked(salt_run):
    """Shares of 1,000 samples (standard error 0.016): conditional those of the data."""
    plain = [share_of_potassium(salt_run, f"kind={value}", 0.0) for value in (0, 1)]
    assert plain[0] == pytest.approx(1 - FOLLOWS, abs=0.1)
    assert plain[1] == pytest.approx(FOLLOWS, abs=0.1)
    guided = [share_of_potassium(salt_run, f"kind={value}", 2.0) for value in (0, 1)]
    assert guided[0] < plain[0] - 0.08
    assert guided[1] > plain[1] + 0.08


@pytest.mark.slow
def test_targets_of_a_range_are_drawn_as_the_data_are(salt_run):
    wish = Wish(properties="kind=0.5:1.5", guidance=0.0)
    requests = [Request(wish, 200), Request(Wish(), 5), Request(Wish(properties="noise=0.5"), 6)]
    plan = make_plan(salt_run, requests, seed=1)
    asked = plan.asked.values["kind"]
    assert np.isnan(asked[200:]).all()
    assert ((asked[:200] >= 0.5) & (asked[:200] <= 1.5)).all()
    assert asked[:200].std() == pytest.approx(0.05, abs=0.02)  # not spread over the range
    np.testing.assert_array_equal(plan.asked.values["noise"][:-6], np.nan)
    np.testing.assert_array_equal(plan.asked.values["noise"][-6:], 0.5)
    np.testing.assert_array_equal(plan.asked.guidance, np.repeat([0, 0, GUIDANCE], (200, 5, 6)))
    assert plan.modes[0].endswith("; kind asked for in templates")
    few = make_plan(salt_run, [Request(wish, 7)], seed=1)
    np.testing.assert_array_equal(few.asked.values["kind"], asked[:7])
    np.testing.assert_array_equal(few.templates.species, plan.templates.species[:7])


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ("gap=1", "was not trained with 'gap'; it knows kind, noise"),
        ("kind=9", "kind = 9 is outside of the training data"),
        ("kind=2:3", "kind = 2:3 is outside of the training data"),
    ],
)
def test_what_the_data_do_not_hold_is_refused(salt_run, properties, message):
    with pytest.raises(InputError, match=message):
        draw_templates(salt_run, Wish(properties=properties), np.arange(2), seed=0)


def cells_of_many_sizes():
    """Caesium chloride, with the lengths of its cells and a column that says nothing."""
    lengths = np.random.default_rng(0).uniform(3.5, 5.5, 300)
    crystals = [build_crystal(221, [(55, "a"), (17, "b")], (a, a, a, 90, 90, 90)) for a in lengths]
    return stack_crystals(crystals), {"length": lengths, "noise": np.arange(300.0)}


def cell_settings():
    network = OrbitNetConfig(layers=1, channels=16, heads=2, radial=6, neighbours=8)
    tiny = get_recipe("orbit_flow").presets["tiny"]
    return dataclasses.replace(tiny, network=network, species="given")


@pytest.mark.slow
def test_geometry_follows_what_is_asked(tmp_path):
    """Cells of 60 samples have the length asked for, within half the spread of the data.

    Where the model knows what is likely for a value, guidance narrows it.
    """
    crystals, columns = cells_of_many_sizes()
    train(
        tmp_path / "run", crystals, recipe="orbit_flow", settings=cell_settings(),
        properties=columns,
        config=dataclasses.replace(CONFIG, steps=450, checkpoint_every=450, log_every=1),
    )  # fmt: skip
    cell_run = tmp_path / "run"
    asked = [(length, guidance) for length in (4.0, 5.0) for guidance in (0.0, 2.0)]
    salt = Wish(template="221: 1a Cs, 1b Cl")
    requests = [
        Request(dataclasses.replace(salt, properties=f"length={length}", guidance=guidance), 60)
        for length, guidance in asked
    ]
    rows = generate(load_model(cell_run, checkpoint="latest"), tmp_path / "out", *requests)
    assert [row["asked_length"] for row in rows] == np.repeat([4.0, 5.0], 120).tolist()
    lengths = np.exp(load_crystals(tmp_path / "out").lattice[:, 5] / np.sqrt(3))  # of a cube
    found = lengths.reshape(2, 2, 60)  # lengths asked for, guidance, samples
    for (plain, pushed), length in zip(found, (4.0, 5.0), strict=True):
        assert plain.mean() == pytest.approx(length, abs=0.25)
        assert plain.std() < 0.3  # of the data 0.58
        assert pushed.mean() == pytest.approx(length, abs=0.25)
        assert pushed.std() < plain.std() / 2


def test_properties_of_templates_alone_are_refused_where_these_are_given(salt_run, tmp_path):
    crystals, columns = cells_of_many_sizes()
    cells = fresh_run(
        tmp_path / "cells", recipe="orbit_flow", settings=cell_settings(), crystals=crystals,
        properties=columns,
    )  # fmt: skip
    join(salt_run.run, cells, tmp_path / "both")
    both = load_model(tmp_path / "both")
    template = "221: 1a Cs, 1b Cl"
    wishes = [
        Wish(template=template, properties="length=4"),
        Wish(groups="225", properties="kind=1, length=4, noise=0.5"),
    ]
    plan = make_plan(both, [Request(wish, 3) for wish in wishes], seed=0)
    assert plan.modes[0].endswith("; length asked for in geometry")
    assert plan.modes[1].endswith(
        "; kind asked for in templates, length asked for in geometry, "
        "noise asked for in templates and geometry"
    )
    with pytest.raises(InputError, match="kind decides templates alone, and these are given"):
        make_plan(both, [Request(Wish(template=template, properties="kind=1"), 3)], seed=0)


SHORT = dataclasses.replace(CONFIG, steps=12, batch_size=8, checkpoint_every=4, log_every=2)


def short_run(folder, recipe="wyformer", *, shift=0.0, progress=None):
    crystals = random_crystals(60, seed=1)
    gap = np.where(np.arange(60) % 3 == 0, np.nan, np.linspace(0, 5, 60))
    gap[1] += shift
    chosen = settings() if recipe == "wyformer" else get_recipe(recipe).presets["tiny"]
    return train(
        folder, crystals, recipe=recipe, settings=chosen, config=SHORT, properties={"gap": gap},
        progress=progress,
    )  # fmt: skip


def losses(folder):
    rows = read_metrics(metrics_path(folder))
    return [{k: v for k, v in row.items() if k != "seconds_per_step"} for row in rows]


@pytest.mark.slow
def test_interrupted_run_continues_to_the_last_bit(tmp_path):
    short_run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        short_run(tmp_path / "broken", progress=BreaksAt("training", 7))
    with pytest.raises(InputError, match=r"data\.properties\.gap was"):
        short_run(tmp_path / "broken", shift=1e-3)
    short_run(tmp_path / "broken")
    assert losses(tmp_path / "broken") == losses(tmp_path / "whole")
    one, other = (
        load_model(tmp_path / name, checkpoint="latest").params for name in ("broken", "whole")
    )
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_recipes_that_cannot_are_named(tmp_path):
    with pytest.raises(InputError, match=r"diffcsp_pp cannot .*; use orbit or orbit_flow"):
        short_run(tmp_path / "run", "diffcsp_pp")


def test_columns_must_fit(tmp_path):
    with pytest.raises(InputError, match="properties: gap: has shape"):
        train(
            tmp_path / "run", random_crystals(9), recipe="wyformer", settings=settings(),
            config=SHORT, properties={"gap": np.zeros(8)},
        )  # fmt: skip
