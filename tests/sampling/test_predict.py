"""Structures of a formula, from learned and from known templates."""

import json
from contextlib import contextmanager

import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.core.progress import Bar, Progress
from jaxcrys.core.pytree import take
from jaxcrys.crystal import load_crystals, stack_crystals
from jaxcrys.crystal.build import build_crystal
from jaxcrys.crystal.describe import formula
from jaxcrys.crystal.hidden_symmetry import hides_symmetry
from jaxcrys.crystal.primitive import num_primitive_atoms
from jaxcrys.crystal.protostructure import protostructure_hash
from jaxcrys.data.retrieval import build_retriever
from jaxcrys.recipes.library import load_model
from jaxcrys.sampling import proposals
from jaxcrys.sampling.predict import Prediction, predict
from jaxcrys.sampling.proposals import Sources, best_proposals, propose, score_of

SOURCES = Sources(drawn=8, retrieved=5, max_atoms=10)


@pytest.fixture(scope="module")
def model(orbit_run):
    return load_model(orbit_run)


@pytest.fixture(scope="module")
def retriever():
    """Rock salt and caesium chloride, in two descriptions that are one."""
    cell = (4, 4, 4, 90, 90, 90)
    known = [
        build_crystal(225, [(11, "a"), (17, "b")], cell),
        build_crystal(225, [(17, "a"), (11, "b")], cell),
        build_crystal(221, [(55, "a"), (17, "b")], cell),
    ]
    return build_retriever(stack_crystals(known))


def test_proposals_are_unique_and_have_the_formula(model, retriever):
    names = ["KBr", "MgO"]
    found = propose(model, retriever, names, sources=SOURCES, seed=0)
    for request, name in enumerate(names):
        rows = np.flatnonzero(found.request == request)
        labels = [found.label[row] for row in rows]
        assert len(set(labels)) == len(labels) > 3
        for row in rows:
            crystal = take(found.templates, row)
            assert formula(crystal) == name
            assert num_primitive_atoms(crystal) <= 10
            assert protostructure_hash(crystal) == found.label[row]
        known = rows[found.row[rows] >= 0]
        assert {int(g) for g in found.templates.group[known]} == {221, 225}
        assert not hides_symmetry(take(found.templates, rows)).any()
        assert 0 < found.times[rows].sum() <= SOURCES.drawn
        assert np.isfinite(found.log_prob[rows]).all()
    alone = propose(model, retriever, names[:1], sources=SOURCES, seed=0)
    first = found.request == 0
    assert set(alone.label) == {x for x, own in zip(found.label, first, strict=True) if own}


def test_formulas_may_be_drawn_in_turns(model, retriever, monkeypatch):
    """One after another they get what they get together; each turn is reported."""
    names = ["KBr", "MgO"]
    together = propose(model, retriever, names, sources=SOURCES, seed=0)
    monkeypatch.setattr(proposals, "TOGETHER", 1)
    turns = {}

    class Steps(Progress):
        @contextmanager
        def bar(self, name, *, total, done=0):
            turns[name] = (own := [], total)
            yield Bar(lambda count, note: own.append(count))

    apart = propose(model, retriever, names, sources=SOURCES, seed=0, progress=Steps())
    assert apart.label == together.label
    np.testing.assert_array_equal(apart.request, together.request)
    np.testing.assert_array_equal(apart.times, together.times)
    np.testing.assert_allclose(apart.log_prob, together.log_prob, rtol=1e-4)
    count = len(together.label)
    assert turns == {
        "drawing templates of formulas": ([1, 1], 2),
        "likelihood of templates": ([1] * count, count),
    }


def test_the_best_come_first():
    log_prob = np.array([-5.0, -1.0, -9.0, -2.0])
    distance = np.array([0.1, np.inf, 0.01, np.inf])
    score = score_of(log_prob, distance)
    assert score[1] > score[3]  # likelier
    assert score[2] > score[3]  # known, with similar elements
    found = type("Found", (), {"score": score, "request": np.array([1, 0, 1, 1])})
    assert best_proposals(found, keep=2).tolist() == [1, 0, 2]


def test_predictions_are_written_with_their_origin(model, tmp_path):
    known = take(model.templates, 0)
    name = formula(known)
    settings = Prediction(keep=3, candidates=2, sources=Sources(8, 5, 400))
    rows = predict(model, tmp_path / "out", [name, "NaCl"], settings=settings, batch_size=8)
    crystals = load_crystals(tmp_path / "out")
    assert len(rows) == len(crystals.group)
    for number, asked in enumerate((name, "NaCl")):
        own = [row for row in rows if row["request"] == number]
        assert [row["rank"] for row in own] == [1, 2, 3][: len(own)]
        assert {row["formula"] for row in own} == {asked}
        assert len({row["prototype"] for row in own}) >= 1
        scores = [row["score"] for row in own]
        assert scores == sorted(scores, reverse=True)
        for row in own:
            assert row["geometry"] == ("drawn" if row["source"] == "learned" else "parent")
            assert row["source"] in ("learned", "retrieved", "both")
            assert (row["parent_row"] >= 0) == (row["source"] != "learned")
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["formulas"] == [name, "NaCl"]
    again = predict(model, tmp_path / "out", [name, "NaCl"], settings=settings, batch_size=8)
    assert [row["wyckoff"] for row in again] == [row["wyckoff"] for row in rows]
    with pytest.raises(InputError, match="made otherwise"):
        predict(model, tmp_path / "out", ["KCl"], settings=settings)


def nearest_known(model, out, name, *, parents):
    """The one prediction from the nearest known crystal, and its row of the table."""
    settings = Prediction(keep=1, candidates=1, parents=parents, sources=Sources(0, 1, 400))
    (row,) = predict(model, out, [name], settings=settings)
    return take(load_crystals(out), 0), row


def test_known_templates_keep_the_geometry_of_their_parent(model, tmp_path):
    """Of a crystal's own formula the nearest is the crystal; drawn again it is another."""
    name = formula(take(model.templates, 0))
    kept, row = nearest_known(model, tmp_path / "kept", name, parents=True)
    drawn, _ = nearest_known(model, tmp_path / "drawn", name, parents=False)
    parent = take(model.templates, row["parent_row"])
    np.testing.assert_allclose(kept.lattice, parent.lattice, atol=1e-5)
    assert protostructure_hash(drawn) == protostructure_hash(kept)
    assert np.abs(drawn.lattice - parent.lattice).max() > 1e-3


def test_known_templates_alone_need_no_model_of_templates(given_run, tmp_path):
    geometry = load_model(given_run)
    name = formula(take(geometry.templates, 0))
    only_known = Prediction(keep=2, candidates=1, sources=Sources(0, 5, 400))
    rows = predict(geometry, tmp_path / "out", [name], settings=only_known)
    assert {row["source"] for row in rows} == {"retrieved"}
    assert {row["formula"] for row in rows} == {name}
    with pytest.raises(InputError, match="does not compose formulas"):
        predict(geometry, tmp_path / "other", [name], settings=Prediction())


@pytest.mark.parametrize(
    ("formulas", "settings", "message"),
    [
        (["Na(Cl"], Prediction(), "cannot read"),
        (["NaCl"], Prediction(keep=0), "--keep: must be at least 1"),
        (["NaCl"], Prediction(sources=Sources(4, 0, 10, (230,))), "cannot hold NaCl"),
    ],
)
def test_bad_questions_are_named(model, tmp_path, formulas, settings, message):
    with pytest.raises(InputError, match=message):
        predict(model, tmp_path / "out", formulas, settings=settings)
