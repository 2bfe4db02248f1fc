"""Properties in words, and the target of each sample."""

import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.recipes.properties import fit_properties
from jaxcrys.sampling.request_file import read_requests
from jaxcrys.sampling.targets import within
from jaxcrys.sampling.wish import Wish, check_wish, parse_properties


@pytest.mark.parametrize(
    "text", ["gap", "gap=", "=1", "gap=1,gap=2", "gap=2:1", "gap=1:2:3", "gap=nan", "gap=0:inf", ""]
)
def test_what_cannot_be_read_is_refused(text):
    with pytest.raises(InputError, match="--properties: cannot read"):
        check_wish(Wish(properties=text))


def test_negative_numbers_and_ranges():
    found = parse_properties("energy = -3.5e0:-2, gap=-0.1 ")
    assert found == {"energy": (-3.5, -2.0), "gap": (-0.1, -0.1)}


def test_guidance_needs_properties():
    with pytest.raises(InputError, match="--guidance: needs --properties"):
        check_wish(Wish(guidance=1.0))
    with pytest.raises(InputError, match="--guidance: must not be negative"):
        check_wish(Wish(properties="gap=1", guidance=-1.0))


def test_request_file(tmp_path):
    path = tmp_path / "requests.yaml"
    path.write_text('- num: 3\n  properties: ["gap=1:2", "energy=-1"]\n  guidance: 2\n')
    (request,) = read_requests(path)
    assert request.wish == Wish(properties="gap=1:2,energy=-1", guidance=2.0)
    path.write_text("- properties: gap=1\n  guidance: much\n")
    with pytest.raises(InputError, match="guidance: must be a number"):
        read_requests(path)


def test_values_of_a_range_come_as_often_as_in_the_data():
    """Half of the values are zero, the others uniform to 5: of 0 to 2, five in seven are zero."""
    random = np.random.default_rng(0)
    column = np.where(random.random(20_000) < 0.5, 0, random.uniform(0, 5, 20_000))
    (known,) = fit_properties(["gap"], column[:, None])
    drawn = within(known, 0, 2, random.random(20_000))
    near = column[column <= 2]
    assert drawn.min() == 0
    assert drawn.max() <= 2
    assert (drawn < 1e-3).mean() == pytest.approx((near < 1e-3).mean(), abs=0.03)
    for quantile in (0.8, 0.9):  # between the quantiles kept are straight lines between them
        assert np.quantile(drawn, quantile) == pytest.approx(np.quantile(near, quantile), abs=0.08)


def test_a_range_is_cut_to_what_there_is():
    (known,) = fit_properties(["gap"], np.linspace(0, 4, 100)[:, None])
    drawn = within(known, 3, 100, np.linspace(0, 1, 50))
    assert drawn.min() >= 3
    assert drawn.max() <= 4
    narrow = within(known, 1.0001, 1.0002, np.linspace(0, 1, 50))
    assert narrow.min() >= 1.0001
    assert narrow.max() <= 1.0002


@pytest.mark.parametrize(("low", "high"), [(4.5, 6), (-3, -0.1), (9, 9), (-2, -2)])
def test_what_lies_outside_is_refused(low, high):
    (known,) = fit_properties(["gap"], np.linspace(0, 4, 100)[:, None])
    with pytest.raises(InputError, match=r"outside of the training data; ask for 0 to 4"):
        within(known, low, high, np.zeros(1))
