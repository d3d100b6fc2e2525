"""What `mockcloud history` prints: runs and branches side by side, where they fork, and what became of what lost."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.json_format import MessageToDict
from rich.console import Console
from rich.table import Table
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.history.v1 import History, HistoryEvent

from mockcloud.api.admin.v1.cloud_admin_pb2 import HistoryResponse
from mockcloud.api.admin.v1.region_admin_pb2 import BranchView, EventFate, RunTree
from mockcloud.cli.reasons import Reasons
from mockcloud.core.event_kinds import name_of


def values(answer: HistoryResponse) -> dict[str, Any]:
    """Runs, branches, events and fates per region, as JSON."""
    return {
        tree.region: [
            {
                "run_id": run.run_id,
                "status": _status(run),
                "current": run.current,
                "zombie": run.zombie,
                "superseded": run.superseded,
                "base_run_id": run.base_run_id,
                "base_event_id": run.base_event_id,
                "reset_run_id": run.reset_run_id,
                "parked": run.parked_reason,
                "dead_letter": run.dead_letter_reason,
                "branches": [_branch_values(branch) for branch in run.branches],
            }
            for run in tree.runs
        ]
        for tree in answer.regions
    }


def _branch_values(branch: BranchView) -> dict[str, Any]:
    fork = _fork(branch)
    return {
        "current": branch.current,
        "items": [[item.event_id, item.version] for item in branch.items],
        "forks_after": list(fork) if fork else None,
        "fates": [
            {
                "event_id": fate.event_id,
                "fate": fate.fate,
                "reason": fate.reason,
                "run_id": fate.run_id,
                "to_event_id": fate.to_event_id,
            }
            for fate in branch.fates
        ],
        "events": MessageToDict(History.FromString(branch.events)).get("events", []),
    }


def show(answer: HistoryResponse, console: Console) -> None:
    """Each run with a column for each branch in each region, and below it what became of the losing ones.

    Why events were lost comes last, each reason once.
    """
    reasons = Reasons()
    for tree in answer.regions:
        for run in tree.runs:
            # Not the table's title: that would be broken to the table's width.
            console.print(
                f"{tree.region}: run {run.run_id} ({', '.join(_marks(run))})", soft_wrap=True, highlight=False
            )
            if not run.status:
                continue
            console.print(_table(run))
            for line in _notes(run, reasons):
                console.print(f"  {line}", soft_wrap=True, highlight=False)
    for line in reasons.lines():
        console.print(line, soft_wrap=True, highlight=False)


def _marks(run: RunTree) -> Iterator[str]:
    """What is to be said of the run as a whole."""
    if run.status:  # else nothing of it is here yet
        yield _status(run)
    if run.current:
        yield "current"
    if run.zombie:
        yield "zombie"
    if run.superseded:
        yield "superseded by another run"
    if run.base_run_id:
        yield f"reset of run {run.base_run_id} after event {run.base_event_id}"
    if run.reset_run_id:
        yield f"reset to run {run.reset_run_id}"
    if run.parked_reason:
        yield f"parked: {run.parked_reason}"
    if run.dead_letter_reason:
        yield f"in the dead letters: {run.dead_letter_reason}"


def _table(run: RunTree) -> Table:
    table = Table()
    table.add_column("id", justify="right")
    columns: list[list[str]] = []
    for branch in run.branches:
        items = " ".join(f"{item.event_id}@v{item.version}" for item in branch.items)
        fates = {fate.event_id: fate for fate in branch.fates}
        table.add_column(f"{'current' if branch.current else 'lost'} {items}")
        columns.append(
            [
                _event(event) + _mark(fates.get(event.event_id), run.run_id)
                for event in History.FromString(branch.events).events
            ]
        )
    for number, cells in enumerate(itertools.zip_longest(*columns, fillvalue=""), 1):
        table.add_row(str(number), *cells)
    return table


def _mark(fate: EventFate | None, run_id: str) -> str:
    """Beside an event that lost: where it went."""
    if fate is None:
        return ""
    if fate.fate != "reapplied":
        return f" ({fate.fate})"
    to = f"event {fate.to_event_id}" if fate.to_event_id else "the buffer"
    return f" → {to}" if fate.run_id == run_id else f" → {to} of run {fate.run_id}"


def _notes(run: RunTree, reasons: Reasons) -> Iterator[str]:
    for branch in run.branches:
        fork = _fork(branch)
        if fork:
            items = " ".join(f"{item.event_id}@v{item.version}" for item in branch.items)
            yield f"the branch {items} forks after event {fork[0]}@v{fork[1]}:"
        elif branch.fates:
            yield "of the superseded run:"
        by_reason: dict[tuple[str, str], list[int]] = {}
        for fate in branch.fates:
            to = "" if fate.run_id in {"", run.run_id} else f" to run {fate.run_id}"
            why = reasons.mark(fate.reason) if fate.reason else to
            by_reason.setdefault((fate.fate, why), []).append(fate.event_id)
        for (fate_name, why), event_ids in by_reason.items():
            yield f"  {fate_name} {ranges(event_ids)}{why}"


def ranges(event_ids: Iterable[int]) -> str:
    """Rising event ids in a few characters: "5, 7-9"."""
    parts: list[list[int]] = []
    for event_id in event_ids:
        if parts and parts[-1][-1] == event_id - 1:
            parts[-1][1:] = [event_id]
        else:
            parts.append([event_id])
    return ", ".join("-".join(map(str, part)) for part in parts)


def _fork(branch: BranchView) -> tuple[int, int] | None:
    """(event id, version) of the last event that the branch shares with the current one."""
    for item in branch.items:
        if 0 < branch.last_shared_event_id <= item.event_id:
            return branch.last_shared_event_id, item.version
    return None


def _event(event: HistoryEvent) -> str:
    name = name_of(event.event_type).replace("_", " ").lower()
    if event.HasField("workflow_execution_signaled_event_attributes"):
        name += f" ({event.workflow_execution_signaled_event_attributes.signal_name})"
    return f"v{event.version} {name}"


def _status(run: RunTree) -> str:
    name = WorkflowExecutionStatus.Name(WorkflowExecutionStatus.ValueType(run.status))
    return name.removeprefix("WORKFLOW_EXECUTION_STATUS_").lower()
