"""What `mockcloud report` prints: what a forced failover left unreplicated, at the switch and as it stands now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from mockcloud.api.admin.v1.cloud_admin_pb2 import EventsOutcome, FailoverReport, RunReport, Unreplicated
from mockcloud.cli import text
from mockcloud.cli.client import plain
from mockcloud.cli.history import ranges
from mockcloud.cli.reasons import Reasons
from mockcloud.core.event_kinds import kind_of, name_of

_SINGULAR = {"activities": "activity", "children": "child"}
_MOST_NAMES = 10  # of signals and the like in one line; the JSON has them all
_OUTCOMES = ("recovered", "reapplied", "lost", "waiting")


def summary_line(left: Unreplicated) -> str:
    """What was left at the switch, in one line."""
    if left.problem:
        return f"unreplicated: not known: {left.problem}"
    others = ""
    if left.other_changes:
        kinds = _counted(Counter(dict(sorted(left.other_kinds.items()))))
        others = f"{_count('changes', left.other_changes)} without events ({kinds})"
    if not left.events:
        return f"unreplicated: {others or 'nothing'}"
    kinds = _counted(Counter({entry.kind: entry.count for entry in left.kinds}))
    also = f", and {others}" if others else ""
    events, workflows = _count("events", left.events), _count("workflows", left.workflows)
    return f"unreplicated: {events} of {workflows} ({kinds}){also}"


def values(report: FailoverReport) -> dict[str, Any]:
    """The report as JSON: each event with its outcome."""
    return {
        "operation": plain(report.operation),
        "not_returned": report.not_returned,
        "runs": [
            {
                "workflow_id": run.workflow_id,
                "run_id": run.run_id,
                "at_switch": dict(_left(run, after_switch=False)),
                "after_switch": dict(_left(run, after_switch=True)),
                "events": sorted(
                    (event for told in run.outcomes for event in _events(told)),
                    key=lambda event: int(event["event_id"]),
                ),
            }
            for run in report.runs
        ],
    }


def show(report: FailoverReport, console: Console) -> None:
    """A line for each run, and below the table what was reapplied, what was lost, and why: each reason once."""
    operation, left = report.operation, report.operation.unreplicated
    console.print(text.operation_line(operation), soft_wrap=True, highlight=False)
    if not operation.HasField("unreplicated"):
        console.print("nothing was left behind" if operation.mode != "forced" else "it is not known yet")
        return
    console.print(summary_line(left), soft_wrap=True, highlight=False)
    if left.from_file:
        console.print(f"region {operation.source} was down: read from its database file", highlight=False)
    console.print(_standing(report), soft_wrap=True, highlight=False)
    if not report.runs:
        return
    table = Table("workflow", "run", "left at the switch", "written after it", *_OUTCOMES)
    for run in report.runs:
        counts: Counter[str] = Counter()
        for told in run.outcomes:
            counts[told.outcome] += len(told.event_ids)
        table.add_row(
            run.workflow_id,
            run.run_id,
            *(_counted(_left(run, after_switch=after)) for after in (False, True)),
            *(str(counts[outcome] or "") for outcome in _OUTCOMES),
        )
    console.print(table)
    reasons = Reasons()
    for run in report.runs:
        lines = list(_notes(run, reasons))
        if lines:
            console.print(f"{run.workflow_id}, run {run.run_id}:", soft_wrap=True, highlight=False)
        for line in lines:
            console.print(f"  {line}", soft_wrap=True, highlight=False)
    for line in reasons.lines():
        console.print(line, soft_wrap=True, highlight=False)


def _standing(report: FailoverReport) -> str:
    """Whether what is told of the events is the last word."""
    source = report.operation.source
    if report.operation.unreplicated.settled_time:
        return "settled: both regions have agreed since"
    if report.not_returned:
        return f"not settled: region {source} has not returned; what only it has is lost, unless it does"
    return f"not settled: region {source} has not delivered all that it wrote"


def _left(run: RunReport, *, after_switch: bool) -> Counter[str]:
    return Counter(
        kind_of(event_type)
        for left in run.left
        if left.after_switch == after_switch
        for event_type in left.types
    )


def _counted(kinds: Counter[str]) -> str:
    return ", ".join(_count(kind, count) for kind, count in kinds.items())


def _count(things: str, count: int) -> str:
    """So many of what is named in the plural."""
    return f"{count} {_SINGULAR.get(things, things.removesuffix('s')) if count == 1 else things}"


def _notes(run: RunReport, reasons: Reasons) -> Iterator[str]:
    for told in run.outcomes:
        if told.outcome == "recovered" and not told.reason:
            continue  # the event is where it was
        kinds = _counted(Counter(kind_of(event_type) for event_type in told.types))
        when = ", written after the switch" if told.after_switch else ""
        names = _named(told)
        what = f"{told.outcome}: event {ranges(told.event_ids)} ({kinds}{names}{when})"
        if told.outcome == "reapplied":
            placed = [number for number in told.to_event_ids if number]
            as_events = f"as event {ranges(placed)}" if placed else "when the workflow task has ended"
            elsewhere = "" if told.run_id == run.run_id else f" of run {told.run_id}"
            yield f"{what} {as_events}{elsewhere}"
        else:
            yield f"{what}{reasons.mark(told.reason)}"


def _named(told: EventsOutcome) -> str:
    """What clients named with their requests, as often as they did, where there is something to name."""
    counts = Counter(filter(None, told.names))
    names = [name if count == 1 else f"{name} {count}x" for name, count in counts.items()]
    shown = names[:_MOST_NAMES] + (["…"] if len(names) > _MOST_NAMES else [])
    return f": {', '.join(shown)}" if shown else ""


def _events(told: EventsOutcome) -> Iterator[dict[str, Any]]:
    targets = list(told.to_event_ids) or [0] * len(told.event_ids)
    for event_id, event_type, name, target in zip(
        told.event_ids, told.types, told.names, targets, strict=True
    ):
        yield {
            "event_id": event_id,
            "type": name_of(event_type),
            "kind": kind_of(event_type),
            "name": name,
            "after_switch": told.after_switch,
            "outcome": told.outcome,
            "reason": told.reason,
            "run_id": told.run_id,
            "to_event_id": target,
        }
