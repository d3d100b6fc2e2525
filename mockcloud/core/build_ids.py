"""The predefined search attributes that completed workflow tasks leave: which builds of a worker ran the workflow.

Part of the fold, so that every region has the same. Worker versioning is not served, so of its sentinels only
`unversioned` and the build's own entry remain.

Real: MutableStateImpl.addBuildIdToLoadedSearchAttribute, saveBuildIds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
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
    entry = _entry(stamp.build_id, versioned=stamp.use_versioning) if event.HasField("worker_version") else ""
    before = attributes.get(BUILD_IDS)
    payload = _with_entry(
        b"" if before is None else before.SerializeToString(),
        entry,
        unversioned=not (stamp.use_versioning or overridden),
    )
    return attributes if payload is None else {**attributes, BUILD_IDS: payload}


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


@lru_cache(maxsize=256)
def _with_entry(payload_bytes: bytes, entry: str, *, unversioned: bool) -> Payload | None:
    """The list of a payload with `entry`; None: it is the same. Many runs have few lists: worth keeping."""
    before = _values(Payload.FromString(payload_bytes)) if payload_bytes else []
    after = [_UNVERSIONED] if unversioned else []
    after += [value for value in before if value != _UNVERSIONED]
    if entry and entry not in before:
        after.append(entry)
    if after == before:
        return None
    payload = encode(list(after), KEYWORD_LIST)
    while len(payload.data) > _LONGEST_VALUE and len(after) > unversioned:
        del after[int(unversioned)]
        payload = encode(list(after), KEYWORD_LIST)
    return payload


def _entry(build_id: str, *, versioned: bool) -> str:
    if not build_id:
        return _UNVERSIONED
    return f"versioned:{build_id}" if versioned else f"unversioned:{build_id}"


def _values(payload: Payload) -> list[str]:
    try:
        found = decode(payload, KEYWORD_LIST)
    except ValueError:
        return []
    return [str(value) for value in found] if isinstance(found, list) else []
