"""A raw worker's answers to updates, for tests that look at single messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from google.protobuf import message as protobuf
from google.protobuf.any_pb2 import Any as AnyMessage
from temporalio.api.command.v1 import Command, ProtocolMessageCommandAttributes
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution
from temporalio.api.enums.v1 import CommandType, EventType, UpdateWorkflowExecutionLifecycleStage
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.protocol.v1 import Message
from temporalio.api.update.v1 import (
    Acceptance,
    Input,
    Meta,
    Outcome,
    Rejection,
    Request,
    Response,
    UpdateRef,
    WaitPolicy,
)
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
    PollWorkflowExecutionUpdateRequest,
    PollWorkflowExecutionUpdateResponse,
    PollWorkflowTaskQueueResponse,
    RespondWorkflowTaskCompletedRequest,
    RespondWorkflowTaskCompletedResponse,
    UpdateWorkflowExecutionRequest,
    UpdateWorkflowExecutionResponse,
)

from tests.frontend import raw_worker
from tests.frontend.raw_worker import NS
from tests.support import Site, refusal

T = TypeVar("T")
Stage = UpdateWorkflowExecutionLifecycleStage
ACCEPTED = Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ACCEPTED
NO_STAGE = Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_UNSPECIFIED
COMPLETED = Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED
FIRST = [
    "WORKFLOW_EXECUTION_STARTED",
    "WORKFLOW_TASK_SCHEDULED",
    "WORKFLOW_TASK_STARTED",
    "WORKFLOW_TASK_COMPLETED",
]


def message(update_id: str, what: str, body: protobuf.Message) -> Message:
    """A message `update_id/what`."""
    packed = AnyMessage()
    packed.Pack(body)
    return Message(id=f"{update_id}/{what}", protocol_instance_id=update_id, body=packed)


def accept(update_id: str, sequencing_event_id: int, request: Request | None = None) -> Message:
    return message(
        update_id,
        "accept",
        Acceptance(
            accepted_request_message_id=f"{update_id}/request",
            accepted_request_sequencing_event_id=sequencing_event_id,
            accepted_request=request,
        ),
    )


def answer(update_id: str, text: str = "done") -> Message:
    payload = Payload(metadata={"encoding": b"json/plain"}, data=f'"{text}"'.encode())
    return message(
        update_id,
        "complete",
        Response(meta=Meta(update_id=update_id), outcome=Outcome(success=Payloads(payloads=[payload]))),
    )


def reject(update_id: str, reason: str = "no", request: Request | None = None) -> Message:
    return message(update_id, "reject", Rejection(failure=Failure(message=reason), rejected_request=request))


def command(of: Message) -> Command:
    """The command that places a message among the others."""
    return Command(
        command_type=CommandType.COMMAND_TYPE_PROTOCOL_MESSAGE,
        protocol_message_command_attributes=ProtocolMessageCommandAttributes(message_id=of.id),
    )


async def complete_with(
    site: Site,
    task: PollWorkflowTaskQueueResponse,
    messages: list[Message],
    commands: list[Command] | None = None,
    **fields: Any,
) -> RespondWorkflowTaskCompletedResponse:
    """Complete a workflow task with messages, each named by a command unless `commands` are given."""
    if commands is None:
        commands = [command(each) for each in messages if not each.body.Is(Rejection.DESCRIPTOR)]
    request = RespondWorkflowTaskCompletedRequest(
        namespace=NS,
        task_token=task.task_token,
        identity="worker",
        messages=messages,
        commands=commands,
        **fields,
    )
    return await site.ask(request, RespondWorkflowTaskCompletedResponse)


async def complete_update(site: Site, task: PollWorkflowTaskQueueResponse, *then: Command) -> None:
    """Accept and answer all updates of a task, then do what `then` says."""
    messages: list[Message] = []
    for request in task.messages:
        messages += [
            accept(request.protocol_instance_id, request.event_id),
            answer(request.protocol_instance_id),
        ]
    await complete_with(site, task, messages, [*map(command, messages), *then])


async def update(
    site: Site,
    run: WorkflowExecution,
    update_id: str = "u",
    stage: Stage.ValueType = COMPLETED,
    *,
    timeout: float | None = 25.0,
    **fields: Any,
) -> UpdateWorkflowExecutionResponse:
    """Update a run."""
    request = UpdateWorkflowExecutionRequest(
        namespace=NS,
        workflow_execution=run,
        request=Request(meta=Meta(update_id=update_id), input=Input(name="n")),
        wait_policy=WaitPolicy(lifecycle_stage=stage),
        **fields,
    )
    return await site.ask(request, UpdateWorkflowExecutionResponse, timeout=timeout)


async def idle(site: Site) -> WorkflowExecution:
    """A run whose first workflow task is done."""
    run = await raw_worker.start(site)
    await raw_worker.complete(site, await raw_worker.take_task(site))
    return run


@asynccontextmanager
async def respond(call: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Task[T]]:
    """A call under way while the block plays the worker; done at its end."""
    task = asyncio.create_task(call)
    try:
        yield task
        await task
    finally:
        task.cancel()


async def events(site: Site, run: WorkflowExecution, client: str = "") -> list[HistoryEvent]:
    request = GetWorkflowExecutionHistoryRequest(namespace=NS, execution=run)
    metadata = {"client-name": client} if client else {}
    response = await site.ask(request, GetWorkflowExecutionHistoryResponse, metadata=metadata)
    return list(response.history.events)


async def poll(
    site: Site, run: WorkflowExecution, update_id: str = "u", stage: Stage.ValueType = COMPLETED
) -> PollWorkflowExecutionUpdateResponse:
    request = PollWorkflowExecutionUpdateRequest(
        namespace=NS,
        update_ref=UpdateRef(workflow_execution=run, update_id=update_id),
        wait_policy=WaitPolicy(lifecycle_stage=stage),
    )
    return await site.ask(request, PollWorkflowExecutionUpdateResponse, timeout=25)


async def admitted(site: Site, run: WorkflowExecution, *update_ids: str) -> None:
    """Return once the updates are in."""
    async with asyncio.timeout(5):
        for update_id in update_ids:
            while await refusal(poll(site, run, update_id, NO_STAGE)) is not None:  # noqa: ASYNC110
                await asyncio.sleep(0)


async def types(site: Site, run: WorkflowExecution, client: str = "") -> list[str]:
    return [name_of(event) for event in await events(site, run, client)]


def name_of(event: HistoryEvent) -> str:
    return EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")
