from __future__ import annotations

import pytest
from temporalio.api.common.v1 import Payload, SearchAttributes

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import search_attributes
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.limits import Limits
from mockcloud.core.search_attribute_values import DOUBLE, INT, KEYWORD, KEYWORD_LIST, TEXT, encode

ORDERS = NamespaceRecord(
    name="orders",
    custom_search_attributes={
        "Customer": KEYWORD,
        "Amount": DOUBLE,
        "Count": INT,
        "Note": TEXT,
        "Tags": KEYWORD_LIST,
    },
)


def attributes(**values: str) -> SearchAttributes:
    """Values as JSON."""
    return SearchAttributes(
        indexed_fields={
            name: Payload(metadata={"encoding": b"json/plain"}, data=text.encode())
            for name, text in values.items()
        }
    )


def problem(given: SearchAttributes, limits: Limits | None = None) -> str:
    with pytest.raises(InvalidArgument) as caught:
        search_attributes.check(ORDERS, given, limits or Limits())
    return caught.value.message


def test_good_ones_get_their_types() -> None:
    given = attributes(
        Customer='"c"', Amount="1.5", Tags='["a"]', TemporalChangeVersion='["x-1"]', BatcherUser='"me"'
    )
    given.indexed_fields["Customer"].metadata["type"] = b"Text"

    search_attributes.check(ORDERS, given, Limits())

    assert {name: payload.metadata["type"] for name, payload in given.indexed_fields.items()} == {
        "Customer": b"Keyword",
        "Amount": b"Double",
        "Tags": b"KeywordList",
        "TemporalChangeVersion": b"KeywordList",
        "BatcherUser": b"Keyword",
    }


def test_unknown_and_reserved_names_are_refused() -> None:
    assert (
        problem(attributes(Nobody='"x"'))
        == "Namespace orders has no mapping defined for search attribute Nobody"
    )
    assert problem(attributes(WorkflowId='"x"')) == "WorkflowId attribute can't be set in SearchAttributes"
    assert (
        problem(attributes(TemporalWorkerDeployment='"x"'))
        == "TemporalWorkerDeployment attribute can't be set in SearchAttributes"
    )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("Count", '"1"', "invalid value for search attribute Count of type Int: 1"),
        ("Count", "1.5", "invalid value for search attribute Count of type Int: 1.5"),
        ("Tags", '"a"', "invalid value for search attribute Tags of type KeywordList: a"),
        ("Customer", "[1,2]", "invalid value for search attribute Customer of type Keyword: [1 2]"),
    ],
)
def test_values_of_another_type_are_refused(name: str, value: str, message: str) -> None:
    assert problem(attributes(**{name: value})) == message


def test_number_and_sizes_are_limited() -> None:
    assert problem(attributes(Note=f'"{"x" * 2047}"')) == (
        "search attribute Note value size 2049 exceeds size limit 2048"
    )
    two = attributes(Count="1", Amount="2")
    assert problem(two, Limits(search_attributes=1)) == "number of search attributes 2 exceeds limit 1"
    size = two.ByteSize()
    assert problem(two, Limits(search_attributes_bytes=size - 1)) == (
        f"total size of search attributes {size} exceeds size limit {size - 1}"
    )


def test_removed_attributes_are_hidden() -> None:
    values = {
        "Customer": encode("c", KEYWORD),
        "Gone": encode("g", KEYWORD),
        "BuildIds": encode("b", KEYWORD),
    }
    assert set(search_attributes.visible(ORDERS, values).indexed_fields) == {"Customer", "BuildIds"}


def test_names_that_nobody_may_register() -> None:
    reserved = ["WorkflowId", "BuildIds", "Memo", "NamespaceId", "TemporalAnything"]
    assert all(map(search_attributes.is_reserved, reserved))
    assert not search_attributes.is_reserved("Customer")
