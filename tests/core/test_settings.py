"""Settings to JSON and back."""

import dataclasses
import json
from typing import Literal

import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.core.settings import from_json, to_json


@dataclasses.dataclass(frozen=True)
class Inner:
    width: int = 4
    scale: tuple[float, ...] = (1.0, 2.0)


@dataclasses.dataclass(frozen=True)
class Outer:
    inner: Inner = Inner()
    kind: Literal["a", "b"] = "a"
    limit: int | None = None
    rate: float = 0.5


def test_round_trip():
    settings = Outer(Inner(8, (0.5,)), "b", 3, 0.25)
    assert from_json(Outer, json.loads(json.dumps(to_json(settings)))) == settings
    assert hash(from_json(Outer, json.loads(json.dumps(to_json(settings))))) == hash(settings)


def test_whole_numbers_may_stand_for_floats():
    assert from_json(Outer, {"rate": 1}).rate == 1.0
    assert isinstance(from_json(Outer, {"rate": 1}).rate, float)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"inner": {"widht": 3}}, r"settings\.inner: has no setting 'widht'; perhaps 'width'"),
        ({"zzz": 1}, "known: inner, kind, limit, rate"),
        ({"kind": "c"}, "must be one of 'a', 'b'"),
        ({"inner": {"width": "8"}}, "must be int"),
        ({"inner": {"width": True}}, "must be int"),
        ({"rate": "fast"}, "must be float"),
        ({"inner": {"scale": 1.0}}, "must be a list"),
    ],
)
def test_mistakes_are_named(values, message):
    with pytest.raises(InputError, match=message):
        from_json(Outer, values)


@dataclasses.dataclass(frozen=True)
class Round:
    radius: float = 1.0
    kind: Literal["round"] = "round"


@dataclasses.dataclass(frozen=True)
class Square:
    kind: Literal["square"] = "square"
    side: float = 2.0


@dataclasses.dataclass(frozen=True)
class Holder:
    shape: Round | Square = Round()


@pytest.mark.parametrize("shape", [Round(3.0), Square(side=0.5)])
def test_one_of_several_kinds_comes_back_as_itself(shape):
    values = json.loads(json.dumps(to_json(Holder(shape))))
    assert from_json(Holder, values) == Holder(shape)


def test_unknown_kinds_are_named():
    with pytest.raises(InputError, match="must be one of 'round', 'square'"):
        from_json(Holder, {"shape": {"kind": "oval"}})
    with pytest.raises(InputError, match="no setting 'radius'"):
        from_json(Holder, {"shape": {"kind": "square", "radius": 1.0}})
