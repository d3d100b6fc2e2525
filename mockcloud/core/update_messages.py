"""What a worker answers to updates: the protocol messages of a completed workflow task.

Acceptance and response become events, a rejection none. A message is handled where a ProtocolMessage command
names it, so that it stands in order with the other commands; what no command names comes last. A message that
cannot be right fails the workflow task.

Real: respondworkflowtaskcompleted.handleMessage, service/history/workflow/update/update.go, common/protocol.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from google.protobuf import message as protobuf
from temporalio.api.command.v1 import Command
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import (
    WorkflowExecutionUpdateAcceptedEventAttributes,
    WorkflowExecutionUpdateCompletedEventAttributes,
)
from temporalio.api.protocol.v1 import Message
from temporalio.api.update.v1 import Acceptance, Rejection, Response, message_pb2

from mockcloud.core import updates
from mockcloud.core.change import RunChange
from mockcloud.core.command_failure import CommandFailure
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.update_state import Rejected, UpdateStage

_PROTOCOL = "temporal.api.update.v1"
_CAUSE = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_UPDATE_WORKFLOW_EXECUTION_MESSAGE

# The other messages of the protocol's package, by full name.
_KNOWN = frozenset(message.full_name for message in message_pb2.DESCRIPTOR.message_types_by_name.values())

M = TypeVar("M", bound=protobuf.Message)


class UpdateMessages:
    """The messages of one completed workflow task, each handled once."""

    def __init__(self, change: RunChange, messages: Iterable[Message]) -> None:
        self._change = change
        self._waiting = list(messages)
        # What these very messages have done is not yet in force, and has names of its own.
        self._provisional: dict[str, str] = {}

    def command(self, command: Command) -> None:
        """Handle the message that a ProtocolMessage command names.

        Raises CommandFailure, InvalidArgument: see `_handle`.
        """
        if not command.HasField("protocol_message_command_attributes"):
            raise _bad("ProtocolMessageCommandAttributes is not set on ProtocolMessageCommand.")
        message_id = command.protocol_message_command_attributes.message_id
        if not message_id:
            raise _bad("MessageID is not set on ProtocolMessageCommand.")
        for index, message in enumerate(self._waiting):
            if message.id == message_id:
                del self._waiting[index]
                self._handle(message)
                return
        raise _bad(f"ProtocolMessageCommand referenced absent message ID {message_id}")

    def rest(self) -> None:
        """Handle what no command named, in the order in which it came."""
        waiting, self._waiting = self._waiting, []
        for message in waiting:
            self._handle(message)

    def _handle(self, message: Message) -> None:
        """Raises CommandFailure: the task fails. InvalidArgument: it is no message; nothing may change."""
        if not message.HasField("body"):
            raise InvalidArgument("nil message body")
        name = message.body.TypeName()
        if not name:
            raise InvalidArgument("no message name specified")
        protocol, dot, _ = name.rpartition(".")
        if not dot:
            raise InvalidArgument(f'failed to extract protocol type: no . found in "{name}"')
        if message.body.ByteSize() > self._change.context.limits.largest_blob:
            raise CommandFailure(_CAUSE, f"Message type {name} exceeds size limit.", terminate=True)
        if protocol != _PROTOCOL:
            raise _bad(f"unsupported protocol type {protocol}")
        update_id = message.protocol_instance_id
        if self._state(update_id) is None and not self._resurrected(message):
            raise _bad(
                f"update {update_id} wasn't found on the server. "
                "This is most likely a transient error which will be resolved automatically by retries"
            )
        if name == Rejection.DESCRIPTOR.full_name:
            self._reject(update_id, _unpack(message, Rejection))
        elif not self._change.run.open:
            return  # its callers are told that the run has closed
        elif name == Acceptance.DESCRIPTOR.full_name:
            self._accept(update_id, _unpack(message, Acceptance))
        elif name == Response.DESCRIPTOR.full_name:
            self._respond(update_id, _unpack(message, Response))
        elif name in _KNOWN:
            raise _bad(f"Message type *update.{name.rpartition('.')[2]} not supported")
        else:
            raise _bad("unable to unmarshal request: proto: not found")

    def _state(self, update_id: str) -> str | None:
        """The state of an update, in the server's words; None: it is unknown."""
        run = self._change.run
        provisional = self._provisional.get(update_id)
        if provisional is not None:
            return provisional
        pending = run.pending_updates.get(update_id)
        if pending is not None:
            if pending.rejected:
                return "Completed"
            return "Sent" if pending.sent else "Admitted"
        folded = run.updates.get(update_id)
        return None if folded is None else folded.stage.name.capitalize()

    def _resurrected(self, message: Message) -> bool:
        """Whether a lost update could be taken back: its worker still has it and sends it along."""
        if message.body.Is(Acceptance.DESCRIPTOR):
            acceptance = _unpack(message, Acceptance)
            if not acceptance.HasField("accepted_request"):
                return False
            request = acceptance.accepted_request
        elif message.body.Is(Rejection.DESCRIPTOR):
            rejection = _unpack(message, Rejection)
            if not rejection.HasField("rejected_request"):
                return False
            request = rejection.rejected_request
        else:
            return False
        updates.resurrect(self._change, request, message.protocol_instance_id)
        return True

    def _accept(self, update_id: str, acceptance: Acceptance) -> None:
        self._require_state(update_id, acceptance, "Sent", "Admitted")
        _require_set(
            acceptance.accepted_request_sequencing_event_id,
            "accepted_request_sequencing_event_id",
            acceptance,
        )
        _require_set(acceptance.accepted_request_message_id, "accepted_request_message_id", acceptance)
        pending = self._change.run.pending_updates.get(update_id)
        self._change.add(
            EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
            WorkflowExecutionUpdateAcceptedEventAttributes(
                protocol_instance_id=update_id,
                accepted_request_message_id=updates.request_message_id(update_id),
                accepted_request_sequencing_event_id=acceptance.accepted_request_sequencing_event_id,
                accepted_request=None if pending is None else pending.request,
            ),
        )
        self._provisional[update_id] = "ProvisionallyAccepted"

    def _reject(self, update_id: str, rejection: Rejection) -> None:
        self._require_state(update_id, rejection, "Sent", "Admitted")
        self._change.end_update(update_id, Rejected(rejection.failure))
        self._provisional[update_id] = "ProvisionallyCompleted"

    def _respond(self, update_id: str, response: Response) -> None:
        self._require_state(update_id, response, "ProvisionallyAccepted", "Accepted")
        if not response.HasField("meta"):
            raise _invalid(response, "meta is not set")
        _require_set(response.meta.update_id, "meta.update_id", response)
        if response.meta.update_id != update_id:
            raise _invalid(response, f"meta.update_id != {update_id}")
        if not response.HasField("outcome"):
            raise _invalid(response, "outcome is not set")
        accepted = self._change.run.updates[update_id]
        assert accepted.stage is UpdateStage.ACCEPTED, "it is accepted, so there is an event of it"
        self._change.add(
            EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED,
            WorkflowExecutionUpdateCompletedEventAttributes(
                accepted_event_id=accepted.event_id, meta=response.meta, outcome=response.outcome
            ),
        )
        self._provisional[update_id] = "ProvisionallyCompleted"

    def _require_state(self, update_id: str, message: protobuf.Message, *allowed: str) -> None:
        state = self._state(update_id)
        if state not in allowed:
            raise _bad(
                f"invalid state transition attempted for Update {update_id}: "
                f"received {_go_type(message)} message while in state {state}"
            )


def _bad(reason: str) -> CommandFailure:
    return CommandFailure(_CAUSE, reason)


def _invalid(message: protobuf.Message, problem: str) -> CommandFailure:
    return _bad(f"invalid {_go_type(message)}: {problem}")


def _require_set(value: object, label: str, message: protobuf.Message) -> None:
    if not value:
        raise _invalid(message, f"{label} is not set")


def _go_type(message: protobuf.Message) -> str:
    """The type as Go prints it: *update.Acceptance."""
    return f"*update.{message.DESCRIPTOR.name}"


def _unpack(message: Message, kind: type[M]) -> M:
    unpacked = kind()
    try:
        message.body.Unpack(unpacked)
    except protobuf.DecodeError:
        raise _bad("unable to unmarshal request: proto: cannot parse invalid wire-format data") from None
    return unpacked
