"""Two runs put together draw what each of them draws alone."""

import jax
import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.recipes.calibration import calibrate
from jaxcrys.recipes.library import load_model
from jaxcrys.sampling.plan import Request, make_plan
from jaxcrys.sampling.wish import Wish
from jaxcrys.training.join import join
from tests.crystals import random_crystals


def half_of(run, name):
    return run.with_name(f"{run.name}_{name}")


def test_halves_stay_what_they_are(orbit_run):
    whole = load_model(orbit_run)
    for name in ("templates", "geometry"):
        half = load_model(half_of(orbit_run, name))
        jax.tree.map(np.testing.assert_array_equal, whole.params[name], half.params)
    geometry = load_model(half_of(orbit_run, "geometry"))
    wish = Wish(templates_from=half_of(orbit_run, "templates"))
    apart = make_plan(geometry, [Request(wish, 20)], seed=3)
    together = make_plan(whole, [Request(Wish(), 20)], seed=3)
    np.testing.assert_array_equal(together.templates.wyckoff, apart.templates.wyckoff)
    np.testing.assert_array_equal(together.templates.species, apart.templates.species)
    np.testing.assert_allclose(together.log_prob, apart.log_prob, rtol=1e-5)


def test_temperatures_are_set_on_validation_crystals(orbit_run, tmp_path):
    templates, geometry = half_of(orbit_run, "templates"), half_of(orbit_run, "geometry")
    crystals = random_crystals(20, seed=9)
    found = join(templates, geometry, tmp_path / "new", validation=crystals)
    half = load_model(templates)
    wanted = calibrate(half.params, crystals, config=half.config.settings)
    assert found.config.settings.templates == wanted != half.config.settings


def test_what_does_not_fit_is_refused(orbit_run, given_run, tmp_path):
    templates, geometry = half_of(orbit_run, "templates"), half_of(orbit_run, "geometry")
    with pytest.raises(InputError, match="exists"):
        join(templates, geometry, orbit_run)
    with pytest.raises(InputError, match="is a run of orbit_flow, not of wyformer"):
        join(geometry, templates, tmp_path / "new")
    with pytest.raises(InputError, match="is a run of diffcsp_pp, not of orbit_flow"):
        join(templates, given_run, tmp_path / "new")
    assert not (tmp_path / "new").exists()
