"""What the real server's command_attr_validator refuses of ScheduleActivityTask, and what it fills in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from temporalio.api.command.v1 import Command, ScheduleActivityTaskCommandAttributes
from temporalio.api.common.v1 import ActivityType, Priority, RetryPolicy
from temporalio.api.enums.v1 import WorkflowTaskFailedCause
from temporalio.api.taskqueue.v1 import TaskQueue

from mockcloud.core import times
from tests.core.lives import WorkedLife, schedule, seconds
from tests.core.makers import World, start_request

LONG = "x" * 1001


def changed(change: Callable[[ScheduleActivityTaskCommandAttributes], Any]) -> Command:
    command = schedule(start_to_close=60)
    change(command.schedule_activity_task_command_attributes)
    return command


def with_retry(**fields: Any) -> Command:
    return changed(lambda attributes: attributes.retry_policy.CopyFrom(RetryPolicy(**fields)))


def with_priority(**fields: Any) -> Command:
    return changed(lambda attributes: attributes.priority.CopyFrom(Priority(**fields)))


def with_queue(name: str) -> Command:
    return changed(lambda attributes: attributes.task_queue.CopyFrom(TaskQueue(name=name, kind=1)))  # type: ignore[arg-type]


def negative(timeout: str) -> Command:
    return changed(lambda attributes: getattr(attributes, timeout).CopyFrom(seconds(-1)))


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (changed(lambda attributes: attributes.ClearField("task_queue")), "taskQueue is not set"),
        (with_queue(""), "missing task queue name"),
        (with_queue(LONG), "taskQueue length exceeds limit"),
        (with_queue("/_sys/q"), "task queue name cannot start with reserved prefix /_sys/"),
        (
            with_queue("temporal-sys-per-ns-tq"),
            (
                "cannot use internal per-namespace task queue:temporal-sys-per-ns-tq "
                "(in parent component task queue: tq)"
            ),
        ),
        (changed(lambda attributes: attributes.ClearField("activity_id")), "activityId is not set"),
        (changed(lambda attributes: attributes.ClearField("activity_type")), "activityType is not set"),
        (
            changed(lambda attributes: attributes.activity_type.CopyFrom(ActivityType(name=LONG))),
            "activityType exceeds length limit. Length=1001 Limit=1000",
        ),
        (
            with_retry(initial_interval=seconds(-1)),
            "invalid InitialInterval set on retry policy: negative duration",
        ),
        (
            with_retry(backoff_coefficient=0.5),
            "BackoffCoefficient cannot be less than 1 on retry policy.",
        ),
        (
            with_retry(maximum_interval=seconds(-1)),
            "invalid MaximumInterval set on retry policy: negative duration",
        ),
        (
            with_retry(initial_interval=seconds(2), maximum_interval=seconds(1)),
            "MaximumInterval cannot be less than InitialInterval on retry policy.",
        ),
        (with_retry(maximum_attempts=-1), "MaximumAttempts cannot be negative on retry policy."),
        (
            with_retry(non_retryable_error_types=["TemporalTimeout:Never"]),
            "Invalid timeout type value: Never.",
        ),
        (with_priority(priority_key=-1), "invalid priorities: priority key can't be negative"),
        (with_priority(fairness_key="f" * 65), "invalid priorities: fairness key length exceeds limit"),
        (with_priority(fairness_weight=-1), "invalid priorities: must be greater than zero"),
        (negative("schedule_to_close_timeout"), "invalid ScheduleToCloseTimeout: negative duration"),
        (negative("schedule_to_start_timeout"), "invalid ScheduleToStartTimeout: negative duration"),
        (negative("start_to_close_timeout"), "invalid StartToCloseTimeout: negative duration"),
        (negative("heartbeat_timeout"), "invalid HeartbeatTimeout: negative duration"),
        (
            changed(lambda attributes: setattr(attributes, "use_workflow_build_id", True)),
            "Activity with UseCompatibleVersion cannot run on different task queue.",
        ),
    ],
)
def test_what_is_refused(command: Command, message: str) -> None:
    life = WorkedLife()
    life.decide(command)
    failed = life.last("WORKFLOW_TASK_FAILED").workflow_task_failed_event_attributes
    assert failed.cause == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_ACTIVITY_ATTRIBUTES
    assert failed.failure.message == f"BadScheduleActivityAttributes: {message}"


@pytest.mark.parametrize(
    ("given", "whole", "to_start", "attempt", "heartbeat"),
    [
        ({"start_to_close": 100, "schedule_to_start": 100, "heartbeat": 200}, 20, 20, 20, 20),
        ({"schedule_to_close": 5}, 5, 5, 5, 0),
        (
            {"schedule_to_close": 15, "schedule_to_start": 60, "start_to_close": 3, "heartbeat": 9},
            15,
            15,
            3,
            3,
        ),
    ],
)
def test_time_outs_are_filled_in_and_cut_to_the_run(
    given: dict[str, float], whole: int, to_start: int, attempt: int, heartbeat: int
) -> None:
    life = WorkedLife(World(), start_request(workflow_run_timeout=seconds(20)))
    life.decide(schedule(**given))  # type: ignore[arg-type]
    attributes = life.last("ACTIVITY_TASK_SCHEDULED").activity_task_scheduled_event_attributes
    assert [
        times.nanoseconds(timeout) // times.SECOND
        for timeout in (
            attributes.schedule_to_close_timeout,
            attributes.schedule_to_start_timeout,
            attributes.start_to_close_timeout,
            attributes.heartbeat_timeout,
        )
    ] == [whole, to_start, attempt, heartbeat]
