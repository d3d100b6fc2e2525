"""Changing the options of a pending activity: what a field mask takes over, and what is then wrong with them.

What is changed is kept in the activity's record, as a whole, over what its Scheduled event says.

Real: api/updateactivityoptions/api.go.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.command.v1 import ScheduleActivityTaskCommandAttributes
from temporalio.api.common.v1 import RetryPolicy
from temporalio.api.history.v1 import ActivityTaskScheduledEventAttributes
from temporalio.api.taskqueue.v1 import TaskQueue

from mockcloud.core import command_checks, validation
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.limits import Limits
from mockcloud.core.messages import copy_set, is_set, replace
from mockcloud.core.run import Activity, Run

_TIMEOUTS: Final = (
    "schedule_to_close_timeout",
    "schedule_to_start_timeout",
    "start_to_close_timeout",
    "heartbeat_timeout",
)

# Paths that take over a whole field; an unset one clears it.
_WHOLE: Final = {
    "scheduleToCloseTimeout": "schedule_to_close_timeout",
    "scheduleToStartTimeout": "schedule_to_start_timeout",
    "startToCloseTimeout": "start_to_close_timeout",
    "heartbeatTimeout": "heartbeat_timeout",
    "priority": "priority",
    "retryPolicy": "retry_policy",
}

# Paths that take over a part of one, which must then be given: message, field in it, its name in errors.
_PARTS: Final = {
    "taskQueue.name": ("task_queue", "name", "TaskQueue"),
    "priority.priorityKey": ("priority", "priority_key", "Priority"),
    "priority.fairnessKey": ("priority", "fairness_key", "Priority"),
    "priority.fairnessWeight": ("priority", "fairness_weight", "Priority"),
    "retryPolicy.initialInterval": ("retry_policy", "initial_interval", "RetryPolicy"),
    "retryPolicy.backoffCoefficient": ("retry_policy", "backoff_coefficient", "RetryPolicy"),
    "retryPolicy.maximumInterval": ("retry_policy", "maximum_interval", "RetryPolicy"),
    "retryPolicy.maximumAttempts": ("retry_policy", "maximum_attempts", "RetryPolicy"),
}


def shown(options: ActivityOptions | ActivityTaskScheduledEventAttributes) -> ActivityOptions:
    """Options as Describe and an update show them: without the types of failures that are not retried."""
    result = ActivityOptions(task_queue=TaskQueue(name=options.task_queue.name))
    copy_set(options, result, *_TIMEOUTS, "priority", "retry_policy")
    if result.HasField("retry_policy"):
        del result.retry_policy.non_retryable_error_types[:]
    return result


def original(activity: Activity) -> ActivityOptions:
    """The options with which the activity was scheduled."""
    attributes = activity.attributes
    options = ActivityOptions(task_queue=TaskQueue(name=attributes.task_queue.name))
    copy_set(attributes, options, *_TIMEOUTS, "priority", "retry_policy")
    return options


def merged(
    run: Run, activity: Activity, given: ActivityOptions, paths: Collection[str], limits: Limits
) -> ActivityOptions:
    """The activity's options with what `paths` name taken from `given`, time-outs checked and filled in.

    Raises InvalidArgument.
    """
    options = shown(activity.options)
    options.retry_policy.SetInParent()
    for path, name in _WHOLE.items():
        if path in paths:
            replace(given, options, name)
    for path, (name, part, title) in _PARTS.items():
        if path not in paths:
            continue
        if not is_set(given, name):
            raise InvalidArgument(f"{title} is not provided")
        source, target = getattr(given, name), getattr(options, name)
        if part.endswith("_interval"):
            replace(source, target, part)
        else:
            setattr(target, part, getattr(source, part))
    if not options.HasField("retry_policy"):
        raise InvalidArgument("RetryPolicy is not provided")
    _cap(options.retry_policy)
    _check(run, activity, options, limits)
    return options


def store(activity: Activity, options: ActivityOptions) -> None:
    """Make `options` those of the activity. Failures that were not retried before are not now, either."""
    kept = ActivityOptions()
    kept.CopyFrom(options)
    types = activity.attributes.retry_policy.non_retryable_error_types
    del kept.retry_policy.non_retryable_error_types[:]
    kept.retry_policy.non_retryable_error_types.extend(types)
    activity.record.options = b"" if kept == original(activity) else kept.SerializeToString()


def _check(run: Run, activity: Activity, options: ActivityOptions, limits: Limits) -> None:
    """As for a new activity, but that neither the run's time-out nor its retry policy matter."""
    attributes = ScheduleActivityTaskCommandAttributes(
        activity_id=activity.activity_id,
        activity_type=activity.attributes.activity_type,
        task_queue=options.task_queue,
    )
    copy_set(options, attributes, *_TIMEOUTS)
    command_checks.activity_attributes(attributes, run, 0, limits)
    options.task_queue.CopyFrom(attributes.task_queue)
    copy_set(attributes, options, *_TIMEOUTS)


def _cap(policy: RetryPolicy) -> None:
    """Cut absurdly long intervals; nothing else of the policy is checked."""
    validation.duration_problem(policy.initial_interval)
    validation.duration_problem(policy.maximum_interval)
