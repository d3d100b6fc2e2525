"""A schedule as callers see it: described, and in lists.

Real: service/worker/scheduler/workflow.go (handleDescribeQuery, getListInfo, handleListMatchingTimesQuery) and
service/frontend/workflow_handler.go (describeScheduleWorkflow).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Memo, SearchAttributes, WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.schedule.v1 import Schedule, ScheduleListEntry, ScheduleListInfo
from temporalio.api.workflowservice.v1 import DescribeScheduleResponse

from mockcloud.core import times
from mockcloud.core.derived import VisibilityRow
from mockcloud.core.schedule import checks, machine
from mockcloud.core.schedule import spec as specs
from mockcloud.core.schedule.state import ScheduleState
from mockcloud.core.search_attribute_values import BOOL, KEYWORD, encode

DIVISION: Final = "TemporalScheduler"  # of the runs that lists have schedules as
MATCHING_TIMES: Final = 1_000  # as many are listed at once

_WORKFLOW_TYPE: Final = "temporal-sys-scheduler-workflow"
_RUNNING: Final = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
_TERMINATED: Final = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED

_FUTURE_ACTIONS: Final = 10
_ACTIONS_IN_LISTS: Final = 5
_SPECS_IN_LISTS: Final = 10  # of each kind


def describe(
    state: ScheduleState, namespace_id: str, running: Iterable[WorkflowExecution]
) -> DescribeScheduleResponse:
    """The whole of it. `running`: those of the running workflows that still run."""
    schedule = Schedule()
    schedule.CopyFrom(state.schedule)
    specs.clean(schedule.spec)
    described = DescribeScheduleResponse(
        schedule=schedule, info=state.info, conflict_token=dump_token(state.record.conflict_token)
    )
    described.info.future_action_times.extend(_future(state, namespace_id, _FUTURE_ACTIONS))
    described.info.buffer_size = len(state.record.buffered_starts)
    del described.info.running_workflows[:]
    described.info.running_workflows.extend(running)
    memo, attributes = _memo(state), _search_attributes(state)
    if memo is not None:
        described.memo.CopyFrom(memo)
    if attributes is not None:
        described.search_attributes.CopyFrom(attributes)
    return described


def listed(state: ScheduleState, namespace_id: str) -> ScheduleListEntry:
    """A line of a list: what is small of it."""
    schedule, info = state.schedule, state.info
    entry = ScheduleListEntry(
        schedule_id=state.schedule_id,
        memo=_memo(state),
        search_attributes=_search_attributes(state),
        info=ScheduleListInfo(
            spec=schedule.spec,
            notes=schedule.state.notes,
            paused=schedule.state.paused,
            recent_actions=info.recent_actions[-_ACTIONS_IN_LISTS:],
            future_action_times=_future(state, namespace_id, _ACTIONS_IN_LISTS),
        ),
    )
    if state.action is not None and state.action.HasField("workflow_type"):
        entry.info.workflow_type.CopyFrom(state.action.workflow_type)
    spec = entry.info.spec
    spec.ClearField("timezone_data")
    for values in (spec.exclude_structured_calendar, spec.interval, spec.structured_calendar):
        del values[_SPECS_IN_LISTS:]
    specs.clean(spec)
    return entry


def visibility_row(state: ScheduleState) -> VisibilityRow:
    """The schedule as the workflow that it is in lists of runs."""
    record, created = state.record, times.nanoseconds(state.info.create_time)
    attributes = SearchAttributes.FromString(record.search_attributes)
    attributes.indexed_fields["TemporalSchedulePaused"].CopyFrom(encode(state.paused, BOOL))
    attributes.indexed_fields["TemporalNamespaceDivision"].CopyFrom(encode(DIVISION, KEYWORD))
    return VisibilityRow(
        workflow_type=_WORKFLOW_TYPE,
        task_queue=checks.INTERNAL_TASK_QUEUE,
        status=_RUNNING if state.open else _TERMINATED,
        start_time=created,
        execution_time=created,
        close_time=record.close_time,
        history_length=0,
        history_size=0,
        state_transitions=0,
        memo=record.memo,
        search_attributes=attributes.SerializeToString(deterministic=True),
        parent_workflow_id="",
        parent_run_id="",
        root_workflow_id=state.workflow_id,
        root_run_id=record.run_id,
    )


def matching_times(state: ScheduleState, namespace_id: str, start: int, end: int) -> list[Timestamp]:
    """When the schedule acts after `start` and up to `end`; the first thousand times.

    Raises:
        SpecError: its spec is none.
    """
    spec = specs.Spec(state.schedule.spec)
    found: list[Timestamp] = []
    seed = machine.seed(state, namespace_id)
    for _ in range(MATCHING_TIMES):
        following = spec.next(start, seed)
        if following is None or following.actual > end:
            break
        start = following.actual
        found.append(times.timestamp(start))
    return found


def dump_token(conflict_token: int) -> bytes:
    """A conflict token as clients get it."""
    return conflict_token.to_bytes(8, "big")


def load_token(raw: bytes) -> int:
    """What a client's conflict token says; 0, which matches always, for one that is too short."""
    return int.from_bytes(raw[:8], "big", signed=True) if len(raw) >= 8 else 0


def _future(state: ScheduleState, namespace_id: str, count: int) -> list[Timestamp]:
    """When it will act, as far as it knows: pauses and buffers are left out of account."""
    limits, spec = state.schedule.state, state.spec
    if limits.limited_actions:
        count = min(limits.remaining_actions, count)
    if spec is None:
        return []
    found: list[Timestamp] = []
    after = state.record.last_processed_time
    updated = times.nanoseconds(state.info.update_time)
    seed = machine.seed(state, namespace_id)
    while len(found) < count:
        following = spec.next(after, seed)
        if following is None:
            break
        after = following.actual
        if after >= updated:
            found.append(times.timestamp(after))
    return found


def _memo(state: ScheduleState) -> Memo | None:
    memo = Memo.FromString(state.record.memo)
    memo.fields.pop("ScheduleInfo", None)  # where the real server keeps what lists show
    return memo if memo.fields else None


def _search_attributes(state: ScheduleState) -> SearchAttributes | None:
    """Those that callers set."""
    attributes = SearchAttributes.FromString(state.record.search_attributes)
    for name in _OF_THE_SERVER:
        attributes.indexed_fields.pop(name, None)
    return attributes if attributes.indexed_fields else None


_OF_THE_SERVER: Final = (
    "TemporalSchedulePaused",
    "TemporalScheduleInfoJSON",
    "BinaryChecksums",
    "BuildIds",
    "TemporalNamespaceDivision",
)
