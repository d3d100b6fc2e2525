"""The custom search attributes of a namespace: adding, renaming and removing them.

They are part of the namespace's record, so a change is a change of its configuration and replicates as one. How many of
each type are possible depends on whom one asks: the real server has as many as its SQL stores have columns. What was
written under a name that is removed stays in histories, and is hidden until the name is added again.

Real: service/frontend/operator_handler.go (addSearchAttributesSQL, removeSearchAttributesSQL).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from temporalio.api.enums.v1 import IndexedValueType

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import search_attributes
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.namespace_rules import Update
from mockcloud.core.search_attribute_values import type_name


def check_added(wanted: Mapping[str, int]) -> None:
    """Raises InvalidArgument for names and types that no namespace can have."""
    if not wanted:
        raise InvalidArgument("SearchAttributes are not set on request.")
    for name, value_type in wanted.items():
        if search_attributes.is_reserved(name):
            raise InvalidArgument(f"Search attribute {name} is reserved by system.")
        if value_type not in IndexedValueType.values():
            raise InvalidArgument(f"Unknown search attribute type: {value_type}.")


def add(
    record: NamespaceRecord,
    wanted: Mapping[str, int],
    per_type: Mapping[IndexedValueType.ValueType, int] = search_attributes.COLUMNS_PER_TYPE,
) -> Update:
    """The record with the attributes; those that it has already are left as they are, whatever their type.

    `per_type`: how many there can be.

    Raises:
        InvalidArgument: there are too many of a type.
    """
    after = NamespaceRecord()
    after.CopyFrom(record)
    custom = after.custom_search_attributes
    for name, number in wanted.items():
        if name in custom:
            continue
        value_type = IndexedValueType.ValueType(number)
        most = per_type.get(value_type, 0)
        if sum(each == number for each in custom.values()) >= most:
            raise InvalidArgument(
                f"Unable to create search attributes: cannot have more than {most} search attribute "
                f"of type {type_name(value_type)}."
            )
        search_attributes.register(after, name, number)
    return _changed(record, after)


def remove(record: NamespaceRecord, names: Iterable[str]) -> Update:
    """The record without the attributes; names that are unknown count for nothing.

    Raises:
        InvalidArgument: one is the server's own, or none is named.
    """
    after = NamespaceRecord()
    after.CopyFrom(record)
    unnamed = True
    for name in names:
        unnamed = False
        if name in after.custom_search_attributes:
            search_attributes.unregister(after, name)
        elif (
            name in search_attributes.SYSTEM
            or name in search_attributes.PREDEFINED
            or name in search_attributes.COLUMNS
        ):
            raise InvalidArgument(f"Unable to remove non-custom search attributes: {name}.")
    if unnamed:
        raise InvalidArgument("SearchAttributes are not set on request.")
    return _changed(record, after)


def rename(record: NamespaceRecord, name: str, new_name: str) -> Update:
    """The record with an attribute under another name; renamed already: no change.

    Raises:
        InvalidArgument: there is no such attribute, or the new name cannot be had.
    """
    after = NamespaceRecord()
    after.CopyFrom(record)
    custom = after.custom_search_attributes
    if name not in custom and new_name in custom:
        return _changed(record, after)
    if name not in custom:
        raise InvalidArgument(f"Search attribute {name} does not exist.")
    if new_name in custom:
        raise InvalidArgument(f"Search attribute {new_name} already exists.")
    if search_attributes.is_reserved(new_name):
        raise InvalidArgument(f"Search attribute {new_name} is reserved by system.")
    search_attributes.rename(after, name, new_name)
    return _changed(record, after)


def _changed(before: NamespaceRecord, after: NamespaceRecord) -> Update:
    changed = dict(before.custom_search_attributes) != dict(after.custom_search_attributes)
    if changed:
        after.config_version += 1
    return Update(after, changed=changed, failed_over=False)
