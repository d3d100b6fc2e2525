"""Which search attributes there are, and whether those that a caller gives may be set.

*System* attributes are columns of a list and nobody sets them. *Predefined* ones are values beside the custom
ones: the server sets them, and of most of them callers may too. *Custom* ones are registered with the
namespace, whose record maps their names to their types and replicates. The real server stores a custom
attribute under a column's name (`Keyword01`) and calls the registered name its alias; here values are stored under
the name that they were first registered with, and only a rename makes an alias of another one
(`NamespaceRecord.stored_search_attributes`). Checks see names as callers do; what passed them has stored names.

Checks, in the order in which the callers of the real server make them: `require_mapped`, `validate`,
`validate_size`; `check` makes all three. `apply_types` then notes the types in the payloads.

Real: common/searchattribute (validator.go, mapper.go, sadefs/constants.go).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Final, TypeAlias

from temporalio.api.common.v1 import Payload, SearchAttributes
from temporalio.api.enums.v1 import IndexedValueType

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import pause_info
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.limits import Limits
from mockcloud.core.run import Run
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
    shown,
    type_name,
)

TypeMap: TypeAlias = Mapping[str, IndexedValueType.ValueType]

SYSTEM: Final[TypeMap] = {
    "WorkflowId": KEYWORD,
    "RunId": KEYWORD,
    "WorkflowType": KEYWORD,
    "StartTime": DATETIME,
    "ExecutionTime": DATETIME,
    "CloseTime": DATETIME,
    "ExecutionStatus": KEYWORD,
    "TaskQueue": KEYWORD,
    "HistoryLength": INT,
    "ExecutionDuration": INT,
    "StateTransitionCount": INT,
    "HistorySizeBytes": INT,
    "ParentWorkflowId": KEYWORD,
    "ParentRunId": KEYWORD,
    "RootWorkflowId": KEYWORD,
    "RootRunId": KEYWORD,
}

_SETTABLE: Final[TypeMap] = {
    "TemporalChangeVersion": KEYWORD_LIST,
    "BinaryChecksums": KEYWORD_LIST,
    "BuildIds": KEYWORD_LIST,
    "BatcherNamespace": KEYWORD,
    "BatcherUser": KEYWORD,
    "TemporalScheduledStartTime": DATETIME,
    "TemporalScheduledById": KEYWORD,
    "TemporalSchedulePaused": BOOL,
    "TemporalNamespaceDivision": KEYWORD,
    "TemporalPauseInfo": KEYWORD_LIST,
    "TemporalReportedProblems": KEYWORD_LIST,
}

PREDEFINED: Final[TypeMap] = {
    **_SETTABLE,
    "TemporalWorkerDeploymentVersion": KEYWORD,
    "TemporalWorkflowVersioningBehavior": KEYWORD,
    "TemporalWorkerDeployment": KEYWORD,
    "TemporalUsedWorkerDeploymentVersions": KEYWORD_LIST,
    "TemporalExternalPayloadCount": INT,
    "TemporalExternalPayloadSizeBytes": INT,
}

# The columns that the real server keeps for custom attributes, and so how many of each type a namespace can have there.
COLUMNS_PER_TYPE: Final[Mapping[IndexedValueType.ValueType, int]] = {
    BOOL: 3,
    INT: 3,
    DOUBLE: 3,
    DATETIME: 3,
    KEYWORD: 10,
    KEYWORD_LIST: 3,
    TEXT: 3,
}
# How many of each type a namespace of the Cloud can have (documentation: cloud/limits).
CLOUD_PER_TYPE: Final[Mapping[IndexedValueType.ValueType, int]] = {
    BOOL: 20,
    INT: 20,
    DOUBLE: 20,
    DATETIME: 20,
    KEYWORD: 40,
    KEYWORD_LIST: 5,
    TEXT: 5,
}
COLUMNS: Final[TypeMap] = {
    f"{type_name(value_type)}{number:02}": value_type
    for value_type, count in COLUMNS_PER_TYPE.items()
    for number in range(1, count + 1)
}

_RESERVED: Final = frozenset({"NamespaceId", "MemoEncoding", "Memo", "VisibilityTaskKey"})
_RESERVED_PREFIX: Final = "Temporal"

REPORTED_PROBLEMS: Final = "TemporalReportedProblems"


def is_reserved(name: str) -> bool:
    """Whether no custom attribute may have this name."""
    return name in SYSTEM or name in PREDEFINED or name in _RESERVED or name.startswith(_RESERVED_PREFIX)


def custom(namespace: NamespaceRecord) -> TypeMap:
    """The attributes registered with a namespace."""
    return {
        name: IndexedValueType.ValueType(number)
        for name, number in namespace.custom_search_attributes.items()
    }


def register(record: NamespaceRecord, name: str, number: int) -> None:
    """Let a namespace have a custom attribute, in place. A name that a renamed one left behind is not taken twice."""
    stored, used = record.stored_search_attributes, set(stored_names(record))
    record.custom_search_attributes[name] = number
    if name in used:
        stored[name] = next(other for count in itertools.count(2) if (other := f"{name}#{count}") not in used)


def unregister(record: NamespaceRecord, name: str) -> None:
    """Take a custom attribute from a namespace, in place. Its values stay, and are hidden."""
    del record.custom_search_attributes[name]
    record.stored_search_attributes.pop(name, None)


def rename(record: NamespaceRecord, name: str, new_name: str) -> None:
    """Give a custom attribute another name, in place. Its values stay where they are, and are shown under that."""
    stored = stored_name(record, name)
    number = record.custom_search_attributes[name]
    unregister(record, name)
    record.custom_search_attributes[new_name] = number
    if stored != new_name:
        record.stored_search_attributes[new_name] = stored


def stored_name(record: NamespaceRecord, name: str) -> str:
    """What values of an attribute are stored under."""
    return record.stored_search_attributes.get(name, name)


def stored_names(record: NamespaceRecord) -> Mapping[str, str]:
    """The custom attributes by what their values are stored under."""
    return {stored_name(record, name): name for name in record.custom_search_attributes}


def to_stored(record: NamespaceRecord, attributes: SearchAttributes) -> None:
    """From the names that callers use to those that values are stored under, in place."""
    if record.stored_search_attributes:
        _rename_all(attributes, record.stored_search_attributes)


def to_shown(record: NamespaceRecord, attributes: SearchAttributes) -> None:
    """From the names that values are stored under to those that callers use, in place."""
    if record.stored_search_attributes:
        _rename_all(attributes, stored_names(record))


def _rename_all(attributes: SearchAttributes, names: Mapping[str, str]) -> None:
    before = dict(attributes.indexed_fields)
    attributes.ClearField("indexed_fields")
    for name, payload in before.items():
        attributes.indexed_fields[names.get(name, name)].CopyFrom(payload)


def aliases(record: NamespaceRecord) -> dict[str, str]:
    """Which column of the real server's would hold which attribute: part of a namespace's description."""
    found: dict[str, str] = {}
    used: dict[int, int] = {}
    for name, number in sorted(record.custom_search_attributes.items()):
        used[number] = used.get(number, 0) + 1
        found[f"{type_name(IndexedValueType.ValueType(number))}{used[number]:02}"] = name
    return found


def settable_type(namespace: NamespaceRecord, name: str) -> IndexedValueType.ValueType | None:
    """The type of a custom or predefined attribute; None for any other name."""
    number = namespace.custom_search_attributes.get(name)
    return PREDEFINED.get(name) if number is None else IndexedValueType.ValueType(number)


def check(namespace: NamespaceRecord, attributes: SearchAttributes, limits: Limits) -> None:
    """All checks of what a client gives for a new run, and the types noted, in place.

    Raises:
        InvalidArgument: in the words of the real frontend.
    """
    require_mapped(namespace, attributes)
    validate(namespace, attributes, limits)
    validate_size(attributes, limits)
    apply_types(namespace, attributes)


def require_mapped(namespace: NamespaceRecord, attributes: SearchAttributes) -> None:
    """Raises InvalidArgument for a name that nobody has registered. Real: UnaliasFields."""
    for name in attributes.indexed_fields:
        known = name in SYSTEM or name in PREDEFINED or name in namespace.custom_search_attributes
        if not known:
            raise InvalidArgument(
                f"Namespace {namespace.name} has no mapping defined for search attribute {name}"
            )


def validate(namespace: NamespaceRecord, attributes: SearchAttributes, limits: Limits) -> None:
    """Raises InvalidArgument for too many, for one that callers may not set, for a value of another type."""
    count = len(attributes.indexed_fields)
    if count > limits.search_attributes:
        raise InvalidArgument(f"number of search attributes {count} exceeds limit {limits.search_attributes}")
    for name, payload in attributes.indexed_fields.items():
        value_type = settable_type(namespace, name)
        if name in SYSTEM or (name in PREDEFINED and name not in _SETTABLE):
            raise InvalidArgument(f"{name} attribute can't be set in SearchAttributes")
        if value_type is None:
            raise InvalidArgument(f"search attribute {name} is not defined")
        try:
            decode(payload, value_type)
        except ValueError:
            raise InvalidArgument(
                f"invalid value for search attribute {name} of type {type_name(value_type)}: {shown(payload)}"
            ) from None


def validate_size(attributes: SearchAttributes, limits: Limits) -> None:
    """Raises InvalidArgument for a value, or all together, over the limit in bytes."""
    longest = limits.search_attribute_value_bytes
    for name, payload in attributes.indexed_fields.items():
        if len(payload.data) > longest:
            raise InvalidArgument(
                f"search attribute {name} value size {len(payload.data)} exceeds size limit {longest}"
            )
    total, limit = attributes.ByteSize(), limits.search_attributes_bytes
    if total > limit:
        raise InvalidArgument(f"total size of search attributes {total} exceeds size limit {limit}")


def apply_types(namespace: NamespaceRecord, attributes: SearchAttributes) -> None:
    """Note each value's type in its metadata, whatever its caller noted there; from here on names are stored names."""
    for name, payload in attributes.indexed_fields.items():
        value_type = settable_type(namespace, name)
        if value_type is not None:
            payload.metadata["type"] = type_name(value_type).encode()
    to_stored(namespace, attributes)


def visible(namespace: NamespaceRecord, attributes: Mapping[str, Payload]) -> SearchAttributes:
    """What readers see: values of an attribute that was removed from the namespace are hidden."""
    if not attributes:
        return SearchAttributes()
    names = stored_names(namespace)
    return SearchAttributes(
        indexed_fields={
            names.get(stored, stored): payload
            for stored, payload in attributes.items()
            if stored in names or stored in PREDEFINED
        }
    )


def of_run(run: Run) -> Mapping[str, Payload]:
    """All attributes of a run: those in events, and those that the server makes of its state."""
    own: dict[str, Payload] = {}
    if run.record.reported_problems:
        own[REPORTED_PROBLEMS] = encode(list(run.record.reported_problems), KEYWORD_LIST)
    paused = pause_info.values(run)
    if paused:
        own["TemporalPauseInfo"] = encode(paused, KEYWORD_LIST)
    if run.versioning_override is not None:
        own["TemporalWorkflowVersioningBehavior"] = encode("AutoUpgrade", KEYWORD)
    return {**run.search_attributes, **own} if own else run.search_attributes
