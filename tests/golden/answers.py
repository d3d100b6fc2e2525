"""Answers to calls: whose task a poll got, and what is compared of an error."""

from __future__ import annotations

import re
from collections.abc import Iterable

import grpc
from google.protobuf import any_pb2
from google.protobuf.json_format import MessageToDict
from google.rpc.status_pb2 import Status

from tests.golden import compare
from tests.golden.compare import Difference
from tests.golden.recording import Call, Json

_CONNECTION_ERROR = re.compile(r"connect|transport|unavailable", re.IGNORECASE)


def task_of(answer: Json) -> tuple[str, ...] | None:
    """Whose task an answer to a poll is; None: it is none."""
    if "taskToken" not in answer:
        return None
    return answer["workflowExecution"]["workflowId"], answer.get("activityId", "")


def came_empty(call: Call) -> bool:
    """Whether the call waited for nothing, or was refused."""
    return call.answer is None or (call.method.startswith("Poll") and not call.answer)


def of_errors(where: str, recorded: Json | None, ours: grpc.aio.AioRpcError) -> Iterable[Difference]:
    """Code, message and details."""
    code = ours.code().name.replace("_", "").lower()
    if recorded is None:
        yield Difference(where, "an answer", f"{code}: {ours.details()}")
        return
    theirs = recorded["code"].lower()
    if theirs == code == "unavailable" and _CONNECTION_ERROR.search(recorded["message"]):
        return
    if theirs == code == "deadlineexceeded":
        return  # the words are the client's own
    if theirs != code:
        yield Difference(where, f"{theirs}: {recorded['message']}", f"{code}: {ours.details()}")
        return
    yield from compare.values(recorded["message"], ours.details(), f"{where}: message")
    yield from compare.values(recorded["details"] or [], _details(ours), f"{where}: details")


def _details(error: grpc.aio.AioRpcError) -> list[Json]:
    metadata: Iterable[tuple[str, bytes]] = error.trailing_metadata()  # type: ignore[assignment]  # what it is
    packed = dict(metadata).get("grpc-status-details-bin", b"")
    return [_detail(each) for each in Status.FromString(packed).details]


def _detail(packed: any_pb2.Any) -> Json:
    return MessageToDict(packed)
