"""From what a user asks for to templates."""

import itertools

import numpy as np
import pytest

from jaxcrys.core.elements import parse_formula
from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import take
from jaxcrys.crystal.describe import species_counts
from jaxcrys.sampling.wish import Wish, assignments, parse_template, plan
from jaxcrys.symmetry import load_tables, positions_of
from tests.crystals import random_crystals

TRAINING = random_crystals(40, seed=2)


def planned(wish, indices, seed=0, references=None):
    return plan(
        wish, np.asarray(indices), seed=seed, training=TRAINING, references=references, sites=4
    )


def brute_force(sites, formula):
    """All assignments by trying every combination, as multisets over equal positions."""
    multiplicity = load_tables().position_multiplicity
    found = set()
    for species in itertools.product(formula, repeat=len(sites)):
        if any(given not in (0, z) for (_, given), z in zip(sites, species, strict=True)):
            continue
        counts = dict.fromkeys(formula, 0)
        for (w, _), z in zip(sites, species, strict=True):
            counts[z] += int(multiplicity[w])
        total = sum(counts.values()) / sum(formula.values())
        if all(counts[z] == total * n for z, n in formula.items()):
            keyed = zip((w for w, _ in sites), (g for _, g in sites), species, strict=True)
            found.add(tuple(sorted(keyed)))
    return found


def test_assignments_against_brute_force():
    random = np.random.default_rng(0)
    feasible = 0
    for _ in range(200):
        group = int(random.choice([47, 62, 123, 194, 221, 225]))
        ids = sorted(int(i) for i in random.choice(list(positions_of(group))[:9], 4))
        sites = [(i, int(random.choice([0, 0, 0, 8]))) for i in ids]
        formula = parse_formula(str(random.choice(["BaTiO3", "NaCl", "MgO", "Al2O3", "TiO2"])))
        found = assignments(sites, formula)
        keyed = [
            tuple(sorted((w, g, z) for (w, g), z in zip(sites, way, strict=True))) for way in found
        ]
        if len({(w, g) for w, g in sites}) == len(sites):
            assert len(set(keyed)) == len(keyed)
        assert set(keyed) == brute_force(sites, formula)
        feasible += bool(found)
    assert feasible > 20


def test_a_template_is_a_function_of_seed_and_index():
    whole = planned(Wish(), range(30), seed=5)
    part = planned(Wish(), [7, 21], seed=5)
    np.testing.assert_array_equal(whole.wyckoff[[7, 21]], part.wyckoff)
    assert (planned(Wish(), range(30), seed=6).wyckoff != whole.wyckoff).any()


def test_only_the_groups_asked_for():
    groups = sorted(set(TRAINING.group.tolist()))[:2]
    assert set(planned(Wish(groups=tuple(groups)), range(50)).group.tolist()) == set(groups)


def test_formula_in_a_template_has_exactly_that_composition():
    templates = planned(Wish(groups=(221,), template="1a 1b 3c", formula="BaTiO3"), range(40))
    ways = set()
    for index in range(40):
        crystal = take(templates, index)
        assert dict(species_counts(crystal)) == {56: 1, 22: 1, 8: 3}
        ways.add(tuple(crystal.species.tolist()))
    assert len(ways) == 2  # Ba and Ti change places


def test_references_are_followed_in_order():
    templates = planned(Wish(templates_from="data"), [0, 41], references=TRAINING)
    np.testing.assert_array_equal(templates.group, TRAINING.group[[0, 1]])
    np.testing.assert_array_equal(templates.species[:, :3], TRAINING.species[[0, 1]])


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (Wish(groups=(231,)), "1 to 230"),
        (Wish(template="4a"), "exactly one --space-group"),
        (Wish(formula="NaCl"), "needs a --template"),
        (Wish(groups=(225,), templates_from="x"), "already says"),
        (Wish(groups=(17,)), "no crystal in"),
        (Wish(groups=(225,), template="4z"), "has no '4z'"),
        (Wish(groups=(225,), template="4a 4a"), "twice"),
        (Wish(groups=(225,), template="Xx@4a"), "no element"),
        (Wish(groups=(225,), template="4a 4b", formula="BaTiO3"), "does not fit"),
        (Wish(groups=(225,), template="4a 4b", formula="Na(Cl"), "cannot read"),
    ],
)
def test_impossible_wishes_are_named(wish, message):
    with pytest.raises(InputError, match=message):
        planned(wish, range(3))


def test_template_words():
    assert [z for _, z in parse_template(225, "Na@4a, Cl@4b 8c")] == [11, 17, 0]
