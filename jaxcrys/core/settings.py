"""Frozen dataclasses of settings to JSON and back, so that a run can be repeated from its file."""

import dataclasses
import difflib
import types
import typing
from typing import Any, TypeVar

from jaxcrys.core.errors import InputError

T = TypeVar("T")


def to_json(settings: Any) -> dict[str, Any]:
    """Nested plain values of a settings dataclass.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Size:
        ...     channels: int = 8
        >>> to_json(Size())
        {'channels': 8}
    """
    return dataclasses.asdict(settings)


def from_json(cls: type[T], values: dict[str, Any], where: str = "settings") -> T:
    """Build a settings dataclass from nested plain values; what is missing keeps its default.

    Raises:
        InputError: for a name that does not exist, with the nearest that does, or a wrong type.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Size:
        ...     channels: int = 8
        >>> from_json(Size, {"channels": 16})
        Size(channels=16)
    """
    hints = typing.get_type_hints(cls)
    known = {field.name for field in dataclasses.fields(cls)}  # ty: ignore[invalid-argument-type]
    unknown = sorted(set(values) - known)
    if unknown:
        close = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f"perhaps {close[0]!r}" if close else f"known: {', '.join(sorted(known))}"
        raise InputError(where, f"has no setting {unknown[0]!r}", hint)
    return cls(**{k: _convert(hints[k], v, f"{where}.{k}") for k, v in values.items()})


def changed(settings: T, changes: dict[str, Any], where: str = "settings") -> T:
    """The settings with some nested values changed; what is of another ``kind`` is replaced whole.

    Raises:
        InputError: as :func:`from_json` does.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Size:
        ...     channels: int = 8
        ...     layers: int = 4
        >>> changed(Size(), {"layers": 2})
        Size(channels=8, layers=2)
    """
    return from_json(type(settings), _merged(to_json(settings), changes), where)


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in changes.items():
        own = base.get(name)
        if isinstance(value, dict) and isinstance(own, dict) and _same_kind(own, value):
            value = _merged(own, value)
        merged[name] = value
    return merged


def _same_kind(base: dict[str, Any], changes: dict[str, Any]) -> bool:
    return changes.get("kind", base.get("kind")) == base.get("kind")


def _of_kind(hint: Any, kind: Any, where: str) -> Any:
    """The member of a union of dataclasses whose field ``kind`` has that value."""
    options = {option.kind: option for option in typing.get_args(hint) if hasattr(option, "kind")}
    if kind is not None and options and kind not in options:
        known = ", ".join(map(repr, options))
        raise InputError(f"{where}.kind", f"must be one of {known}, got {kind!r}")
    return options.get(kind, hint)


def _convert(hint: Any, value: Any, where: str) -> Any:
    if isinstance(value, dict):
        hint = _of_kind(hint, value.get("kind"), where)
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return from_json(typing.cast(type, hint), value, where)
    origin = typing.get_origin(hint)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise InputError(where, f"must be a list, got {value!r}")
        item = typing.get_args(hint)[0]
        return tuple(_convert(item, v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin in (types.UnionType, typing.Union):
        options = typing.get_args(hint)
        if value is None and type(None) in options:
            return None
        return _convert(next(o for o in options if o is not type(None)), value, where)
    if origin is typing.Literal:
        if value not in typing.get_args(hint):
            options = ", ".join(map(repr, typing.get_args(hint)))
            raise InputError(where, f"must be one of {options}, got {value!r}")
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and (type(value) is not hint):
        raise InputError(where, f"must be {hint.__name__}, got {value!r}")
    return value
