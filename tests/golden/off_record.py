"""Workflows that a recording has and nobody started in it: they were started off the record, before its calls.

What an answer lists or finds, and no recorded call has started, must have been there. It is taken to be as the list
says, or like its siblings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.golden.recording import Call, Recording

_UNKNOWN = "workflow not found for ID:"
_STARTERS = ("StartWorkflowExecution", "SignalWithStartWorkflowExecution", "ExecuteMultiOperation")


@dataclass(frozen=True)
class Start:
    """A workflow to be there."""

    workflow_id: str
    workflow_type: str = "wf"
    task_queue: str = "tq-none"  # that nobody polls


def started_off_the_record(recording: Recording) -> list[Start]:
    """What has to be started before the calls that need it, in the order of their names."""
    calls = recording.calls
    if not any(call.method in _STARTERS for call in calls):
        return []
    started = {name for call in calls if call.method in _STARTERS for name in _ids(call.request)}
    found: dict[str, Start] = {}
    for call in calls:
        for listed in (call.answer or {}).get("executions", []):
            name = listed["execution"]["workflowId"]
            found[name] = Start(name, listed["type"]["name"], listed["taskQueue"])
        for name in _addressed(call):
            found.setdefault(name, Start(name))
    return [found[name] for name in sorted(found.keys() - started)]


def _addressed(call: Call) -> Iterator[str]:
    """Workflows that the call has met: its answer would be another one if they were not there."""
    if call.method in _STARTERS or (call.error or {}).get("message", "").startswith(_UNKNOWN):
        return
    if call.answer is None and (call.error or {})["code"] != "FailedPrecondition":
        return
    for key in ("workflowExecution", "execution"):
        if key in call.request:
            yield call.request[key]["workflowId"]


def _ids(value: Any) -> Iterator[str]:
    """Every workflow id in a request to start."""
    items: list[Any] = list(value.values()) if isinstance(value, dict) else []
    if isinstance(value, dict) and isinstance(value.get("workflowId"), str):
        yield value["workflowId"]
    for each in items:
        for inner in each if isinstance(each, list) else [each]:
            yield from _ids(inner)
