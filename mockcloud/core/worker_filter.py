"""The filter of ListWorkers: a condition over the fields of a worker's heartbeat.

    strings   WorkerInstanceKey, WorkerIdentity, HostName, TaskQueue, DeploymentName, BuildId, SdkName, SdkVersion,
              WorkerStatus or Status:   =, !=, STARTS_WITH, NOT STARTS_WITH, IS [NOT] NULL (empty)
    times     StartTime, HeartbeatTime: =, !=, <, <=, >, >=, [NOT] BETWEEN, IS [NOT] NULL; RFC 3339 or nanoseconds

joined by AND, OR and brackets. The real server only refuses what its SQL grammar cannot read; a condition that reads
and makes no sense (an unknown field, NOT, IN, LIKE) wants no worker. So it is here.

Real: service/matching/workers/worker_query_engine.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import WorkerStatus
from temporalio.api.worker.v1 import WorkerHeartbeat

from mockcloud.core import sql, times
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.failures import camel_case
from mockcloud.core.messages import enum_name, is_set
from mockcloud.core.search_attribute_values import parse_time
from mockcloud.core.sql_syntax import And, Column, Comparison, Is, Literal, Node, Or, Paren, Range

Wanted: TypeAlias = Callable[[WorkerHeartbeat], bool]

# What the real server puts before the filter; its errors count from there.
_BEFORE: Final = len("select * from table1 where ")
_CLAUSES: Final = ("group by", "order by")


class _SenselessError(Exception):
    """A condition that reads and means nothing: the worker is not wanted."""


def parse(query: str) -> Wanted:
    """Which heartbeats `query` wants; an empty one wants all.

    Raises InvalidArgument: it cannot be read.
    """
    if not query:
        return lambda _: True
    text = query.strip()
    if text.lower().startswith(("where ", "select ")):
        raise InvalidArgument(f"invalid filter: {text}")
    condition = _condition(text)

    def wanted(heartbeat: WorkerHeartbeat) -> bool:
        try:
            return condition(heartbeat)
        except _SenselessError:
            return False

    return wanted


def _condition(text: str) -> Wanted:
    if not text:
        raise _malformed("syntax error at position 1")
    word = text[: len("group")]
    if text.lower().startswith(_CLAUSES):  # good for lists, but here a condition comes first
        raise _malformed(f"syntax error at position {_BEFORE + len(word) + 1} near '{word}'")
    try:
        found = sql.parse(text)
    except sql.SyntaxProblem as problem:
        raise _malformed(str(problem)) from None
    if found.limited:
        raise InvalidArgument("operation is not supported: 'limit' clause")
    assert found.where is not None, "a text that begins with no other clause is a condition"
    return _meaning(found.where)


def _malformed(problem: str) -> InvalidArgument:
    return InvalidArgument(f"malformed query: {problem}")


# What conditions mean

_STRINGS: Final[Mapping[str, Callable[[WorkerHeartbeat], str]]] = {
    "WorkerInstanceKey": lambda heartbeat: heartbeat.worker_instance_key,
    "WorkerIdentity": lambda heartbeat: heartbeat.worker_identity,
    "HostName": lambda heartbeat: heartbeat.host_info.host_name,
    "TaskQueue": lambda heartbeat: heartbeat.task_queue,
    "DeploymentName": lambda heartbeat: heartbeat.deployment_version.deployment_name,
    "BuildId": lambda heartbeat: heartbeat.deployment_version.build_id,
    "SdkName": lambda heartbeat: heartbeat.sdk_name,
    "SdkVersion": lambda heartbeat: heartbeat.sdk_version,
    "WorkerStatus": lambda heartbeat: _status(heartbeat.status),
    "status": lambda heartbeat: _status(heartbeat.status),  # a word of SQL, which its grammar writes so
}
_TIMES: Final = {"StartTime": "start_time", "HeartbeatTime": "heartbeat_time"}

_OF_STRINGS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "=": lambda found, wanted: found == wanted,
    "!=": lambda found, wanted: found != wanted,
    "starts_with": lambda found, wanted: found.startswith(wanted),
    "not starts_with": lambda found, wanted: not found.startswith(wanted),
}
_OF_TIMES: Final[Mapping[str, Callable[[int, int], bool]]] = {
    "=": lambda found, wanted: found == wanted,
    "!=": lambda found, wanted: found != wanted,
    "<": lambda found, wanted: found < wanted,
    "<=": lambda found, wanted: found <= wanted,
    ">": lambda found, wanted: found > wanted,
    ">=": lambda found, wanted: found >= wanted,
}


def _meaning(node: Node) -> Wanted:
    match node:
        case Paren(inner):
            return _meaning(inner)
        case And():
            return _all([_meaning(part) for part in _chain(node, And)])
        case Or():
            return _any([_meaning(part) for part in _chain(node, Or)])
        case Comparison(Column() as column, operator, Literal() as value):
            return _comparison(column.name, operator, value)
        case Range(Column() as column, operator, Literal() as low, Literal() as high):
            return _between(column.name, low, high, negated=operator == "not between")
        case Is(Column() as column, "is null" | "is not null" as operator):
            return _is_null(column.name, negated=operator == "is not null")
    return _senseless


def _chain(node: Node, kind: type[And | Or]) -> list[Node]:
    """The parts of `a and b and c`, whose tree is as deep as the chain is long."""
    parts = []
    while isinstance(node, And | Or) and isinstance(node, kind):
        parts.append(node.right)
        node = node.left
    return [node, *reversed(parts)]


def _senseless(_: WorkerHeartbeat) -> bool:
    raise _SenselessError


def _all(parts: Sequence[Wanted]) -> Wanted:
    return lambda heartbeat: all(part(heartbeat) for part in parts)


def _any(parts: Sequence[Wanted]) -> Wanted:
    return lambda heartbeat: any(part(heartbeat) for part in parts)


def _comparison(name: str, operator: str, value: Literal) -> Wanted:
    of_string, of_time = _OF_STRINGS.get(operator), _OF_TIMES.get(operator)
    string, field = _STRINGS.get(name), _TIMES.get(name)
    if string is not None and of_string is not None and value.kind == "STRING" and value.text:
        return lambda heartbeat: of_string(string(heartbeat), value.text)
    moment = _moment(value)
    if field is not None and of_time is not None and moment is not None:
        return lambda heartbeat: of_time(times.nanoseconds(_time(heartbeat, field)), moment)
    return _senseless


def _between(name: str, low: Literal, high: Literal, *, negated: bool) -> Wanted:
    field, first, last = _TIMES.get(name), _moment(low), _moment(high)
    if field is None or first is None or last is None:
        return _senseless

    def wanted(heartbeat: WorkerHeartbeat) -> bool:
        if not is_set(heartbeat, field):
            return False
        return (first <= times.nanoseconds(_time(heartbeat, field)) <= last) is not negated

    return wanted


def _is_null(name: str, *, negated: bool) -> Wanted:
    string, field = _STRINGS.get(name), _TIMES.get(name)
    if string is not None:
        return lambda heartbeat: (not string(heartbeat)) is not negated
    if field is not None:
        return lambda heartbeat: (not is_set(heartbeat, field)) is not negated
    return _senseless


def _time(heartbeat: WorkerHeartbeat, field: str) -> Timestamp:
    found = getattr(heartbeat, field)
    assert isinstance(found, Timestamp)
    return found


def _moment(value: Literal) -> int | None:
    """The nanoseconds that a literal says; None: it says no time. Real: sqlquery.ConvertToTime."""
    try:
        match value.kind:
            case "INTEGRAL":
                return int(value.text)
            case "STRING":
                return parse_time(value.text)
    except ValueError:
        return None
    return None


def _status(status: WorkerStatus.ValueType) -> str:
    """As Go prints it: ShuttingDown."""
    return camel_case(enum_name(WorkerStatus, status), "WORKER_STATUS_")
