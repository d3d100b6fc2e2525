"""The null Temporal server: the calls of a one-activity workflow, in memory, one region, no rules. Prints its port.

The ceiling for workflows: whatever a real server adds to this is its own cost.
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import grpc
import grpc.aio
import uvloop
from google.protobuf.message import Message
from temporalio.api.enums.v1 import CommandType, EventType, WorkflowExecutionStatus
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice import v1 as api

PREFIX = "/temporal.api.workflowservice.v1.WorkflowService/"


@dataclass(slots=True)
class Run:
    request: api.StartWorkflowExecutionRequest
    run_id: str
    events: list[HistoryEvent] = field(default_factory=list)
    told: int = 0
    previous_started: int = 0
    sticky: str = ""
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, event_type: EventType.ValueType, **attributes: Message) -> HistoryEvent:
        event = HistoryEvent(event_id=len(self.events) + 1, event_type=event_type, version=1)
        event.event_time.GetCurrentTime()
        for name, value in attributes.items():
            getattr(event, name).CopyFrom(value)
        self.events.append(event)
        return event


class Queue:
    def __init__(self) -> None:
        self.tasks: deque[tuple[str, int]] = deque()
        self.waiters: deque[asyncio.Future[None]] = deque()

    def put(self, workflow_id: str, event_id: int) -> None:
        self.tasks.append((workflow_id, event_id))
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                break

    async def get(self) -> tuple[str, int]:
        while not self.tasks:
            waiter = asyncio.get_running_loop().create_future()
            self.waiters.append(waiter)
            await waiter
        return self.tasks.popleft()


class Server(grpc.GenericRpcHandler):
    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.queues: dict[tuple[str, str], Queue] = {}
        self.counter = itertools.count()
        calls: dict[str, tuple[type[Message], Callable[..., Awaitable[Message]]]] = {
            "GetSystemInfo": (api.GetSystemInfoRequest, self.system_info),
            "DescribeNamespace": (api.DescribeNamespaceRequest, self.namespace),
            "StartWorkflowExecution": (api.StartWorkflowExecutionRequest, self.start),
            "SignalWorkflowExecution": (api.SignalWorkflowExecutionRequest, self.signal),
            "DescribeWorkflowExecution": (api.DescribeWorkflowExecutionRequest, self.describe),
            "PollWorkflowTaskQueue": (api.PollWorkflowTaskQueueRequest, self.poll_workflow),
            "RespondWorkflowTaskCompleted": (api.RespondWorkflowTaskCompletedRequest, self.workflow_done),
            "PollActivityTaskQueue": (api.PollActivityTaskQueueRequest, self.poll_activity),
            "RespondActivityTaskCompleted": (api.RespondActivityTaskCompletedRequest, self.activity_done),
            "GetWorkflowExecutionHistory": (api.GetWorkflowExecutionHistoryRequest, self.history),
            "ShutdownWorker": (api.ShutdownWorkerRequest, self.shutdown_worker),
        }
        self.handlers = {
            PREFIX + name: grpc.unary_unary_rpc_method_handler(
                call,
                request_deserializer=request.FromString,
                response_serializer=lambda message: message.SerializeToString(),
            )
            for name, (request, call) in calls.items()
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return self.handlers.get(handler_call_details.method)

    def queue(self, kind: str, name: str) -> Queue:
        return self.queues.setdefault((kind, name), Queue())

    async def system_info(self, request: Message, context: object) -> Message:
        return api.GetSystemInfoResponse(server_version="1.31.2")

    async def shutdown_worker(self, request: Message, context: object) -> Message:
        return api.ShutdownWorkerResponse()

    async def namespace(self, request: api.DescribeNamespaceRequest, context: object) -> Message:
        answer = api.DescribeNamespaceResponse()
        answer.namespace_info.name = request.namespace
        return answer

    async def start(self, request: api.StartWorkflowExecutionRequest, context: object) -> Message:
        run = Run(request, str(uuid.uuid4()))
        self.runs[request.workflow_id] = run
        event = run.add(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED)
        started = event.workflow_execution_started_event_attributes
        started.workflow_type.CopyFrom(request.workflow_type)
        started.task_queue.CopyFrom(request.task_queue)
        started.input.CopyFrom(request.input)
        started.workflow_task_timeout.seconds = 10
        started.original_execution_run_id = started.first_execution_run_id = run.run_id
        started.attempt = 1
        self.schedule(run)
        return api.StartWorkflowExecutionResponse(run_id=run.run_id, started=True)

    def schedule(self, run: Run) -> None:
        event = run.add(EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED)
        event.workflow_task_scheduled_event_attributes.attempt = 1
        queue = run.sticky or run.request.task_queue.name
        self.queue("workflow", queue).put(run.request.workflow_id, event.event_id)

    async def signal(self, request: api.SignalWorkflowExecutionRequest, context: object) -> Message:
        run = self.runs[request.workflow_execution.workflow_id]
        event = run.add(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)
        event.workflow_execution_signaled_event_attributes.signal_name = request.signal_name
        return api.SignalWorkflowExecutionResponse()

    async def describe(self, request: api.DescribeWorkflowExecutionRequest, context: object) -> Message:
        run = self.runs[request.execution.workflow_id]
        answer = api.DescribeWorkflowExecutionResponse()
        answer.workflow_execution_info.execution.workflow_id = request.execution.workflow_id
        answer.workflow_execution_info.execution.run_id = run.run_id
        answer.workflow_execution_info.type.CopyFrom(run.request.workflow_type)
        answer.workflow_execution_info.status = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
        return answer

    async def poll_workflow(self, request: api.PollWorkflowTaskQueueRequest, context: object) -> Message:
        workflow_id, scheduled = await self.queue("workflow", request.task_queue.name).get()
        run = self.runs[workflow_id]
        event = run.add(EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED)
        event.workflow_task_started_event_attributes.scheduled_event_id = scheduled
        answer = api.PollWorkflowTaskQueueResponse(
            task_token=f"{workflow_id}\n{scheduled}".encode(),
            started_event_id=event.event_id,
            previous_started_event_id=run.previous_started,
            attempt=1,
        )
        answer.workflow_execution.workflow_id = workflow_id
        answer.workflow_execution.run_id = run.run_id
        answer.workflow_type.CopyFrom(run.request.workflow_type)
        answer.workflow_execution_task_queue.CopyFrom(run.request.task_queue)
        answer.history.events.extend(run.events[run.told :])
        answer.scheduled_time.CopyFrom(event.event_time)
        answer.started_time.CopyFrom(event.event_time)
        run.previous_started = event.event_id
        return answer

    async def workflow_done(
        self, request: api.RespondWorkflowTaskCompletedRequest, context: object
    ) -> Message:
        workflow_id, scheduled = request.task_token.decode().split("\n")
        run = self.runs[workflow_id]
        run.sticky = request.sticky_attributes.worker_task_queue.name
        run.told = len(run.events) if run.sticky else 0
        event = run.add(EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
        event.workflow_task_completed_event_attributes.scheduled_event_id = int(scheduled)
        event.workflow_task_completed_event_attributes.started_event_id = run.previous_started
        for command in request.commands:
            if command.command_type == CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK:
                wanted = command.schedule_activity_task_command_attributes
                added = run.add(EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)
                attributes = added.activity_task_scheduled_event_attributes
                attributes.activity_id = wanted.activity_id
                attributes.activity_type.CopyFrom(wanted.activity_type)
                attributes.task_queue.CopyFrom(wanted.task_queue)
                attributes.input.CopyFrom(wanted.input)
                attributes.start_to_close_timeout.CopyFrom(wanted.start_to_close_timeout)
                self.queue("activity", wanted.task_queue.name).put(workflow_id, added.event_id)
            elif command.command_type == CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION:
                added = run.add(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED)
                added.workflow_execution_completed_event_attributes.result.CopyFrom(
                    command.complete_workflow_execution_command_attributes.result
                )
                run.closed.set()
        return api.RespondWorkflowTaskCompletedResponse()

    async def poll_activity(self, request: api.PollActivityTaskQueueRequest, context: object) -> Message:
        workflow_id, scheduled = await self.queue("activity", request.task_queue.name).get()
        run = self.runs[workflow_id]
        attributes = run.events[scheduled - 1].activity_task_scheduled_event_attributes
        answer = api.PollActivityTaskQueueResponse(
            task_token=f"{workflow_id}\n{scheduled}".encode(), activity_id=attributes.activity_id, attempt=1
        )
        answer.workflow_execution.workflow_id = workflow_id
        answer.workflow_execution.run_id = run.run_id
        answer.workflow_type.CopyFrom(run.request.workflow_type)
        answer.workflow_namespace = request.namespace
        answer.activity_type.CopyFrom(attributes.activity_type)
        answer.input.CopyFrom(attributes.input)
        answer.start_to_close_timeout.CopyFrom(attributes.start_to_close_timeout)
        for moment in (answer.scheduled_time, answer.started_time, answer.current_attempt_scheduled_time):
            moment.GetCurrentTime()
        return answer

    async def activity_done(
        self, request: api.RespondActivityTaskCompletedRequest, context: object
    ) -> Message:
        workflow_id, scheduled = request.task_token.decode().split("\n")
        run = self.runs[workflow_id]
        started = run.add(EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED)
        started.activity_task_started_event_attributes.scheduled_event_id = int(scheduled)
        done = run.add(EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED)
        done.activity_task_completed_event_attributes.scheduled_event_id = int(scheduled)
        done.activity_task_completed_event_attributes.started_event_id = started.event_id
        done.activity_task_completed_event_attributes.result.CopyFrom(request.result)
        self.schedule(run)
        return api.RespondActivityTaskCompletedResponse()

    async def history(self, request: api.GetWorkflowExecutionHistoryRequest, context: object) -> Message:
        run = self.runs[request.execution.workflow_id]
        await run.closed.wait()
        answer = api.GetWorkflowExecutionHistoryResponse()
        answer.history.events.append(run.events[-1])
        return answer


async def main() -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Server(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
