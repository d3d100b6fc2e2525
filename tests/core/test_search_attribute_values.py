from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload

from mockcloud.core import times
from mockcloud.core.search_attribute_values import (
    BOOL,
    DATETIME,
    DOUBLE,
    INT,
    KEYWORD,
    KEYWORD_LIST,
    TEXT,
    decode,
    encode,
    go_float,
    merged,
    parse_time,
    shown,
)

NULL = Payload(metadata={"encoding": b"binary/null"})


def plain(text: str) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=text.encode())


@pytest.mark.parametrize(
    ("value_type", "text", "value"),
    [
        (KEYWORD, '"a"', "a"),
        (TEXT, '"a b"', "a b"),
        (INT, "7", 7),
        (INT, "-9223372036854775808", -(1 << 63)),
        (DOUBLE, "7", 7.0),
        (DOUBLE, "1.5e3", 1500.0),
        (BOOL, "true", True),
        (DATETIME, '"1970-01-01T00:00:01.5Z"', 1_500 * times.MILLISECOND),
        (KEYWORD_LIST, '["a","b"]', ["a", "b"]),
        (KEYWORD_LIST, "[]", []),
        (KEYWORD_LIST, '[["a"]]', ["a"]),
        (KEYWORD, '["a","b"]', ["a", "b"]),
        (INT, "[]", None),
        (INT, "[null]", [0]),
        (KEYWORD, "null", None),
    ],
)
def test_values_are_read_as_their_type_says(value_type: Any, text: str, value: object) -> None:
    found = decode(plain(text), value_type)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("value_type", "text"),
    [
        (KEYWORD, "1"),
        (KEYWORD, "{}"),
        (INT, '"1"'),
        (INT, "1.0"),
        (INT, "1e3"),
        (INT, "9223372036854775808"),
        (INT, "true"),
        (DOUBLE, "1e400"),
        (DOUBLE, "NaN"),
        (BOOL, "1"),
        (DATETIME, "1"),
        (DATETIME, '"yesterday"'),
        (DATETIME, '"2020-02-30T00:00:00Z"'),
        (KEYWORD_LIST, '"a"'),
        (KEYWORD_LIST, '[["a"],["b"]]'),
        (KEYWORD, "not json"),
    ],
)
def test_values_of_another_type_are_refused(value_type: Any, text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(plain(text), value_type)


def test_only_json_and_null_are_values() -> None:
    assert decode(NULL, INT) is None
    with pytest.raises(ValueError, match="binary/plain"):
        decode(Payload(metadata={"encoding": b"binary/plain"}, data=b"a"), KEYWORD)


SCALARS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (KEYWORD, st.text(st.characters(exclude_categories=["Cs"]))),
    (INT, st.integers(-(1 << 63), (1 << 63) - 1)),
    (DOUBLE, st.floats(allow_nan=False, allow_infinity=False)),
    (BOOL, st.booleans()),
    (KEYWORD_LIST, st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1)),
]


@given(st.sampled_from(SCALARS).flatmap(lambda each: st.tuples(st.just(each[0]), each[1])))
def test_what_the_server_encodes_it_reads_back(case: tuple[Any, Any]) -> None:
    value_type, value = case
    assert decode(encode(value, value_type), value_type) == value


@given(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)),  # noqa: DTZ001 hypothesis wants them naive
    st.integers(0, 999),
    st.integers(-14 * 60, 14 * 60),
)
def test_moments_are_read_in_any_zone(moment: datetime, nanos: int, offset: int) -> None:
    local = moment + timedelta(minutes=offset)
    sign = "-" if offset < 0 else "+"
    zone = f"{sign}{abs(offset) // 60:02d}:{abs(offset) % 60:02d}"
    text = f"{local.strftime('%Y').zfill(4)}-{local.strftime('%m-%dT%H:%M:%S.%f')}{nanos:03d}{zone}"
    since = moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    microseconds = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    assert parse_time(text) == microseconds * times.MICROSECOND + nanos


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", "1"),
        ("1.5", "1.5"),
        ("1e21", "1e+21"),
        ("123456789012345678901", "123456789012345680000"),
        ("0.00001", "1e-05"),
        ("-0.25", "-0.25"),
        ('"x"', "x"),
        ("true", "true"),
        ('["a",1]', "[a 1]"),
        ('{"b":1,"a":null}', "map[a:<nil> b:1]"),
    ],
)
def test_refused_values_are_shown_as_go_prints_them(text: str, expected: str) -> None:
    assert shown(plain(text)) == expected


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_in_gos_form_are_the_same_number(number: float) -> None:
    assert float(go_float(number)) == number
    assert math.copysign(1, float(go_float(number))) == math.copysign(1, number)


def test_an_empty_value_takes_its_key_away() -> None:
    a, b = plain('"a"'), plain('"b"')
    assert merged({"x": a, "y": a, "z": a}, {"x": NULL, "y": plain("[]"), "z": b}) == {"z": b}
    assert merged({}, {"x": plain("null")}) == {"x": plain("null")}  # only by what it is encoded to


def test_encoding_escapes_as_gos_does() -> None:
    assert encode(["<a&b>"], KEYWORD_LIST).data == b'["\\u003ca\\u0026b\\u003e"]'
    assert json.loads(encode(["<a&b>"], KEYWORD_LIST).data) == ["<a&b>"]
