"""What is wrong with updates, in the words that the real server has for the same calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.message import Message as AnyRequest
from temporalio.api.command.v1 import (
    Command,
    ContinueAsNewWorkflowExecutionCommandAttributes,
    ProtocolMessageCommandAttributes,
)
from temporalio.api.common.v1 import Payloads, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import CommandType
from temporalio.api.protocol.v1 import Message
from temporalio.api.update.v1 import (
    Acceptance,
    Input,
    Meta,
    Outcome,
    Request,
    Response,
    UpdateRef,
    WaitPolicy,
)
from temporalio.api.workflowservice.v1 import (
    PollWorkflowExecutionUpdateRequest,
    UpdateWorkflowExecutionRequest,
)

from mockcloud.core.errors import (
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ServiceError,
    WorkflowNotReady,
)
from tests.frontend import raw_worker
from tests.frontend.raw_worker import NS, take_task
from tests.frontend.updater import (
    Stage,
    accept,
    answer,
    command,
    complete_update,
    complete_with,
    events,
    idle,
    message,
    reject,
    respond,
    update,
)
from tests.support import Site, refusal

ADMITTED = Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ADMITTED
UNSPECIFIED = Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_UNSPECIFIED
NEXT = Command(
    command_type=CommandType.COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION,
    continue_as_new_workflow_execution_command_attributes=ContinueAsNewWorkflowExecutionCommandAttributes(
        workflow_type=WorkflowType(name="T"), task_queue=raw_worker.QUEUE
    ),
)
FIRST = [
    "WORKFLOW_EXECUTION_STARTED",
    "WORKFLOW_TASK_SCHEDULED",
    "WORKFLOW_TASK_STARTED",
    "WORKFLOW_TASK_COMPLETED",
]


# Messages


def _response(update_id: str = "u", **fields: Any) -> Message:
    return message(update_id, "response", Response(**fields))


def _unknown_type() -> Message:
    unknown = accept("u", 5)
    unknown.body.type_url = "type.googleapis.com/temporal.api.update.v1.Nope"
    return unknown


def _garbage() -> Message:
    garbage = accept("u", 5)
    garbage.body.value = b"\xff\xff\xff"
    return garbage


_DONE = Outcome(success=Payloads())
_PROTOCOL = CommandType.COMMAND_TYPE_PROTOCOL_MESSAGE
BAD: list[tuple[Callable[[], list[Message]], list[Command] | None, str]] = [
    (
        list,
        [command(accept("u", 5))],
        "ProtocolMessageCommand referenced absent message ID u/accept",
    ),
    (
        list,
        [Command(command_type=_PROTOCOL)],
        "ProtocolMessageCommandAttributes is not set on ProtocolMessageCommand.",
    ),
    (
        list,
        [
            Command(
                command_type=_PROTOCOL,
                protocol_message_command_attributes=ProtocolMessageCommandAttributes(),
            )
        ],
        "MessageID is not set on ProtocolMessageCommand.",
    ),
    (
        lambda: [accept("zzz", 5)],
        None,
        (
            "update zzz wasn't found on the server. "
            "This is most likely a transient error which will be resolved automatically by retries"
        ),
    ),
    (
        lambda: [accept("u", 0)],
        None,
        "invalid *update.Acceptance: accepted_request_sequencing_event_id is not set",
    ),
    (
        lambda: [message("u", "a", Acceptance(accepted_request_sequencing_event_id=5))],
        None,
        "invalid *update.Acceptance: accepted_request_message_id is not set",
    ),
    (
        lambda: [answer("u")],
        None,
        (
            "invalid state transition attempted for Update u: "
            "received *update.Response message while in state Sent"
        ),
    ),
    (
        lambda: [accept("u", 5), message("u", "again", Acceptance(accepted_request_message_id="x"))],
        None,
        (
            "invalid state transition attempted for Update u: "
            "received *update.Acceptance message while in state ProvisionallyAccepted"
        ),
    ),
    (
        lambda: [reject("u"), reject("u")],
        [],
        (
            "invalid state transition attempted for Update u: "
            "received *update.Rejection message while in state ProvisionallyCompleted"
        ),
    ),
    (
        lambda: [accept("u", 5), _response(outcome=_DONE)],
        None,
        "invalid *update.Response: meta is not set",
    ),
    (
        lambda: [accept("u", 5), _response(meta=Meta(identity="x"), outcome=_DONE)],
        None,
        "invalid *update.Response: meta.update_id is not set",
    ),
    (
        lambda: [accept("u", 5), _response(meta=Meta(update_id="q"), outcome=_DONE)],
        None,
        "invalid *update.Response: meta.update_id != u",
    ),
    (
        lambda: [accept("u", 5), _response(meta=Meta(update_id="u"))],
        None,
        "invalid *update.Response: outcome is not set",
    ),
    (lambda: [message("u", "x", Request())], [], "Message type *update.Request not supported"),
    (lambda: [_unknown_type()], [], "unable to unmarshal request: proto: not found"),
    (lambda: [_garbage()], [], "unable to unmarshal request: proto: cannot parse invalid wire-format data"),
    (
        lambda: [message("u", "x", WorkflowType(name="x"))],
        [],
        "unsupported protocol type temporal.api.common.v1",
    ),
]


@pytest.mark.parametrize(("messages", "commands", "reason"), BAD, ids=[reason for _, _, reason in BAD])
async def test_a_bad_message_fails_the_task(
    site: Site, messages: Callable[[], list[Message]], commands: list[Command] | None, reason: str
) -> None:
    run = await idle(site)
    async with respond(refusal(update(site, run))) as call:
        error = await refusal(complete_with(site, await take_task(site), messages(), commands))
        assert isinstance(error, InvalidArgument)
        assert error.message == f"BadUpdateWorkflowExecutionMessage: {reason}"
    told = call.result()
    assert isinstance(told, WorkflowNotReady)
    assert told.message == (
        "Unable to perform workflow execution update due to unexpected workflow task failure."
    )
    failed = (await events(site, run))[6].workflow_task_failed_event_attributes
    assert failed.failure.message == error.message
    assert len((await take_task(site)).messages) == 0  # not sent a second time


# Requests


_R = Request(meta=Meta(update_id="u"), input=Input(name="n"))
_E = WorkflowExecution(workflow_id="none")
REFUSED: list[tuple[AnyRequest, type[ServiceError], str]] = [
    (UpdateWorkflowExecutionRequest(request=_R), InvalidArgument, "Execution is not set on request."),
    (
        UpdateWorkflowExecutionRequest(workflow_execution=_E),
        InvalidArgument,
        "Update meta is not set on request.",
    ),
    (
        UpdateWorkflowExecutionRequest(
            workflow_execution=_E, request=Request(meta=Meta(update_id="x" * 1001))
        ),
        InvalidArgument,
        "UpdateId length exceeds limit.",
    ),
    (
        UpdateWorkflowExecutionRequest(workflow_execution=_E, request=Request(meta=Meta(update_id="u"))),
        InvalidArgument,
        "Update input is not set on request.",
    ),
    (
        UpdateWorkflowExecutionRequest(
            workflow_execution=_E, request=Request(meta=Meta(update_id="u"), input=Input())
        ),
        InvalidArgument,
        "Update name is not set on request.",
    ),
    (
        UpdateWorkflowExecutionRequest(
            workflow_execution=_E, request=_R, wait_policy=WaitPolicy(lifecycle_stage=ADMITTED)
        ),
        PermissionDenied,
        "UpdateWorkflowExecution issued asynchronously and waiting on update admitted is not supported.",
    ),
    (
        UpdateWorkflowExecutionRequest(workflow_execution=_E, request=_R),
        NotFound,
        "workflow not found for ID: none",
    ),
    (PollWorkflowExecutionUpdateRequest(), InvalidArgument, "UpdateRef is not set on request."),
    (
        PollWorkflowExecutionUpdateRequest(update_ref=UpdateRef(update_id="u")),
        InvalidArgument,
        "Can't load workflow execution.  WorkflowId not set.",
    ),
    (
        PollWorkflowExecutionUpdateRequest(
            update_ref=UpdateRef(workflow_execution=WorkflowExecution(workflow_id="x", run_id="y"))
        ),
        InvalidArgument,
        "RunId is not valid UUID.",
    ),
    (
        PollWorkflowExecutionUpdateRequest(update_ref=UpdateRef(workflow_execution=_E, update_id="u")),
        NotFound,
        "workflow not found for ID: none",
    ),
]


@pytest.mark.parametrize(("request_", "kind", "text"), REFUSED, ids=[text for _, _, text in REFUSED])
async def test_requests_that_are_refused(
    site: Site, request_: AnyRequest, kind: type[ServiceError], text: str
) -> None:
    setattr(request_, "namespace", NS)  # noqa: B010 - every one of them has it
    error = await refusal(site.call(request_))
    assert isinstance(error, kind)
    assert error.message == text


async def test_the_chain_that_a_request_names(site: Site) -> None:
    run = await idle(site)
    error = await refusal(update(site, run, first_execution_run_id="00000000-0000-0000-0000-000000000001"))
    assert isinstance(error, NotFound)
    assert error.message == "workflow execution not found"
    async with respond(update(site, run, first_execution_run_id=run.run_id)):
        await complete_update(site, await take_task(site))
