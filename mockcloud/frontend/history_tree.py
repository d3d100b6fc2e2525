"""Every run and branch of a workflow id as one region has them, and what became of the events of those that lost.

Read in one snapshot beside the engine; the rules by which fates are told are `core.fates`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple

from temporalio.api.history.v1 import History

from mockcloud.api.admin.v1 import region_admin_pb2 as admin
from mockcloud.api.state.v1.state_pb2 import RunRecord
from mockcloud.core import fates
from mockcloud.core.cluster import Clusters
from mockcloud.core.run import OPEN_STATUSES
from mockcloud.core.version_history import lowest_common_ancestor, values
from mockcloud.store import dead_letters, history, parked, runs

_PAGE: Final = 100


class Tree(NamedTuple):
    """One run: as it is told, and its record (an empty one where nothing of it is here yet)."""

    message: admin.RunTree
    record: RunRecord


def trees(connection: sqlite3.Connection, namespace_id: str, workflow_id: str) -> list[Tree]:
    """The runs of a workflow id, oldest first; those of which something waits and nothing is here come last."""
    current = runs.load_current(connection, namespace_id, workflow_id)
    waiting = _parked_reasons(connection, namespace_id, workflow_id)
    dead = dead_letters.reasons_of(connection, namespace_id, workflow_id)
    found = []
    for row in runs.runs_of(connection, namespace_id, workflow_id):
        record = RunRecord.FromString(row.record)
        message = admin.RunTree(
            run_id=row.run_id,
            status=row.status,
            current=current is not None and current.run_id == row.run_id,
            zombie=row.zombie,
            parked_reason=waiting.pop(row.run_id, ""),
            dead_letter_reason=dead.pop(row.run_id, ""),
            branches=_branches(connection, record),
            base_run_id=record.base_run_id,
            base_event_id=record.base_event_id,
            reset_run_id=record.reset_run_id,
        )
        found.append(Tree(message, record))
    for unknown in dict.fromkeys((*waiting, *dead)):
        message = admin.RunTree(
            run_id=unknown,
            parked_reason=waiting.get(unknown, ""),
            dead_letter_reason=dead.get(unknown, ""),
            branches=[admin.BranchView(current=True)],
        )
        found.append(Tree(message, RunRecord()))
    return found


def tell_fates(found: Sequence[Tree], clusters: Clusters, active: str) -> None:
    """Put into the branches that lost what became of their events, and mark the runs that lost."""
    if len(found) == 1 and len(found[0].message.branches) == 1:
        return  # nothing has forked, and nothing is read twice
    facts = [_facts(tree) for tree in found]
    told = fates.of_runs(facts, clusters=clusters, active=active)
    for tree, run in zip(found, facts, strict=True):
        tree.message.superseded = run.superseded
        for index, branch in enumerate(tree.message.branches):
            branch.fates.extend(
                admin.EventFate(
                    event_id=fate.event_id,
                    fate=fate.fate,
                    run_id=fate.run_id,
                    to_event_id=fate.to_event_id,
                    reason=fate.reason,
                )
                for fate in told.get((run.run_id, index), ())
            )


def _facts(tree: Tree) -> fates.RunFacts:
    message = tree.message
    return fates.RunFacts(
        run_id=message.run_id,
        current=message.current,
        open=message.status in OPEN_STATUSES,
        zombie=message.zombie,
        branches=[
            fates.BranchFacts(list(History.FromString(branch.events).events), branch.last_shared_event_id)
            for branch in message.branches
        ],
        reapplied=list(tree.record.reapplied),
        from_reset=bool(message.base_run_id),
    )


def _parked_reasons(connection: sqlite3.Connection, namespace_id: str, workflow_id: str) -> dict[str, str]:
    """Run id -> why the first of its waiting tasks waits."""
    reasons: dict[str, str] = {}
    after = 0
    while page := parked.list_parked(connection, namespace_id, after, _PAGE):
        for task in page:
            if task.workflow_id == workflow_id:
                reasons.setdefault(task.run_id, task.reason)
        after = page[-1].parked_id
    return reasons


def _branches(connection: sqlite3.Connection, record: RunRecord) -> list[admin.BranchView]:
    """The current branch first, then the others in the order of the record."""
    histories = record.version_histories
    current = values(histories.histories[histories.current_index].items)
    views = []
    for index, branch in enumerate(histories.histories):
        is_current = index == histories.current_index
        batches = history.read_branch(connection, branch.branch_id)
        shared = 0 if is_current else lowest_common_ancestor(current, values(branch.items)).event_id
        view = admin.BranchView(
            current=is_current,
            items=branch.items,
            events=b"".join(batch.data for batch in batches),
            last_shared_event_id=shared,
        )
        views.append(view)
    return sorted(views, key=lambda view: not view.current)
