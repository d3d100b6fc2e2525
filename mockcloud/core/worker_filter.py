"""The filter of ListWorkers: a condition over the fields of a worker's heartbeat.

    strings   WorkerInstanceKey, WorkerIdentity, HostName, TaskQueue, DeploymentName, BuildId, SdkName, SdkVersion,
              WorkerStatus or Status:   =, !=, STARTS_WITH, NOT STARTS_WITH, IS [NOT] NULL (empty)
    times     StartTime, HeartbeatTime: =, !=, <, <=, >, >=, [NOT] BETWEEN, IS [NOT] NULL; RFC 3339 or nanoseconds

joined by AND, OR and brackets. The real server only refuses what its SQL grammar cannot read; a condition that reads
and makes no sense (an unknown field, NOT, IN, LIKE) wants no worker. So it is here.

Real: service/matching/workers/worker_query_engine.go, whose grammar is that of temporalio/sqlparser.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import WorkerStatus
from temporalio.api.worker.v1 import WorkerHeartbeat

from mockcloud.core import times
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.messages import is_set

Wanted: TypeAlias = Callable[[WorkerHeartbeat], bool]

# What the real server puts before the filter; its errors count from there.
_DEEPEST: Final = 100  # brackets within brackets
_BEFORE: Final = len("select * from table1 where ")

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<string>'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\")|(?P<number>-?\d+(?:\.\d+)?)"
    r"|`(?P<quoted>[^`]+)`|(?P<word>[A-Za-z_][A-Za-z0-9_.]*)|(?P<operator><=|>=|!=|<>|[=<>(),;])|(?P<other>\S))"
)


class _SenselessError(Exception):
    """A condition that reads and means nothing: the worker is not wanted."""


def parse(query: str) -> Wanted:
    """Which heartbeats `query` wants; an empty one wants all.

    Raises InvalidArgument: it cannot be read.
    """
    if not query:
        return lambda _: True
    text = query.strip()
    if not text:
        raise _malformed(1, "")
    if text.lower().startswith(("where ", "select ")):
        raise InvalidArgument(f"invalid filter: {text}")
    condition = _Parser(text).whole()

    def wanted(heartbeat: WorkerHeartbeat) -> bool:
        try:
            return condition(heartbeat)
        except _SenselessError:
            return False

    return wanted


def _malformed(position: int, near: str) -> InvalidArgument:
    return InvalidArgument(
        f"malformed query: syntax error at position {position}" + (f" near '{near}'" if near else "")
    )


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # string, number, quoted, word, operator, other; "" at the end
    text: str
    end: int

    def is_word(self, *words: str) -> bool:
        return self.kind == "word" and self.text.lower() in words


@dataclass(frozen=True, slots=True)
class _Operand:
    kind: str  # name, string, number, call
    value: str


class _Parser:
    """Reads one condition, token by token."""

    def __init__(self, text: str) -> None:
        self._tokens = []
        position = 0
        while position < len(text) and (match := _TOKEN.match(text, position)):
            kind = match.lastgroup or ""
            self._tokens.append(_Token(kind, match.group(kind), match.end()))
            position = match.end()
        self._tokens.append(_Token("", "", len(text)))
        self._next = 0
        self._depth = 0

    def whole(self) -> Wanted:
        """The condition, and the clauses that may follow it and count for nothing."""
        condition = self._or()
        limited = False
        for clause in ("group", "order"):
            if self._take_word(clause):
                self._expect_word("by")
                self._operand()
                while self._take_operator(","):
                    self._operand()
                self._take_word("asc") or self._take_word("desc")
        if self._take_word("limit"):
            limited = True
            self._operand()
        self._take_operator(";")
        if self._peek().kind:
            raise self._error()
        if limited:
            raise InvalidArgument("operation is not supported: 'limit' clause")
        return condition

    # The grammar

    def _or(self) -> Wanted:
        parts = [self._and()]
        while self._take_word("or"):
            parts.append(self._and())
        return parts[0] if len(parts) == 1 else _any(parts)

    def _and(self) -> Wanted:
        parts = [self._not()]
        while self._take_word("and"):
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else _all(parts)

    def _not(self) -> Wanted:
        negated = False
        while self._take_word("not"):
            negated = True
        inner = self._in_brackets() if self._peek().text == "(" else self._condition()
        return _senseless if negated else inner

    def _in_brackets(self) -> Wanted:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._error()
        self._expect_operator("(")
        inner = self._or()
        self._expect_operator(")")
        self._depth -= 1
        return inner

    def _condition(self) -> Wanted:
        left = self._operand()
        token = self._peek()
        if token.kind == "operator" and token.text in ("=", "!=", "<>", "<", "<=", ">", ">="):
            self._next += 1
            return _comparison(left, "!=" if token.text == "<>" else token.text, self._operand())
        if self._take_word("is"):
            negated = self._take_word("not")
            self._expect_word("null")
            return _is_null(left, negated=negated)
        negated = self._take_word("not")
        if self._take_word("between"):
            low = self._operand()
            self._expect_word("and")
            return _between(left, low, self._operand(), negated=negated)
        if self._take_word("starts_with"):
            return _comparison(left, "not starts_with" if negated else "starts_with", self._operand())
        if self._take_word("like"):
            self._operand()
            return _senseless
        if self._take_word("in"):
            self._expect_operator("(")
            self._operand()
            while self._take_operator(","):
                self._operand()
            self._expect_operator(")")
            return _senseless
        if negated:
            raise self._error()
        return _senseless  # an operand alone

    def _operand(self) -> _Operand:
        token = self._peek()
        if token.kind in ("string", "number", "quoted") or (
            token.kind == "word" and token.text.lower() not in _RESERVED
        ):
            self._next += 1
            if token.kind == "string":
                return _Operand("string", _unquoted(token.text))
            if token.kind == "number":
                return _Operand("number", token.text)
            if token.kind == "word" and self._take_operator("("):
                while not self._take_operator(")"):
                    self._next += 1  # whatever it is, it means nothing
                    if not self._peek().kind:
                        raise self._error()
                return _Operand("call", token.text)
            # The real grammar knows this one word as its own, and gives it back in lower case.
            name = "status" if token.text.lower() == "status" else token.text
            return _Operand("name", name)
        raise self._error()

    # Tokens

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take_word(self, word: str) -> bool:
        if self._peek().is_word(word):
            self._next += 1
            return True
        return False

    def _take_operator(self, operator: str) -> bool:
        token = self._peek()
        if token.kind == "operator" and token.text == operator:
            self._next += 1
            return True
        return False

    def _expect_word(self, word: str) -> None:
        if not self._take_word(word):
            raise self._error()

    def _expect_operator(self, operator: str) -> None:
        if not self._take_operator(operator):
            raise self._error()

    def _error(self) -> InvalidArgument:
        token = self._peek()
        near = token.text if token.kind in ("word", "quoted", "number") else ""
        if token.kind == "string":
            near = _unquoted(token.text)
        return _malformed(_BEFORE + token.end + 1, near)


_RESERVED: Final = frozenset(
    {
        "and",
        "or",
        "not",
        "is",
        "null",
        "in",
        "between",
        "like",
        "starts_with",
        "group",
        "order",
        "by",
        "limit",
    }
    | {"select", "from", "where", "union", "having"}
)


def _unquoted(text: str) -> str:
    quote = text[0]
    return re.sub(r"\\(.)", r"\1", text[1:-1].replace(quote * 2, quote))


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
    "status": lambda heartbeat: _status(heartbeat.status),
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


def _senseless(_: WorkerHeartbeat) -> bool:
    raise _SenselessError


def _all(parts: Sequence[Wanted]) -> Wanted:
    return lambda heartbeat: all(part(heartbeat) for part in parts)


def _any(parts: Sequence[Wanted]) -> Wanted:
    return lambda heartbeat: any(part(heartbeat) for part in parts)


def _comparison(left: _Operand, operator: str, right: _Operand) -> Wanted:
    if left.kind != "name":
        return _senseless
    of_string, of_time = _OF_STRINGS.get(operator), _OF_TIMES.get(operator)
    string, field = _STRINGS.get(left.value), _TIMES.get(left.value)
    if string is not None and of_string is not None and right.kind == "string" and right.value:
        return lambda heartbeat: of_string(string(heartbeat), right.value)
    moment = _moment(right)
    if field is not None and of_time is not None and moment is not None:
        return lambda heartbeat: of_time(times.nanoseconds(_time(heartbeat, field)), moment)
    return _senseless


def _between(left: _Operand, low: _Operand, high: _Operand, *, negated: bool) -> Wanted:
    field = _TIMES.get(left.value) if left.kind == "name" else None
    first, last = _moment(low), _moment(high)
    if field is None or first is None or last is None:
        return _senseless

    def wanted(heartbeat: WorkerHeartbeat) -> bool:
        if not is_set(heartbeat, field):
            return False
        return (first <= times.nanoseconds(_time(heartbeat, field)) <= last) is not negated

    return wanted


def _is_null(left: _Operand, *, negated: bool) -> Wanted:
    string, field = _STRINGS.get(left.value), _TIMES.get(left.value)
    if left.kind == "name" and string is not None:
        return lambda heartbeat: (not string(heartbeat)) is not negated
    if left.kind == "name" and field is not None:
        return lambda heartbeat: (not is_set(heartbeat, field)) is not negated
    return _senseless


def _time(heartbeat: WorkerHeartbeat, field: str) -> Timestamp:
    found = getattr(heartbeat, field)
    assert isinstance(found, Timestamp)
    return found


def _moment(operand: _Operand) -> int | None:
    """The nanoseconds that a literal says; None: it says no time. Real: sqlquery.ConvertToTime."""
    if operand.kind == "number" and operand.value.lstrip("-").isdecimal():
        return int(operand.value)
    if operand.kind != "string":
        return None
    moment = Timestamp()
    try:
        moment.FromJsonString(operand.value)
    except ValueError:
        return None
    return times.nanoseconds(moment)


def _status(status: WorkerStatus.ValueType) -> str:
    """As Go prints it: ShuttingDown."""
    words = WorkerStatus.Name(status).removeprefix("WORKER_STATUS_").split("_")
    return "".join(word.capitalize() for word in words)
