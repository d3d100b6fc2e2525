"""Custom search attributes that are added, renamed and removed: what callers see, and what values are stored under."""

from __future__ import annotations

import pytest
from temporalio.api.common.v1 import SearchAttributes
from temporalio.api.enums.v1 import IndexedValueType

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import search_attribute_registry as registry
from mockcloud.core import search_attributes
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.limits import Limits
from mockcloud.core.search_attribute_values import KEYWORD, decode, encode


def _record(**attributes: int) -> NamespaceRecord:
    return NamespaceRecord(name="orders", config_version=3, custom_search_attributes=attributes)


def _given(**values: str) -> SearchAttributes:
    return SearchAttributes(indexed_fields={name: encode(value, KEYWORD) for name, value in values.items()})


def _seen(record: NamespaceRecord, stored: SearchAttributes) -> dict[str, object]:
    shown = search_attributes.visible(record, stored.indexed_fields).indexed_fields
    return {name: decode(payload, KEYWORD) for name, payload in shown.items()}


def test_values_stay_where_they_are_and_are_seen_under_the_new_name() -> None:
    before = _record(Customer=KEYWORD, Place=KEYWORD)
    old = _given(Customer="alice", Place="here")
    search_attributes.check(before, old, Limits())

    update = registry.rename(before, "Customer", "Client")
    record = update.record

    assert (update.changed, record.config_version) == (True, 4)
    assert dict(record.custom_search_attributes) == {"Client": KEYWORD, "Place": KEYWORD}
    assert _seen(record, old) == {"Client": "alice", "Place": "here"}
    new = _given(Client="bob")
    search_attributes.check(record, new, Limits())
    assert list(new.indexed_fields) == ["Customer"], "stored beside what was there"
    assert _seen(record, new) == {"Client": "bob"}
    with pytest.raises(InvalidArgument, match="no mapping defined for search attribute Customer"):
        search_attributes.check(record, _given(Customer="carol"), Limits())


def test_a_name_that_is_free_again_gets_a_place_of_its_own() -> None:
    renamed = registry.rename(_record(Customer=KEYWORD), "Customer", "Client").record
    record = registry.add(renamed, {"Customer": KEYWORD}).record
    given = _given(Customer="new", Client="old")
    search_attributes.check(record, given, Limits())

    assert set(given.indexed_fields) == {"Customer", "Customer#2"}
    assert _seen(record, given) == {"Customer": "new", "Client": "old"}
    assert set(search_attributes.aliases(record).values()) == {"Customer", "Client"}
    gone = registry.remove(record, ["Customer"]).record
    assert _seen(gone, given) == {"Client": "old"}


def test_there_and_back_leaves_no_trace() -> None:
    before = _record(Customer=KEYWORD)
    there = registry.rename(before, "Customer", "Client").record
    back = registry.rename(there, "Client", "Customer").record

    assert dict(back.custom_search_attributes) == {"Customer": KEYWORD}
    assert not back.stored_search_attributes


def test_asked_again_nothing_changes() -> None:
    once = registry.rename(_record(Customer=KEYWORD), "Customer", "Client").record
    again = registry.rename(once, "Customer", "Client")

    assert (again.changed, again.record) == (False, once)


@pytest.mark.parametrize(
    ("name", "new_name"),
    [("Absent", "Client"), ("Customer", "Place"), ("Customer", "WorkflowId"), ("Customer", "TemporalThing")],
)
def test_renames_that_are_refused(name: str, new_name: str) -> None:
    record = _record(Customer=KEYWORD, Place=IndexedValueType.INDEXED_VALUE_TYPE_INT)
    with pytest.raises(InvalidArgument):
        registry.rename(record, name, new_name)
