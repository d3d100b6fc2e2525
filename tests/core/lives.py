"""What workers and time do to a run, in the words of the tests of commands, activities and timers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio.api.command.v1 import (
    CancelTimerCommandAttributes,
    CancelWorkflowExecutionCommandAttributes,
    Command,
    CompleteWorkflowExecutionCommandAttributes,
    ContinueAsNewWorkflowExecutionCommandAttributes,
    FailWorkflowExecutionCommandAttributes,
    RequestCancelActivityTaskCommandAttributes,
    ScheduleActivityTaskCommandAttributes,
    StartTimerCommandAttributes,
)
from temporalio.api.common.v1 import ActivityType, RetryPolicy
from temporalio.api.enums.v1 import CommandType
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    RespondWorkflowTaskCompletedRequest,
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
)

from mockcloud.core import activity, due, signals, times, workflow_task
from mockcloud.core.activity import StartedActivity, activity_offers
from mockcloud.core.derive import workflow_task_offer
from mockcloud.core.derived import Offer
from mockcloud.core.tokens import TaskToken
from mockcloud.core.workflow_task import Completion
from tests.core.makers import Life, World, payloads, short


class WorkedLife(Life):
    """A run with a worker `worker` at its queues."""

    def __init__(
        self, world: World | None = None, request: StartWorkflowExecutionRequest | None = None
    ) -> None:
        super().__init__(world or World(), request)

    def take_task(self) -> TaskToken:
        """The worker takes the pending workflow task."""
        offer = workflow_task_offer(self.run)
        assert offer is not None, "no workflow task is offered"
        change = self.change()
        started = workflow_task.start_workflow_task(change, offer, "poll", "worker")
        assert started is not None
        self.commit(change)
        return started.token

    def complete(self, token: TaskToken, *commands: Command, **request: Any) -> Completion:
        """The worker completes its workflow task."""
        change = self.change()
        completion = workflow_task.complete_workflow_task(
            change,
            token,
            RespondWorkflowTaskCompletedRequest(commands=commands, identity="worker", **request),
            lambda: "run-2",
        )
        self.commit(change)
        return completion

    def decide(self, *commands: Command) -> Completion:
        """The worker takes the pending workflow task and completes it."""
        return self.complete(self.take_task(), *commands)

    def signal(self, name: str = "s") -> None:
        change = self.change()
        signals.signal(change, SignalWorkflowExecutionRequest(signal_name=name))
        self.commit(change)

    def next_run(self) -> WorkedLife:
        """The life of the run that follows, which the last change made."""
        outcome = self.outcomes[-1].successor
        assert outcome is not None, "no run follows"
        following = WorkedLife.__new__(WorkedLife)
        following.world = self.world
        following.run = outcome.run
        following.outcomes = [outcome]
        following.events = [
            event for batch in outcome.batches for event in History.FromString(batch.data).events
        ]
        return following

    @property
    def offers(self) -> list[Offer]:
        return list(activity_offers(self.run))

    def take_activity(self, poll: str = "poll-a") -> StartedActivity:
        """The worker takes the one activity that is offered."""
        (offer,) = self.offers
        change = self.change()
        started = activity.start_activity(change, offer, poll, "worker")
        assert started is not None
        self.commit(change)
        return started

    def pass_time(self, nanoseconds: int) -> None:
        """Time passes, and what is due happens at its moment, as the engine's timers see to it."""
        end = self.world.time + nanoseconds
        while (at := due.next_due(self.run)) is not None and at <= end:
            self.world.time = max(self.world.time, at)
            self.run_due()
        self.world.time = end

    def run_due(self) -> None:
        change = self.change()
        due.run_due(change)
        assert change.changed, "something was due"
        self.commit(change)

    def last(self, name: str) -> HistoryEvent:
        """The last event of a type."""
        return next(event for event in reversed(self.events) if short(event) == name)


def seconds(value: float) -> Duration:
    return times.duration(int(value * times.SECOND))


def schedule(
    activity_id: str = "a",
    *,
    start_to_close: float = 0,
    schedule_to_close: float = 0,
    schedule_to_start: float = 0,
    heartbeat: float = 0,
    retry: RetryPolicy | None = None,
    eager: bool = False,
) -> Command:
    attributes = ScheduleActivityTaskCommandAttributes(
        activity_id=activity_id,
        activity_type=ActivityType(name="act"),
        task_queue=TaskQueue(name="acts"),
        input=payloads("in"),
        retry_policy=retry,
        request_eager_execution=eager,
    )
    for name, value in (
        ("start_to_close_timeout", start_to_close),
        ("schedule_to_close_timeout", schedule_to_close),
        ("schedule_to_start_timeout", schedule_to_start),
        ("heartbeat_timeout", heartbeat),
    ):
        if value:
            getattr(attributes, name).CopyFrom(seconds(value))
    return Command(
        command_type=CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK,
        schedule_activity_task_command_attributes=attributes,
    )


def cancel_activity(scheduled_event_id: int) -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_REQUEST_CANCEL_ACTIVITY_TASK,
        request_cancel_activity_task_command_attributes=RequestCancelActivityTaskCommandAttributes(
            scheduled_event_id=scheduled_event_id
        ),
    )


def start_timer(timer_id: str = "t", after: float = 10) -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_START_TIMER,
        start_timer_command_attributes=StartTimerCommandAttributes(
            timer_id=timer_id, start_to_fire_timeout=seconds(after)
        ),
    )


def cancel_timer(timer_id: str = "t") -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_CANCEL_TIMER,
        cancel_timer_command_attributes=CancelTimerCommandAttributes(timer_id=timer_id),
    )


def complete_workflow(result: str = "done") -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION,
        complete_workflow_execution_command_attributes=CompleteWorkflowExecutionCommandAttributes(
            result=payloads(result)
        ),
    )


def fail_workflow(kind: str = "Oops", *, non_retryable: bool = False, next_delay: float = 0) -> Command:
    info = ApplicationFailureInfo(type=kind, non_retryable=non_retryable)
    if next_delay:
        info.next_retry_delay.CopyFrom(seconds(next_delay))
    return Command(
        command_type=CommandType.COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION,
        fail_workflow_execution_command_attributes=FailWorkflowExecutionCommandAttributes(
            failure=Failure(message="it failed", application_failure_info=info)
        ),
    )


def cancel_workflow() -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION,
        cancel_workflow_execution_command_attributes=CancelWorkflowExecutionCommandAttributes(),
    )


def continue_as_new(**attributes: Any) -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION,
        continue_as_new_workflow_execution_command_attributes=ContinueAsNewWorkflowExecutionCommandAttributes(
            **attributes
        ),
    )


def retries(attempts: int = 0, *, initial: float = 1, types: Iterable[str] = ()) -> RetryPolicy:
    return RetryPolicy(
        maximum_attempts=attempts, initial_interval=seconds(initial), non_retryable_error_types=types
    )
