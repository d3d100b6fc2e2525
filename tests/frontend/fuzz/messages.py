"""Random messages from their descriptors: mostly sensible values, with odd ones among them.

A value that names something (a workflow id, a task token) comes half of the time from a pool of what exists.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import CommandType
from temporalio.api.update.v1 import Acceptance, Rejection, Request, Response
from temporalio.api.workflowservice.v1 import (
    ExecuteMultiOperationRequest,
    StartWorkflowExecutionRequest,
    UpdateWorkflowExecutionRequest,
)

T = TypeVar("T")

LONG: Final = "x" * 1001
_ODD_TEXTS: Final = (
    *(
        "",
        LONG,
        "\x00",
        "é\u2028\U0001f600",
        "' OR 1=1 --",
        "%s%n",
        "-1",
        " ",
        "a/b",
        "x" * 300,
        "\u0130" * 600,
    ),
)
_ODD_BYTES: Final = (b"", b"\xff", b"\x00" * 9, bytes(5000), b"\x0a\x7f", b"{}", b"\x80" * 12)
_ODD_INTEGERS: Final = (0, 1, -1, 2, 100, 2**31 - 1, -(2**31))
_ODD_LONGS: Final = (*_ODD_INTEGERS, 2**63 - 1, -(2**63), 1 << 40)
_FLOATS: Final = (1.0, 2.0, 0.0, -1.0, 0.5, 1e308, float("inf"), float("nan"))
_SECONDS: Final = (60, 0, 1, 10, 3600, -1, 315_576_000_000, 315_576_000_001, 2**63 - 1, -(2**63))
_NANOS: Final = (0, 0, 0, 1, 999_999_999, -1, 1_000_000_000, -(2**31))
_QUERIES: Final = (
    *(
        "",
        "WorkflowId='open'",
        "ExecutionStatus='Running'",
        "CustomKeywordField='a'",
        "StartTime > '2020-01-01'",
    ),
    *(
        "WorkflowId in ('a', 'b') and not RunId = 'x'",
        "order by StartTime",
        "group by ExecutionStatus",
        "x = 'y'",
    ),
    *(
        "ExecutionDuration > '1h'",
        "CloseTime is null",
        "(",
        "'",
        "WorkflowId between 1 and 2",
        "\x00",
        "a" * 5000,
    ),
)
# Without these nearly every request is refused at once.
_NEEDED: Final = frozenset(
    (
        *(
            "namespace",
            "workflow_id",
            "workflow_type",
            "task_queue",
            "execution",
            "workflow_execution",
            "request_id",
        ),
        *(
            "signal_name",
            "query",
            "query_type",
            "task_token",
            "schedule_id",
            "workflow_execution_retention_period",
        ),
        *(
            "activity_id",
            "name",
            "update_id",
            "job_id",
            "schedule",
            "meta",
            "input",
            "commands",
            "activity_type",
        ),
        *(
            "marker_name",
            "timer_id",
            "start_to_fire_timeout",
            "start_to_close_timeout",
            "upserted_memo",
            "fields",
        ),
    )
)
# With these most requests are refused.
_RARE: Final = frozenset(
    (
        *("links", "completion_callbacks", "versioning_override", "cron_schedule", "workflow_start_delay"),
        *("on_conflict_options", "search_attributes", "deployment", "deployment_options", "next_page_token"),
        *("versioning_behavior", "worker_version", "retry_policy", "id", "memo", "priority"),
        *("time_skipping_config", "post_reset_operations", "messages", "initiator", "capabilities"),
    )
)
# What strings say, by the name of their field, or of message and field.
_TEXTS: Final[Mapping[str, Sequence[str]]] = {
    "namespace": (*("default",) * 12, "other", "nowhere"),
    "TaskQueue.name": ("q", "q", "sticky", "other-queue"),
    "task_queue": ("q", "sticky"),
    "query": _QUERIES,
    "visibility_query": _QUERIES,
    "cron_schedule": (*("",) * 12, "* * * * *", "@every 1h", "61 * * * *", "CRON_TZ=Nowhere 0 0 * * *"),
    "cron_string": (
        "* * * * *",
        "@every 1h",
        "@hourly",
        "0 0 31 2 *",
        "1 2 3",
        "TZ=Europe/Berlin 0 12 * * MON",
    ),
    "timezone_name": ("", "UTC", "Europe/Berlin", "Nowhere"),
    "paths": (
        "task_queue.name",
        "start_to_close_timeout",
        "retry_policy",
        "versioning_override",
        "priority",
        "*",
    ),
    "encoding": ("json/plain",),
    "month": ("*", "1-12", "jan", "13"),
    "hour": ("*", "0-23/2", "24"),
    "day_of_week": ("*", "mon-fri", "8"),
    "schedule_id": ("sched", "sched", "absent"),
    "job_id": ("job", "absent"),
    "update_id": ("u1", "u2", "absent"),
    "signal_name": ("s", "note"),
    "id": ("a1", "a2", "name"),
    "query_type": ("q", "__stack_trace", "__temporal_workflow_metadata"),
    "reason": ("because",),
    "active_cluster_name": ("A", "nowhere", "", "B"),
    "cluster_name": ("A", "B", "nowhere"),
}


@dataclass(slots=True)
class Pool:
    """What exists: texts and bytes by the name of the field that holds them, and runs by their workflow id."""

    runs: dict[str, str] = field(default_factory=dict)
    with_activities: list[str] = field(default_factory=list)  # workflow ids
    texts: dict[str, list[str]] = field(default_factory=dict)
    tokens: dict[str, list[bytes]] = field(default_factory=dict)

    def but(self, *, tokens: Sequence[bytes] | None = None, **texts: list[str]) -> Pool:
        """The same, with other task tokens and other texts for some fields."""
        changed = self.tokens if tokens is None else self.tokens | {"task_token": list(tokens)}
        return Pool(self.runs, self.with_activities, self.texts | texts, changed)


class Maker:
    """Makes messages from one source of choices. `wild` of ten values are odd."""

    def __init__(self, rng: random.Random, pool: Pool, wild: int, *, about_activities: bool = False) -> None:
        self._about_activities = about_activities
        self._rng = rng
        self._pool = pool
        self._wild = wild

    def message(self, descriptor: Any, depth: int = 0) -> Message:
        """A message of that type."""
        special = _SPECIAL.get(descriptor.full_name)
        if special is not None:
            return special(self, depth)
        made: Message = GetMessageClass(descriptor)()
        chosen = {
            oneof.name: self._one(oneof.fields).name if self._chance(7 if depth < 2 else 4) else ""
            for oneof in descriptor.oneofs
        }
        for each in descriptor.fields:
            oneof = each.containing_oneof
            if oneof is not None:
                if chosen[oneof.name] == each.name:
                    self._fill(made, each, depth)
            elif self._present(each, depth):
                self._fill(made, each, depth)
        self._name_a_run(made)
        return made

    def _name_a_run(self, made: Any) -> None:
        """Let workflow id, run id and activity id be of one run, most of the time."""
        names = made.DESCRIPTOR.fields_by_name
        if "workflow_id" not in names or "run_id" not in names or not self._pool.runs or self._chance(3):
            return
        ids = self._pool.with_activities if self._about_activities else list(self._pool.runs)
        made.workflow_id = self._one(ids)
        made.run_id = self._pool.runs[made.workflow_id] if self._chance(5) else ""

    def _present(self, each: FieldDescriptor, depth: int) -> bool:
        if each.name in _NEEDED and depth < 3:
            return self._rng.randrange(100) < 97
        if each.name in _RARE and depth < 2:
            return self._chance(1)
        if self._known(each) or each.name in self._pool.tokens:
            return self._chance(7)
        if each.message_type is not None:
            return depth < 4 and self._chance((8, 4, 3, 2)[depth])
        return self._chance(3)

    def _fill(self, made: Message, each: FieldDescriptor, depth: int) -> None:
        if each.is_repeated:
            entry = each.message_type
            is_map = entry is not None and entry.GetOptions().map_entry
            for _ in range(self._one((1, 1, 2, 0))):
                if is_map:
                    assert entry is not None
                    self._fill_map(made, each, entry, depth)
                elif entry is not None:
                    getattr(made, each.name).append(self.message(entry, depth + 1))
                else:
                    getattr(made, each.name).append(self._scalar(each))
        elif each.message_type is not None:
            getattr(made, each.name).CopyFrom(self.message(each.message_type, depth + 1))
        else:
            setattr(made, each.name, self._scalar(each))

    def _fill_map(self, made: Message, each: FieldDescriptor, entry: Descriptor, depth: int) -> None:
        key = self._scalar(entry.fields_by_name["key"])
        value = entry.fields_by_name["value"]
        if value.message_type is not None:
            getattr(made, each.name)[key].CopyFrom(self.message(value.message_type, depth + 1))
        else:
            getattr(made, each.name)[key] = self._scalar(value)

    def _scalar(self, each: FieldDescriptor) -> Any:
        kind = each.cpp_type
        if kind == FieldDescriptor.CPPTYPE_STRING:
            return self._bytes(each) if each.type == FieldDescriptor.TYPE_BYTES else self._text(each)
        if kind == FieldDescriptor.CPPTYPE_ENUM:
            assert each.enum_type is not None
            values = [value.number for value in each.enum_type.values]
            return self._one((99, -1)) if self._odd() else self._one(values)
        if kind == FieldDescriptor.CPPTYPE_BOOL:
            return self._one((False, True))
        if kind in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
            return self._one(
                _FLOATS if kind == FieldDescriptor.CPPTYPE_DOUBLE else (0.5, 0.0, -1.0, float("nan"))
            )
        if kind == FieldDescriptor.CPPTYPE_INT64:
            return self._one(_ODD_LONGS if self._odd() else (1, 2, 3, 4, 5, 7))
        if kind == FieldDescriptor.CPPTYPE_INT32:
            return self._one(_ODD_INTEGERS if self._odd() else (1, 2, 3, 5))
        return self._one((0, 1, 2**32 - 1))

    def _known(self, each: FieldDescriptor) -> Sequence[str] | None:
        assert each.containing_type is not None
        for name in (f"{each.containing_type.name}.{each.name}", each.name):
            found = self._pool.texts.get(name) or _TEXTS.get(name)
            if found:
                return found
        return None

    def _text(self, each: FieldDescriptor) -> str:
        if self._odd():
            return self._one(_ODD_TEXTS)
        known = self._known(each)
        return self._one(known or ("a", "b", "name", "T", "01234567-89ab-7def-8123-456789abcdef"))

    def _bytes(self, each: FieldDescriptor) -> bytes:
        known = self._pool.tokens.get(each.name)
        if not known:
            return self._one(_ODD_BYTES if self._odd() else (b'"a"', b"1", b"json/plain", b"binary/null"))
        token = self._one(known)
        return self.mutated(token) if self._odd() else token

    def mutated(self, raw: bytes) -> bytes:
        """Bytes with one thing wrong with them."""
        at = self._rng.randrange(len(raw)) if raw else 0
        byte = self._rng.randrange(256)
        return self._one(
            (
                raw[:at] + bytes([byte]) + raw[at + 1 :],
                raw[:at],
                raw[:at] + bytes([byte]) + raw[at:],
                raw + bytes([byte]),
                raw + raw,
            )
        )

    def _odd(self) -> bool:
        return self._wild > 0 and self._chance(self._wild)

    def _chance(self, tenths: int) -> bool:
        return self._rng.randrange(10) < tenths

    def _one(self, values: Sequence[T]) -> T:
        return values[self._rng.randrange(len(values))]

    # Messages whose fields hang together

    def _duration(self, _depth: int) -> Message:
        if self._odd():
            return Duration(seconds=self._one(_SECONDS), nanos=self._one(_NANOS))
        return Duration(seconds=self._one((60, 3600, 86_400, 259_200)))

    def _timestamp(self, _depth: int) -> Message:
        if self._odd():
            return Timestamp(seconds=self._one(_SECONDS), nanos=self._one(_NANOS))
        return Timestamp(seconds=self._one((1_700_000_000, 1_800_000_000, 1)))

    def _payload(self, _depth: int) -> Message:
        if self._odd():
            return Payload(metadata={"encoding": self._one(_ODD_BYTES)}, data=self._one(_ODD_BYTES))
        data = self._one((b'"a"', b"1", b'["a"]', b"true", b'"2020-01-01T00:00:00Z"', b"null", b"1.5"))
        return Payload(metadata={"encoding": b"json/plain"}, data=data)

    def _any(self, depth: int) -> Message:
        packed = AnyMessage()
        body = self._one([each.DESCRIPTOR for each in (Acceptance, Rejection, Request, Response)])
        packed.Pack(self.message(body, depth + 1))
        if self._odd():
            packed.value = self.mutated(packed.value)
        return packed

    def _operations(self, depth: int) -> Message:
        """A start and an update of the same workflow."""
        start = self.message(StartWorkflowExecutionRequest.DESCRIPTOR, depth)
        update = self.message(UpdateWorkflowExecutionRequest.DESCRIPTOR, depth)
        assert isinstance(start, StartWorkflowExecutionRequest)
        assert isinstance(update, UpdateWorkflowExecutionRequest)
        if self._chance(9):
            update.workflow_execution.workflow_id = start.workflow_id
            update.workflow_execution.run_id = ""
            start.request_eager_execution = False
        kind = ExecuteMultiOperationRequest.Operation
        operations = [kind(start_workflow=start), kind(update_workflow=update)]
        if self._odd():
            operations.reverse()
        return ExecuteMultiOperationRequest(namespace=start.namespace, operations=operations)

    def _command(self, depth: int) -> Message:
        made = Command()
        attributes: FieldDescriptor = self._one(Command.DESCRIPTOR.oneofs_by_name["attributes"].fields)
        getattr(made, attributes.name).CopyFrom(self.message(attributes.message_type, depth + 1))
        if self._odd():
            made.command_type = self._one(CommandType.values())
        else:
            kind = attributes.name.removesuffix("_command_attributes").upper()
            made.command_type = CommandType.Value(f"COMMAND_TYPE_{kind}")
        return made


_SPECIAL: Final[Mapping[str, Callable[[Maker, int], Message]]] = {
    "google.protobuf.Duration": Maker._duration,
    "google.protobuf.Timestamp": Maker._timestamp,
    "google.protobuf.Any": Maker._any,
    "temporal.api.common.v1.Payload": Maker._payload,
    "temporal.api.command.v1.Command": Maker._command,
    "temporal.api.workflowservice.v1.ExecuteMultiOperationRequest": Maker._operations,
}
