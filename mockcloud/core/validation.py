"""What makes a request wrong whatever the state (ids, durations, sizes), and the server's defaults.

Pure checks on messages. They may fill in defaults in place, as the real frontend does. Whole starts are checked
by `core.start_checks`. Real: service/frontend/workflow_handler.go, common/tqid/task_queue_validator.go,
service/history/api/create_workflow_util.go.
"""

from __future__ import annotations

import re

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from temporalio.api.common.v1 import Priority
from temporalio.api.enums.v1 import TaskQueueKind
from temporalio.api.sdk.v1 import UserMetadata
from temporalio.api.taskqueue.v1 import TaskQueue

from mockcloud.core import times
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.limits import Limits

# Longer durations are cut to this (real: timestamp.maxAllowedDuration): a hundred years.
MAXIMUM_DURATION = 100 * 365 * times.DAY
_MAXIMUM_DURATION_SECONDS = MAXIMUM_DURATION // times.SECOND
_RESERVED_QUEUE_PREFIX = "/_sys/"
FAIRNESS_KEY_BYTES = 64
_LONGEST_CHARACTER = 4  # bytes of one in UTF-8, at most

# Go's uuid.Validate takes the hyphenated form, with a "urn:uuid:" prefix or in braces, and 32 bare digits.
_HEX = "[0-9a-fA-F]"
_HYPHENATED = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_UUID = re.compile(rf"(?:(?:urn:uuid:|URN:UUID:)?{_HYPHENATED}|\{{{_HYPHENATED}\}}|{_HEX}{{32}})\Z")


def is_uuid(value: str) -> bool:
    """Whether the real server takes a run id for one."""
    return _UUID.match(value) is not None


def too_long(value: str, limits: Limits) -> bool:
    """Whether an id or name is longer than allowed; the server counts bytes."""
    length = len(value)
    if length * _LONGEST_CHARACTER <= limits.id_characters:
        return False
    return length > limits.id_characters or len(value.encode()) > limits.id_characters


def workflow_id(value: str, limits: Limits) -> None:
    """Raises InvalidArgument for an empty or overlong workflow id."""
    if not value:
        raise InvalidArgument("WorkflowId is not set on request.")
    if too_long(value, limits):
        raise InvalidArgument("WorkflowId length exceeds limit.")


def duration_problem(value: Duration) -> str | None:
    """What is wrong with a duration, or None; an absurdly long one is cut in place."""
    if (value.seconds > 0 > value.nanos) or (value.seconds < 0 < value.nanos):
        return "duration has seconds and nanos with different signs"
    if value.seconds < 0 or value.nanos < 0:
        return "negative duration"
    if value.seconds > _MAXIMUM_DURATION_SECONDS:
        value.seconds = _MAXIMUM_DURATION_SECONDS
        value.nanos = 0
    return None


def duration(value: Duration, error: str) -> None:
    """Cut an absurdly long duration, in place.

    Raises:
        InvalidArgument: with `error` and the cause, when it is negative.
    """
    problem = duration_problem(value)
    if problem is not None:
        raise InvalidArgument(f"{error} cause: {problem}")


def task_queue(queue: TaskQueue, limits: Limits) -> None:
    """Raises InvalidArgument for a task queue that callers may not name; fills in its kind."""
    if not queue.kind:
        queue.kind = TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    if not queue.name:
        raise InvalidArgument("missing task queue name")
    if too_long(queue.name, limits):
        raise InvalidArgument("taskQueue length exceeds limit")
    if queue.name.startswith(_RESERVED_QUEUE_PREFIX):
        raise InvalidArgument(f"task queue name cannot start with reserved prefix {_RESERVED_QUEUE_PREFIX}")


def blob(message: Message, limits: Limits) -> None:
    """Raises InvalidArgument for a payload over the limit of 2 MB. Real: common.CheckEventBlobSizeLimit."""
    if message.ByteSize() > limits.largest_blob:
        raise InvalidArgument("Blob data size exceeds limit.")


def memo(message: Message, limits: Limits) -> None:
    """Raises InvalidArgument for a memo over the limit."""
    if message.ByteSize() > limits.largest_memo:
        raise InvalidArgument("Memo size exceeds limit.")


def user_metadata(metadata: UserMetadata, limits: Limits) -> None:
    """Raises InvalidArgument for a summary or details over their limits, each counted as a payload with its encoding.

    The API documents both limits. A single real region holds only what is newer than workflows to them (real:
    chasm/lib/activity/validator.go, validateUserMetadata).
    """
    for field, size, limit in (
        ("summary", metadata.summary.ByteSize(), limits.summary_bytes),
        ("details", metadata.details.ByteSize(), limits.details_bytes),
    ):
        if size > limit:
            raise InvalidArgument(f"user_metadata.{field} exceeds size limit. Length={size} Limit={limit}")


def priority(value: Priority) -> None:
    """Raises InvalidArgument for a priority that no task can have. Real: priorities.Validate."""
    if value.priority_key < 0:
        raise InvalidArgument("priority key can't be negative")
    if len(value.fairness_key.encode()) > FAIRNESS_KEY_BYTES:
        raise InvalidArgument("fairness key length exceeds limit")
    if value.fairness_weight < 0:
        raise InvalidArgument("must be greater than zero")


def run_timeout(run: int, execution: int) -> int:
    """The run time-out that holds (nanoseconds, 0: none): never longer than the execution's."""
    if not execution:
        return run
    return min(run, execution) if run else execution


def workflow_task_timeout(task: int, run: int, limits: Limits) -> int:
    """The workflow task time-out that holds (nanoseconds): defaulted, capped, never longer than the run's."""
    timeout = min(task or limits.default_workflow_task_timeout, limits.maximum_workflow_task_timeout)
    return min(timeout, run) if run else timeout
