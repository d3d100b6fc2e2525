"""Calls about schedules: changes, reads, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.enums.v1 import ScheduleOverlapPolicy as Overlap
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.schedule.v1 import (
    BackfillRequest,
    IntervalSpec,
    SchedulePatch,
    TriggerImmediatelyRequest,
)
from temporalio.api.workflowservice.v1 import (
    CountSchedulesRequest,
    CountSchedulesResponse,
    CreateScheduleRequest,
    CreateScheduleResponse,
    ListScheduleMatchingTimesRequest,
    ListSchedulesRequest,
    ListSchedulesResponse,
    PatchScheduleRequest,
    UpdateScheduleRequest,
)
from temporalio.client import (
    Client,
    ScheduleCalendarSpec,
    ScheduleRange,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
    WorkflowExecutionStatus,
)
from temporalio.client import ScheduleOverlapPolicy as OverlapPolicy
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from mockcloud.core.schedule.checks import NOTES_BYTES
from tests.frontend.schedules import (
    EACH_SECOND,
    NOON,
    QUEUE,
    Held,
    acted,
    action,
    backfill,
    describe,
    ended,
    schedule,
    schedule_worker,
    slot,
    until,
)
from tests.support import Site, grpc_address, refusal


@pytest.fixture
async def client(site: Site) -> AsyncIterator[Client]:
    async with grpc_address(site) as address:
        yield await Client.connect(address)


@pytest.fixture
async def worker(client: Client) -> AsyncIterator[Worker]:
    async with schedule_worker(client) as worker:
        yield worker


# Changes by callers


async def test_pause_and_unpause(client: Client) -> None:
    handle = await client.create_schedule("s", schedule())

    await handle.pause(note="lunch")
    paused = await handle.describe()
    await handle.unpause(note="back")
    unpaused = await handle.describe()

    assert (paused.schedule.state.paused, paused.schedule.state.note) == (True, "lunch")
    assert (unpaused.schedule.state.paused, unpaused.schedule.state.note) == (False, "back")


async def test_a_paused_schedule_does_nothing_and_makes_up_for_nothing(client: Client) -> None:
    handle = await client.create_schedule(
        "s", schedule(spec=EACH_SECOND, state=ScheduleState(paused=True, note="not yet"))
    )
    watch = await client.create_schedule(
        "watch", schedule(action(id="other"), EACH_SECOND, overlap=OverlapPolicy.ALLOW_ALL)
    )
    await until(watch, acted(2))
    await handle.unpause()

    info = (await handle.describe()).raw_description.info
    assert (info.action_count, info.missed_catchup_window) == (0, 0)
    await until(handle, acted(1))


async def test_update(client: Client, worker: Worker) -> None:
    handle = await client.create_schedule("s", schedule())

    async def change(given: ScheduleUpdateInput) -> ScheduleUpdate:
        given.description.schedule.action = action("Counted", 0)
        given.description.schedule.spec = EACH_SECOND
        return ScheduleUpdate(given.description.schedule)

    await handle.update(change)

    description = await until(handle, acted(1))
    assert description.raw_description.info.HasField("update_time")
    assert description.raw_description.conflict_token == (2).to_bytes(8, "big")
    first = description.raw_description.info.recent_actions[0].schedule_time
    assert first.ToDatetime() > description.raw_description.info.update_time.ToDatetime()


async def test_an_update_that_comes_too_late_changes_nothing(client: Client, site: Site) -> None:
    """And nobody is told, as in the real server, whose update is a signal."""
    handle = await client.create_schedule("s", schedule())
    before = (await handle.describe()).raw_description
    await handle.pause()
    update = UpdateScheduleRequest(
        namespace="default",
        schedule_id="s",
        schedule=before.schedule,
        conflict_token=before.conflict_token,
    )
    await site.call(update)
    assert (await handle.describe()).schedule.state.paused

    update.conflict_token = (await handle.describe()).raw_description.conflict_token
    await site.call(update)
    assert not (await handle.describe()).schedule.state.paused


async def test_a_request_sent_twice_counts_once(client: Client, site: Site, worker: Worker) -> None:
    handle = await client.create_schedule("s", schedule(action("Counted", 0)))
    patch = PatchScheduleRequest(namespace="default", schedule_id="s", request_id="once")
    patch.patch.trigger_immediately.SetInParent()
    await site.call(patch)
    await until(handle, ended(1))
    await site.call(patch)

    assert (await handle.describe()).info.num_actions == 1


async def test_an_initial_patch(site: Site, client: Client, worker: Worker) -> None:
    moment = Timestamp(seconds=int(NOON.timestamp()))
    request = create_request()
    request.initial_patch.CopyFrom(
        SchedulePatch(
            trigger_immediately=TriggerImmediatelyRequest(scheduled_time=moment),
            backfill_request=[
                BackfillRequest(
                    start_time=Timestamp(seconds=moment.seconds + 3600),
                    end_time=Timestamp(seconds=moment.seconds + 3600),
                    overlap_policy=Overlap.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL,
                )
            ],
            pause="from the start",
        )
    )
    created = await site.ask(request, CreateScheduleResponse)

    handle = client.get_schedule_handle("s")
    info = (await until(handle, acted(1))).raw_description.info
    assert created.conflict_token == (1).to_bytes(8, "big")
    assert [running.workflow_id for running in info.running_workflows] == [slot()]
    await client.get_workflow_handle(slot()).signal(Held.release)
    description = await until(handle, acted(2))
    assert description.schedule.state.note == "from the start"


def create_request() -> CreateScheduleRequest:
    request = CreateScheduleRequest(namespace="default", schedule_id="s", request_id="create")
    request.schedule.spec.interval.append(IntervalSpec())
    request.schedule.spec.interval[0].interval.FromSeconds(3600)
    start = request.schedule.action.start_workflow
    start.workflow_id, start.workflow_type.name, start.task_queue.name = "w", "Held", QUEUE
    return request


async def test_creating_twice(site: Site, client: Client) -> None:
    request = create_request()
    await site.call(request)
    await site.call(request)  # the same request: a retry
    request.request_id = "another"
    error = await refusal(site.call(request))

    assert error is not None
    assert error.code == 6
    assert error.message == 'schedule "s" is already registered'
    with pytest.raises(Exception, match="Schedule already running"):
        await client.create_schedule("s", schedule())


async def test_delete_and_create_again(client: Client, worker: Worker) -> None:
    handle = await client.create_schedule("s", schedule())
    await backfill(handle, 1)
    await until(handle, acted(1))
    await handle.delete()

    for call, message in (
        (handle.describe(), "schedule not found"),
        (handle.pause(), "workflow execution already completed"),
        (handle.delete(), "workflow execution already completed"),
        (client.get_schedule_handle("x").describe(), "workflow not found for ID: temporal-sys-scheduler:x"),
        (client.get_schedule_handle("x").trigger(), "workflow not found for ID: temporal-sys-scheduler:x"),
        (client.get_schedule_handle("x").delete(), "workflow not found for ID: temporal-sys-scheduler:x"),
    ):
        await not_found(call, message)
    assert [entry async for entry in await client.list_schedules()] == []
    # What it started goes on.
    running = await client.get_workflow_handle(slot()).describe()
    assert running.status == WorkflowExecutionStatus.RUNNING

    again = await client.create_schedule("s", schedule())
    info = (await again.describe()).raw_description.info
    assert (info.action_count, len(info.running_workflows)) == (0, 0)


async def not_found(call: Awaitable[object], message: str) -> None:
    with pytest.raises(RPCError) as refused:
        await call
    assert (refused.value.status, refused.value.message) == (RPCStatusCode.NOT_FOUND, message)


async def test_calendars_come_back_structured(client: Client) -> None:
    calendar = ScheduleCalendarSpec(
        hour=[ScheduleRange(9)], day_of_week=[ScheduleRange(1, 5)], comment="work"
    )
    spec = ScheduleSpec(calendars=[calendar], cron_expressions=["@daily"], time_zone_name="Europe/Berlin")
    handle = await client.create_schedule("s", schedule(spec=spec))

    described = (await handle.describe()).schedule.spec
    assert not described.cron_expressions
    assert [calendar.comment for calendar in described.calendars] == ["work", None]
    assert list(described.calendars[1].hour) == [ScheduleRange(0, 0, 1)]
    first = (await handle.describe()).info.next_action_times[0]
    assert first.minute == 0


# Reads


async def test_list_in_pages_and_count(client: Client, site: Site) -> None:
    for number in range(5):
        await client.create_schedule(
            f"s{number}", schedule(state=ScheduleState(paused=number == 0, note=f"{number}"))
        )
    entries = [entry async for entry in await client.list_schedules(page_size=2)]
    assert [entry.id for entry in entries] == ["s4", "s3", "s2", "s1", "s0"]
    listed = entries[-1].schedule
    assert listed is not None
    assert (listed.state.paused, listed.state.note) == (True, "0")

    page = await site.ask(
        ListSchedulesRequest(namespace="default", maximum_page_size=2), ListSchedulesResponse
    )
    assert [entry.schedule_id for entry in page.schedules] == ["s4", "s3"]
    assert page.schedules[0].info.workflow_type.name == "Held"
    assert len(page.schedules[0].info.future_action_times) == 5
    count = await site.ask(CountSchedulesRequest(namespace="default"), CountSchedulesResponse)
    assert count.count == 5


async def test_filtered_lists(client: Client, site: Site) -> None:
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            namespace="default",
            search_attributes={"Customer": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD},
        )
    )
    customer = SearchAttributeKey.for_keyword("Customer")
    for number, name in enumerate(["ann", "bob", "cid"]):
        await client.create_schedule(
            f"s{number}",
            schedule(state=ScheduleState(paused=number == 0)),
            search_attributes=TypedSearchAttributes([SearchAttributePair(customer, name)]),
        )
    await client.get_schedule_handle("s2").pause()
    await client.create_schedule("gone", schedule())
    await client.get_schedule_handle("gone").delete()

    async def ids(query: str) -> list[str]:
        count = await site.ask(
            CountSchedulesRequest(namespace="default", query=query), CountSchedulesResponse
        )
        found = [entry.id async for entry in await client.list_schedules(query, page_size=1)]
        assert count.count == len(found)
        return found

    assert await ids("") == ["s2", "s1", "s0"]
    assert await ids("TemporalSchedulePaused = true") == ["s2", "s0"]
    assert await ids("SchedulePaused = false") == ["s1"]
    assert await ids("ScheduleId = 's1'") == ["s1"]
    assert await ids("ScheduleId STARTS_WITH 's' AND Customer IN ('ann', 'bob')") == ["s1", "s0"]
    assert await ids("Customer = 'cid' OR ScheduleId = 's0'") == ["s2", "s0"]
    (entry,) = [entry async for entry in await client.list_schedules("Customer = 'ann'")]
    assert entry.typed_search_attributes[customer] == "ann"

    # In the real server they are workflows, of a division of their own.
    assert [run async for run in client.list_workflows()] == []
    division = "TemporalNamespaceDivision = 'TemporalScheduler' AND ExecutionStatus = 'Running'"
    assert [run.id async for run in client.list_workflows(division)] == [
        "temporal-sys-scheduler:s2",
        "temporal-sys-scheduler:s1",
        "temporal-sys-scheduler:s0",
    ]


BAD_FILTERS = [
    (
        "foo = 1",
        (
            'invalid query: unable to convert filter expression: unable to convert left side of "foo = 1": '
            "invalid search attribute: foo"
        ),
    ),
    ("WorkflowId = 'x'", 'invalid query filter for schedules: cannot filter on "WorkflowId"'),
    (
        "TemporalNamespaceDivision = 'x'",
        'invalid query filter for schedules: cannot filter on "TemporalNamespaceDivision"',
    ),
    (
        "TemporalScheduledById = 's'",
        'invalid query filter for schedules: cannot filter on "TemporalScheduledById"',
    ),
    ("GROUP BY ExecutionStatus", 'invalid query filter for schedules: cannot filter on "ExecutionStatus"'),
    ("a =", "invalid query: malformed SQL query: syntax error at position 31"),
    (
        "ScheduleId = 's' ORDER BY ScheduleId",
        "invalid query: malformed SQL query: syntax error at position 135 near 'order'",
    ),
]


@pytest.mark.parametrize(("query", "message"), BAD_FILTERS, ids=[query for query, _ in BAD_FILTERS])
async def test_bad_filters(query: str, message: str, site: Site) -> None:
    for request in (
        ListSchedulesRequest(namespace="default", query=query),
        CountSchedulesRequest(namespace="default", query=query),
    ):
        error = await refusal(site.call(request))
        assert error is not None
        assert (error.code, error.message) == (3, message)


async def test_matching_times(client: Client) -> None:
    handle = await client.create_schedule("s", schedule())
    request = {"start_time": NOON, "end_time": NOON + timedelta(hours=2)}
    message = ListScheduleMatchingTimesRequest(namespace="default", schedule_id=handle.id)
    with pytest.raises(RPCError) as refused:
        await client.workflow_service.list_schedule_matching_times(message)
    assert (refused.value.status, refused.value.message) == (
        RPCStatusCode.INVALID_ARGUMENT,
        "missing or invalid query",
    )
    for name, moment in request.items():
        getattr(message, name).FromDatetime(moment)
    answer = await client.workflow_service.list_schedule_matching_times(message)
    assert [moment.ToDatetime(UTC) for moment in answer.start_time] == [
        NOON + timedelta(hours=1),
        NOON + timedelta(hours=2),
    ]


# Bad input

BAD = [
    (lambda request: setattr(request, "schedule_id", "x" * 1000), "WorkflowId length exceeds limit."),
    (lambda request: setattr(request, "request_id", ""), "RequestId is not set on request."),
    (lambda request: setattr(request, "request_id", "x" * 1001), "RequestId length exceeds limit."),
    (
        lambda request: request.schedule.spec.cron_string.append("* * * *"),
        "Invalid schedule spec: CronString does not have 5-7 fields",
    ),
    (
        lambda request: setattr(request.schedule.spec, "timezone_name", "Nowhere"),
        "Invalid schedule spec: unknown time zone Nowhere",
    ),
    (
        lambda request: setattr(request.schedule.action.start_workflow, "workflow_id", "x" * 980),
        "WorkflowId length exceeds limit.",
    ),
    (
        lambda request: request.schedule.action.start_workflow.ClearField("workflow_type"),
        "WorkflowType is not set on request.",
    ),
    (
        lambda request: request.schedule.action.start_workflow.ClearField("task_queue"),
        "taskQueue is not set",
    ),
    (
        lambda request: setattr(
            request.schedule.action.start_workflow.task_queue, "name", "temporal-sys-per-ns-tq"
        ),
        "cannot use internal per-namespace task queue:temporal-sys-per-ns-tq",
    ),
    (
        lambda request: request.schedule.action.start_workflow.workflow_run_timeout.FromSeconds(-1),
        "An invalid WorkflowRunTimeoutSeconds is set on request. cause: negative duration",
    ),
    (
        lambda request: setattr(request.schedule.action.start_workflow, "cron_schedule", "@daily"),
        "Scheduled workflow must not contain CronSchedule",
    ),
    (
        lambda request: setattr(request.schedule.action.start_workflow, "workflow_id_reuse_policy", 3),
        "Scheduled workflow must not contain WorkflowIDReusePolicy",
    ),
    (
        lambda request: request.search_attributes.indexed_fields["Nope"].SetInParent(),
        "Namespace default has no mapping defined for search attribute Nope",
    ),
    (
        lambda request: request.schedule.action.start_workflow.search_attributes.indexed_fields[
            "CloseTime"
        ].SetInParent(),
        "CloseTime attribute can't be set in SearchAttributes",
    ),
    (
        lambda request: request.memo.fields["k"].CopyFrom(large()),
        "Memo size exceeds limit.",
    ),
    (
        lambda request: request.schedule.action.start_workflow.input.payloads.append(large()),
        "Blob data size exceeds limit.",
    ),
]


def large() -> Payload:
    return Payload(data=b"x" * (2 * 1024 * 1024 + 1))


@pytest.mark.parametrize(("spoil", "message"), BAD, ids=[message for _, message in BAD])
async def test_bad_creations(
    spoil: Callable[[CreateScheduleRequest], None], message: str, site: Site
) -> None:
    request = create_request()
    spoil(request)
    error = await refusal(site.call(request))
    assert error is not None
    assert (error.code, error.message) == (3, message)
    assert await refusal(describe(site)) is not None


async def test_bad_changes(site: Site, client: Client) -> None:
    await site.call(create_request())
    before = (await describe(site)).SerializeToString(deterministic=True)
    update = UpdateScheduleRequest(namespace="default", schedule_id="s")
    update.schedule.CopyFrom(create_request().schedule)
    memo = UpdateScheduleRequest()
    memo.CopyFrom(update)
    memo.memo.SetInParent()
    cron = UpdateScheduleRequest()
    cron.CopyFrom(update)
    cron.schedule.spec.cron_string.append("@every 1")
    patch = PatchScheduleRequest(namespace="default", schedule_id="s")
    patch.patch.pause = "x" * (NOTES_BYTES + 1)
    for request, code, message in (
        (memo, 9, "memo updates are not supported on workflow-backed schedules"),
        (cron, 3, 'Invalid schedule spec: time: missing unit in duration "1"'),
        (patch, 3, "Schedule notes exceeds limit."),
    ):
        error = await refusal(site.call(request))
        assert error is not None
        assert (error.code, error.message) == (code, message)
    assert (await describe(site)).SerializeToString(deterministic=True) == before


async def test_a_schedule_without_action_is_one_that_does_nothing(site: Site, client: Client) -> None:
    request = create_request()
    request.schedule.ClearField("action")
    request.initial_patch.trigger_immediately.SetInParent()
    await site.call(request)

    described = await describe(site)
    assert described.info.action_count == 0
    assert described.info.buffer_size == 0


async def test_a_start_that_cannot_be_is_left_out(site: Site, client: Client, worker: Worker) -> None:
    """The workflow id is taken; the schedule goes on."""
    await client.start_workflow(Held.run, id=slot(), task_queue=QUEUE)
    handle = await client.create_schedule("s", schedule())
    await backfill(handle, 2, OverlapPolicy.ALLOW_ALL)

    info = (await until(handle, acted(1))).raw_description.info
    assert [result.start_workflow_result.workflow_id for result in info.recent_actions] == [slot(1)]
