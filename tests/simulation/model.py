"""A model worker: it decides by a run's whole history alone, so that any worker in any region decides the same.

A workflow's input is a script, a letter a step, one after the other:

    a  an activity        h  one that heartbeats      t  a timer           s  wait for one more signal
    c  a child            r  one that fails and is tried again             C  one with a cron schedule
    o  a child that is left to itself
    x  a signal to another workflow                   z  a request to cancel another one
    n  continue as new with the rest of the script    k  a marker          u  a memo and a search attribute
    f  fail: the rest of the script is never reached

It completes after the last one. Asked to cancel, it cancels itself at once. Updates are accepted and completed at
once, those that are found in Admitted events, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from temporalio.api.command.v1 import (
    CancelWorkflowExecutionCommandAttributes,
    Command,
    CompleteWorkflowExecutionCommandAttributes,
    FailWorkflowExecutionCommandAttributes,
)
from temporalio.api.common.v1 import Payload, Payloads, RetryPolicy
from temporalio.api.enums.v1 import CommandType, EventType, ParentClosePolicy
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.protocol.v1 import Message
from temporalio.api.update.v1 import Acceptance, Meta, Outcome, Request, Response
from temporalio.api.workflowservice.v1 import (
    PollWorkflowTaskQueueResponse,
    RespondWorkflowTaskCompletedRequest,
)

QUEUE = "q"
BEATING = "beating"  # type of an activity that heartbeats

_ACTIVITY_ENDS = {
    EventType.Value(f"EVENT_TYPE_ACTIVITY_TASK_{name}")
    for name in ("COMPLETED", "FAILED", "TIMED_OUT", "CANCELED")
}
_CHILD_ENDS = {
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED,
    *(
        EventType.Value(f"EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_{name}")
        for name in ("COMPLETED", "FAILED", "TIMED_OUT", "CANCELED", "TERMINATED")
    ),
}
_CANCEL_ENDS = {
    EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED,
    EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
}
_EXTERNAL_ENDS = {
    EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED,
    EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED,
}
# The steps that an event may begin, and those that an event ends.
_BEGINS = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: "ah",
    EventType.EVENT_TYPE_TIMER_STARTED: "t",
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED: "crCo",
    EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED: "x",
    EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED: "z",
    EventType.EVENT_TYPE_MARKER_RECORDED: "k",
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES: "u",
    EventType.EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED: "u",
}
_ENDS = {
    **dict.fromkeys(_ACTIVITY_ENDS, "ah"),
    EventType.EVENT_TYPE_TIMER_FIRED: "t",
    **dict.fromkeys(_CHILD_ENDS, "crC"),
    **dict.fromkeys(_EXTERNAL_ENDS, "x"),
    **dict.fromkeys(_CANCEL_ENDS, "z"),
}
_OVER_AT_ONCE = "ko"  # such a step has no end that is waited for

_POLICIES = (
    ParentClosePolicy.PARENT_CLOSE_POLICY_ABANDON,
    ParentClosePolicy.PARENT_CLOSE_POLICY_TERMINATE,
    ParentClosePolicy.PARENT_CLOSE_POLICY_REQUEST_CANCEL,
)

_COMPLETE = Command(
    command_type=CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION,
    complete_workflow_execution_command_attributes=CompleteWorkflowExecutionCommandAttributes(),
)
_FAIL = Command(
    command_type=CommandType.COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION,
    fail_workflow_execution_command_attributes=FailWorkflowExecutionCommandAttributes(
        failure=Failure(message="no", application_failure_info=ApplicationFailureInfo(type="No"))
    ),
)
_CANCEL = Command(
    command_type=CommandType.COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION,
    cancel_workflow_execution_command_attributes=CancelWorkflowExecutionCommandAttributes(),
)


@dataclass
class Progress:
    """Where a script stands by a history."""

    script: str = ""
    step: int = 0  # the next one that is not over
    under_way: bool = False
    begun_by: int = 0  # the event that the step which is under way began with
    signals: int = 0
    waited_for: int = 0  # signals that steps have used up
    cancel_requested: bool = False
    admitted: dict[str, tuple[Request, int]] = field(default_factory=dict)  # by events, and not accepted
    answered: set[str] = field(default_factory=set)

    def take(self, event: HistoryEvent) -> None:
        kind = event.event_type
        if kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
            (payload,) = event.workflow_execution_started_event_attributes.input.payloads
            self.script = payload.data.decode()
        elif kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            self.signals += 1
        elif kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
            self.cancel_requested = True
        elif kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED:
            request = event.workflow_execution_update_admitted_event_attributes.request
            self.admitted[request.meta.update_id] = (request, event.event_id)
        elif kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
            self.admitted.pop(
                event.workflow_execution_update_accepted_event_attributes.protocol_instance_id, None
            )
        elif kind in _BEGINS:
            self._pass_waits()
            letter = self.script[self.step]
            assert letter in _BEGINS[kind], f"{event} in {self.script} at {self.step}"
            if letter == "u":  # two events, one by one
                self.under_way = kind == EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES
            else:
                self.under_way = letter not in _OVER_AT_ONCE
            self.begun_by = event.event_id if self.under_way else 0
            self.step += not self.under_way
        elif kind in _ENDS:
            if kind in _CHILD_ENDS and _initiated(event) != self.begun_by:
                return  # of a child that is left to itself
            assert self.under_way, f"{event} ends what has not begun"
            assert self.script[self.step] in _ENDS[kind], f"{event} in {self.script} at {self.step}"
            self.under_way = False
            self.step += 1

    def _pass_waits(self) -> None:
        """Waits that are over by now leave no event."""
        while (
            self.step < len(self.script) and self.script[self.step] == "s" and self.signals > self.waited_for
        ):
            self.waited_for += 1
            self.step += 1

    def commands(self, workflow_id: str) -> list[Command]:
        """What comes next."""
        commands: list[Command] = []
        if self.cancel_requested:
            return [_CANCEL]
        while not self.under_way:
            self._pass_waits()
            if self.step == len(self.script):
                return [*commands, _COMPLETE]
            if self.script[self.step] == "s":
                break
            letter = self.script[self.step]
            if letter == "f":
                return [*commands, _FAIL]
            commands.append(_command(self.script, self.step, workflow_id))
            if letter == "u":
                commands.append(_memo())
            if letter not in "kou":
                break
            self.step += 1
        return commands


def _initiated(event: HistoryEvent) -> int:
    attributes: Any = getattr(event, event.WhichOneof("attributes") or "")
    return int(attributes.initiated_event_id)


def decide(
    task: PollWorkflowTaskQueueResponse, history: Sequence[HistoryEvent]
) -> RespondWorkflowTaskCompletedRequest:
    """The model's answer to a workflow task, given all events of the run."""
    progress = Progress()
    for event in history:
        progress.take(event)
    answer = RespondWorkflowTaskCompletedRequest(task_token=task.task_token, identity="model")
    requests: dict[str, tuple[Request, str, int]] = {
        update_id: (request, f"{update_id}/request", event_id)
        for update_id, (request, event_id) in progress.admitted.items()
    }
    for message in task.messages:
        request = Request()
        message.body.Unpack(request)
        requests[message.protocol_instance_id] = (request, message.id, message.event_id)
    for update_id, (request, message_id, event_id) in requests.items():
        accepted = Acceptance(
            accepted_request_message_id=message_id,
            accepted_request_sequencing_event_id=event_id,
            accepted_request=request,
        )
        completed = Response(meta=Meta(update_id=update_id), outcome=Outcome(success=text("done")))
        for name, body in (("accept", accepted), ("complete", completed)):
            packed = AnyMessage()
            packed.Pack(body)
            answer.messages.append(
                Message(id=f"{update_id}/{name}", protocol_instance_id=update_id, body=packed)
            )
            command = answer.commands.add(command_type=CommandType.COMMAND_TYPE_PROTOCOL_MESSAGE)
            command.protocol_message_command_attributes.message_id = f"{update_id}/{name}"
    answer.commands.extend(progress.commands(task.workflow_execution.workflow_id))
    return answer


def _command(script: str, step: int, workflow_id: str) -> Command:
    command = Command()
    match script[step]:
        case "a" | "h":
            command.command_type = CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK
            activity = command.schedule_activity_task_command_attributes
            activity.activity_id = f"a{step}"
            activity.activity_type.name = "work"
            activity.task_queue.name = QUEUE
            activity.start_to_close_timeout.CopyFrom(Duration(seconds=2))
            activity.schedule_to_close_timeout.CopyFrom(Duration(seconds=60))
            if script[step] == "h":
                activity.activity_type.name = BEATING
                activity.start_to_close_timeout.CopyFrom(Duration(seconds=5))
                activity.heartbeat_timeout.CopyFrom(Duration(seconds=1))
        case "t":
            command.command_type = CommandType.COMMAND_TYPE_START_TIMER
            timer = command.start_timer_command_attributes
            timer.timer_id = f"t{step}"
            timer.start_to_fire_timeout.CopyFrom(Duration(seconds=1 + step % 3))
        case "c" | "r" | "C" | "o":
            command.command_type = CommandType.COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION
            child = command.start_child_workflow_execution_command_attributes
            child.workflow_id = f"{workflow_id}.{step}"
            child.workflow_type.name = "model"
            child.task_queue.name = QUEUE
            child.input.CopyFrom(text({"r": "tf"}.get(script[step], "ta")))
            if script[step] == "r":
                child.retry_policy.CopyFrom(RetryPolicy(maximum_attempts=2))
            elif script[step] == "C":
                child.cron_schedule = "@every 1s"
                child.workflow_execution_timeout.CopyFrom(Duration(seconds=5))
            elif script[step] == "o":
                child.parent_close_policy = _POLICIES[step % len(_POLICIES)]
        case "x":
            command.command_type = CommandType.COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION
            signal = command.signal_external_workflow_execution_command_attributes
            signal.execution.workflow_id = "w0"
            signal.signal_name = "external"
        case "z":
            command.command_type = CommandType.COMMAND_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION
            command.request_cancel_external_workflow_execution_command_attributes.workflow_id = "w1"
        case "u":
            command.command_type = CommandType.COMMAND_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES
            upsert = command.upsert_workflow_search_attributes_command_attributes
            upsert.search_attributes.indexed_fields["TemporalChangeVersion"].CopyFrom(
                Payload(
                    metadata={"encoding": b"json/plain", "type": b"KeywordList"}, data=f'["u{step}"]'.encode()
                )
            )
        case "k":
            command.command_type = CommandType.COMMAND_TYPE_RECORD_MARKER
            command.record_marker_command_attributes.marker_name = "k"
        case "n":
            command.command_type = CommandType.COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION
            onward = command.continue_as_new_workflow_execution_command_attributes
            onward.workflow_type.name = "model"
            onward.task_queue.name = QUEUE
            onward.input.CopyFrom(text(script[step + 1 :]))
    return command


def _memo() -> Command:
    command = Command(command_type=CommandType.COMMAND_TYPE_MODIFY_WORKFLOW_PROPERTIES)
    memo = command.modify_workflow_properties_command_attributes.upserted_memo
    memo.fields["m"].CopyFrom(text("memo").payloads[0])
    return command


def text(value: str) -> Payloads:
    return Payloads(payloads=[Payload(metadata={"encoding": b"plain"}, data=value.encode())])
