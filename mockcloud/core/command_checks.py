"""What makes a worker's command wrong by itself, in the server's words, and the defaults that are filled in.

Each check returns a copy of the command's attributes with defaults filled in; a retried completion must
find its own request unchanged. Whether a command fits the run is for `core.commands`.

Real: api/command_attr_validator.go, chasm/lib/activity/validator.go, workflow_size_checker.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from google.protobuf.message import Message
from temporalio.api.command.v1 import (
    CancelTimerCommandAttributes,
    CancelWorkflowExecutionCommandAttributes,
    Command,
    CompleteWorkflowExecutionCommandAttributes,
    ContinueAsNewWorkflowExecutionCommandAttributes,
    FailWorkflowExecutionCommandAttributes,
    ModifyWorkflowPropertiesCommandAttributes,
    RecordMarkerCommandAttributes,
    RequestCancelActivityTaskCommandAttributes,
    ScheduleActivityTaskCommandAttributes,
    StartTimerCommandAttributes,
    UpsertWorkflowSearchAttributesCommandAttributes,
)
from temporalio.api.common.v1 import Memo, Payload, Priority, SearchAttributes
from temporalio.api.enums.v1 import CommandType, WorkflowTaskFailedCause
from temporalio.api.taskqueue.v1 import TaskQueue

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import messages, retry, search_attributes, times, validation
from mockcloud.core.command_failure import CommandFailure, require_size
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.failures import camel_case
from mockcloud.core.limits import Limits
from mockcloud.core.messages import shown
from mockcloud.core.run import Run
from mockcloud.core.search_attribute_values import merged

Cause = WorkflowTaskFailedCause

_CLOSING = frozenset(
    {
        CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION,
        CommandType.COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION,
        CommandType.COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION,
        CommandType.COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION,
    }
)

_INTERNAL_QUEUE = "temporal-sys-per-ns-tq"

M = TypeVar("M", bound=Message)


def command_name(command_type: CommandType.ValueType) -> str:
    """`StartTimer` and so on; the number for one that the protocol does not know."""
    return camel_case(messages.enum_name(CommandType, command_type), "COMMAND_TYPE_")


def sequence(commands: Sequence[Command]) -> None:
    """Raises InvalidArgument when something follows a command that closes the run, or for an unknown type."""
    known = set(CommandType.values()) - {CommandType.COMMAND_TYPE_UNSPECIFIED}
    closing = None
    for command in commands:
        if closing is not None:
            names = ", ".join(command_name(each.command_type) for each in commands)
            raise InvalidArgument(
                f"invalid command sequence: [{names}], "
                f"command {command_name(closing)} must be the last command."
            )
        if command.command_type not in known:
            raise InvalidArgument(f"unknown command type: {command_name(command.command_type)}")
        if command.command_type in _CLOSING:
            closing = command.command_type


def schedule_activity(run: Run, command: Command, limits: Limits) -> ScheduleActivityTaskCommandAttributes:
    """Checked, with time-outs, retry policy and task queue as they go into the event."""
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_ACTIVITY_ATTRIBUTES
    attributes = attributes_of(
        command, command.schedule_activity_task_command_attributes, "ScheduleActivityTask", cause
    )
    try:
        activity_attributes(attributes, run, times.nanoseconds(run.start.workflow_run_timeout), limits)
    except InvalidArgument as error:
        raise CommandFailure(cause, error.message) from None
    if attributes.use_workflow_build_id and attributes.task_queue.name != run.start.task_queue.name:
        raise CommandFailure(cause, "Activity with UseCompatibleVersion cannot run on different task queue.")
    require_size(
        attributes.input.ByteSize(), limits.largest_blob, cause, "ScheduleActivityTaskCommandAttributes.Input"
    )
    return attributes


def activity_attributes(
    attributes: ScheduleActivityTaskCommandAttributes, run: Run, run_timeout: int, limits: Limits
) -> None:
    """Raises InvalidArgument; fills in defaults, cut to `run_timeout` (nanoseconds; 0: none).

    Real: ValidateAndNormalizeEmbeddedActivity.
    """
    if not attributes.HasField("task_queue"):
        raise InvalidArgument("taskQueue is not set")
    check_task_queue(attributes.task_queue, run, limits)
    if not attributes.activity_id:
        raise InvalidArgument("activityId is not set")
    if not attributes.activity_type.name:
        raise InvalidArgument("activityType is not set")
    attributes.retry_policy.CopyFrom(retry.checked(attributes.retry_policy))
    for name, value in (
        ("activityId", attributes.activity_id),
        ("activityType", attributes.activity_type.name),
    ):
        if validation.too_long(value, limits):
            size = len(value.encode())
            raise InvalidArgument(f"{name} exceeds length limit. Length={size} Limit={limits.id_characters}")
    _priority(attributes.priority)
    _activity_timeouts(attributes, run_timeout)


def _activity_timeouts(attributes: ScheduleActivityTaskCommandAttributes, run_timeout: int) -> None:
    """Fill in the time-outs that are not set and cut all to the run's. Real: validateAndNormalizeTimeouts."""
    for field, name in (
        ("schedule_to_close_timeout", "ScheduleToCloseTimeout"),
        ("schedule_to_start_timeout", "ScheduleToStartTimeout"),
        ("start_to_close_timeout", "StartToCloseTimeout"),
        ("heartbeat_timeout", "HeartbeatTimeout"),
    ):
        problem = validation.duration_problem(getattr(attributes, field))
        if problem is not None:
            raise InvalidArgument(f"invalid {name}: {problem}")
    whole = times.nanoseconds(attributes.schedule_to_close_timeout)
    to_start = times.nanoseconds(attributes.schedule_to_start_timeout)
    attempt = times.nanoseconds(attributes.start_to_close_timeout)
    heartbeat = times.nanoseconds(attributes.heartbeat_timeout)
    if whole:
        to_start = min(to_start or whole, whole)
        attempt = min(attempt or whole, whole)
    elif attempt:
        whole = run_timeout
        to_start = to_start or run_timeout
    else:
        raise InvalidArgument(
            "a valid StartToClose or ScheduleToCloseTimeout is not set on ScheduleActivityTaskCommand. "
            f"ActivityId={attributes.activity_id} ActivityType={attributes.activity_type.name}"
        )
    if run_timeout:
        whole, to_start, attempt, heartbeat = (
            min(timeout, run_timeout) for timeout in (whole, to_start, attempt, heartbeat)
        )
    attributes.schedule_to_close_timeout.CopyFrom(times.duration(whole))
    attributes.schedule_to_start_timeout.CopyFrom(times.duration(to_start))
    attributes.start_to_close_timeout.CopyFrom(times.duration(attempt))
    attributes.heartbeat_timeout.CopyFrom(times.duration(min(heartbeat, attempt)))


def request_cancel_activity(command: Command) -> RequestCancelActivityTaskCommandAttributes:
    """Checked."""
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_REQUEST_CANCEL_ACTIVITY_ATTRIBUTES
    name = "RequestCancelActivityTask"
    attributes = attributes_of(command, command.request_cancel_activity_task_command_attributes, name, cause)
    if attributes.scheduled_event_id <= 0:
        raise CommandFailure(cause, "ScheduledEventId is not set on RequestCancelActivityTaskCommand.")
    return attributes


def start_timer(command: Command, limits: Limits) -> StartTimerCommandAttributes:
    """Checked; an absurdly long time-out is cut."""
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_START_TIMER_ATTRIBUTES
    attributes = attributes_of(command, command.start_timer_command_attributes, "StartTimer", cause)
    _id(attributes.timer_id, "TimerId", "StartTimerCommand", cause, limits)
    problem = validation.duration_problem(attributes.start_to_fire_timeout)
    if problem is not None:
        raise CommandFailure(
            cause,
            f"An invalid StartToFireTimeout is set on StartTimerCommand: {problem}. "
            f"TimerId={attributes.timer_id}",
        )
    return attributes


def cancel_timer(command: Command, limits: Limits) -> CancelTimerCommandAttributes:
    """Checked."""
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_CANCEL_TIMER_ATTRIBUTES
    attributes = attributes_of(command, command.cancel_timer_command_attributes, "CancelTimer", cause)
    _id(attributes.timer_id, "TimerId", "CancelTimerCommand", cause, limits)
    return attributes


def record_marker(command: Command, limits: Limits) -> RecordMarkerCommandAttributes:
    """Checked."""
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_RECORD_MARKER_ATTRIBUTES
    attributes = attributes_of(command, command.record_marker_command_attributes, "RecordMarker", cause)
    _id(attributes.marker_name, "MarkerName", "RecordMarkerCommand", cause, limits)
    size = sum(len(key.encode()) + value.ByteSize() for key, value in attributes.details.items())
    require_size(size, limits.largest_blob, cause, "RecordMarkerCommandAttributes.Details")
    return attributes


def upsert_search_attributes(
    run: Run, command: Command, namespace: NamespaceRecord, limits: Limits
) -> UpsertWorkflowSearchAttributesCommandAttributes:
    """Checked, with the values' types noted."""
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SEARCH_ATTRIBUTES
    name = "UpsertWorkflowSearchAttributes"
    given = attributes_of(command, command.upsert_workflow_search_attributes_command_attributes, name, cause)
    attributes = given.search_attributes
    try:
        search_attributes.require_mapped(namespace, attributes)
    except InvalidArgument as error:
        raise CommandFailure(cause, error.message) from None
    if not given.HasField("search_attributes"):
        raise CommandFailure(cause, f"SearchAttributes is not set on {name}Command.")
    if not attributes.indexed_fields:
        raise CommandFailure(cause, f"IndexedFields is not set on {name}Command.")
    try:
        search_attributes.validate(namespace, attributes, limits)
    except InvalidArgument as error:
        raise CommandFailure(cause, error.message) from None
    require_size(
        _map_bytes(attributes.indexed_fields), limits.largest_blob, cause, f"{name}CommandAttributes"
    )
    after = merged(search_attributes.of_run(run), attributes.indexed_fields)
    try:
        search_attributes.validate_size(SearchAttributes(indexed_fields=after), limits)
    except InvalidArgument as error:
        raise CommandFailure(cause, error.message, terminate=True) from None
    search_attributes.apply_types(namespace, attributes)
    return given


def modify_properties(
    run: Run, command: Command, limits: Limits
) -> ModifyWorkflowPropertiesCommandAttributes:
    """Checked."""
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_MODIFY_WORKFLOW_PROPERTIES_ATTRIBUTES
    name = "ModifyWorkflowProperties"
    attributes = attributes_of(command, command.modify_workflow_properties_command_attributes, name, cause)
    if not attributes.HasField("upserted_memo"):
        raise CommandFailure(cause, f"UpsertedMemo is not set on {name}Command.")
    memo = attributes.upserted_memo
    if not memo.fields:
        raise CommandFailure(cause, f"UpsertedMemo.Fields is not set on {name}Command.")
    require_size(_map_bytes(memo.fields), limits.largest_blob, cause, f"{name}CommandAttributes")
    after = Memo(fields=merged(run.memo, memo.fields))
    require_size(after.ByteSize(), limits.largest_memo, cause, f"{name}CommandAttributes. Memo")
    return attributes


def complete_workflow(command: Command, limits: Limits) -> CompleteWorkflowExecutionCommandAttributes:
    """Checked."""
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_COMPLETE_WORKFLOW_EXECUTION_ATTRIBUTES
    name = "CompleteWorkflowExecution"
    attributes = attributes_of(command, command.complete_workflow_execution_command_attributes, name, cause)
    require_size(
        attributes.result.ByteSize(),
        limits.largest_blob,
        # The cause is the real server's, odd as it is.
        Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_ACTIVITY_ATTRIBUTES,
        "CompleteWorkflowExecutionCommandAttributes.Result",
    )
    return attributes


def fail_workflow(command: Command, limits: Limits) -> FailWorkflowExecutionCommandAttributes:
    """Checked."""
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_FAIL_WORKFLOW_EXECUTION_ATTRIBUTES
    name = "FailWorkflowExecution"
    attributes = attributes_of(command, command.fail_workflow_execution_command_attributes, name, cause)
    if not attributes.HasField("failure"):
        raise CommandFailure(cause, "Failure is not set on FailWorkflowExecutionCommand.")
    require_size(
        attributes.failure.ByteSize(),
        limits.largest_blob,
        cause,
        "FailWorkflowExecutionCommandAttributes.Failure",
    )
    return attributes


def cancel_workflow(command: Command) -> CancelWorkflowExecutionCommandAttributes:
    """Checked."""
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_CANCEL_WORKFLOW_EXECUTION_ATTRIBUTES
    name = "CancelWorkflowExecution"
    return attributes_of(command, command.cancel_workflow_execution_command_attributes, name, cause)


def continue_as_new(
    run: Run, command: Command, namespace: NamespaceRecord, limits: Limits
) -> ContinueAsNewWorkflowExecutionCommandAttributes:
    """Checked, with type, task queue and time-outs as the next run gets them."""
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_CONTINUE_AS_NEW_ATTRIBUTES
    name = "ContinueAsNewWorkflowExecution"
    attributes = attributes_of(
        command, command.continue_as_new_workflow_execution_command_attributes, name, cause
    )
    search_cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SEARCH_ATTRIBUTES
    try:
        search_attributes.require_mapped(namespace, attributes.search_attributes)
    except InvalidArgument as error:
        raise CommandFailure(search_cause, error.message) from None
    start = run.start
    if not attributes.workflow_type.name:
        attributes.workflow_type.CopyFrom(start.workflow_type)
    workflow_type = attributes.workflow_type.name
    if validation.too_long(workflow_type, limits):
        size = len(workflow_type.encode())
        raise CommandFailure(
            cause,
            f"WorkflowType on ContinueAsNewWorkflowExecutionCommand exceeds length limit. "
            f"WorkflowType={workflow_type} Length={size} Limit={limits.id_characters}",
        )
    queue = attributes.task_queue
    try:
        queue.name = queue.name or start.task_queue.name
        check_task_queue(queue, run, limits)
    except InvalidArgument as error:
        raise CommandFailure(
            cause,
            f"error validating ContinueAsNewWorkflowExecutionCommand TaskQueue: {error.message}. "
            f"{_suffix(workflow_type, queue)}",
        ) from None
    for field, title in (
        ("workflow_run_timeout", "WorkflowRunTimeout"),
        ("workflow_task_timeout", "WorkflowTaskTimeout"),
        ("backoff_start_interval", "BackoffStartInterval"),
    ):
        problem = validation.duration_problem(getattr(attributes, field))
        if problem is not None:
            raise CommandFailure(
                cause,
                f"Invalid {title} on ContinueAsNewWorkflowExecutionCommand: {problem}. "
                f"{_suffix(workflow_type, queue)}",
            )
    run_timeout = validation.run_timeout(
        times.nanoseconds(attributes.workflow_run_timeout) or times.nanoseconds(start.workflow_run_timeout),
        times.nanoseconds(start.workflow_execution_timeout),
    )
    task_timeout = validation.workflow_task_timeout(
        times.nanoseconds(attributes.workflow_task_timeout) or times.nanoseconds(start.workflow_task_timeout),
        run_timeout,
        limits,
    )
    attributes.workflow_run_timeout.CopyFrom(times.duration(run_timeout))
    attributes.workflow_task_timeout.CopyFrom(times.duration(task_timeout))
    if attributes.HasField("retry_policy"):
        try:
            attributes.retry_policy.CopyFrom(retry.checked(attributes.retry_policy))
        except InvalidArgument as error:
            raise CommandFailure(
                cause,
                "invalid WorkflowRetryPolicy on ContinueAsNewWorkflowExecutionCommand: "
                f"{error.message}. {_suffix(workflow_type, queue)}",
            ) from None
    try:
        search_attributes.validate(namespace, attributes.search_attributes, limits)
    except InvalidArgument as error:
        raise CommandFailure(
            search_cause,
            "invalid SearchAttributes on ContinueAsNewWorkflowExecutionCommand: "
            f"{error.message}. {_suffix(workflow_type, queue)}",
        ) from None
    if attributes.inherit_build_id and queue.name != start.task_queue.name:
        raise CommandFailure(
            cause, "ContinueAsNew with UseCompatibleVersion cannot run on different task queue."
        )
    for message, limit, title in (
        (attributes.input, limits.largest_blob, "Input"),
        (attributes.memo, limits.largest_memo, "Memo"),
    ):
        require_size(message.ByteSize(), limit, cause, f"{name}CommandAttributes. {title}")
    try:
        search_attributes.validate_size(attributes.search_attributes, limits)
    except InvalidArgument as error:
        raise CommandFailure(cause, error.message, terminate=True) from None
    search_attributes.apply_types(namespace, attributes.search_attributes)
    return attributes


def attributes_of(command: Command, attributes: M, name: str, cause: WorkflowTaskFailedCause.ValueType) -> M:
    """A copy of the attributes of a command, which must be those of its type."""
    given = command.WhichOneof("attributes")
    if given is None or not isinstance(getattr(command, given), type(attributes)):
        raise CommandFailure(cause, f"{name}CommandAttributes is not set on {name}Command.")
    copy = type(attributes)()
    copy.CopyFrom(attributes)
    return copy


def _id(value: str, field: str, where: str, cause: WorkflowTaskFailedCause.ValueType, limits: Limits) -> None:
    if not value:
        raise CommandFailure(cause, f"{field} is not set on {where}.")
    if validation.too_long(value, limits):
        size = len(value.encode())
        raise CommandFailure(
            cause,
            f"{field} on {where} exceeds length limit. {field}={value} Length={size} "
            f"Limit={limits.id_characters}",
        )


def _map_bytes(fields: Mapping[str, Payload]) -> int:
    """Real: payloadsMapSize."""
    return sum(len(key.encode()) + len(value.data) for key, value in fields.items())


def check_task_queue(queue: TaskQueue, run: Run, limits: Limits) -> None:
    """Raises InvalidArgument for a queue that a command of `run` may not name.

    Real: tqid.NormalizeAndValidateUserDefined.
    """
    if not queue.name:
        raise InvalidArgument("missing task queue name")
    validation.task_queue(queue, limits)
    parent = run.start.task_queue.name
    if queue.name == _INTERNAL_QUEUE and parent != _INTERNAL_QUEUE:
        raise InvalidArgument(
            f"cannot use internal per-namespace task queue:{queue.name} "
            f"(in parent component task queue: {parent})"
        )


def _priority(priority: Priority) -> None:
    """Raises InvalidArgument for a priority of a command that cannot be."""
    try:
        validation.priority(priority)
    except InvalidArgument as error:
        raise InvalidArgument(f"invalid priorities: {error.message}") from None


def _suffix(workflow_type: str, queue: TaskQueue) -> str:
    return f"WorkflowType={workflow_type} TaskQueue={shown(queue)}"
