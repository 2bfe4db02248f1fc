import jax
import jax.numpy as jnp
import pytest

from jaxcrys.core import compiling
from jaxcrys.core.compiling import QUICK, quick_jit, quick_options


@pytest.fixture(autouse=True)
def _asked_anew():
    yield
    quick_options.cache_clear()


def test_this_xla_knows_the_options():
    quick_options.cache_clear()
    assert quick_options() == QUICK


def test_without_an_option_that_xla_does_not_know(monkeypatch):
    monkeypatch.setitem(compiling.QUICK, "xla_cpu_make_it_quick", True)
    quick_options.cache_clear()
    assert quick_options() is None
    assert quick_jit(jnp.add)(1, 2) == 3


def test_accelerators_have_none(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    quick_options.cache_clear()
    assert quick_options() is None


def test_same_numbers():
    def function(x, *, turns):
        for _ in range(turns):
            x = jnp.sin(x @ x) + jnp.cumsum(x, axis=0) * jnp.exp(-jnp.abs(x))
        return x

    x = jax.random.normal(jax.random.key(0), (5, 5))
    usual = jax.jit(function, static_argnames="turns")(x, turns=3)
    assert jnp.allclose(quick_jit(function, "turns")(x, turns=3), usual, rtol=1e-5, atol=1e-5)
