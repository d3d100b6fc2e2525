"""The predefined search attributes that completed workflow tasks leave: which builds of a worker ran the workflow.

Part of the fold, so that every region has the same. Worker versioning is not served, so of its sentinels only
`unversioned` and the build's own entry remain.

Real: MutableStateImpl.addBuildIdToLoadedSearchAttribute, saveBuildIds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from temporalio.api.common.v1 import Payload
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import ResetPointInfo

from mockcloud.core.search_attribute_values import KEYWORD_LIST, decode, encode

BUILD_IDS: Final = "BuildIds"
BINARY_CHECKSUMS: Final = "BinaryChecksums"
_UNVERSIONED: Final = "unversioned"
_LONGEST_VALUE: Final = 2 * 1024  # frontend.searchAttributesSizeOfValueLimit, in bytes


def noted(
    attributes: Mapping[str, Payload], completed: HistoryEvent, *, overridden: bool = False
) -> Mapping[str, Payload]:
    """`attributes` with the build that completed a workflow task among BuildIds; unchanged ones stay the object.

    `overridden`: the run has a versioning override, so it is not unversioned. An event of another kind tells of
    no build, but sets or takes away what says so.
    """
    event = completed.workflow_task_completed_event_attributes
    stamp = event.worker_version
    before = _values(attributes.get(BUILD_IDS))
    after = [] if stamp.use_versioning or overridden else [_UNVERSIONED]
    after += [value for value in before if value != _UNVERSIONED]
    entry = _entry(stamp.build_id, versioned=stamp.use_versioning) if event.HasField("worker_version") else ""
    if entry and entry not in before:
        after.append(entry)
    if after == before:
        return attributes
    sentinel = 1 if after[:1] == [_UNVERSIONED] else 0
    payload = encode(list(after), KEYWORD_LIST)
    while len(payload.data) > _LONGEST_VALUE and len(after) > sentinel:
        del after[sentinel]
        payload = encode(list(after), KEYWORD_LIST)
    return {**attributes, BUILD_IDS: payload}


def checksums_noted(
    attributes: Mapping[str, Payload], completed: HistoryEvent, points: Sequence[ResetPointInfo]
) -> Mapping[str, Payload]:
    """`attributes` with the binaries of the reset points, one of which `completed` has made.

    Real: MutableStateImpl.updateBinaryChecksumSearchAttribute.
    """
    if not completed.workflow_task_completed_event_attributes.binary_checksum:
        return attributes
    found = [point.binary_checksum for point in points if point.binary_checksum]
    return {**attributes, BINARY_CHECKSUMS: encode(list(found), KEYWORD_LIST)}


def _entry(build_id: str, *, versioned: bool) -> str:
    if not build_id:
        return _UNVERSIONED
    return f"versioned:{build_id}" if versioned else f"unversioned:{build_id}"


def _values(payload: Payload | None) -> list[str]:
    if payload is None:
        return []
    try:
        found = decode(payload, KEYWORD_LIST)
    except ValueError:
        return []
    return [str(value) for value in found] if isinstance(found, list) else []
