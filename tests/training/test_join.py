"""Two runs put together draw what each of them draws alone."""

import jax
import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.recipes.model import load_model
from jaxcrys.sampling.plan import Request, make_plan
from jaxcrys.sampling.wish import Wish
from jaxcrys.training.join import join
from tests.models import train_orbit, train_small


def test_halves_stay_what_they_are(tmp_path):
    whole = load_model(train_orbit(tmp_path / "whole"))
    for name in ("templates", "geometry"):
        half = load_model(tmp_path / f"whole_{name}")
        jax.tree.map(np.testing.assert_array_equal, whole.params[name], half.params)
    geometry = load_model(tmp_path / "whole_geometry")
    apart = make_plan(
        geometry, [Request(Wish(templates_from=tmp_path / "whole_templates"), 20)], seed=3
    )
    together = make_plan(whole, [Request(Wish(), 20)], seed=3)
    np.testing.assert_array_equal(together.templates.wyckoff, apart.templates.wyckoff)
    np.testing.assert_array_equal(together.templates.species, apart.templates.species)
    np.testing.assert_allclose(together.log_prob, apart.log_prob, rtol=1e-5)


def test_what_does_not_fit_is_refused(tmp_path):
    whole = train_orbit(tmp_path / "whole")
    templates, geometry = (tmp_path / f"whole_{name}" for name in ("templates", "geometry"))
    with pytest.raises(InputError, match="exists"):
        join(templates, geometry, whole)
    with pytest.raises(InputError, match="is a run of orbit_flow, not of wyformer"):
        join(geometry, templates, tmp_path / "new")
    other = train_small(tmp_path / "other", species="given")
    with pytest.raises(InputError, match="is a run of diffcsp_pp, not of orbit_flow"):
        join(templates, other, tmp_path / "new")
    assert not (tmp_path / "new").exists()
