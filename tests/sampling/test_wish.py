"""From what a user asks for to templates."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest

from jaxcrys.core.elements import parse_formula
from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import take
from jaxcrys.crystal import save_crystals
from jaxcrys.crystal.describe import species_counts
from jaxcrys.recipes.library import load_model
from jaxcrys.sampling.plan import Request, make_plan
from jaxcrys.sampling.wish import Wish, assignments, parse_template
from jaxcrys.symmetry import load_tables, positions_of
from tests.crystals import random_crystals

TRAINING = random_crystals(40, seed=2)


@pytest.fixture(scope="module")
def model(generated_run):
    """A recipe of geometry alone, whose templates are those of the training set or are given."""
    return dataclasses.replace(load_model(generated_run), templates=TRAINING)


def planned(model, wish, num, seed=0):
    return make_plan(model, [Request(wish, num)], seed=seed).templates


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


def test_a_template_is_a_function_of_seed_and_index(model):
    whole = planned(model, Wish(), 30, seed=5)
    part = planned(model, Wish(), 7, seed=5)
    np.testing.assert_array_equal(whole.wyckoff[:7], part.wyckoff)
    assert (planned(model, Wish(), 30, seed=6).wyckoff != whole.wyckoff).any()


def test_only_the_groups_asked_for(model):
    groups = sorted(set(TRAINING.group.tolist()))[:2]
    drawn = planned(model, Wish(groups=",".join(map(str, groups))), 50).group
    assert set(drawn.tolist()) == set(groups)


def test_weights_of_groups(model):
    """Shares of 600 samples: the number of crystals times the weight."""
    groups, counts = np.unique(TRAINING.group, return_counts=True)
    first, second = groups[:2]
    drawn = planned(model, Wish(groups=f"{first}=3,{second}=1"), 600).group
    share = 3 * counts[0] / (3 * counts[0] + counts[1])
    error = np.sqrt(share * (1 - share) / 600)
    assert abs((drawn == first).mean() - share) < 4 * error


def test_formula_in_a_template_has_exactly_that_composition(model):
    templates = planned(model, Wish(template="221: 1a, 1b, 3c", formula="BaTiO3"), 40)
    ways = set()
    for index in range(40):
        crystal = take(templates, index)
        assert dict(species_counts(crystal)) == {56: 1, 22: 1, 8: 3}
        ways.add(tuple(crystal.species.tolist()))
    assert len(ways) == 2  # Ba and Ti change places


def test_references_are_followed_in_order(model, tmp_path):
    save_crystals(tmp_path / "data.npz", TRAINING)
    templates = planned(model, Wish(templates_from=tmp_path / "data.npz"), 42)
    np.testing.assert_array_equal(templates.group[[0, 41]], TRAINING.group[[0, 1]])
    np.testing.assert_array_equal(templates.species[[0, 41], :3], TRAINING.species[[0, 1]])


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (Wish(groups="231"), "1 to 230"),
        (Wish(groups="62,x"), "--groups: cannot read 'x'"),
        (Wish(groups="62,62"), "is twice there"),
        (Wish(template="4a"), "does not begin with its group"),
        (Wish(formula="NaCl"), "needs a whole --template, or a model of templates"),
        (Wish(groups="225", templates_from=Path("x")), "already says the groups"),
        (Wish(groups="17"), "no crystal in"),
        (Wish(groups="17", template="225: 4a"), "is of group 225, --groups says 17"),
        (Wish(template="225: 4z"), "has no '4z'"),
        (Wish(template="225: 4a, 4a"), "twice"),
        (Wish(template="225: 4a 4b"), "no element"),
        (Wish(template="225: 4a Na Cl"), "separate the sites by commas"),
        (Wish(template="225: 4a, ..."), "needs a whole --template"),
        (Wish(template="225: 4a, 4b", formula="BaTiO3"), "does not fit"),
        (Wish(template="225: 4a, 4b", formula="Na(Cl"), "cannot read"),
        (Wish(atoms="9-3"), "--atoms: cannot read '9-3'"),
        (Wish(lattice="4,4,4"), "--lattice: cannot read"),
        (Wish(lattice="4,4,5,90,90,90", template="225: 4a Na"), "--lattice: diffcsp_pp draws it"),
        (Wish(chemical_system="Li-O"), "needs a model of templates"),
        (Wish(properties="gap=1"), "was not trained with 'gap'; train with"),
        (Wish(template="225: 4a, 4b", sites="3-5"), "--sites: does not allow the 2 of the"),
        (Wish(template="225: 4a Na", max_atoms=8, atoms="3"), "give one of them"),
        (Wish(template="225: 4a Na, 4b Cl", atoms="3"), "--atoms: does not allow the 2 of the"),
        (Wish(template="225: 4a Na", properties="gap=1"), "was not trained with 'gap'"),
        (Wish(template="225: 4a Na", chemical_system="Li-O"), "the --template says otherwise"),
        (Wish(template="225: 4a Na", elements_required="O"), "the --template says otherwise"),
        (Wish(template="225: 4a", elements_required="O"), "where the --template leaves elements"),
    ],
)
def test_impossible_wishes_are_named(model, wish, message):
    with pytest.raises(InputError, match=message):
        planned(model, wish, 3)


def test_template_words():
    found = parse_template("225: 4a Na, 4b Cl, 8c")
    assert [z for _, z in found.sites] == [11, 17, 0]
    assert not found.more
