import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.processes import schedules


def test_cosine_schedule_is_the_published_recurrence():
    steps, survival = 1000, 1.0
    table = schedules.cosine_alpha_bar(steps)
    f = lambda t: np.cos((t / steps + 0.008) / 1.008 * np.pi / 2) ** 2  # noqa: E731
    for t in range(1, steps + 1):
        survival *= 1 - min(max(1 - f(t) / f(t - 1), 1e-4), 0.9999)
        assert np.isclose(table[t], survival, rtol=1e-12, atol=0)
    assert table[0] == 1
    assert (np.diff(table) < 0).all()


def test_linear_schedule_is_the_mutual_information_schedule():
    steps = 20
    beta = 1 / (steps - np.arange(1, steps + 1) + 1)
    np.testing.assert_allclose(
        schedules.linear_alpha_bar(steps)[1:], np.cumprod(1 - beta), atol=1e-15
    )
    assert schedules.linear_alpha_bar(steps)[-1] == 0


def test_geometric_widths():
    sigma = schedules.geometric_sigmas(0.005, 0.5, 1000)
    assert sigma.shape == (1001,)
    assert sigma[0] == 0
    np.testing.assert_allclose(sigma[[1, 1000]], [0.005, 0.5])
    np.testing.assert_allclose(np.diff(np.log(sigma[1:])), np.log(100) / 999)


@pytest.mark.parametrize("count", [1, 7, 20])
def test_strided_times_fall_from_last_to_zero(count):
    times = schedules.strided_times(20, count)
    assert times[0] == 20
    assert times[-1] == 0
    assert len(times) == count + 1
    assert (np.diff(times) < 0).all()
    assert np.ptp(np.diff(times)) <= 1


def test_more_jumps_than_steps_are_refused():
    with pytest.raises(InputError, match="count"):
        schedules.strided_times(20, 21)


def test_tables_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        schedules.cosine_alpha_bar(10)[0] = 0
