"""Schedules act: by themselves, by every overlap policy, and across a restart. SDK client and Worker."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, timedelta
from pathlib import Path

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus as Status
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
)
from temporalio.client import (
    Client,
    ScheduleState,
    WorkflowExecutionStatus,
    WorkflowFailureError,
)
from temporalio.client import ScheduleOverlapPolicy as OverlapPolicy
from temporalio.worker import Worker

from tests.frontend.schedules import (
    EACH_SECOND,
    Held,
    acted,
    action,
    backfill,
    describe,
    ended,
    gaps,
    schedule,
    schedule_worker,
    seconds_of,
    seen_ended,
    slot,
    slots,
    until,
)
from tests.support import Site, grpc_address, open_sites


@pytest.fixture
async def client(site: Site) -> AsyncIterator[Client]:
    async with grpc_address(site) as address:
        yield await Client.connect(address)


@pytest.fixture
async def worker(client: Client) -> AsyncIterator[Worker]:
    async with schedule_worker(client) as worker:
        yield worker


async def test_acts_by_itself(client: Client, worker: Worker, site: Site) -> None:
    handle = await client.create_schedule(
        "s", schedule(action("Counted", 0), EACH_SECOND, overlap=OverlapPolicy.ALLOW_ALL), memo={"why": "so"}
    )

    raw = (await until(handle, acted(3))).raw_description
    started = [result.start_workflow_result.workflow_id for result in raw.info.recent_actions[:3]]
    moments = [seconds_of(workflow_id) for workflow_id in started]
    assert gaps(moments) == {timedelta(seconds=1)}
    assert [action.schedule_time.ToDatetime(UTC) for action in raw.info.recent_actions[:3]] == moments
    assert len(raw.info.future_action_times) == 10
    assert raw.info.future_action_times[0].ToDatetime(UTC) > moments[-1]
    assert raw.conflict_token == (1).to_bytes(8, "big")
    assert raw.memo.fields["why"].data == b'"so"'
    assert raw.schedule.policies.catchup_window.ToTimedelta() == timedelta(days=365)

    described = await site.ask(
        DescribeWorkflowExecutionRequest(
            namespace="default", execution=WorkflowExecution(workflow_id=started[0])
        ),
        DescribeWorkflowExecutionResponse,
    )
    attributes = described.workflow_execution_info.search_attributes.indexed_fields
    assert json.loads(attributes["TemporalScheduledById"].data) == "s"
    assert json.loads(attributes["TemporalScheduledStartTime"].data) == started[0].removeprefix("w-")


# Overlap policies: a workflow that is held, and backfilled hours that come on top of it


async def test_skip(client: Client, worker: Worker) -> None:
    handle = await client.create_schedule("s", schedule())
    await backfill(handle, 3)

    info = (await until(handle, acted(1))).raw_description.info
    assert info.overlap_skipped == 2
    assert info.buffer_size == 0
    assert [running.workflow_id for running in info.running_workflows] == [slot()]


async def test_buffer_one(client: Client, worker: Worker) -> None:
    handle = await client.create_schedule("s", schedule(overlap=OverlapPolicy.BUFFER_ONE))
    await backfill(handle, 3)
    info = (await until(handle, acted(1))).raw_description.info
    assert (info.buffer_size, info.overlap_skipped) == (1, 1)

    await client.get_workflow_handle(slot()).signal(Held.release)

    info = (await until(handle, acted(2))).raw_description.info
    assert [running.workflow_id for running in info.running_workflows] == [slot(1)]
    assert [result.start_workflow_status for result in info.recent_actions] == [
        Status.WORKFLOW_EXECUTION_STATUS_COMPLETED,
        Status.WORKFLOW_EXECUTION_STATUS_RUNNING,
    ]


async def test_buffer_all(client: Client, worker: Worker) -> None:
    handle = await client.create_schedule("s", schedule())
    await backfill(handle, 12, OverlapPolicy.BUFFER_ALL)  # more than one turn takes

    for hour in range(12):
        await until(handle, acted(hour + 1))
        await client.get_workflow_handle(slot(hour)).signal(Held.release)
    info = (await until(handle, ended(12))).raw_description.info
    assert [result.start_workflow_result.workflow_id for result in info.recent_actions] == [
        slot(hour) for hour in range(2, 12)
    ]
    assert (info.buffer_size, info.overlap_skipped) == (0, 0)


async def test_cancel_other(client: Client, worker: Worker) -> None:
    handle = await client.create_schedule("s", schedule())
    await backfill(handle, 1)
    await until(handle, acted(1))

    await handle.trigger(overlap=OverlapPolicy.CANCEL_OTHER)

    info = (await until(handle, acted(2))).raw_description.info
    assert info.recent_actions[0].start_workflow_status == Status.WORKFLOW_EXECUTION_STATUS_CANCELED
    history = await client.get_workflow_handle(slot()).fetch_history()
    requested = [
        event.workflow_execution_cancel_requested_event_attributes
        for event in history.events
        if event.HasField("workflow_execution_cancel_requested_event_attributes")
    ]
    assert [attributes.cause for attributes in requested] == ["cancelled by schedule overlap policy"]
    assert requested[0].identity == "temporal-scheduler-default-s"


async def test_terminate_other(client: Client, worker: Worker) -> None:
    handle = await client.create_schedule("s", schedule())
    await backfill(handle, 1)
    await until(handle, acted(1))

    await handle.trigger(overlap=OverlapPolicy.TERMINATE_OTHER)

    info = (await until(handle, acted(2))).raw_description.info
    assert info.recent_actions[0].start_workflow_status == Status.WORKFLOW_EXECUTION_STATUS_TERMINATED
    history = await client.get_workflow_handle(slot()).fetch_history()
    attributes = history.events[-1].workflow_execution_terminated_event_attributes
    assert attributes.reason == "terminated by schedule overlap policy"
    assert attributes.identity == "temporal-scheduler-default-s"


async def test_allow_all(client: Client, worker: Worker) -> None:
    handle = await client.create_schedule("s", schedule())
    await backfill(handle, 12, OverlapPolicy.ALLOW_ALL)  # ten at once, the others a second later

    info = (await until(handle, acted(12))).raw_description.info
    assert not info.running_workflows  # those that may overlap are not kept count of
    for hour in range(12):
        description = await client.get_workflow_handle(slot(hour)).describe()
        assert description.status == WorkflowExecutionStatus.RUNNING


# What passes from one action to the next


async def test_the_last_result_and_failure_are_passed_on(client: Client, worker: Worker) -> None:
    handle = await client.create_schedule("s", schedule(action("Counted", 3)))
    await backfill(handle, 4, OverlapPolicy.BUFFER_ALL)
    await until(handle, ended(4))

    assert await client.get_workflow_handle(slot(0)).result() == 1
    assert await client.get_workflow_handle(slot(1)).result() == 2
    with pytest.raises(WorkflowFailureError):
        await client.get_workflow_handle(slot(2)).result()
    assert await client.get_workflow_handle(slot(3)).result() == 3  # the result before the failure counts


async def test_a_chain_of_runs_is_one_action(client: Client, worker: Worker) -> None:
    handle = await client.create_schedule("s", schedule(action("Relayed", 0)))
    await backfill(handle, 2, OverlapPolicy.BUFFER_ALL)

    info = (await until(handle, seen_ended(2))).raw_description.info
    for hour, result in enumerate(info.recent_actions):
        assert result.start_workflow_status == Status.WORKFLOW_EXECUTION_STATUS_COMPLETED
        # The first run is the action's; the workflow has ended in another.
        last = await client.get_workflow_handle(slot(hour)).describe()
        assert last.run_id != result.start_workflow_result.run_id
        assert last.raw_description.workflow_execution_info.first_run_id == (
            result.start_workflow_result.run_id
        )


async def test_pause_on_failure(client: Client, worker: Worker) -> None:
    handle = await client.create_schedule("s", schedule(action("Counted", 1), pause_on_failure=True))
    await backfill(handle, 1)

    description = await until(handle, seen_ended(1))
    assert description.schedule.state.paused
    assert description.schedule.state.note == f"paused due to workflow failure: {slot()}: no 1 today"
    assert description.raw_description.conflict_token == (2).to_bytes(8, "big")


async def test_limited_actions(client: Client, worker: Worker) -> None:
    limited = schedule(
        action("Counted", 0), EACH_SECOND, state=ScheduleState(limited_actions=True, remaining_actions=2)
    )
    handle = await client.create_schedule("s", limited)

    description = await until(handle, ended(2))
    assert description.schedule.state.remaining_actions == 0
    assert not description.raw_description.info.future_action_times

    await handle.trigger()  # which is not limited
    await until(handle, ended(3))


async def test_schedules_survive_a_restart(tmp_path: Path) -> None:
    """A crash loses nothing; what came due meanwhile is made up for, as far as the catch-up window reaches."""
    async with open_sites(tmp_path) as sites:
        await sites["A"].register("default")
        async with grpc_address(sites["A"]) as address:
            client = await Client.connect(address)
            await client.create_schedule("s", schedule(spec=EACH_SECOND, overlap=OverlapPolicy.ALLOW_ALL))
            await until(client.get_schedule_handle("s"), acted(1))
            before = (await describe(sites["A"])).info
    async with open_sites(tmp_path) as sites, grpc_address(sites["A"]) as address:
        client = await Client.connect(address)
        handle = client.get_schedule_handle("s")
        info = (await until(handle, acted(before.action_count + 2))).raw_description.info
    assert slots(info.recent_actions)[: before.action_count] == slots(before.recent_actions)
    assert gaps(slots(info.recent_actions)) == {timedelta(seconds=1)}
