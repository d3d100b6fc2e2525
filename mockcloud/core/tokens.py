"""The opaque tokens that callers hand back: task tokens, query tokens and page tokens.

A token is only checked for being one of ours; whether it still fits the run is for the rules to say. Nothing
in a token is secret, and nothing may be trusted beyond naming things.

Real: common/tasktoken, service/history/api/token.go.
"""

from __future__ import annotations

from typing import NamedTuple

from google.protobuf.message import DecodeError, Message

from mockcloud.api.state.v1.tokens_pb2 import HistoryTokenData, ListTokenData, QueryTokenData, TaskTokenData
from mockcloud.core.derived import TaskKind
from mockcloud.core.errors import InvalidArgument


class TaskToken(NamedTuple):
    """Names one attempt of one workflow task or activity.

    A worker may send it to whichever region is active by then, so the failover versions are part of it:
    `version` of the task's last change, and for an activity `start_version`, under which the attempt started.
    """

    namespace_id: str
    workflow_id: str
    run_id: str
    scheduled_event_id: int
    attempt: int
    version: int
    kind: TaskKind = TaskKind.WORKFLOW
    started_event_id: int = 0  # workflow tasks
    started_time: int = 0  # workflow tasks, nanoseconds
    start_version: int = 0  # activities
    activity_id: str = ""
    activity_type: str = ""
    stamp: int = 0  # activities

    def dump(self) -> bytes:
        """The bytes that a worker gets."""
        return TaskTokenData(
            namespace_id=self.namespace_id,
            workflow_id=self.workflow_id,
            run_id=self.run_id,
            scheduled_event_id=self.scheduled_event_id,
            started_event_id=self.started_event_id,
            attempt=self.attempt,
            version=self.version,
            start_version=self.start_version,
            started_time=self.started_time,
            activity_id=self.activity_id,
            activity_type=self.activity_type,
            stamp=self.stamp,
            kind=self.kind,
        ).SerializeToString(deterministic=True)

    @classmethod
    def load(cls, raw: bytes) -> TaskToken:
        """The token that a worker sent back.

        Raises:
            InvalidArgument: it is empty, or not one of ours.
        """
        if not raw:
            raise InvalidArgument("Task token not set on request.")
        data = TaskTokenData()
        _parse(data, raw, "Error deserializing task token.")
        if (
            not data.namespace_id
            or not data.workflow_id
            or data.kind not in (TaskKind.WORKFLOW, TaskKind.ACTIVITY)
        ):
            raise InvalidArgument("Error deserializing task token.")
        return cls(
            namespace_id=data.namespace_id,
            workflow_id=data.workflow_id,
            run_id=data.run_id,
            scheduled_event_id=data.scheduled_event_id,
            attempt=data.attempt,
            version=data.version,
            kind=TaskKind(data.kind),
            started_event_id=data.started_event_id,
            started_time=data.started_time,
            start_version=data.start_version,
            activity_id=data.activity_id,
            activity_type=data.activity_type,
            stamp=data.stamp,
        )


class QueryToken(NamedTuple):
    """Names one query that was handed to a worker by itself, without a workflow task."""

    namespace_id: str
    task_queue: str
    query_id: str

    def dump(self) -> bytes:
        """The bytes that a worker gets."""
        data = QueryTokenData(
            namespace_id=self.namespace_id, task_queue=self.task_queue, query_id=self.query_id
        )
        return data.SerializeToString(deterministic=True)

    @classmethod
    def load(cls, raw: bytes) -> QueryToken:
        """The token that a worker sent back.

        Raises:
            InvalidArgument: it is empty, or not one of ours.
        """
        if not raw:
            raise InvalidArgument("Task token not set on request.")
        data = QueryTokenData()
        _parse(data, raw, "Error deserializing task token.")
        if not data.namespace_id or not data.task_queue or not data.query_id:
            raise InvalidArgument("Invalid TaskToken.")
        return cls(data.namespace_id, data.task_queue, data.query_id)


class HistoryPageToken(NamedTuple):
    """Where a read of a run's history goes on, and on which branch it began."""

    run_id: str
    next_event_id: int  # first event of the next page; reverse: the last one of it
    end_event_id: int = 0  # exclusive; 0 in reverse
    running: bool = False  # the run was open when the page was made: a long poll may wait on
    branch_id: int = 0
    item_event_id: int = 0  # last item of the branch's version history when the page was made
    item_version: int = 0
    reverse: bool = False

    def dump(self) -> bytes:
        """The bytes that a caller gets."""
        return HistoryTokenData(
            run_id=self.run_id,
            next_event_id=self.next_event_id,
            end_event_id=self.end_event_id,
            running=self.running,
            branch_id=self.branch_id,
            item_event_id=self.item_event_id,
            item_version=self.item_version,
            reverse=self.reverse,
        ).SerializeToString(deterministic=True)

    @classmethod
    def load(cls, raw: bytes, run_id: str = "", *, reverse: bool = False) -> HistoryPageToken:
        """The token that a caller sent back; `run_id` is the one of the request, if it has one.

        Raises:
            InvalidArgument: not one of ours, or of another run.
        """
        data = HistoryTokenData()
        _parse(data, raw, "Invalid NextPageToken.")
        if not data.run_id or data.reverse != reverse:
            raise InvalidArgument("Invalid NextPageToken.")
        if run_id and data.run_id != run_id:
            raise InvalidArgument("RunId in the request does not match the NextPageToken.")
        return cls(
            run_id=data.run_id,
            next_event_id=data.next_event_id,
            end_event_id=data.end_event_id,
            running=data.running,
            branch_id=data.branch_id,
            item_event_id=data.item_event_id,
            item_version=data.item_version,
            reverse=data.reverse,
        )


class ListPageToken(NamedTuple):
    """Where a list of runs goes on: after the run with these times (nanoseconds) and this id."""

    namespace_id: str
    order_time: int
    start_time: int
    run_id: str

    def dump(self) -> bytes:
        """The bytes that a caller gets."""
        return ListTokenData(
            namespace_id=self.namespace_id,
            order_time=self.order_time,
            start_time=self.start_time,
            run_id=self.run_id,
        ).SerializeToString(deterministic=True)

    @classmethod
    def load(cls, raw: bytes, namespace_id: str) -> ListPageToken:
        """The token that a caller sent back.

        Raises:
            InvalidArgument: not one of ours, or of another namespace.
        """
        data = ListTokenData()
        _parse(data, raw, "Invalid NextPageToken.")
        if data.namespace_id != namespace_id:
            raise InvalidArgument("Invalid NextPageToken.")
        return cls(data.namespace_id, data.order_time, data.start_time, data.run_id)


def _parse(data: Message, raw: bytes, error: str) -> None:
    try:
        data.ParseFromString(raw)
    except DecodeError:
        raise InvalidArgument(error) from None
