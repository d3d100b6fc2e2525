from __future__ import annotations

import pytest

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import search_attribute_registry as registry
from mockcloud.core import search_attributes
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.search_attribute_values import BOOL, INT, KEYWORD

ORDERS = NamespaceRecord(config_version=7, custom_search_attributes={"Customer": KEYWORD})


def test_adding_is_a_change_of_configuration() -> None:
    update = registry.add(ORDERS, {"Count": INT, "Customer": INT})
    assert dict(update.record.custom_search_attributes) == {"Customer": KEYWORD, "Count": INT}
    assert (update.changed, update.failed_over, update.record.config_version) == (True, False, 8)
    assert dict(ORDERS.custom_search_attributes) == {"Customer": KEYWORD}
    again = registry.add(update.record, {"Count": INT})
    assert (again.changed, again.record.config_version) == (False, 8)


def test_only_so_many_of_a_type() -> None:
    with pytest.raises(InvalidArgument) as caught:
        registry.add(ORDERS, {f"B{number}": BOOL for number in range(4)})
    assert caught.value.message == (
        "Unable to create search attributes: cannot have more than 3 search attribute of type Bool."
    )


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({}, "SearchAttributes are not set on request."),
        ({"WorkflowId": KEYWORD}, "Search attribute WorkflowId is reserved by system."),
        ({"TemporalX": KEYWORD}, "Search attribute TemporalX is reserved by system."),
        ({"X": 99}, "Unknown search attribute type: 99."),
    ],
)
def test_what_cannot_be_added(wanted: dict[str, int], message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        registry.check_added(wanted)
    assert caught.value.message == message


def test_removing() -> None:
    update = registry.remove(ORDERS, ["Customer", "Nobody"])
    assert (dict(update.record.custom_search_attributes), update.record.config_version) == ({}, 8)
    assert not registry.remove(ORDERS, ["Nobody"]).changed
    for name in ("WorkflowId", "BuildIds", "Keyword05"):
        with pytest.raises(InvalidArgument) as caught:
            registry.remove(ORDERS, [name])
        assert caught.value.message == f"Unable to remove non-custom search attributes: {name}."


def test_descriptions_name_columns() -> None:
    record = NamespaceRecord(custom_search_attributes={"B": KEYWORD, "A": KEYWORD, "N": INT})
    assert search_attributes.aliases(record) == {"Keyword01": "A", "Keyword02": "B", "Int01": "N"}
