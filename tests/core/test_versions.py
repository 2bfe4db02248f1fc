"""Bad versions of jax and flax are refused with the command that mends it."""

import pytest

from jaxcrys.core.versions import OVERRIDE, check_versions

GOOD = [("0.10.0", "0.12.8"), ("0.10.1", "0.12.8"), ("0.11.2", "0.12.12"), ("0.12.0", "0.12.13")]
BAD_JAX = [("0.10.2", "wrong values"), ("0.11.0", "crashes"), ("0.11.1", "does not import")]
BAD_PAIRS = [
    ("0.10.1", "0.12.9"),
    ("0.10.1", "0.12.12"),
    ("0.11.2", "0.12.8"),
    ("0.12.0", "0.12.8"),
]


def check(jax, flax):
    check_versions({"jax": jax, "flax": flax}.__getitem__)


@pytest.fixture(autouse=True)
def no_override(monkeypatch):
    monkeypatch.delenv(OVERRIDE, raising=False)


@pytest.mark.parametrize(("jax", "flax"), GOOD)
def test_good_pairs_pass(jax, flax):
    check(jax, flax)


@pytest.mark.parametrize(("jax", "reason"), BAD_JAX)
@pytest.mark.parametrize("flax", ["0.12.8", "0.12.12"])
def test_bad_jax_is_refused_with_its_reason(jax, reason, flax):
    with pytest.raises(ImportError, match=rf"jax {jax}: .*{reason}.*Install jax==0\.10\.1"):
        check(jax, flax)


@pytest.mark.parametrize(("jax", "flax"), BAD_PAIRS)
def test_pairs_that_do_not_work_are_refused(jax, flax):
    with pytest.raises(ImportError, match=rf"jax {jax} and flax {flax} do not work.*Pair"):
        check(jax, flax)


def test_development_versions_are_read_by_their_numbers():
    check("0.12.1.dev20261101", "0.12.14")
    with pytest.raises(ImportError):
        check("0.12.1.dev20261101", "0.12.8")


def test_override_is_exactly_1(monkeypatch):
    monkeypatch.setenv(OVERRIDE, "1")
    check("0.10.2", "0.12.8")
    monkeypatch.setenv(OVERRIDE, "0")
    with pytest.raises(ImportError):
        check("0.10.2", "0.12.8")


def test_installed_versions_pass():
    check_versions()
