"""What clients ask a simulated region for: a step becomes a request, and they keep its answer in mind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from google.protobuf.duration_pb2 import Duration
from temporalio.api.batch.v1 import BatchOperationSignal, BatchOperationTermination
from temporalio.api.common.v1 import RetryPolicy, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import WorkflowIdConflictPolicy, WorkflowIdReusePolicy
from temporalio.api.schedule.v1 import IntervalSpec, Schedule
from temporalio.api.update.v1 import WaitPolicy
from temporalio.api.workflow.v1 import NewWorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    CreateScheduleRequest,
    DeleteScheduleRequest,
    DeleteWorkflowExecutionRequest,
    PauseActivityRequest,
    PauseWorkflowExecutionRequest,
    RequestCancelWorkflowExecutionRequest,
    ResetWorkflowExecutionRequest,
    SignalWithStartWorkflowExecutionRequest,
    SignalWithStartWorkflowExecutionResponse,
    SignalWorkflowExecutionRequest,
    StartBatchOperationRequest,
    StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
    TerminateWorkflowExecutionRequest,
    UnpauseActivityRequest,
    UnpauseWorkflowExecutionRequest,
    UpdateWorkflowExecutionRequest,
    UpdateWorkflowExecutionResponse,
)

from tests.simulation import model
from tests.simulation.schedule import Step
from tests.simulation.starts import Start
from tests.simulation.workers import QUEUE
from tests.support import Site

NAMESPACE: Final = "ns"
OTHER_NAMESPACE: Final = "ns2"

_StartRequest = StartWorkflowExecutionRequest | SignalWithStartWorkflowExecutionRequest
_StartResponse = StartWorkflowExecutionResponse | SignalWithStartWorkflowExecutionResponse

_MODEL = WorkflowType(name="model")
_SLOTS = 5  # that a schedule has


def namespace_of(workflow_id: str) -> str:
    """In which namespace a workflow id lives."""
    return OTHER_NAMESPACE if workflow_id.startswith("v") else NAMESPACE


class Clients:
    """What was answered: `acknowledged` as (workflow id, signal name), `updated` as (workflow id, update id)."""

    def __init__(self) -> None:
        self.starts: Final[list[Start]] = []
        self.acknowledged: Final[set[tuple[str, str]]] = set()
        self.updated: Final[set[tuple[str, str]]] = set()
        self.deleted: Final[set[str]] = (
            set()
        )  # workflow ids that were to be deleted, whether it was answered or not
        self.schedules: Final[set[str]] = set()
        self._signals = 0

    async def do(self, site: Site, step: Step) -> None:
        """Ask, and keep the answer in mind. Raises what the region answers."""
        await _CALLS[step.kind](self, site, step)

    async def signal(self, site: Site, workflow_id: str, name: str = "") -> None:
        """Send a signal; keep in mind that it was answered. By its name, it is the same one again."""
        name = name or self._new_signal()
        request = SignalWorkflowExecutionRequest(
            namespace=namespace_of(workflow_id), signal_name=name, request_id=name
        )
        request.workflow_execution.workflow_id = workflow_id
        await site.call(request)
        self.acknowledged.add((workflow_id, name))

    async def unpause(self, site: Site, workflow_id: str) -> None:
        """Let a run go on."""
        request = UnpauseWorkflowExecutionRequest(
            namespace=namespace_of(workflow_id), workflow_id=workflow_id, reason="no", identity="model"
        )
        await site.call(request)

    def _new_signal(self) -> str:
        self._signals += 1
        return f"s{self._signals}"

    async def _start(self, site: Site, step: Step) -> None:
        kind, *policies = step.target.split(":")
        common = {
            "namespace": namespace_of(step.workflow_id),
            "workflow_id": step.workflow_id,
            "workflow_type": _MODEL,
            "task_queue": QUEUE,
            "input": model.text(step.detail),
            "request_id": f"start-{step.at}",
        }
        conflict = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING
        if kind == "signal":
            name = self._new_signal()
            with_signal = SignalWithStartWorkflowExecutionRequest(**common, signal_name=name)  # type: ignore[arg-type]
            await self._started(site, with_signal, SignalWithStartWorkflowExecutionResponse)
            self.acknowledged.add((step.workflow_id, name))
            return
        request = StartWorkflowExecutionRequest(**common, workflow_id_conflict_policy=conflict)  # type: ignore[arg-type]
        if kind == "policy":
            request.workflow_id_reuse_policy = WorkflowIdReusePolicy.ValueType(int(policies[0]))
            request.workflow_id_conflict_policy = WorkflowIdConflictPolicy.ValueType(int(policies[1]))
        elif kind == "cron":
            request.cron_schedule = "@every 1s"
            request.workflow_execution_timeout.CopyFrom(Duration(seconds=6))
        elif kind == "retry":
            request.retry_policy.CopyFrom(RetryPolicy(maximum_attempts=3))
        elif kind == "delay":
            request.workflow_start_delay.CopyFrom(Duration(seconds=2))
        await self._started(site, request, StartWorkflowExecutionResponse)

    async def _started(self, site: Site, request: _StartRequest, kind: type[_StartResponse]) -> None:
        loop = asyncio.get_running_loop()
        called = loop.time()
        answer = await site.ask(request, kind)
        self.starts.append(Start(request.workflow_id, answer.run_id, answer.started, called, loop.time()))

    async def _signal(self, site: Site, step: Step) -> None:
        await self.signal(site, step.workflow_id, f"s-{step.at}")

    async def _cancel(self, site: Site, step: Step) -> None:
        request = RequestCancelWorkflowExecutionRequest(namespace=namespace_of(step.workflow_id))
        request.workflow_execution.workflow_id = step.workflow_id
        await site.call(request)

    async def _terminate(self, site: Site, step: Step) -> None:
        request = TerminateWorkflowExecutionRequest(namespace=namespace_of(step.workflow_id))
        request.workflow_execution.workflow_id = step.workflow_id
        await site.call(request)

    async def _update(self, site: Site, step: Step) -> None:
        request = UpdateWorkflowExecutionRequest(
            namespace=namespace_of(step.workflow_id),
            workflow_execution=WorkflowExecution(workflow_id=step.workflow_id),
            wait_policy=WaitPolicy(lifecycle_stage=3),  # type: ignore[arg-type]
        )
        request.request.meta.update_id = f"u-{step.at}"
        request.request.input.name = "update"
        answer = await site.ask(request, UpdateWorkflowExecutionResponse)
        if answer.outcome.HasField("success"):
            self.updated.add((step.workflow_id, request.request.meta.update_id))

    async def _reset(self, site: Site, step: Step) -> None:
        request = ResetWorkflowExecutionRequest(
            namespace=namespace_of(step.workflow_id),
            workflow_task_finish_event_id=4,
            request_id=f"reset-{step.at}",
        )
        request.workflow_execution.workflow_id = step.workflow_id
        await site.call(request)

    async def _delete(self, site: Site, step: Step) -> None:
        request = DeleteWorkflowExecutionRequest(namespace=namespace_of(step.workflow_id))
        request.workflow_execution.workflow_id = step.workflow_id
        self.deleted.add(step.workflow_id)
        await site.call(request)

    async def _pause(self, site: Site, step: Step) -> None:
        request = PauseWorkflowExecutionRequest(
            namespace=namespace_of(step.workflow_id),
            workflow_id=step.workflow_id,
            reason="so",
            identity="model",
        )
        await site.call(request)

    async def _unpause(self, site: Site, step: Step) -> None:
        await self.unpause(site, step.workflow_id)

    async def _pause_activity(self, site: Site, step: Step) -> None:
        execution = WorkflowExecution(workflow_id=step.workflow_id)
        namespace = namespace_of(step.workflow_id)
        if step.detail == "on":
            await site.call(PauseActivityRequest(namespace=namespace, execution=execution, type="work"))
        else:
            await site.call(UnpauseActivityRequest(namespace=namespace, execution=execution, type="work"))

    async def _schedule(self, site: Site, step: Step) -> None:
        schedule_id = f"{step.workflow_id}-every"
        self.schedules.add(schedule_id)
        schedule = Schedule()
        schedule.spec.interval.append(IntervalSpec(interval=Duration(seconds=1)))
        schedule.state.limited_actions = True
        schedule.state.remaining_actions = _SLOTS
        schedule.policies.overlap_policy = 1 + int(step.amount) % 6  # type: ignore[assignment]
        schedule.action.start_workflow.CopyFrom(
            NewWorkflowExecutionInfo(
                workflow_id=f"{step.workflow_id}+",
                workflow_type=_MODEL,
                task_queue=QUEUE,
                input=model.text("ka"),
            )
        )
        request = CreateScheduleRequest(
            namespace=namespace_of(step.workflow_id),
            schedule_id=schedule_id,
            schedule=schedule,
            request_id=f"schedule-{step.at}",
        )
        await site.call(request)

    async def delete_schedule(self, site: Site, schedule_id: str) -> None:
        """End a schedule."""
        await site.call(DeleteScheduleRequest(namespace=namespace_of(schedule_id), schedule_id=schedule_id))

    async def _batch(self, site: Site, step: Step) -> None:
        request = StartBatchOperationRequest(
            namespace=namespace_of(step.workflow_id),
            job_id=f"{step.workflow_id}-batch-{step.at}",
            reason="so",
            executions=[WorkflowExecution(workflow_id=step.workflow_id)],
        )
        if step.detail == "terminate":
            request.termination_operation.CopyFrom(BatchOperationTermination(identity="model"))
        else:
            request.signal_operation.CopyFrom(BatchOperationSignal(signal="batch", identity="model"))
        await site.call(request)


_CALLS: Final[dict[str, Callable[[Clients, Site, Step], Awaitable[None]]]] = {
    "start": Clients._start,
    "signal": Clients._signal,
    "cancel": Clients._cancel,
    "terminate": Clients._terminate,
    "update": Clients._update,
    "reset": Clients._reset,
    "delete": Clients._delete,
    "pause": Clients._pause,
    "unpause": Clients._unpause,
    "activity": Clients._pause_activity,
    "schedule": Clients._schedule,
    "batch": Clients._batch,
}
