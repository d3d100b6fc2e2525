"""What happens at the limits of one run: warnings, refusals, and runs that end because they have grown too long."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.command.v1 import Command, StartTimerCommandAttributes
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution
from temporalio.api.enums.v1 import CommandType, EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
    RecordActivityTaskHeartbeatRequest,
    RespondActivityTaskCompletedRequest,
    RespondWorkflowTaskCompletedRequest,
    SignalWorkflowExecutionRequest,
)

from mockcloud.core.errors import InvalidArgument
from mockcloud.core.limits import Limits
from tests.frontend.raw_worker import NS, complete, schedule_activity, signal, start, take_activity, take_task
from tests.support import Site, open_sites, refusal

LIMITS = replace(
    Limits(), history_events=11, history_events_warning=6, blob_bytes_warning=1_000, pending_activities=2
)
TOO_LONG = "Workflow history count exceeds limit."


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_sites(tmp_path, limits=LIMITS) as sites:
        await sites["A"].register(NS)
        yield sites["A"]


async def last_event(site: Site, run: WorkflowExecution) -> HistoryEvent:
    """Wait for the close event."""
    request = GetWorkflowExecutionHistoryRequest(
        namespace=NS,
        execution=run,
        wait_new_event=True,
        history_event_filter_type=2,  # type: ignore[arg-type]  # the close event
    )
    return (await site.ask(request, GetWorkflowExecutionHistoryResponse)).history.events[-1]


def terminated(event: HistoryEvent) -> bool:
    attributes = event.workflow_execution_terminated_event_attributes
    return (attributes.reason, attributes.identity) == (TOO_LONG, "history-service")


async def test_a_signal_too_many_ends_the_run(site: Site) -> None:
    """As in the real server, a signal may pass the limit, and the next change ends the run."""
    run = await start(site)
    for _ in range(10):
        await signal(site, run)
    error = await refusal(signal(site, run))
    assert isinstance(error, InvalidArgument)
    assert error.message == TOO_LONG
    last = await last_event(site, run)
    assert terminated(last)
    assert last.event_id == 13


async def test_an_activity_result_too_many_ends_the_run_too(site: Site) -> None:
    run = await start(site)
    await complete(site, await take_task(site), schedule_activity())
    task = await take_activity(site)
    for _ in range(6):
        await signal(site, run)  # with its Scheduled: twelve events
    request = RespondActivityTaskCompletedRequest(namespace=NS, task_token=task.task_token)
    error = await refusal(site.call(request))
    assert isinstance(error, InvalidArgument)
    assert error.message == TOO_LONG
    assert terminated(await last_event(site, run))


async def test_a_timer_too_many_ends_the_run_too(site: Site) -> None:
    run = await start(site)
    timer = Command(
        command_type=CommandType.COMMAND_TYPE_START_TIMER,
        start_timer_command_attributes=StartTimerCommandAttributes(
            timer_id="t", start_to_fire_timeout=Duration(nanos=200_000_000)
        ),
    )
    await complete(site, await take_task(site), timer)
    for _ in range(6):
        await signal(site, run)  # with its Scheduled: twelve events
    assert terminated(await last_event(site, run))


async def test_a_history_too_large_ends_at_the_next_change(tmp_path: Path) -> None:
    async with open_sites(tmp_path, limits=replace(Limits(), history_bytes=4_000)) as sites:
        await sites["A"].register(NS)
        run = await start(sites["A"])
        large = SignalWorkflowExecutionRequest(
            namespace=NS,
            workflow_execution=run,
            signal_name="large",
            input=Payloads(payloads=[Payload(data=b"x" * 5_000)]),
        )
        await sites["A"].call(large)
        error = await refusal(signal(sites["A"], run))
        assert isinstance(error, InvalidArgument)
        assert error.message == "Workflow history size exceeds limit."
        assert (await last_event(sites["A"], run)).event_id == 4


async def test_a_state_too_large_ends_the_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with open_sites(
        tmp_path, limits=replace(Limits(), state_bytes=4_000, state_bytes_warning=1_000)
    ) as sites:
        site = sites["A"]
        await site.register(NS)
        run = await start(site)
        await complete(site, await take_task(site), schedule_activity())
        task = await take_activity(site)
        heartbeat = RecordActivityTaskHeartbeatRequest(namespace=NS, task_token=task.task_token)
        for size, fits in ((2_000, True), (5_000, False)):
            details = Payloads(payloads=[Payload(data=b"x" * size)])
            heartbeat.details.CopyFrom(details)
            error = await refusal(site.call(heartbeat))
            assert (error is None) == fits
        assert isinstance(error, InvalidArgument)
        assert error.message == "Workflow mutable state size exceeds limit."
        last = await last_event(site, run)
        assert last.workflow_execution_terminated_event_attributes.reason == error.message
    (told,) = [record.getMessage() for record in caplog.records if "mutable state" in record.getMessage()]
    assert told.startswith(f"mutable state size exceeds warn limit. namespace={NS} workflow=w")


async def test_pending_activities_are_limited(site: Site) -> None:
    await start(site)
    task = await take_task(site)
    commands = [schedule_activity(name) for name in "abc"]
    error = await refusal(complete(site, task, *commands))
    assert isinstance(error, InvalidArgument)
    assert error.message == (
        "PendingActivitiesLimitExceeded: the number of pending activities, 2, has reached the per-workflow limit of 2"
    )


async def test_what_comes_near_a_limit_is_told_in_the_log(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    run = await start(site)
    with caplog.at_level(logging.WARNING, "mockcloud.engine.size_warnings"):
        for _ in range(6):
            await signal(site, run)
        await site.call(
            SignalWorkflowExecutionRequest(
                namespace=NS,
                workflow_execution=run,
                signal_name="large",
                input=Payloads(payloads=[Payload(data=b"x" * 1_000)]),
            )
        )
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert told[0].startswith(f"history count exceeds warn limit. namespace={NS} workflow=w run={run.run_id}")
    assert told[0].endswith("value=7 limit=6")
    assert told[1].startswith("Blob data size exceeds the warning limit.")
    assert f"run={run.run_id}" in told[1]
    assert told[1].endswith(EventType.Name(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED))


async def test_a_completion_too_many_ends_the_run_and_its_worker_is_told(site: Site) -> None:
    run = await start(site)
    task = await take_task(site)
    request = RespondWorkflowTaskCompletedRequest(namespace=NS, task_token=task.task_token)
    request.commands.extend(
        Command(
            command_type=CommandType.COMMAND_TYPE_START_TIMER,
            start_timer_command_attributes=StartTimerCommandAttributes(
                timer_id=str(number), start_to_fire_timeout=Duration(seconds=60)
            ),
        )
        for number in range(9)
    )
    error = await refusal(site.call(request))
    assert isinstance(error, InvalidArgument)
    assert error.message == TOO_LONG
    last = await last_event(site, run)
    assert terminated(last)
    assert last.event_id == 5  # after the failed workflow task; of the commands nothing stands
