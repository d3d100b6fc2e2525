"""One attempt of a batch, whose region is a function here."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest
from google.protobuf.message import Message
from temporalio.api.batch.v1 import BatchOperationTermination
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    PollActivityTaskQueueResponse,
    RecordActivityTaskHeartbeatRequest,
    StartBatchOperationRequest,
    TerminateWorkflowExecutionRequest,
)

from mockcloud.core.batch import Progress
from mockcloud.core.errors import InvalidArgument, NotFound, ServiceError, Unavailable
from mockcloud.core.limits import Limits
from mockcloud.engine import batch_attempt
from mockcloud.engine.batch_attempt import Attempt
from mockcloud.engine.batch_caller import Caller
from mockcloud.engine.namespaces import Namespace


class Region:
    """It answers every termination with the error that belongs to the workflow id, if any."""

    def __init__(self) -> None:
        self.errors: dict[str, ServiceError] = {}
        self.terminated: list[str] = []
        self.told: list[Progress | None] = []
        self.stopped_after = 10**6  # heartbeats

    async def call(self, _: Namespace, request: Message) -> Message:
        match request:
            case RecordActivityTaskHeartbeatRequest():
                if len(self.told) >= self.stopped_after:
                    raise NotFound("stopped")
                self.told.append(Progress.of(request.details))
            case TerminateWorkflowExecutionRequest():
                workflow_id = request.workflow_execution.workflow_id
                self.terminated.append(workflow_id)
                if workflow_id in self.errors:
                    raise self.errors[workflow_id]
        return request

    def attempt(self, *names: str, heartbeat: Progress | None = None) -> Attempt:
        batch = StartBatchOperationRequest(
            namespace="orders",
            executions=[WorkflowExecution(workflow_id=name) for name in names],
            termination_operation=BatchOperationTermination(),
        )
        task = PollActivityTaskQueueResponse(
            input=Payloads(payloads=[Payload(data=batch.SerializeToString())]),
            heartbeat_details=heartbeat.payloads() if heartbeat else None,
        )
        namespace = cast("Namespace", SimpleNamespace(name="orders"))
        return Attempt(Caller(self.call, namespace), task, Limits())


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_attempt, "_PAUSE", 0)
    monkeypatch.setattr(batch_attempt, "_HEARTBEAT", -1)  # one is always due


async def test_every_run_is_done_once_and_those_that_are_gone_count() -> None:
    region = Region()
    region.errors = {"b": NotFound("gone"), "c": InvalidArgument("no")}
    progress = await region.attempt("a", "b", "c").run()
    assert region.terminated == ["a", "b", "c"]
    assert (progress.SuccessCount, progress.ErrorCount, progress.TotalEstimate) == (2, 1, 3)


async def test_the_next_attempt_goes_on_where_the_last_heartbeat_was() -> None:
    region = Region()
    heartbeat = Progress(Position=2, SuccessCount=1, ErrorCount=1, TotalEstimate=3)
    progress = await region.attempt("a", "b", "c", heartbeat=heartbeat).run()
    assert region.terminated == ["c"]
    assert (progress.SuccessCount, progress.ErrorCount) == (2, 1)


async def test_heartbeats_go_on_while_one_run_is_tried_again() -> None:
    region = Region()
    region.errors = {"a": Unavailable("busy")}
    progress = await region.attempt("a", "b").run()
    assert region.terminated == ["a"] * 50 + ["b"]
    assert (progress.SuccessCount, progress.ErrorCount) == (1, 1)
    assert len(region.told) > 50


async def test_an_attempt_ends_when_its_batch_was_stopped() -> None:
    region = Region()
    region.stopped_after = 2
    with pytest.raises(NotFound, match="stopped"):
        await region.attempt("a", "b", "c").run()
    assert region.terminated == ["a", "b"]
