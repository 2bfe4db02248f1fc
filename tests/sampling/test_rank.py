"""Candidates are compared up to equivalent descriptions, and ranked by what they agree on."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcrys.core.pytree import take
from jaxcrys.crystal import build_crystal, stack_crystals
from jaxcrys.crystal.buckets import choose_shapes, fit_sites
from jaxcrys.crystal.equivalents import equivalents
from jaxcrys.recipes.library import load_model
from jaxcrys.sampling import rank
from jaxcrys.sampling.rank import best_first, distance, scores
from jaxcrys.symmetry import degrees_of_freedom
from tests.crystals import random_crystals

RUTILE = build_crystal(136, [(22, "a"), (8, "f", (0.305,))], (4.594, 4.594, 2.959, 90, 90, 90))


def rutile(x=0.305, swell=0.0):
    free = np.array(RUTILE.free, np.float32)
    free[1, 0] = x
    lattice = np.array(RUTILE.lattice, np.float32)
    lattice[5] += swell
    return dataclasses.replace(RUTILE, free=free, lattice=lattice)


def apart(one, other):
    batches = [jax.tree.map(jnp.asarray, stack_crystals([c])) for c in (one, other)]
    return float(distance(*batches)[0])


def singles(count):
    crystals = random_crystals(count, sites=3, seed=8)
    return [take(crystals, index) for index in range(count)]


def test_distance_is_that_of_the_atoms():
    """Four of six atoms move along x and y by 0.02 of the cell's 4.594 Å."""
    moved = np.sqrt(4 / 6 * 2 * (0.02 * 4.594) ** 2)
    size = (4.594**2 * 2.959 / 6) ** (1 / 3)
    assert apart(rutile(), rutile(0.325)) == pytest.approx(moved / size, rel=1e-3)
    assert apart(rutile(), rutile(swell=0.1)) == pytest.approx(0.1, rel=1e-3)


def test_other_descriptions_of_a_crystal_are_no_distance_away():
    assert apart(rutile(0.305), rutile(0.695)) == pytest.approx(0, abs=1e-3)  # x -> -x
    tried = 0
    for index, crystal in enumerate(singles(40)):
        others = equivalents(crystal, axes=False)
        kept = (others.wyckoff == crystal.wyckoff).all(-1)
        for which in np.flatnonzero(kept)[1:]:
            assert apart(crystal, take(others, which)) < 0.02, (index, which)
            tried += 1
    assert tried > 10


@pytest.fixture(scope="module")
def model(given_run):
    return load_model(given_run)


def test_what_most_candidates_agree_on_comes_first(model, monkeypatch):
    """For two templates, whose candidates must not be mixed up."""
    monkeypatch.setattr(
        rank, "_mean_misfit", lambda model, crystals, *a: np.zeros(len(crystals.group))
    )
    first, second = (0.12, 0.30, 0.31, 0.32, 0.42), (0.40, 0.20, 0.41, 0.45, 0.42)
    drawn = stack_crystals([rutile(x) for x in first + second])
    (shape,) = choose_shapes(drawn, limit=1)
    score = scores(
        model, fit_sites(drawn, shape.sites), np.repeat([0, 1], 5),
        candidates=5, shape=shape, seed=0, same_elements=True, batch_size=4,
    )  # fmt: skip
    rows = best_first(score, candidates=5, keep=3)
    assert rows[0] == 2
    assert set(rows[:3]) == {1, 2, 3}
    assert rows[3] == 5 + 2
    assert set(rows[3:]) == {5, 7, 9}


def test_where_elements_differ_the_misfit_decides(model):
    drawn = random_crystals(12, sites=2, seed=0)
    (shape,) = choose_shapes(drawn, limit=1)
    drawn = fit_sites(drawn, shape.sites)

    def score(batch_size):
        return scores(
            model, drawn, np.repeat(np.arange(4), 3),
            candidates=3, shape=shape, seed=1, same_elements=False, batch_size=batch_size,
        )  # fmt: skip

    whole = score(12)
    assert np.isfinite(whole).all()
    free = np.asarray(degrees_of_freedom(drawn.wyckoff)).sum(-1)
    assert (whole[free > 0] < 0).all()
    assert (free > 0).sum() > 6
    np.testing.assert_allclose(score(5), whole, rtol=1e-4)
