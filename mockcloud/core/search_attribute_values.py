"""Search-attribute values: from payloads to what is compared and stored, and back; how maps of them merge.

A payload is JSON whose type is that of its attribute: the metadata's `type` only says it to readers. Where one
value is expected, a list of such values may come too, which means any of them.

Real: common/searchattribute/sadefs/encode_value.go, common/payload/payload.go.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Protocol, TypeAlias

from temporalio.api.common.v1 import Memo, Payload, SearchAttributes
from temporalio.api.enums.v1 import IndexedValueType

from mockcloud.core import messages, times
from mockcloud.core.failures import camel_case

Scalar: TypeAlias = bool | int | float | str
Value: TypeAlias = Scalar | list[Scalar] | None
"""Moments are nanoseconds since the epoch; None: the attribute is to be removed."""

TEXT: Final = IndexedValueType.INDEXED_VALUE_TYPE_TEXT
KEYWORD: Final = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
INT: Final = IndexedValueType.INDEXED_VALUE_TYPE_INT
DOUBLE: Final = IndexedValueType.INDEXED_VALUE_TYPE_DOUBLE
BOOL: Final = IndexedValueType.INDEXED_VALUE_TYPE_BOOL
DATETIME: Final = IndexedValueType.INDEXED_VALUE_TYPE_DATETIME
KEYWORD_LIST: Final = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST

_PREFIX: Final = "INDEXED_VALUE_TYPE_"
_RFC3339: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _Described(Protocol):
    """A message with both."""

    @property
    def memo(self) -> Memo: ...
    @property
    def search_attributes(self) -> SearchAttributes: ...


class _Integer(int):
    """A number that was written without fraction or exponent."""


def type_name(value_type: IndexedValueType.ValueType) -> str:
    """`KeywordList` and so on, as metadata and errors spell it."""
    return camel_case(IndexedValueType.Name(value_type), _PREFIX)


TYPES_BY_NAME: Final[Mapping[str, IndexedValueType.ValueType]] = {
    type_name(value): value for value in IndexedValueType.values() if value
}


def encode(value: Scalar | list[str], value_type: IndexedValueType.ValueType) -> Payload:
    """A value as the server itself encodes it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&":  # as Go's encoder does
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Payload(
        metadata={"encoding": b"json/plain", "type": type_name(value_type).encode()}, data=text.encode()
    )


def decode(payload: Payload, value_type: IndexedValueType.ValueType) -> Value:
    """What a payload says as a value of `value_type`; a list of several means any of them.

    Raises:
        ValueError: it is of another type or shape.
    """
    found = _json(payload)
    one = _SCALARS.get(value_type)
    if one is None:  # KeywordList
        if found is None:
            return None
        if isinstance(found, list) and len(found) == 1 and isinstance(found[0], list):
            found = found[0]
        return _list(found, _string)
    try:
        return None if found is None else one(found)
    except ValueError:
        return _list(found, one) or None


def parse_time(text: str) -> int:
    """Nanoseconds since the epoch of an RFC 3339 moment.

    Raises:
        ValueError: it is none.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(text)
    fraction = (match[7] or "")[:9].ljust(9, "0")
    year, month, day, hour, minute, second = (int(match[part]) for part in range(1, 7))
    moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    since = moment - _EPOCH
    seconds = since.days * 86_400 + since.seconds
    if match[8]:
        hours, minutes = int(match[9]), int(match[10])
        if hours > 24 or minutes >= 60:
            raise ValueError(text)
        offset = hours * 3600 + minutes * 60
        seconds += -offset if match[8] == "+" else offset
    return seconds * times.SECOND + int(fraction)


def merged(base: Mapping[str, Payload], update: Mapping[str, Payload]) -> dict[str, Payload]:
    """`base` with `update` laid over it; an empty value or an empty list takes its key away."""
    result = dict(base)
    for key, value in update.items():
        if value.data in (b"", b"[]"):
            result.pop(key, None)
        else:
            result[key] = value
    return result


def copy_memo_and_search_attributes(source: _Described, target: _Described) -> None:
    """Copy both from a start or a command into an event: without empty values, and unset if nothing is left.

    Real: payload.FilterNilMemo, FilterNilSearchAttributes.
    """
    memo = merged({}, source.memo.fields)
    if memo:
        target.memo.CopyFrom(Memo(fields=memo))
    attributes = merged({}, source.search_attributes.indexed_fields)
    if attributes:
        target.search_attributes.CopyFrom(SearchAttributes(indexed_fields=attributes))


def shown(payload: Payload) -> str:
    """A payload's value as the server's errors print it (Go's `%v`)."""
    try:
        return _go(_json(payload))
    except ValueError:
        return f"value from <{messages.shown(payload)}>"


def _json(payload: Payload) -> object:
    encoding = payload.metadata.get("encoding", b"")
    if encoding == b"binary/null":
        return None
    if encoding != b"json/plain":
        raise ValueError(f"encoding {encoding!r}")

    def refuse(constant: str) -> object:
        raise ValueError(constant)

    found: object = json.loads(
        payload.data.decode(errors="replace"), parse_int=_Integer, parse_constant=refuse, parse_float=Decimal
    )
    return found


def _list(found: object, one: Callable[[object], Scalar]) -> list[Scalar]:
    if not isinstance(found, list):
        raise ValueError("neither a value nor a list")  # noqa: TRY004 one kind of error for all
    return [_ZEROS[one] if each is None else one(each) for each in found]


def _bool(found: object) -> Scalar:
    if isinstance(found, bool):
        return found
    raise ValueError("no bool")


def _int(found: object) -> Scalar:
    if isinstance(found, _Integer) and -(1 << 63) <= found < 1 << 63:
        return int(found)
    raise ValueError("no int64")


def _double(found: object) -> Scalar:
    if isinstance(found, (_Integer, Decimal)):
        number = float(Decimal(found))  # infinite where it is too large
        if abs(number) != float("inf"):
            return number
    raise ValueError("no double")


def _string(found: object) -> Scalar:
    if isinstance(found, str):
        return found
    raise ValueError("no string")


def _datetime(found: object) -> Scalar:
    return parse_time(str(_string(found)))


_SCALARS: Final[Mapping[IndexedValueType.ValueType, Callable[[object], Scalar]]] = {
    BOOL: _bool,
    DATETIME: _datetime,
    DOUBLE: _double,
    INT: _int,
    KEYWORD: _string,
    TEXT: _string,
}
# What `null` in a list stands for: Go's zero value.
_ZEROS: Final[Mapping[Callable[[object], Scalar], Scalar]] = {
    _bool: False,
    _datetime: -62_135_596_800 * times.SECOND,
    _double: 0.0,
    _int: 0,
    _string: "",
}


def _go(value: object) -> str:
    """`fmt.Sprint` of decoded JSON, in which every number is a float64."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case int() | Decimal():
            return go_float(float(value))
        case list():
            return f"[{' '.join(map(_go, value))}]"
        case dict():
            return f"map[{' '.join(f'{key}:{_go(value[key])}' for key in sorted(value))}]"
        case _:
            return str(value)


def go_float(number: float) -> str:
    """A float64 as Go prints it: shortest form, with an exponent from 1e+21 on and below 1e-04."""
    if number == 0:
        return "-0" if str(number).startswith("-") else "0"
    sign, digits, exponent = Decimal(repr(number)).normalize().as_tuple()
    assert isinstance(exponent, int), "a finite number"
    text = "".join(map(str, digits))
    power = len(digits) + exponent - 1
    minus = "-" if sign else ""
    if power < -4 or power >= 21:
        mantissa = text[0] + (f".{text[1:]}" if len(text) > 1 else "")
        return f"{minus}{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"
    if power < 0:
        return f"{minus}0.{'0' * (-power - 1)}{text}"
    if exponent >= 0:
        return f"{minus}{text}{'0' * exponent}"
    return f"{minus}{text[: power + 1]}.{text[power + 1 :]}"
