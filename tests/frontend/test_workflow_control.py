"""Pausing workflows and changing their options: call by call, and as an SDK worker notices it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from temporalio.api.common.v1 import Priority, WorkflowExecution
from temporalio.api.enums.v1 import EventType, HistoryEventFilterType, WorkflowExecutionStatus
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.workflow.v1 import WorkflowExecutionInfo, WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeNamespaceResponse,
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
    ListWorkflowExecutionsRequest,
    ListWorkflowExecutionsResponse,
    PauseWorkflowExecutionRequest,
    QueryWorkflowRequest,
    QueryWorkflowResponse,
    RespondWorkflowTaskCompletedRequest,
    UnpauseWorkflowExecutionRequest,
    UpdateWorkflowExecutionOptionsRequest,
    UpdateWorkflowExecutionOptionsResponse,
)
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.worker import Worker

from mockcloud.core.errors import Code
from mockcloud.core.limits import Limits
from tests.frontend.raw_worker import NS, start, take_task
from tests.frontend.sdk_workflows import Inbox
from tests.support import Site, grpc_address, open_sites, refusal

RUN = WorkflowExecution(workflow_id="w")
LONG = "x" * 1001
PAUSE_INFO = "TemporalPauseInfo"
PAUSED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_PAUSED


async def info(site: Site) -> WorkflowExecutionInfo:
    answer = await site.ask(
        DescribeWorkflowExecutionRequest(namespace=NS, execution=RUN), DescribeWorkflowExecutionResponse
    )
    return answer.workflow_execution_info


async def listed(site: Site, query: str) -> list[WorkflowExecutionInfo]:
    request = ListWorkflowExecutionsRequest(namespace=NS, query=query)
    return list((await site.ask(request, ListWorkflowExecutionsResponse)).executions)


def priority(key: int, **fields: Any) -> UpdateWorkflowExecutionOptionsRequest:
    return UpdateWorkflowExecutionOptionsRequest(
        namespace=NS,
        workflow_execution=RUN,
        update_mask=FieldMask(paths=["priority"]),
        workflow_execution_options=WorkflowExecutionOptions(priority=Priority(priority_key=key)),
        **fields,
    )


# Call by call


async def test_the_namespace_says_that_workflows_can_be_paused(site: Site) -> None:
    answer = await site.ask(DescribeNamespaceRequest(namespace=NS), DescribeNamespaceResponse)
    assert answer.namespace_info.capabilities.workflow_pause


async def test_a_paused_workflow_is_listed_and_described_so(site: Site) -> None:
    await start(site)
    await site.call(PauseWorkflowExecutionRequest(namespace=NS, workflow_id="w", reason="why"))
    assert (await info(site)).status == PAUSED
    (found,) = await listed(site, "ExecutionStatus = 'Paused'")
    assert found.search_attributes.indexed_fields[PAUSE_INFO].data == b'["Workflow:w","Reason:why"]'
    assert not await listed(site, "ExecutionStatus = 'Running'")
    await site.call(UnpauseWorkflowExecutionRequest(namespace=NS, workflow_id="w"))
    (found,) = await listed(site, "ExecutionStatus = 'Running'")
    assert PAUSE_INFO not in found.search_attributes.indexed_fields
    assert (await info(site)).status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
    assert (await take_task(site)).task_token


async def test_a_paused_workflow_rejects_queries(site: Site) -> None:
    await start(site)
    await site.call(PauseWorkflowExecutionRequest(namespace=NS, workflow_id="w"))
    answer = await site.ask(
        QueryWorkflowRequest(namespace=NS, execution=RUN, query=WorkflowQuery(query_type="q")),
        QueryWorkflowResponse,
    )
    assert answer.query_rejected.status == PAUSED


async def test_who_asks_for_the_end_of_a_paused_workflow_gets_its_last_event(site: Site) -> None:
    await start(site)
    request = GetWorkflowExecutionHistoryRequest(
        namespace=NS,
        execution=RUN,
        history_event_filter_type=HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT,
    )
    assert not (await site.ask(request, GetWorkflowExecutionHistoryResponse)).history.events
    await site.call(PauseWorkflowExecutionRequest(namespace=NS, workflow_id="w"))
    answer = await site.ask(request, GetWorkflowExecutionHistoryResponse)
    (event,) = answer.history.events
    assert event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_PAUSED
    assert not answer.next_page_token


async def test_a_worker_cannot_insist_on_a_further_task(site: Site) -> None:
    await start(site)
    task = await take_task(site)
    await site.call(PauseWorkflowExecutionRequest(namespace=NS, workflow_id="w"))
    request = RespondWorkflowTaskCompletedRequest(
        task_token=task.task_token, force_create_new_workflow_task=True
    )
    error = await refusal(site.call(request))
    assert error is not None
    assert error.code is Code.FAILED_PRECONDITION
    request.force_create_new_workflow_task = False
    await site.call(request)
    assert (await info(site)).status == PAUSED


@pytest.mark.parametrize("kind", [PauseWorkflowExecutionRequest, UnpauseWorkflowExecutionRequest])
async def test_pauses_that_are_refused(site: Site, kind: type[Any]) -> None:
    cases: list[tuple[Message, Code, str]] = [
        (
            kind(namespace=NS),
            Code.INVALID_ARGUMENT,
            "Can't load workflow execution.  WorkflowId not set.",
        ),
        (kind(namespace=NS, workflow_id="w", run_id="x"), Code.INVALID_ARGUMENT, "RunId is not valid UUID."),
        (kind(namespace=NS, reason=LONG), Code.INVALID_ARGUMENT, "reason is too long."),
        (kind(namespace=NS, request_id=LONG), Code.INVALID_ARGUMENT, "request id is too long."),
        (kind(namespace=NS, identity=LONG), Code.INVALID_ARGUMENT, "identity is too long."),
        (kind(namespace=NS, workflow_id="absent"), Code.NOT_FOUND, "workflow not found for ID: absent"),
    ]
    for request, code, message in cases:
        error = await refusal(site.call(request))
        assert error is not None
        assert (error.code, error.message) == (code, message)


async def test_pausing_can_be_switched_off(tmp_path: Path) -> None:
    async with open_sites(tmp_path, limits=Limits(workflow_pause=False)) as sites:
        site = sites["A"]
        await site.register(NS)
        error = await refusal(site.call(PauseWorkflowExecutionRequest(namespace=NS, workflow_id="w")))
        assert error is not None
        assert (error.code, error.message) == (
            Code.UNIMPLEMENTED,
            "workflow pause is not enabled for namespace: default",
        )
        answer = await site.ask(DescribeNamespaceRequest(namespace=NS), DescribeNamespaceResponse)
        assert not answer.namespace_info.capabilities.workflow_pause


async def test_a_second_pause_and_a_needless_unpause_are_refused(site: Site) -> None:
    await start(site)
    pause = PauseWorkflowExecutionRequest(namespace=NS, workflow_id="w", request_id="1")
    unpause = UnpauseWorkflowExecutionRequest(namespace=NS, workflow_id="w")
    needless = await refusal(site.call(unpause))
    await site.call(pause)
    await site.call(pause)
    pause.request_id = "2"
    second = await refusal(site.call(pause))
    assert needless is not None
    assert second is not None
    assert (needless.code, needless.message) == (Code.FAILED_PRECONDITION, "workflow is not paused.")
    assert (second.code, second.message) == (Code.FAILED_PRECONDITION, "workflow is already paused.")


async def test_the_options_of_a_workflow(site: Site) -> None:
    await start(site)
    answer = await site.ask(priority(5, identity="op"), UpdateWorkflowExecutionOptionsResponse)
    assert answer.workflow_execution_options.priority.priority_key == 5
    assert (await info(site)).priority.priority_key == 5


async def test_options_that_are_refused(site: Site) -> None:
    bad = priority(1)
    bad.update_mask.paths[:] = ["priority", "nonsense"]
    unset = UpdateWorkflowExecutionOptionsRequest(namespace=NS, workflow_execution=RUN)
    half = UpdateWorkflowExecutionOptionsRequest(
        namespace=NS, workflow_execution=RUN, update_mask=FieldMask(paths=["priority"])
    )
    name = "temporal.api.workflow.v1.WorkflowExecutionOptions"
    for request, message in (
        (UpdateWorkflowExecutionOptionsRequest(namespace=NS), "WorkflowId is not set on request."),
        (unset, "UpdateMask is required"),
        (half, "WorkflowExecutionOptions is required"),
        (bad, f'error parsing UpdateMask: proto: invalid path "nonsense" for message "{name}"'),
        (priority(-1), "priority key can't be negative"),
    ):
        error = await refusal(site.call(request))
        assert error is not None
        assert (error.code, error.message) == (Code.INVALID_ARGUMENT, message)
    absent = await refusal(site.call(priority(1)))
    assert absent is not None
    assert absent.code is Code.NOT_FOUND


# With an SDK worker


@pytest.fixture
async def client(site: Site) -> AsyncIterator[Client]:
    async with grpc_address(site) as address:
        client = await Client.connect(address)
        async with Worker(client, task_queue="queue", workflows=[Inbox]):
            yield client


async def test_signals_of_a_paused_workflow_wait_for_it(site: Site, client: Client) -> None:
    # Given a workflow that has begun, when it is paused and then signalled.
    handle = await client.start_workflow(Inbox.run, id="w", task_queue="queue")
    await handle.signal(Inbox.deliver, "before")
    assert await handle.query(Inbox.letters) == ["before"]
    result = asyncio.create_task(handle.result())
    await client.workflow_service.pause_workflow_execution(
        PauseWorkflowExecutionRequest(namespace=NS, workflow_id="w", reason="maintenance")
    )
    await handle.signal(Inbox.deliver, "meanwhile")
    await handle.signal(Inbox.close)
    with pytest.raises(WorkflowAlreadyStartedError):
        await client.start_workflow(
            Inbox.run, id="w", task_queue="queue", id_conflict_policy=WorkflowIDConflictPolicy.FAIL
        )

    # Then no task follows until it is unpaused; the worker replays what happened, pause and all.
    history = await handle.fetch_history()
    assert history.events[-1].event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    assert (await info(site)).status == PAUSED
    await client.workflow_service.unpause_workflow_execution(
        UnpauseWorkflowExecutionRequest(namespace=NS, workflow_id="w")
    )
    assert await result == ["before", "meanwhile"]
