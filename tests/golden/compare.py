"""Where a recorded value and ours differ, one difference at a time: see README.md, "Compare".

Histories are laid side by side by what happened, so that an event that only one side has is one difference, and what
follows it is compared all the same: the ids of events that both have are translated from one side's count to the
other's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Final

from tests.golden.recording import Json

NOTHING: Final = "nothing"

# Ids and times that differ each time, sizes, and what belongs to a build, an SDK, or a server's own bookkeeping.
_IGNORED: Final = frozenset(
    {
        *("taskToken", "taskId", "requestId", "createRequestId", "attachedRequestId", "requestIdInfos"),
        *("nextPageToken", "conflictToken", "nextWorkflowTaskToken", "resetHistoryEventId"),
        *("historySizeBytes", "stateTransitionCount", "autoResetPoints", "prevAutoResetPoints"),
        *("firstWorkflowTaskBackoff", "workflowRunTimeout", "workflowExecutionTimeout"),
        *("workerVersion", "sdkMetadata", "meteringMetadata", "searchAttributes", "memo", "header"),
        *("link", "links", "capabilities", "limits", "supportsSchedules", "pollerScalingDecision", "priority"),
        *("backlogCountHint", "originalScheduledTime"),
        *("executionDuration", "runExpirationTime", "versioningInfo", "badBinaries", "pollers"),
        *("lastWorkerIdentity", "lastDeploymentVersion", "mostRecentWorkerVersionStamp", "retryPolicy"),
    }
)


@dataclass(frozen=True)
class Difference:
    """One place where ours is not what was recorded."""

    where: str
    recorded: str
    ours: str

    def __str__(self) -> str:
        return f"{self.where}: recorded {_short(self.recorded)}, ours {_short(self.ours)}"


def cleaned(value: Any, labels: Mapping[str, str]) -> Any:
    """A value as compared; `labels` gives run ids a name that both sides share."""
    if isinstance(value, dict):
        return {key: cleaned(each, labels) for key, each in value.items() if not _is_ignored(key)}
    if isinstance(value, list):
        return [cleaned(each, labels) for each in value]
    if isinstance(value, str):
        return labels.get(value, value)
    return value


def _is_ignored(key: str) -> bool:
    return key in _IGNORED or key.endswith(("Time", "time"))


def values(recorded: Any, ours: Any, where: str) -> Iterator[Difference]:
    """Every difference between two cleaned values."""
    if isinstance(recorded, dict) and isinstance(ours, dict):
        if "eventSummary" in recorded:
            recorded = {"eventSummary": [*map(_abbreviated, recorded["eventSummary"])]}
            ours = {"eventSummary": [*map(_summary, ours.get("events", []))]}
        for key in sorted({*recorded, *ours}):
            yield from values(recorded.get(key, NOTHING), ours.get(key, NOTHING), f"{where}.{key}")
    elif _are_events(recorded) and _are_events(ours):
        yield from histories(recorded, ours, where)
    elif isinstance(recorded, list) and isinstance(ours, list):
        for index in range(max(len(recorded), len(ours))):
            theirs, mine = (each[index] if index < len(each) else NOTHING for each in (recorded, ours))
            yield from values(theirs, mine, f"{where}[{index}]")
    elif recorded != ours:
        yield Difference(where, _text(recorded), _text(ours))


def histories(recorded: Sequence[Json], ours: Sequence[Json], where: str) -> Iterator[Difference]:
    """Every difference between two histories; events that only one side has are told by id, type and version."""
    matcher = SequenceMatcher(None, [*map(_gist, recorded)], [*map(_gist, ours)], autojunk=False)
    pairs: list[tuple[Json, Json]] = []
    alone: list[Difference] = []
    for kind, first, last, our_first, our_last in matcher.get_opcodes():
        if kind == "equal":
            pairs.extend(zip(recorded[first:last], ours[our_first:our_last], strict=True))
            continue
        alone.extend(Difference(where, _headline(event), NOTHING) for event in recorded[first:last])
        alone.extend(Difference(where, NOTHING, _headline(event)) for event in ours[our_first:our_last])
    yield from alone
    ids = {theirs["eventId"]: mine["eventId"] for theirs, mine in pairs}
    for theirs, mine in pairs:
        place = f"{where}, event {theirs['eventId']} ({_type(theirs)})"
        yield from values(_translated(theirs, ids), mine, place)


def _are_events(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict) and "eventType" in value[0]


def _type(event: Json) -> str:
    return str(event["eventType"]).removeprefix("EVENT_TYPE_")


def _name(event: Json) -> str:
    """What tells the event from others of its type: the name of a signal, the id of an update, timer or activity."""
    for key, attributes in event.items():
        if key.endswith("EventAttributes"):
            update = attributes.get("request") or attributes.get("acceptedRequest") or {}
            names = (attributes.get(name) for name in ("signalName", "activityId", "timerId"))
            return next((str(name) for name in names if name), update.get("meta", {}).get("updateId", ""))
    return ""


def _gist(event: Json) -> tuple[str, str]:
    return _type(event), _name(event)


def _headline(event: Json) -> str:
    return " ".join(filter(None, (event["eventId"], _type(event), f"v{event['version']}", _name(event))))


def _summary(event: Json) -> str:
    """An event as summaries have it."""
    return _abbreviated(f"{event['eventId']} {_type(event)} v{event['version']}")


def _abbreviated(summary: str) -> str:
    return summary.replace("WORKFLOW_EXECUTION_", "WE_").replace("WORKFLOW_TASK_", "WT_")


def _translated(value: Any, ids: Mapping[str, str], key: str = "") -> Any:
    """A recorded event with our ids of events."""
    if isinstance(value, dict):
        return {name: _translated(each, ids, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_translated(each, ids) for each in value]
    return ids.get(value, value) if key.endswith(("eventId", "EventId")) else value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _short(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:300]}…"
