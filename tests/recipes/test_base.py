"""The list of recipes."""

import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.recipes import base, get_recipe, recipe_names, register_recipe


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch):
    monkeypatch.setattr(base, "_REGISTERED", {})


def test_a_registered_recipe_is_found_and_listed():
    own = get_recipe("symmcd")._replace(complete=None)
    known = recipe_names()
    register_recipe("mine", own)
    assert get_recipe("mine") is own
    assert recipe_names() == (*known, "mine")
    assert "mine" not in recipe_names(completes=True)


def test_a_name_keeps_its_meaning():
    register_recipe("mine", get_recipe("symmcd"))
    for name in ("mine", "orbit"):
        with pytest.raises(InputError, match=f"there is an '{name}' already"):
            register_recipe(name, get_recipe("wyformer"))
    assert get_recipe("mine") is get_recipe("symmcd")


def test_an_unknown_recipe_is_named_beside_those_that_are_known():
    register_recipe("mine", get_recipe("symmcd"))
    with pytest.raises(InputError, match=r"no 'magic'; known: .*wyformer, mine; register_recipe"):
        get_recipe("magic")
