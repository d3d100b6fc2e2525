"""Enum values as attributes are what protobuf itself would say."""

from __future__ import annotations

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from temporalio.api.enums import v1

from mockcloud.core import enums


def test_every_value_is_an_attribute() -> None:
    enums.settle_values()
    found = [enum for enum in vars(v1).values() if isinstance(enum, EnumTypeWrapper)]
    assert v1.EventType in found
    for enum in found:
        for name in enum.keys():  # noqa: SIM118 - not a mapping
            assert vars(enum)[name] == enum.Value(name)
