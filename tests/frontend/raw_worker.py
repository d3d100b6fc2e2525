"""A worker that speaks raw messages, for tests that look at single answers."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from temporalio.api.command.v1 import (
    Command,
    CompleteWorkflowExecutionCommandAttributes,
    ScheduleActivityTaskCommandAttributes,
)
from temporalio.api.common.v1 import ActivityType, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import CommandType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    PollActivityTaskQueueRequest,
    PollActivityTaskQueueResponse,
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    RespondWorkflowTaskCompletedRequest,
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
)

from tests.support import Site

NS = "default"
QUEUE = TaskQueue(name="q")
COMPLETE = Command(
    command_type=CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION,
    complete_workflow_execution_command_attributes=CompleteWorkflowExecutionCommandAttributes(),
)


def schedule_activity(activity_id: str = "a1") -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK,
        schedule_activity_task_command_attributes=ScheduleActivityTaskCommandAttributes(
            activity_id=activity_id,
            activity_type=ActivityType(name="act"),
            task_queue=QUEUE,
            start_to_close_timeout=Duration(seconds=60),
            heartbeat_timeout=Duration(seconds=30),
        ),
    )


async def start(site: Site, workflow_id: str = "w", workflow_type: str = "T") -> WorkflowExecution:
    response = await site.ask(
        StartWorkflowExecutionRequest(
            namespace=NS,
            workflow_id=workflow_id,
            workflow_type=WorkflowType(name=workflow_type),
            task_queue=QUEUE,
            identity="starter",
        ),
        StartWorkflowExecutionResponse,
    )
    return WorkflowExecution(workflow_id=workflow_id, run_id=response.run_id)


async def signal(site: Site, run: WorkflowExecution, name: str = "s") -> None:
    await site.call(SignalWorkflowExecutionRequest(namespace=NS, workflow_execution=run, signal_name=name))


async def take_task(
    site: Site, queue: TaskQueue = QUEUE, timeout: float = 10.0
) -> PollWorkflowTaskQueueResponse:
    request = PollWorkflowTaskQueueRequest(namespace=NS, task_queue=queue, identity="worker")
    return await site.ask(request, PollWorkflowTaskQueueResponse, timeout=timeout)


async def complete(site: Site, task: PollWorkflowTaskQueueResponse, *commands: Command) -> None:
    await site.call(
        RespondWorkflowTaskCompletedRequest(
            namespace=NS, task_token=task.task_token, identity="worker", commands=commands
        )
    )


async def take_activity(site: Site) -> PollActivityTaskQueueResponse:
    request = PollActivityTaskQueueRequest(namespace=NS, task_queue=QUEUE, identity="worker")
    return await site.ask(request, PollActivityTaskQueueResponse)


async def with_activity(site: Site) -> WorkflowExecution:
    """A run whose worker has scheduled the activity `a1`."""
    run = await start(site)
    await complete(site, await take_task(site), schedule_activity())
    return run
