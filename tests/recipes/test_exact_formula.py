"""Templates of exactly one formula: composition against pymatgen, shares against probabilities."""

import collections
import functools
import math

import jax
import numpy as np
import pytest
from pymatgen.core import Composition as PymatgenComposition

from jaxcrys.core.elements import SYMBOLS, parse_formula
from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import take
from jaxcrys.core.rng import sample_keys
from jaxcrys.crystal.describe import formula
from jaxcrys.crystal.formula import formula_arrays, formula_of
from jaxcrys.crystal.primitive import num_primitive_atoms
from jaxcrys.nn.set_transformer import SetTransformerConfig, add_group, position_logits, start
from jaxcrys.recipes import wyformer
from jaxcrys.recipes.base import Composition
from jaxcrys.recipes.exact_formula import complete_formula
from jaxcrys.symmetry.wyckoff import local_index, position_id
from tests.crystals import random_crystals
from tests.programs import compiled

NETWORK = SetTransformerConfig(layers=1, channels=16, heads=2)
SITES = 8


@pytest.fixture(scope="module")
def made():
    config = wyformer.fit(wyformer.Config(network=NETWORK), random_crystals(40, seed=3))
    return config, wyformer.init(jax.random.key(0), config)


def draw(made, compositions, owner, *, seed=0, **options):
    config, params = made
    keys = sample_keys(seed, np.arange(len(owner)))
    return complete_formula(
        params, keys, compositions, np.asarray(owner), config=config, sites=SITES, **options
    )


def test_every_template_has_its_formula(made):
    names = ["BaTiO3", "NaCl", "Al2O3", "LiFePO4", "Si"]
    compositions = [Composition(parse_formula(name), (1, 2, 3)) for name in names]
    owner = np.repeat(np.arange(5), 40)
    drawn = draw(made, compositions, owner)
    groups = collections.defaultdict(set)
    for row, request in enumerate(owner):
        crystal = take(drawn, row)
        wanted = PymatgenComposition(names[request]).reduced_composition
        assert PymatgenComposition(formula(crystal)).reduced_composition == wanted
        units = int(num_primitive_atoms(crystal)) / sum(compositions[request].counts.values())
        assert units in (1, 2, 3)
        groups[names[request]].add(int(crystal.group))
    assert all(len(found) > 3 for found in groups.values())


def test_a_template_does_not_depend_on_the_others(made):
    compositions = [Composition(parse_formula(name), (1, 2)) for name in ("NaCl", "MgO2")]
    together = draw(made, compositions, [0, 1] * 10)
    alone = draw(made, compositions[:1], [0] * 1)
    np.testing.assert_array_equal(alone.wyckoff[0], together.wyckoff[0])
    np.testing.assert_array_equal(alone.species[0], together.species[0])


def test_groups_and_sites_that_are_given_stay(made):
    mn, li = position_id(58, "2a"), position_id(58, "4g")
    sites = tuple((int(local_index(np.array(w))), z) for w, z in ((mn, 25), (li, 3)))
    composition = Composition(parse_formula("MnLi2O4"), (2,), (58,), sites)
    drawn = draw(made, [composition], [0] * 30)
    assert set(drawn.group.tolist()) == {58}
    np.testing.assert_array_equal(drawn.wyckoff[:, :2], [[mn, li]] * 30)
    np.testing.assert_array_equal(drawn.species[:, :2], [[25, 3]] * 30)
    assert {formula(take(drawn, row)) for row in range(30)} == {"Li2MnO4"}
    assert len({tuple(row) for row in drawn.wyckoff.tolist()}) > 1


def test_weights_of_groups_count(made):
    composition = Composition(parse_formula("NaCl"), (1,), (221, 225))
    weights = np.full(231, -np.inf)
    weights[[221, 225]] = 50.0, 0.0
    drawn = draw(made, [composition], [0] * 50, group_weights=weights)
    assert set(drawn.group.tolist()) == {221}


def test_shares_are_those_of_the_scores(made):
    """In group 225 one atom of Na is on 4a or on 4b: 3,000 draws against the model's scores."""
    config, params = made
    composition = Composition({11: 1}, (1,), (225,))
    drawn = draw(made, [composition], [0] * 3000)
    a, b = position_id(225, "4a"), position_id(225, "4b")
    assert set(drawn.wyckoff[:, 0].tolist()) == {a, b}
    told = jax.tree.map(lambda part: part[None], formula_arrays({11: 1}, slots=8))
    group, of = np.array([225]), functools.partial(compiled, config=config.network)
    memory, _ = of(start, sites=SITES)(params, told)
    _, hidden = of(add_group, sites=SITES)(params, memory, group)
    scores = np.asarray(of(position_logits)(params, hidden, group))[0, :2]
    share = float(np.exp(scores[0]) / np.exp(scores).sum())
    error = np.sqrt(share * (1 - share) / 3000)
    assert abs((drawn.wyckoff[:, 0] == a).mean() - share) < 4 * error


def test_impossible_formulas_are_named(made):
    with pytest.raises(InputError, match="cannot hold Na"):
        draw(made, [Composition({11: 1}, (1,), (227,))], [0])
    sites = ((0, 8),)  # oxygen
    with pytest.raises(InputError, match="no template of the formula has the sites given"):
        draw(made, [Composition({11: 1, 17: 1}, (1,), (225,), sites)], [0])
    many = dict.fromkeys(range(1, 11), 1)
    with pytest.raises(InputError, match="has 10 elements, the model reads at most 8"):
        draw(made, [Composition(many, (1,), (1,))], [0])


@pytest.mark.filterwarnings("ignore:No Pauling")  # noble gases have none
def test_formula_in_jit_is_pymatgens():
    crystals = random_crystals(60, seed=5)
    found = jax.device_get(jax.jit(lambda c: formula_of(c, slots=8))(crystals))
    for row in range(60):
        wanted = PymatgenComposition(formula(take(crystals, row)))
        pairs = zip(found.elements[row].tolist(), found.amounts[row].tolist(), strict=True)
        counts = {SYMBOLS[z]: n for z, n in pairs if z}
        # not reduced_composition, which keeps H2 and other molecules of one element whole
        assert PymatgenComposition(counts).fractional_composition == wanted.fractional_composition
        assert math.gcd(*counts.values()) == 1
        again = formula_arrays(parse_formula(formula(take(crystals, row))), slots=8)
        assert sorted(zip(again.elements, again.amounts, strict=True)) == sorted(
            zip(found.elements[row], found.amounts[row], strict=True)
        )
    few = jax.device_get(jax.jit(lambda c: formula_of(c, slots=1))(crystals))
    several = (found.elements > 0).sum(-1) > 1
    assert several.any()
    assert (few.elements[several] == 0).all()
