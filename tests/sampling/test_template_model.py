"""Templates from a trained model: within what is asked for, and then given geometry."""

import jax
import numpy as np
import pytest

from jaxcrys.core.chunks import ChunkStore
from jaxcrys.core.errors import InputError
from jaxcrys.crystal import load_crystals
from jaxcrys.crystal.hidden_symmetry import hides_symmetry
from jaxcrys.crystal.primitive import num_primitive_atoms
from jaxcrys.recipes.library import load_model
from jaxcrys.sampling import plan, template_model
from jaxcrys.sampling.generate import generate
from jaxcrys.sampling.limits import limits_of
from jaxcrys.sampling.plan import Request, Work, make_plan
from jaxcrys.sampling.template_model import draw_templates
from jaxcrys.sampling.wish import Wish


@pytest.fixture(scope="module")
def run(orbit_run):
    return orbit_run.with_name(f"{orbit_run.name}_templates")


@pytest.fixture(scope="module")
def geometry(given_run):
    return load_model(given_run)


def test_templates_meet_the_wish(run):
    wish = Wish(
        groups="14,62,123,225",
        chemical_system="Li-P-S-O",
        elements_required="Li-O",
        max_atoms=12,
    )
    drawn = draw_templates(load_model(run), wish, np.arange(300), seed=0)
    assert set(np.unique(drawn.group)) <= {14, 62, 123, 225}
    assert len(np.unique(drawn.group)) > 2
    assert set(np.unique(drawn.species)) <= {0, 3, 8, 15, 16}
    for number in (3, 8):
        assert (drawn.species == number).any(-1).all()
    assert (num_primitive_atoms(drawn) <= 12).all()


def test_no_template_hides_a_larger_group(run, monkeypatch):
    """As many would where one element has to fill the positions of a cubic group."""
    model, wish = load_model(run), Wish(groups="225", chemical_system="Li-S")
    drawn = draw_templates(model, wish, np.arange(64), seed=0)
    monkeypatch.setattr(template_model, "ATTEMPTS", 1)
    once = draw_templates(model, wish, np.arange(64), seed=0)
    hidden = hides_symmetry(once)
    assert hides_symmetry(drawn).sum() < 0.2 * hidden.sum()
    np.testing.assert_array_equal(drawn.wyckoff[~hidden], once.wyckoff[~hidden])
    np.testing.assert_array_equal(drawn.species[~hidden], once.species[~hidden])


def test_a_template_depends_on_its_number_alone(run):
    model = load_model(run)
    few = draw_templates(model, Wish(), np.arange(3), seed=5)
    many = draw_templates(model, Wish(), np.arange(300), seed=5)
    np.testing.assert_array_equal(many.wyckoff[:3], few.wyckoff)
    np.testing.assert_array_equal(many.species[:3], few.species)
    other = draw_templates(model, Wish(), np.arange(3), seed=6)
    assert (other.wyckoff != few.wyckoff).any()


def test_templates_that_were_kept_are_not_drawn_again(run, tmp_path, monkeypatch):
    """Of an interrupted call with two pieces, the second is missing."""
    model, requests = load_model(run), [Request(Wish(), 12), Request(Wish(groups="225"), 20)]
    whole = make_plan(model, requests, seed=4)
    monkeypatch.setattr(plan, "CHUNK", 12)
    store = ChunkStore(tmp_path / "work", "key")
    make_plan(model, requests, seed=4, work=Work(store))
    (second,) = (tmp_path / "work").glob("*.templates_1/*1.npz")
    second.unlink()
    drawn = []

    def draw(model, wish, index, **settings):
        drawn.append(index.tolist())
        return draw_templates(model, wish, index, **settings)

    monkeypatch.setattr(plan, "draw_templates", draw)
    again = make_plan(model, requests, seed=4, work=Work(store))
    assert drawn == [list(range(24, 32))]
    for found, expected in zip(
        jax.tree.leaves(again.templates), jax.tree.leaves(whole.templates), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(again.log_prob, whole.log_prob, rtol=1e-5)


def test_another_run_of_the_same_settings_may_draw_them(run):
    model, wish = load_model(run), Wish(templates_from=run)
    found = make_plan(model, [Request(wish, 2)], seed=0)
    assert found.modes == (f"new templates, drawn by wyformer of {run}",)
    wanted = make_plan(model, [Request(num=2)], seed=0)
    np.testing.assert_array_equal(found.templates.species, wanted.templates.species)


def test_geometry_is_drawn_for_them(run, geometry, tmp_path):
    """Without elements given a recipe that needs them cannot draw; with templates it can."""
    wish = Wish(templates_from=run, chemical_system="Na-Cl", elements_required="Na", max_atoms=8)
    rows = generate(geometry, tmp_path / "out", Request(wish, 6), seed=1, batch_size=8)
    assert len(rows) == 6
    made = load_crystals(tmp_path / "out")
    assert set(np.unique(made.species)) <= {0, 11, 17}
    assert (made.species == 11).any(-1).all()
    again = generate(geometry, tmp_path / "out", Request(wish, 6), seed=1, batch_size=8)
    assert [row["wyckoff"] for row in again] == [row["wyckoff"] for row in rows]
    with pytest.raises(InputError, match="makes templates without geometry"):
        generate(load_model(run), tmp_path / "other", Request(num=1))
    with pytest.raises(InputError, match="makes no templates"):
        draw_templates(geometry, Wish(), np.arange(1), seed=0)
    with pytest.raises(InputError, match="--max-atoms: needs a model of templates"):
        generate(geometry, tmp_path / "other", Request(Wish(max_atoms=3), 1))


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (Wish(groups="227", max_atoms=1), "no template has 1 atoms"),
        (
            Wish(elements_required="Li-Na-K", max_atoms=2),
            "3 required elements, 1 to 2",
        ),
        (Wish(chemical_system="Li-O", elements_required="S"), "not within the chemical system"),
        (Wish(chemical_system="Li-Xx"), "--chemical-system"),
        (Wish(chemical_system=""), "--chemical-system"),
        (Wish(elements_required="Li-"), "--elements-required"),
    ],
)
def test_impossible_wishes_are_refused_at_once(wish, message):
    with pytest.raises(InputError, match=message):
        limits_of(wish, sites=9)
