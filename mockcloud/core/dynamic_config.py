"""Dynamic configuration: values by the real server's keys, laid over the limits of a cloud.

A key that sets something here is one of `Limits` (`limits.Key`); its value must be of the real setting's type. Any
other key is accepted and has no effect, as an unknown one has in the real server. Case does not matter in keys.

Real: common/dynamicconfig, collection.go (conversions), key.go.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache
from typing import Final, NamedTuple, TypeVar

from mockcloud.core import go_duration, times
from mockcloud.core.limits import Key, Limits, Unit

T = TypeVar("T")

_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})


class BadValue(ValueError):
    """A value that is not of its setting's type; says the key."""


class Setting(NamedTuple):
    """One field of `Limits` that a key sets."""

    field: str
    key: str
    convert: Callable[[object], int | float | bool]  # raises ValueError in the real server's words


def apply(limits: Limits, values: Mapping[str, object]) -> tuple[Limits, list[str]]:
    """`limits` with `values` laid over them, and the keys that set nothing here.

    Raises:
        BadValue: a value is not of its setting's type.
    """
    changes: dict[str, int | float | bool] = {}
    without_effect = []
    for key, value in values.items():
        setting = settings().get(key.lower())
        if setting is None:
            without_effect.append(key)
            continue
        changes[setting.field] = converted(key, value, setting.convert)
    # Each change has the type of its field: the setting was made from it.
    return dataclasses.replace(limits, **changes), without_effect  # type: ignore[arg-type]


def converted(key: str, value: object, convert: Callable[[object], T]) -> T:
    """A key's value, by the conversion of its setting. Raises BadValue."""
    try:
        return convert(value)
    except ValueError as error:
        raise BadValue(f"invalid value for dynamic config key {key!r}: {error}") from None


def _integer(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("value type is not int")


def _float(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError("value type is not float64")


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        if value in _TRUE | _FALSE:
            return value in _TRUE
        raise ValueError(f'strconv.ParseBool: parsing "{value}": invalid syntax')
    raise ValueError("value type is not bool")


def duration(value: object) -> int:
    """Nanoseconds of a Go duration, which may count days; a bare number is seconds. Raises ValueError."""
    if isinstance(value, timedelta):
        return (value // timedelta(microseconds=1)) * times.MICROSECOND
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value * times.SECOND)
    if isinstance(value, str):
        try:
            return go_duration.parse_with_seconds(value)
        except ValueError as error:
            raise ValueError(f"failed to parse duration: {error}") from None
    raise ValueError("value not convertible to Duration")


_CONVERSIONS: Final[Mapping[type, Callable[[object], int | float | bool]]] = {
    int: _integer,
    float: _float,
    bool: _boolean,
}


def _setting(field: str, annotation: object) -> Setting | None:
    marks = getattr(annotation, "__metadata__", ())
    key = next((mark.name for mark in marks if isinstance(mark, Key)), None)
    if key is None:
        return None
    if Unit.NANOSECONDS in marks:
        return Setting(field, key, duration)
    kind: type = annotation.__origin__  # type: ignore[attr-defined]  # an Annotated type, since it has marks
    return Setting(field, key, _CONVERSIONS[kind])


@cache  # with the first key: it takes some milliseconds to read the types of all limits
def settings() -> Mapping[str, Setting]:
    """All settings by their keys in lower case."""
    found: dict[str, Setting] = {}
    for field, annotation in typing.get_type_hints(Limits, include_extras=True).items():
        setting = _setting(field, annotation)
        if setting is not None:
            assert setting.key.lower() not in found, f"{setting.key} sets one limit"
            found[setting.key.lower()] = setting
    return found
