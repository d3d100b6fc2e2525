"""What happens to a schedule, turn by turn, without a region."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload, Payloads, SearchAttributes, WorkflowExecution
from temporalio.api.enums.v1 import ScheduleOverlapPolicy, WorkflowExecutionStatus
from temporalio.api.failure.v1 import Failure
from temporalio.api.schedule.v1 import BackfillRequest, IntervalSpec, Schedule, SchedulePatch
from temporalio.api.workflowservice.v1 import CreateScheduleRequest

from mockcloud.core import times
from mockcloud.core.schedule import machine, starting, views
from mockcloud.core.schedule.machine import Ended
from mockcloud.core.schedule.state import ALLOW_ALL, BUFFER_ALL, SKIP, ScheduleState

NAMESPACE = "namespace-id"
NOON = 1_767_614_400 * times.SECOND  # 2026-01-05T12:00:00Z
RUN_ID = "01a21e5b-cf1a-7d37-b7d6-516e7a1f1703"
COMPLETED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED
FAILED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED
TIMED_OUT = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TIMED_OUT


def schedule(seconds: int = 60, **policies: Any) -> Schedule:
    made = Schedule()
    made.spec.interval.append(IntervalSpec(interval=times.duration(seconds * times.SECOND)))
    made.action.start_workflow.workflow_id = "w"
    for name, value in policies.items():
        field = getattr(made.policies, name)
        if hasattr(field, "CopyFrom"):
            field.CopyFrom(value)
        else:
            setattr(made.policies, name, value)
    return made


def created(wanted: Schedule | None = None, now: int = NOON) -> ScheduleState:
    request = CreateScheduleRequest(schedule_id="s", request_id="create", schedule=wanted or schedule())
    return machine.create(request, run_id=RUN_ID, now=now, before=None)


def advance(state: ScheduleState, now: int) -> None:
    while not machine.advance(state, NAMESPACE, now):
        pass


def act(state: ScheduleState, now: int) -> list[str]:
    """Decide, and have everything started; what was."""
    machine.decide(state)
    pending = list(state.record.pending_starts)
    for each in pending:
        machine.started(state, each, f"run of {each.workflow_id}", now)
    return [each.workflow_id for each in pending]


def turn(state: ScheduleState, now: int) -> list[str]:
    advance(state, now)
    machine.backfill(state, NAMESPACE)
    return act(state, now)


def buffered(state: ScheduleState) -> list[int]:
    """Nominal times in the buffer, in minutes from noon."""
    return [(start.nominal_time - NOON) // times.MINUTE for start in state.record.buffered_starts]


def end(state: ScheduleState, ended: Ended) -> None:
    machine.observe(state, state.info.running_workflows[0], ended)


def test_what_was_not_said_is_filled_in() -> None:
    state = created(Schedule())
    assert state.schedule.policies.overlap_policy == SKIP
    assert state.schedule.policies.catchup_window.seconds == 365 * 86_400
    assert created(schedule(catchup_window=times.duration(1))).catchup_window == 10 * times.SECOND


def test_times_that_pass_become_starts() -> None:
    state = created()
    advance(state, NOON + 3 * times.MINUTE)
    assert buffered(state) == [1, 2, 3]
    advance(state, NOON + 3 * times.MINUTE)
    assert buffered(state) == [1, 2, 3]
    machine.settle(state, NAMESPACE, NOON + 3 * times.MINUTE)
    assert state.record.due == NOON + 4 * times.MINUTE


def test_a_clock_that_goes_backwards_repeats_nothing() -> None:
    state = created()
    advance(state, NOON + 3 * times.MINUTE)
    advance(state, NOON)
    advance(state, NOON + 4 * times.MINUTE)
    assert buffered(state) == [1, 2, 3, 4]


def test_times_beyond_the_catchup_window_are_missed_once() -> None:
    state = created(schedule(catchup_window=times.duration(2 * times.MINUTE)))
    for _ in range(2):
        advance(state, NOON + 5 * times.MINUTE)
        assert buffered(state) == [3, 4, 5]
        assert state.info.missed_catchup_window == 2


def test_a_paused_schedule_misses_nothing() -> None:
    state = created()
    machine.patch(state, SchedulePatch(pause="p"), NOON)
    advance(state, NOON + 5 * times.MINUTE)
    machine.patch(state, SchedulePatch(unpause="u"), NOON + 5 * times.MINUTE)
    advance(state, NOON + 6 * times.MINUTE)
    assert buffered(state) == [6]
    assert state.info.missed_catchup_window == 0
    assert state.record.conflict_token == 3
    assert state.schedule.state.notes == "u"


def test_the_buffer_has_an_end() -> None:
    state = created(schedule(seconds=1))
    advance(state, NOON + 1_003 * times.SECOND)
    assert len(state.record.buffered_starts) == machine.MAXIMUM_BUFFER
    assert state.info.buffer_dropped == 3


def test_starts_have_the_slot_in_their_id() -> None:
    state = created()
    assert turn(state, NOON + times.MINUTE) == ["w-2026-01-05T12:01:00Z"]
    assert state.info.action_count == 1
    assert turn(state, NOON + 2 * times.MINUTE) == []
    assert state.info.overlap_skipped == 1


def test_a_slot_has_one_request_id_and_what_is_triggered_its_own() -> None:
    """In every region, and after a crash as before it."""

    def ids(state: ScheduleState, *, manual: bool) -> list[str]:
        patch = SchedulePatch()
        patch.trigger_immediately.scheduled_time.CopyFrom(times.timestamp(NOON))
        patch.trigger_immediately.overlap_policy = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL
        if manual:
            machine.patch(state, patch, NOON)
            machine.patch(state, patch, NOON)
        else:
            advance(state, NOON + times.MINUTE)
        machine.decide(state)
        return [pending.request_id for pending in state.record.pending_starts]

    assert ids(created(), manual=False) == ids(created(), manual=False)
    first, second = ids(created(), manual=True)
    assert first != second
    assert [first, second] == ids(created(), manual=True)


def test_pending_starts_count_as_running() -> None:
    """One that could not be sent yet is not overtaken."""
    state = created(schedule(overlap_policy=BUFFER_ALL))
    advance(state, NOON + times.MINUTE)
    machine.decide(state)
    advance(state, NOON + 2 * times.MINUTE)
    machine.decide(state)
    assert len(state.record.pending_starts) == 1
    assert buffered(state) == [2]
    machine.settle(state, NAMESPACE, NOON + 2 * times.MINUTE)
    assert state.record.due == NOON + 2 * times.MINUTE + times.SECOND


def test_a_pending_start_that_is_too_late_is_missed() -> None:
    state = created(schedule(catchup_window=times.duration(times.MINUTE)))
    advance(state, NOON + times.MINUTE)
    machine.decide(state)
    (pending,) = state.record.pending_starts
    assert not machine.expired(state, pending, NOON + 2 * times.MINUTE)
    assert machine.expired(state, pending, NOON + 2 * times.MINUTE + 1)
    assert state.info.missed_catchup_window == 1


def test_limited_actions() -> None:
    wanted = schedule(overlap_policy=ALLOW_ALL)
    wanted.state.limited_actions = True
    wanted.state.remaining_actions = 2
    state = created(wanted)
    advance(state, NOON + 3 * times.MINUTE)
    assert machine.decide(state).again
    assert [pending.workflow_id[-9:] for pending in state.record.pending_starts] == ["12:01:00Z", "12:02:00Z"]
    assert state.schedule.state.remaining_actions == 0
    assert state.record.conflict_token == 3
    machine.patch(state, trigger(), NOON)
    del state.record.pending_starts[:]
    assert len(act(state, NOON)) == 1


def trigger() -> SchedulePatch:
    patch = SchedulePatch()
    patch.trigger_immediately.SetInParent()
    return patch


def test_a_trigger_is_of_now_or_of_the_time_it_names() -> None:
    state = created()
    machine.patch(state, trigger(), NOON + 5)
    assert [start.nominal_time for start in state.record.buffered_starts] == [NOON + 5]
    assert act(state, NOON) == ["w-2026-01-05T12:00:00Z"]


def backfill(first: int, last: int, policy: int = SKIP) -> SchedulePatch:
    """Of minutes from noon."""
    request = BackfillRequest(
        start_time=times.timestamp(NOON + first * times.MINUTE),
        end_time=times.timestamp(NOON + last * times.MINUTE),
        overlap_policy=policy,  # type: ignore[arg-type]
    )
    return SchedulePatch(backfill_request=[request])


def test_backfills_take_both_ends_ten_at_a_time() -> None:
    state = created(now=NOON + times.HOUR)
    machine.patch(state, backfill(0, 14, ALLOW_ALL), NOON)
    machine.backfill(state, NAMESPACE)
    assert buffered(state) == list(range(10))
    machine.settle(state, NAMESPACE, NOON)
    assert state.record.due == NOON + times.SECOND
    machine.backfill(state, NAMESPACE)
    assert buffered(state) == list(range(15))
    assert not state.record.ongoing_backfills


def test_a_backfill_of_nothing_is_over_at_once() -> None:
    state = created()
    wanted = SchedulePatch(backfill_request=[BackfillRequest(), BackfillRequest()])
    wanted.backfill_request[1].start_time.CopyFrom(times.timestamp(NOON))
    machine.patch(state, wanted, NOON)
    machine.backfill(state, NAMESPACE)
    assert not buffered(state)
    assert not state.record.ongoing_backfills


def test_half_of_the_buffer_is_for_backfills() -> None:
    state = created()
    machine.patch(state, backfill(0, 2_000, BUFFER_ALL), NOON)
    for _ in range(60):
        machine.backfill(state, NAMESPACE)
    assert len(state.record.buffered_starts) == machine.MAXIMUM_BUFFER // 2


def test_the_end_of_a_workflow_is_remembered() -> None:
    state = created(schedule(overlap_policy=BUFFER_ALL))
    turn(state, NOON + 3 * times.MINUTE)
    result = Payloads(payloads=[Payload(data=b"1")])
    end(state, Ended(COMPLETED, result=result))
    assert not state.info.running_workflows
    assert state.info.recent_actions[0].start_workflow_status == COMPLETED

    machine.decide(state)
    (pending,) = state.record.pending_starts
    request = starting.request(state, pending, "default")
    assert request.last_completion_result == result
    assert not request.HasField("continued_failure")
    machine.started(state, pending, "r", NOON)
    failure = Failure(message="no")
    end(state, Ended(FAILED, failure=failure))

    machine.decide(state)
    (pending,) = state.record.pending_starts
    request = starting.request(state, pending, "default")
    assert (request.last_completion_result, request.continued_failure) == (result, failure)


def test_overlapping_starts_remember_nothing() -> None:
    state = created()
    turn(state, NOON + times.MINUTE)
    end(state, Ended(COMPLETED, result=Payloads(payloads=[Payload(data=b"1")])))
    machine.patch(state, backfill(0, 0, ALLOW_ALL), NOON)
    machine.backfill(state, NAMESPACE)
    machine.decide(state)
    (pending,) = state.record.pending_starts
    assert not pending.tracked
    assert not starting.request(state, pending, "default").HasField("last_completion_result")


def test_pause_on_failure() -> None:
    for ended, note in (
        (Ended(FAILED, failure=Failure(message="no")), "paused due to workflow failure: {}: no"),
        (Ended(FAILED), "paused due to workflow failure: {}: "),
        (Ended(TIMED_OUT), "paused due to workflow timeout: {}"),
    ):
        state = created(schedule(pause_on_failure=True))
        (workflow_id,) = turn(state, NOON + times.MINUTE)
        end(state, ended)
        assert state.paused
        assert state.schedule.state.notes == note.format(workflow_id)
        assert state.record.conflict_token == 2


def test_terminated_and_cancelled_ones_pause_nothing() -> None:
    for status in (
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED,
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CANCELED,
        COMPLETED,
    ):
        state = created(schedule(pause_on_failure=True))
        turn(state, NOON + times.MINUTE)
        end(state, Ended(status))
        assert not state.paused


def test_only_the_last_ten_actions_are_kept() -> None:
    state = created(schedule(overlap_policy=ALLOW_ALL))
    turn(state, NOON + 12 * times.MINUTE)
    assert state.info.action_count == 12
    assert [action.start_workflow_result.workflow_id[-9:-4] for action in state.info.recent_actions] == [
        f"12:{minute:02}" for minute in range(3, 13)
    ]
    listed = views.listed(state, NAMESPACE)
    assert len(listed.info.recent_actions) == 5
    assert len(listed.info.future_action_times) == 5


def test_an_update_counts_from_now_on() -> None:
    state = created()
    attributes = SearchAttributes(indexed_fields={"k": Payload(data=b"1")})
    machine.update(state, schedule(seconds=10), 1, attributes, NOON + 25 * times.SECOND)
    advance(state, NOON + 40 * times.SECOND)
    assert [(start.nominal_time - NOON) // times.SECOND for start in state.record.buffered_starts] == [30, 40]
    assert views.describe(state, NAMESPACE, []).search_attributes == attributes
    assert state.record.conflict_token == 2

    machine.update(state, schedule(), 1, None, NOON + 50 * times.SECOND)  # a token of before
    assert state.schedule.spec.interval[0].interval.seconds == 10
    machine.update(state, schedule(), 0, None, NOON + 50 * times.SECOND)  # no token
    assert state.schedule.spec.interval[0].interval.seconds == 60
    assert views.describe(state, NAMESPACE, []).search_attributes == attributes
    machine.update(state, schedule(), 0, SearchAttributes(), NOON + 50 * times.SECOND)
    assert not views.describe(state, NAMESPACE, []).HasField("search_attributes")


def test_request_ids_are_remembered_and_forgotten() -> None:
    state = created()
    assert not machine.seen_before(state, "")
    assert not machine.seen_before(state, "a")
    assert machine.seen_before(state, "a")
    for number in range(200):
        machine.seen_before(state, f"{number}")
    assert not machine.seen_before(state, "a")


def test_a_schedule_ends_a_week_after_it_has_nothing_to_do() -> None:
    wanted = schedule()
    wanted.spec.end_time.CopyFrom(times.timestamp(NOON + 90 * times.SECOND))
    state = created(wanted)
    turn(state, NOON + 2 * times.MINUTE)
    machine.settle(state, NAMESPACE, NOON + 2 * times.MINUTE)
    assert state.record.due == NOON + 2 * times.MINUTE + machine.IDLE_RETENTION
    machine.settle(state, NAMESPACE, state.record.due - 1)
    assert state.open
    machine.settle(state, NAMESPACE, state.record.due)
    assert not state.open
    assert state.record.due == 0


def test_a_paused_schedule_never_ends() -> None:
    state = created()
    machine.patch(state, SchedulePatch(pause="p"), NOON)
    machine.settle(state, NAMESPACE, NOON + 365 * times.DAY)
    assert state.open
    assert state.record.due == 0


def test_an_unknown_time_zone_stops_a_schedule_and_breaks_nothing() -> None:
    """The machine that compiles it may know less than the one that accepted it."""
    wanted = schedule()
    wanted.spec.timezone_name = "Atlantis/Capital"
    state = created(wanted)
    advance(state, NOON + times.HOUR)
    assert not state.record.buffered_starts
    assert not views.describe(state, NAMESPACE, []).info.future_action_times


def test_a_start_carries_what_the_action_says() -> None:
    wanted = schedule()
    action = wanted.action.start_workflow
    action.workflow_type.name, action.task_queue.name = "Order", "queue"
    action.memo.fields["m"].data = b"1"
    action.search_attributes.indexed_fields["k"].data = b"2"
    action.user_metadata.summary.data = b"3"
    state = created(wanted)
    advance(state, NOON + times.MINUTE)
    machine.decide(state)
    (pending,) = state.record.pending_starts
    request = starting.request(state, pending, "default")
    assert request.identity == "temporal-scheduler-default-s"
    assert request.workflow_type.name == "Order"
    assert request.memo.fields["m"].data == b"1"
    attributes = {name: value.data for name, value in request.search_attributes.indexed_fields.items()}
    assert attributes == {
        "k": b"2",
        "TemporalScheduledById": b'"s"',
        "TemporalScheduledStartTime": b'"2026-01-05T12:01:00Z"',
    }
    assert request.user_metadata.summary.data == b"3"


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("wait"), st.integers(1, 400)),
            st.tuples(st.just("end"), st.sampled_from([COMPLETED, FAILED])),
            st.tuples(st.just("policy"), st.integers(1, 6)),
        ),
        max_size=30,
    )
)
def test_every_slot_comes_to_one_end(steps: list[tuple[str, int]]) -> None:
    """Started, left out, or still waiting: none twice, none lost. And a dump is the whole state."""
    state, now = created(), NOON
    started: list[str] = []
    for kind, value in steps:
        if kind == "wait":
            now += value * times.SECOND
        elif kind == "end" and state.info.running_workflows:
            end(state, Ended(value))  # type: ignore[arg-type]
        elif kind == "policy":
            state.schedule.policies.overlap_policy = value  # type: ignore[assignment]
        started += turn(state, now)
        state = ScheduleState.load(state.dump())
        slots = (now - NOON) // times.MINUTE
        waiting = len(state.record.buffered_starts)
        replaced = slots - len(started) - state.info.overlap_skipped - waiting
        # A start that another one replaces before it has begun is counted nowhere, as in the real server.
        assert replaced >= 0
        assert replaced == 0 or any(step[0] == "policy" and step[1] in (4, 5) for step in steps)
        assert len(set(started)) == len(started)
        assert sorted(started) == started or ALLOW_ALL in [step[1] for step in steps]
    assert state.info.action_count == len(started)


def test_workflows_are_found_by_id_and_run() -> None:
    """Of two of the same id (triggered twice), the one that ended leaves."""
    state = created()
    other = WorkflowExecution(workflow_id="w", run_id="2")
    state.info.running_workflows.extend([WorkflowExecution(workflow_id="w", run_id="1"), other])
    machine.observe(state, WorkflowExecution(workflow_id="w", run_id="1"), Ended(COMPLETED))
    assert list(state.info.running_workflows) == [other]
