"""Structure prediction: rates by hand, and the rules that papers disagree on."""

import numpy as np
import pytest

from jaxcrys.core.chunks import ChunkStore
from jaxcrys.core.errors import InputError
from jaxcrys.crystal import build_crystal, stack_crystals
from jaxcrys.evaluation import match_structures
from jaxcrys.evaluation.evaluate import Resources, evaluate_predictions
from jaxcrys.evaluation.predictions import PUBLISHED, assign
from jaxcrys.evaluation.reference import read_reference
from jaxcrys.evaluation.samples import of_crystal
from tests.evaluation.sets import salts, write_dataset


def at_once(function, chunks, *, lost):
    """Work in this process."""
    del lost
    return ((number, [function(item) for item in items]) for number, items in chunks)


@pytest.fixture(scope="module")
def rutile():
    """Titania, and guesses at it: wrong, near, right."""
    lattice = (4.594, 4.594, 2.959, 90, 90, 90)
    guess = lambda x: build_crystal(136, [(22, "a"), (8, "f", (x,))], lattice)  # noqa: E731
    other = build_crystal(225, [(22, "a"), (8, "c")], (4.9, 4.9, 4.9, 90, 90, 90))
    return guess(0.305), [other, guess(0.29), guess(0.305)]


@pytest.fixture(scope="module")
def evaluated(rutile, tmp_path_factory):
    """The evaluation of guesses at two of three crystals, with options."""
    folder = tmp_path_factory.mktemp("predictions")
    salt, zinc = salts()[0], salts()[4]
    test = read_reference(write_dataset(folder / "test", [rutile[0], salt, zinc]))
    samples = [of_crystal(one, str(i)) for i, one in enumerate([*rutile[1], salt])]

    def evaluated(**options):
        resources = Resources(at_once, ChunkStore(folder / "w", str(options)))
        return evaluate_predictions(samples, test, resources, **options)

    return evaluated


@pytest.fixture(scope="module")
def found(evaluated):
    return evaluated()


def value(found, name):
    (figure,) = (figure for figure in found.figures if figure.name == name)
    return figure.value


def test_rates_grow_with_the_number_of_tries(rutile, found):
    near, right = (
        match_structures(stack_crystals([one]), stack_crystals([rutile[0]]))[0]
        for one in rutile[1][1:]
    )
    assert right < 1e-6 < near
    assert value(found, "match rate, k = 1, all") == pytest.approx(1 / 3)
    assert value(found, "match rate, k = 5, all") == pytest.approx(2 / 3)
    assert value(found, "RMSE, k = 1, all") == pytest.approx(0, abs=1e-6)
    assert value(found, "METRe") == pytest.approx(2 / 3)
    assert value(found, "cRMSE") == pytest.approx(PUBLISHED.stol / 3, abs=1e-6)
    assert value(found, "space group, k = 1") == pytest.approx(1 / 3)
    assert found.rows[1]["rmse"] == pytest.approx(near)
    assert "rmse" not in found.rows[0]


def test_what_was_not_predicted_may_be_left_out(evaluated):
    only = evaluated(only_predicted=True)
    assert value(only, "match rate, k = 1, all") == pytest.approx(1 / 2)
    assert value(only, "METRe") == 1.0


def test_filtered_rates_ask_for_validity_of_both(found):
    assert value(found, "match rate, k = 5, valid pairs") <= value(found, "match rate, k = 5, all")


def test_breakdowns_count_all_references(found):
    for column in ("dof", "primitive_atoms"):
        counts = [
            f.count for f in found.figures if f.name.startswith(f"match rate, k = 1, {column}")
        ]
        assert sum(counts) == 3


def test_predictions_belong_to_references_by_row_or_by_formula():
    rows = [{"formula": f} for f in ("A", "B", "A", "A")]
    references = [{"formula": "A"}, {"formula": "B"}]
    assert assign(rows, references, "rows") == [(0, 0), (1, 1), (2, 0), (3, 1)]
    assert assign(rows, references, "formula") == [(0, 0), (1, 1), (2, 0), (3, 0)]
    with pytest.raises(InputError, match="no multiple"):
        assign(rows[:3], references, "rows")


def test_a_prediction_that_is_no_crystal_matches_nothing(tmp_path):
    broken = salts()[0]
    broken = type(broken)(**{**vars(broken), "lattice": np.full(6, np.nan)})
    test = read_reference(write_dataset(tmp_path / "test", [salts()[0]]))
    samples = [of_crystal(broken, "broken")]
    resources = Resources(at_once, ChunkStore(tmp_path / "w", "k"))
    for by in ("rows", "formula"):
        found = evaluate_predictions(samples, test, resources, by=by)
        assert value(found, "match rate, k = 1, all") == 0
        assert value(found, "cRMSE") == PUBLISHED.stol
        assert found.rows[0]["reason"] == "not_finite"
        resources.store.discard()
