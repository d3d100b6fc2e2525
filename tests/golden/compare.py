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
        *(
            "link",
            "links",
            "capabilities",
            "limits",
            "supportsSchedules",
            "pollerScalingDecision",
            "priority",
        ),
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
    return key in _IGNORED or key.endswith(("Time", "Times"))


def answers(recorded: Json, ours: Json, where: str) -> Iterator[Difference]:
    """Every difference between two cleaned answers; what points into a history that they have points into ours."""
    theirs, mine = (_events(each.get("history", {})) for each in (recorded, ours))
    ids = _aligned(theirs, mine).ids
    yield from values(_translated(_by_workflow(recorded), ids), _by_workflow(ours), where)


def values(recorded: Any, ours: Any, where: str) -> Iterator[Difference]:
    """Every difference between two cleaned values."""
    if isinstance(recorded, dict) and isinstance(ours, dict):
        if "eventSummary" in recorded:
            ours = {"events": [*map(_summarized, _events(ours))]}
            recorded = {"events": _events(recorded)}
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
    aligned = _aligned(recorded, ours)
    for theirs, mine in aligned.moved:
        yield Difference(where, _headline(theirs), f"{_headline(mine)}, in another order")
    for event in aligned.recorded_alone:
        yield Difference(where, _headline(event), NOTHING)
    for event in aligned.ours_alone:
        yield Difference(where, NOTHING, _headline(event))
    for theirs, mine in aligned.pairs:
        place = f"{where}, event {theirs['eventId']} ({_type(theirs)})"
        yield from values(_translated(theirs, aligned.ids), mine, place)


@dataclass(frozen=True)
class _Aligned:
    """Two histories side by side."""

    pairs: list[tuple[Json, Json]]
    moved: list[tuple[Json, Json]]  # of `pairs`, those that stand elsewhere in the order
    recorded_alone: list[Json]
    ours_alone: list[Json]

    @property
    def ids(self) -> dict[str, str]:
        """Recorded event id -> ours."""
        return {theirs["eventId"]: mine["eventId"] for theirs, mine in self.pairs}


def _aligned(recorded: Sequence[Json], ours: Sequence[Json]) -> _Aligned:
    matcher = SequenceMatcher(None, [*map(_gist, recorded)], [*map(_gist, ours)], autojunk=False)
    found = _Aligned([], [], [], [])
    for kind, first, last, our_first, our_last in matcher.get_opcodes():
        if kind == "equal":
            found.pairs.extend(zip(recorded[first:last], ours[our_first:our_last], strict=True))
        else:
            found.recorded_alone.extend(recorded[first:last])
            found.ours_alone.extend(ours[our_first:our_last])
    for theirs in [*found.recorded_alone]:
        mine = next((each for each in found.ours_alone if _gist(each) == _gist(theirs)), None)
        if mine is not None:
            found.moved.append((theirs, mine))
            found.recorded_alone.remove(theirs)
            found.ours_alone.remove(mine)
    found.pairs.extend(found.moved)
    return found


def _events(history: Json) -> list[Json]:
    """The events of a history or of its summary."""
    if "eventSummary" in history:
        return [*map(_of_summary, history["eventSummary"])]
    events: list[Json] = history.get("events", [])
    return events


def _of_summary(summary: str) -> Json:
    event_id, kind, version = summary.split()
    full = kind.replace("WE_", "WORKFLOW_EXECUTION_").replace("WT_", "WORKFLOW_TASK_")
    return {"eventId": event_id, "eventType": f"EVENT_TYPE_{full}", "version": version.removeprefix("v")}


def _summarized(event: Json) -> Json:
    return {key: event[key] for key in ("eventId", "eventType", "version")}


def _by_workflow(answer: Json) -> Json:
    """An answer with the runs of a list by workflow: their order follows from times of the recording."""
    if "executions" not in answer:
        return answer
    listed = {
        run["execution"]["workflowId"]: {"type": run["type"]["name"], "status": run["status"]}
        for run in answer["executions"]
    }
    return {**answer, "executions": listed}


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
