"""Raw calls at one region's own endpoint, by a client and a worker that are named after their side.

For scenarios that say which call reaches which region, and in which order. Everything goes over gRPC.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration
from temporalio.api.command.v1 import (
    Command,
    CompleteWorkflowExecutionCommandAttributes,
    ScheduleActivityTaskCommandAttributes,
)
from temporalio.api.common.v1 import ActivityType, Payload, Payloads, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import CommandType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    RespondWorkflowTaskCompletedRequest,
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
)
from temporalio.client import Client

from mockcloud.cloud.facade import MockCloud
from mockcloud.cloud.views import RunView
from tests.scenarios.invariants import settled

EAST, WEST = "aws-us-east-1", "aws-us-west-2"
NAMESPACE = "default"
QUEUE = TaskQueue(name="tq")
LOCAL = {"xdc-redirection": "false"}


def text(value: str) -> Payloads:
    payload = Payload(metadata={"encoding": b"json/plain"}, data=f'"{value}"'.encode())
    return Payloads(payloads=[payload])


def complete_workflow(result: str = "done") -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION,
        complete_workflow_execution_command_attributes=CompleteWorkflowExecutionCommandAttributes(
            result=text(result)
        ),
    )


def schedule_activity(activity_id: str) -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK,
        schedule_activity_task_command_attributes=ScheduleActivityTaskCommandAttributes(
            activity_id=activity_id,
            activity_type=ActivityType(name="charge"),
            task_queue=QUEUE,
            start_to_close_timeout=Duration(seconds=60),
        ),
    )


@dataclass(frozen=True)
class Side:
    """One region as its clients see it; `name` is in the identities."""

    client: Client
    name: str

    async def start(self, workflow_id: str, request_id: str = "", queue: TaskQueue = QUEUE) -> str:
        """The run id."""
        answer = await self.client.workflow_service.start_workflow_execution(
            StartWorkflowExecutionRequest(
                namespace=NAMESPACE,
                workflow_id=workflow_id,
                workflow_type=WorkflowType(name="wf"),
                task_queue=queue,
                input=text(f"input-{self.name}"),
                workflow_task_timeout=Duration(seconds=10),
                identity=f"starter-{self.name}",
                request_id=request_id or str(uuid.uuid4()),
            )
        )
        return answer.run_id

    async def signal(self, workflow_id: str, name: str) -> None:
        await self.client.workflow_service.signal_workflow_execution(
            SignalWorkflowExecutionRequest(
                namespace=NAMESPACE,
                workflow_execution=WorkflowExecution(workflow_id=workflow_id),
                signal_name=name,
                input=text(name),
                identity=f"signaler-{self.name}",
                request_id=str(uuid.uuid4()),
            )
        )

    async def take(self, queue: TaskQueue = QUEUE) -> PollWorkflowTaskQueueResponse:
        """A workflow task."""
        answer = await self.client.workflow_service.poll_workflow_task_queue(
            PollWorkflowTaskQueueRequest(
                namespace=NAMESPACE, task_queue=queue, identity=f"worker-{self.name}"
            )
        )
        assert answer.task_token, f"{self.name} has no workflow task to give"
        return answer

    async def complete(self, task: PollWorkflowTaskQueueResponse, *commands: Command) -> None:
        await self.client.workflow_service.respond_workflow_task_completed(
            RespondWorkflowTaskCompletedRequest(
                namespace=NAMESPACE,
                task_token=task.task_token,
                identity=f"worker-{self.name}",
                commands=commands,
            )
        )

    async def work(self, *commands: Command, queue: TaskQueue = QUEUE) -> None:
        """Take the workflow task and complete it."""
        await self.complete(await self.take(queue), *commands)

    async def describe(self, workflow_id: str) -> DescribeWorkflowExecutionResponse:
        return await self.client.workflow_service.describe_workflow_execution(
            DescribeWorkflowExecutionRequest(
                namespace=NAMESPACE, execution=WorkflowExecution(workflow_id=workflow_id)
            ),
            metadata=LOCAL,
        )

    async def history(self, workflow_id: str) -> GetWorkflowExecutionHistoryResponse:
        """As this region has it."""
        return await self.client.workflow_service.get_workflow_execution_history(
            GetWorkflowExecutionHistoryRequest(
                namespace=NAMESPACE, execution=WorkflowExecution(workflow_id=workflow_id)
            ),
            metadata=LOCAL,
        )


async def sides(cloud: MockCloud) -> tuple[Side, Side]:
    """East and west, of the namespace `default`."""
    namespace = cloud.namespace(NAMESPACE)
    return Side(await namespace.client(EAST), "A"), Side(await namespace.client(WEST), "B")


def signals_of(run: RunView) -> list[str]:
    """Names of the signals on the current branch."""
    return [
        event.workflow_execution_signaled_event_attributes.signal_name
        for event in run.events
        if event.HasField("workflow_execution_signaled_event_attributes")
    ]


async def agreed(cloud: MockCloud, *workflow_ids: str) -> dict[str, RunView]:
    """The current runs by workflow id, once the regions agree; the invariants hold."""
    namespace = cloud.namespace(NAMESPACE)
    return {workflow_id: (await settled(namespace, workflow_id))[0] for workflow_id in workflow_ids}
