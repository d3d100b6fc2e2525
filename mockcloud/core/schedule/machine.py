"""What happens to a schedule: time passes, it is patched or updated, its actions start and end.

One turn, under the schedule's lock:

    observe        what became of the workflows that run
    advance        the times up to now become buffered starts
    patch, update  what a caller wants
    backfill       some of the times of ongoing backfills become buffered starts
    decide         the buffer is sorted out: pending starts, and whether what runs is to end
                   -- commit --
    started, failed    what came of each pending start
                   -- commit, and another turn while there is more to do --

Nothing is started before the state that wants it is stored; the pending start stays in it until it is known what came
of it. Its request id follows from the slot, so a start that is sent again is the same start.

Real: service/worker/scheduler/workflow.go.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from temporalio.api.common.v1 import Payloads, SearchAttributes, WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.failure.v1 import Failure
from temporalio.api.schedule.v1 import (
    BackfillRequest,
    Schedule,
    ScheduleActionResult,
    ScheduleInfo,
    SchedulePatch,
)
from temporalio.api.workflowservice.v1 import CreateScheduleRequest

from mockcloud.api.state.v1.schedule_pb2 import BufferedStart, PendingStart, ScheduleRecord
from mockcloud.core import times
from mockcloud.core.schedule.buffer import sort_out
from mockcloud.core.schedule.state import ALLOW_ALL, LATEST, SKIP, ScheduleState

INITIAL_CONFLICT_TOKEN: Final = 1

# Constants of the real scheduler (CurrentTweakablePolicies).
MAXIMUM_BUFFER: Final = 1_000  # buffered starts, and backfills
RECENT_ACTIONS: Final = 10
BACKFILLED_PER_TURN: Final = 10
IDLE_RETENTION: Final = 7 * times.DAY  # how long a schedule stays that has nothing more to do

TIMES_AT_ONCE: Final = 100  # so many times are looked at without a turn of the event loop: some 5 ms
_PAUSE: Final = times.SECOND  # between two turns of a backfill whose actions do not wait; before a retry
_REQUEST_IDS: Final = 100  # by which a patch or update sent twice is known

_RUNNING = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
_FAILED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED
_TIMED_OUT = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TIMED_OUT


class Ended(NamedTuple):
    """What became of a started workflow. Unspecified: it is gone, deleted perhaps."""

    status: WorkflowExecutionStatus.ValueType
    result: Payloads | None = None
    failure: Failure | None = None


@dataclass(slots=True)
class Decision:
    """What a turn wants done once its state is stored."""

    cancel: list[WorkflowExecution] = field(default_factory=list)
    terminate: list[WorkflowExecution] = field(default_factory=list)
    again: bool = False  # something was dropped: the rest of the buffer may have its turn


def create(
    request: CreateScheduleRequest, *, run_id: str, now: int, before: ScheduleState | None
) -> ScheduleState:
    """A new schedule; its initial patch is applied by `patch`. `before`: a closed one of the same id."""
    record = ScheduleRecord(
        schedule_id=request.schedule_id,
        run_id=run_id,
        create_request_id=request.request_id,
        conflict_token=INITIAL_CONFLICT_TOKEN,
        last_processed_time=now,
        memo=request.memo.SerializeToString(),
        search_attributes=request.search_attributes.SerializeToString(),
    )
    if before is not None:
        record.version, record.stamp = before.record.version, before.record.stamp
        record.items.extend(before.record.items)
    made = ScheduleState(record, Schedule(), ScheduleInfo(create_time=times.timestamp(now)))
    made.schedule.CopyFrom(request.schedule)
    _fill_in(made)
    return made


def _fill_in(state: ScheduleState) -> None:
    """What a Describe shows although nobody said it. Real: ensureFields."""
    schedule = state.schedule
    for part in (schedule.spec, schedule.action, schedule.policies, schedule.state):
        part.SetInParent()
    policies = schedule.policies
    policies.overlap_policy = policies.overlap_policy or SKIP
    policies.catchup_window.CopyFrom(times.duration(state.catchup_window))


def advance(state: ScheduleState, namespace_id: str, now: int) -> bool:
    """Buffer the actions that have come due; False: there are more, call it again.

    A time counts once: one that is too far back is counted as missed. Real: processTimeRange.
    """
    record, info, spec = state.record, state.info, state.spec
    if spec is None:
        return True
    if not state.may_act:
        record.last_processed_time = max(
            now, record.last_processed_time
        )  # what it sleeps through is not missed
        return True
    window, updated = state.catchup_window, times.nanoseconds(info.update_time)
    for _ in range(TIMES_AT_ONCE):
        following = spec.next(record.last_processed_time, seed(state, namespace_id))
        if following is None or following.actual > now:
            return True
        record.last_processed_time = following.actual
        if following.actual < updated:
            continue  # of the spec as it is now, before it became so
        if now - following.actual > window:
            info.missed_catchup_window += 1
        else:
            _buffer(state, following.nominal, following.actual, 0, manual=False)
    return False


def seed(state: ScheduleState, namespace_id: str) -> str:
    """What tells this schedule's jitter from that of others."""
    return f"{namespace_id}-{state.schedule_id}"


def _buffer(state: ScheduleState, nominal: int, actual: int, policy: int, *, manual: bool) -> None:
    if len(state.record.buffered_starts) >= MAXIMUM_BUFFER:
        state.info.buffer_dropped += 1
        return
    state.record.buffered_starts.append(
        BufferedStart(nominal_time=nominal, actual_time=actual, overlap_policy=policy, manual=manual)
    )


def patch(state: ScheduleState, patch: SchedulePatch, now: int) -> None:
    """Trigger, backfill, pause or unpause. Real: processPatch."""
    record, schedule_state = state.record, state.schedule.state
    if patch.HasField("trigger_immediately"):
        trigger = patch.trigger_immediately
        moment = times.nanoseconds(trigger.scheduled_time) if trigger.HasField("scheduled_time") else now
        moment = min(max(moment, -LATEST), LATEST)
        _buffer(state, moment, moment, trigger.overlap_policy, manual=True)
    for request in patch.backfill_request:
        if len(record.ongoing_backfills) >= MAXIMUM_BUFFER:
            state.info.buffer_dropped += 1
            continue
        ongoing = BackfillRequest()
        ongoing.CopyFrom(request)
        # The start is included.
        start = max(times.nanoseconds(request.start_time) - times.MILLISECOND, _EARLIEST)
        ongoing.start_time.CopyFrom(times.timestamp(start))
        record.ongoing_backfills.append(ongoing.SerializeToString())
    for note, paused in ((patch.pause, True), (patch.unpause, False)):
        if note:
            schedule_state.paused = paused
            schedule_state.notes = note
            record.conflict_token += 1


_EARLIEST: Final = -62_135_596_800 * times.SECOND  # of a protobuf timestamp


def update(
    state: ScheduleState,
    schedule: Schedule,
    conflict_token: int,
    search_attributes: SearchAttributes | None,
    now: int,
) -> None:
    """Replace the schedule, unless another change came between; then nothing happens, and nobody is told.

    A `conflict_token` of 0 matches always. Search attributes are replaced as a whole, if given. Real: processUpdate.
    """
    record = state.record
    if conflict_token not in (0, record.conflict_token):
        return
    state.schedule.CopyFrom(schedule)
    _fill_in(state)
    if search_attributes is not None:
        record.search_attributes = search_attributes.SerializeToString()
    state.info.update_time.CopyFrom(times.timestamp(now))
    record.conflict_token += 1


def seen_before(state: ScheduleState, request_id: str) -> bool:
    """Whether a patch or update with this request id was applied; if not, it is noted as applied."""
    if not request_id:
        return False
    known = state.record.request_ids
    if request_id in known:
        return True
    known.append(request_id)
    del known[:-_REQUEST_IDS]
    return False


def backfill(state: ScheduleState, namespace_id: str) -> None:
    """Buffer some times of the ongoing backfills; half of the buffer is theirs. Real: processBackfills."""
    record, spec = state.record, state.spec
    left = BACKFILLED_PER_TURN
    while record.ongoing_backfills and left and len(record.buffered_starts) < MAXIMUM_BUFFER // 2:
        request = BackfillRequest.FromString(record.ongoing_backfills[0])
        after, end = times.nanoseconds(request.start_time), times.nanoseconds(request.end_time)
        following = None
        while left:
            following = spec.next(after, seed(state, namespace_id)) if spec else None
            if following is None or following.actual > end:
                del record.ongoing_backfills[0]
                break
            after = following.actual
            _buffer(state, following.nominal, after, request.overlap_policy, manual=True)
            left -= 1
        else:
            request.start_time.CopyFrom(times.timestamp(after))
            record.ongoing_backfills[0] = request.SerializeToString()


def observe(state: ScheduleState, workflow: WorkflowExecution, ended: Ended) -> None:
    """A started workflow is over: results for the next one, and perhaps a pause. Real: processWatcherResult."""
    info, record, schedule = state.info, state.record, state.schedule
    workflow_id = workflow.workflow_id
    for index, running in enumerate(info.running_workflows):
        if running == workflow:
            del info.running_workflows[index]
            break
    for action in info.recent_actions:
        if action.start_workflow_result.workflow_id == workflow_id:
            action.start_workflow_status = ended.status
            break
    if (
        ended.status in (_FAILED, _TIMED_OUT)
        and schedule.policies.pause_on_failure
        and not schedule.state.paused
    ):
        schedule.state.paused = True
        if ended.status == _FAILED:
            message = ended.failure.message if ended.failure is not None else ""
            schedule.state.notes = f"paused due to workflow failure: {workflow_id}: {message}"
        else:
            schedule.state.notes = f"paused due to workflow timeout: {workflow_id}"
        record.conflict_token += 1
    if ended.result is not None:
        record.last_completion_result = ended.result.SerializeToString()
        record.continued_failure = b""
    elif ended.failure is not None:  # the last result stays
        record.continued_failure = ended.failure.SerializeToString()


def decide(state: ScheduleState) -> Decision:
    """Sort out the buffer: what is to start becomes pending. Real: processBuffer."""
    record, info = state.record, state.info
    decision = Decision()
    if state.action is None or not record.buffered_starts:
        del record.buffered_starts[:]
        return decision
    running = bool(info.running_workflows) or any(pending.tracked for pending in record.pending_starts)
    result = sort_out(record.buffered_starts, running=running, overlap=state.overlap)
    waiting = list(result.waiting)
    starts = [(start, False) for start in result.overlapping]
    if result.single is not None:
        starts.append((result.single, True))
    for start, tracked in starts:
        if _take(state, manual=start.manual):
            record.pending_starts.append(_pending(state, start, tracked=tracked))
        else:
            decision.again = True
    del record.buffered_starts[:]
    record.buffered_starts.extend(waiting)
    info.overlap_skipped += result.skipped
    if result.terminate:
        decision.terminate = list(info.running_workflows)
    elif result.cancel:
        decision.cancel = list(info.running_workflows)
    return decision


def _take(state: ScheduleState, *, manual: bool) -> bool:
    """Whether an action may be taken; a scheduled one is counted if their number is limited."""
    if manual:
        return True
    if not state.may_act:
        return False
    if state.schedule.state.limited_actions:
        state.schedule.state.remaining_actions -= 1
        state.record.conflict_token += 1
    return True


def _pending(state: ScheduleState, start: BufferedStart, *, tracked: bool) -> PendingStart:
    action, record = state.action, state.record
    assert action is not None, "there is something to start"
    name = f"{start.nominal_time}"
    if start.manual:
        record.manual_starts += 1
        name += f"-manual-{record.manual_starts}"
    return PendingStart(
        start=start,
        request_id=_request_id(record.run_id, name),
        workflow_id=f"{action.workflow_id}-{slot(start.nominal_time)}",
        tracked=tracked,
    )


def _request_id(run_id: str, name: str) -> str:
    """The request id of a start: in the form of a UUID, and the same for the same slot of the same schedule."""
    import hashlib  # with OpenSSL, which takes a millisecond to load

    digest = hashlib.blake2b(f"{run_id}/{name}".encode(), digest_size=16).hexdigest()
    return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:]))


def slot(nominal: int) -> str:
    """A nominal time as it is in the ids of started workflows: RFC 3339, whole seconds."""
    return times.timestamp(nominal // times.SECOND * times.SECOND).ToJsonString()


def expired(state: ScheduleState, pending: PendingStart, now: int) -> bool:
    """Whether it is too late for a pending start, which then counts as missed."""
    if pending.start.manual or now - pending.start.actual_time <= state.catchup_window:
        return False
    state.info.missed_catchup_window += 1
    return True


def started(state: ScheduleState, pending: PendingStart, run_id: str, now: int) -> None:
    """A pending start has become a run. Real: recordAction."""
    info = state.info
    workflow = WorkflowExecution(workflow_id=pending.workflow_id, run_id=run_id)
    info.action_count += 1
    info.recent_actions.append(
        ScheduleActionResult(
            schedule_time=times.timestamp(pending.start.actual_time),
            actual_time=times.timestamp(now),
            start_workflow_result=workflow,
            start_workflow_status=_RUNNING,
        )
    )
    del info.recent_actions[:-RECENT_ACTIONS]
    if pending.tracked:
        info.running_workflows.append(workflow)
    _settle(state, pending)


def failed(state: ScheduleState, pending: PendingStart) -> None:
    """A pending start is given up: it can never be made."""
    _settle(state, pending)


def _settle(state: ScheduleState, pending: PendingStart) -> None:
    record = state.record
    left = [each for each in record.pending_starts if each.request_id != pending.request_id]
    del record.pending_starts[:]
    record.pending_starts.extend(left)


def settle(state: ScheduleState, namespace_id: str, now: int) -> None:
    """At the end of a turn: close the schedule if it is long over, and say when it is due next."""
    record = state.record
    record.due = 0
    if not state.open:
        return
    following = None
    if state.may_act and state.spec is not None:
        following = state.spec.next(record.last_processed_time, seed(state, namespace_id))
    if record.pending_starts or state.backfills_at_once:
        record.due = now + _PAUSE
    elif following is not None:
        record.due = following.actual
    elif not state.paused:
        record.due = state.last_event + IDLE_RETENTION
        if record.due <= now:
            close(state, now)


def close(state: ScheduleState, now: int) -> None:
    """The schedule is deleted, or over. What it started goes on."""
    state.record.close_time = now
    state.record.due = 0


def remembers_result(pending: PendingStart) -> bool:
    """Whether the start gets the last result and failure; those that may overlap do not take part in that."""
    return pending.start.overlap_policy != ALLOW_ALL
