"""Starts with everything that they may ask for: by raw calls, and by an unmodified SDK client and worker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio import workflow
from temporalio.api.common.v1 import Link, Payload, Priority, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import (
    EventType,
    VersioningBehavior,
    WorkflowExecutionStatus,
    WorkflowIdConflictPolicy,
)
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.sdk.v1 import UserMetadata
from temporalio.api.workflow.v1 import OnConflictOptions, VersioningOverride
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
    RequestCancelWorkflowExecutionRequest,
    RespondWorkflowTaskCompletedRequest,
    SignalWithStartWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
    TerminateWorkflowExecutionRequest,
)
from temporalio.client import Client
from temporalio.common import Priority as SdkPriority
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.core.makers import payloads
from tests.frontend.raw_worker import COMPLETE, NS, QUEUE, complete, signal, take_task
from tests.support import Site, grpc_address

UPDATED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED
STARTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
RUN = WorkflowExecution(workflow_id="w")
LINK = Link(batch_job=Link.BatchJob(job_id="j"))


async def start(site: Site, request_id: str = "r0", **fields: Any) -> StartWorkflowExecutionResponse:
    request = StartWorkflowExecutionRequest(
        namespace=NS,
        workflow_id="w",
        workflow_type=WorkflowType(name="T"),
        task_queue=QUEUE,
        identity="starter",
        request_id=request_id,
        **fields,
    )
    return await site.ask(request, StartWorkflowExecutionResponse)


async def describe(site: Site) -> DescribeWorkflowExecutionResponse:
    request = DescribeWorkflowExecutionRequest(namespace=NS, execution=RUN)
    return await site.ask(request, DescribeWorkflowExecutionResponse)


async def history(site: Site) -> list[HistoryEvent]:
    request = GetWorkflowExecutionHistoryRequest(namespace=NS, execution=RUN)
    return list((await site.ask(request, GetWorkflowExecutionHistoryResponse)).history.events)


async def attach(site: Site, request_id: str, **options: bool) -> StartWorkflowExecutionResponse:
    return await start(
        site,
        request_id,
        links=[LINK],
        workflow_id_conflict_policy=WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
        on_conflict_options=OnConflictOptions(**options),
    )


def reference(response: StartWorkflowExecutionResponse) -> tuple[str, object]:
    """What the answer's link points to."""
    event = response.link.workflow_event
    assert (event.namespace, event.workflow_id, event.run_id) == (NS, "w", response.run_id)
    kind = event.WhichOneof("reference")
    if kind == "request_id_ref":
        return event.request_id_ref.request_id, event.request_id_ref.event_type
    return str(event.event_ref.event_id), event.event_ref.event_type


async def test_attaching_a_start_to_an_open_run(site: Site) -> None:
    # Given a run, when starts find it: one attaches nothing, one its request id and links.
    first = await start(site)
    used = await attach(site, "r1")
    attached = await attach(site, "r2", attach_request_id=True, attach_links=True)
    again = await start(site, "r2")  # whose policy would refuse it

    # Then the answers say so, as the real server's.
    assert (first.started, reference(first)) == (True, ("1", STARTED))
    assert (used.started, reference(used)) == (False, ("1", STARTED))
    assert (attached.started, reference(attached)) == (False, ("r2", UPDATED))
    assert again == attached
    assert used.run_id == attached.run_id == first.run_id

    # And the history and the description.
    events = [event for event in await history(site) if event.event_type == UPDATED]
    ids = [each.workflow_execution_options_updated_event_attributes.attached_request_id for each in events]
    assert ids == ["", "r2"]
    assert [list(event.links) for event in events] == [[], [LINK]]
    infos = (await describe(site)).workflow_extended_info.request_id_infos
    assert {name: (info.event_type, info.event_id) for name, info in infos.items()} == {
        "r0": (STARTED, 1),
        "r2": (UPDATED, events[1].event_id),
    }


async def test_an_attached_start_is_known_while_buffered_and_after_the_close(site: Site) -> None:
    first = await start(site)
    task = await take_task(site)
    await attach(site, "r1", attach_request_id=True)
    info = (await describe(site)).workflow_extended_info.request_id_infos["r1"]
    assert (info.buffered, info.event_id) == (True, 0)
    assert reference(await start(site, "r1")) == ("r1", UPDATED)

    await complete(site, task)
    info = (await describe(site)).workflow_extended_info.request_id_infos["r1"]
    assert (info.buffered, info.event_id) == (False, 5)

    await site.call(TerminateWorkflowExecutionRequest(namespace=NS, workflow_execution=RUN))
    for request_id, started in (("r0", True), ("r1", False)):
        late = await start(site, request_id)
        assert (late.run_id, late.started) == (first.run_id, started)
        assert late.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED
    assert (await start(site, "r2")).run_id != first.run_id


async def test_an_eager_start_brings_the_first_task_with_its_answer(site: Site) -> None:
    response = await start(site, request_eager_execution=True)
    task = response.eager_workflow_task
    assert (task.started_event_id, task.previous_started_event_id, task.attempt) == (3, 0, 1)
    assert [event.event_id for event in task.history.events] == [1, 2, 3]
    assert task.workflow_execution == WorkflowExecution(workflow_id="w", run_id=response.run_id)
    assert task.workflow_execution_task_queue.name == QUEUE.name
    assert not task.next_page_token

    # Sent again, it brings the same task; by another worker's poll it is not to be had.
    again = await start(site, request_eager_execution=True)
    assert again.eager_workflow_task.task_token == task.task_token

    # The caller's worker completes it.
    await site.call(
        RespondWorkflowTaskCompletedRequest(namespace=NS, task_token=task.task_token, commands=[COMPLETE])
    )
    assert (await describe(site)).workflow_execution_info.status == (
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED
    )
    late = await start(site, request_eager_execution=True)
    assert (late.run_id, late.started, late.HasField("eager_workflow_task")) == (response.run_id, True, False)


async def test_an_eager_start_may_replace_a_run(site: Site) -> None:
    first = await start(site)
    policy = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
    second = await start(site, "r1", request_eager_execution=True, workflow_id_conflict_policy=policy)
    assert second.run_id != first.run_id
    assert second.HasField("eager_workflow_task")


async def test_an_eager_start_is_declined_where_the_task_waits(site: Site) -> None:
    delayed = await start(site, request_eager_execution=True, workflow_start_delay=Duration(seconds=60))
    assert delayed.started
    assert not delayed.HasField("eager_workflow_task")
    (started,) = await history(site)
    assert not started.workflow_execution_started_event_attributes.eager_execution_accepted


async def test_a_start_carries_everything_into_its_first_event(site: Site) -> None:
    failure = Failure(message="before", application_failure_info=ApplicationFailureInfo(type="T"))
    metadata = UserMetadata(summary=Payload(data=b"s" * 300), details=Payload(data=b"d" * 19_000))
    await start(
        site,
        links=[LINK],
        priority=Priority(priority_key=2, fairness_key="f", fairness_weight=1.5),
        continued_failure=failure,
        last_completion_result=payloads("last"),
        user_metadata=metadata,
        workflow_start_delay=Duration(seconds=60),
    )
    (event,) = await history(site)
    started = event.workflow_execution_started_event_attributes
    assert list(event.links) == [LINK]
    assert event.user_metadata == metadata
    assert (started.priority.priority_key, started.priority.fairness_key) == (2, "f")
    assert (started.continued_failure, started.last_completion_result) == (failure, payloads("last"))
    assert started.first_workflow_task_backoff.seconds == 60

    # A signal does not end the delay.
    await signal(site, RUN)
    shown = await describe(site)
    assert not shown.HasField("pending_workflow_task")
    info = shown.workflow_execution_info
    assert info.execution_time.seconds - info.start_time.seconds == 60
    assert shown.execution_config.user_metadata == metadata


async def test_a_cancel_request_and_a_signal_with_start_end_a_start_delay(site: Site) -> None:
    await start(site, workflow_start_delay=Duration(seconds=60))
    await site.call(RequestCancelWorkflowExecutionRequest(namespace=NS, workflow_execution=RUN))
    await complete(site, await take_task(site), COMPLETE)

    await start(site, "r1", workflow_start_delay=Duration(seconds=60))
    await site.call(
        SignalWithStartWorkflowExecutionRequest(
            namespace=NS,
            workflow_id="w",
            workflow_type=WorkflowType(name="T"),
            task_queue=QUEUE,
            signal_name="s",
            request_id="r2",
        )
    )
    task = await take_task(site)
    assert [event.event_type for event in task.history.events][1:3] == [
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
    ]


async def test_a_versioning_override_that_needs_no_version_is_kept_and_shown(site: Site) -> None:
    older = VersioningOverride(behavior=VersioningBehavior.VERSIONING_BEHAVIOR_AUTO_UPGRADE)
    await start(site, versioning_override=older)
    (started, _) = await history(site)
    override = started.workflow_execution_started_event_attributes.versioning_override
    assert override == VersioningOverride(auto_upgrade=True)
    shown = (await describe(site)).workflow_execution_info.versioning_info.versioning_override
    assert shown.auto_upgrade


@workflow.defn
class Named:
    """Says what it was started with."""

    @workflow.run
    async def run(self) -> tuple[int | None, str | None]:
        info = workflow.info()
        return info.priority.priority_key, workflow.memo_value("m", default=None)


@pytest.fixture
async def client(site: Site) -> AsyncIterator[Client]:
    async with grpc_address(site) as address:
        yield await Client.connect(address)


async def test_an_sdk_client_starts_eagerly_with_all_that_it_can_say(client: Client) -> None:
    async with Worker(client, task_queue="q", workflows=[Named], workflow_runner=UnsandboxedWorkflowRunner()):
        handle = await client.start_workflow(
            Named.run,
            id="w",
            task_queue="q",
            memo={"m": "memo"},
            priority=SdkPriority(priority_key=3),
            static_summary="a summary",
            static_details="some details",
            request_eager_start=True,
        )
        assert await handle.result() == (3, "memo")
        again = await client.start_workflow(
            Named.run,
            id="w2",
            task_queue="q",
            start_delay=timedelta(milliseconds=50),
            id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING,
        )
        await again.result()

    description = await handle.describe()
    assert await description.static_summary() == "a summary"
    assert await description.static_details() == "some details"
    first = await anext(handle.fetch_history_events())
    assert first.workflow_execution_started_event_attributes.eager_execution_accepted
