"""The part of the list filter that is built: comparisons for equality, joined by AND.

    ExecutionStatus = 'Running' AND WorkflowType = "OrderWorkflow"
    WorkflowId = 'order-1'
    ExecutionStatus IN ('Failed', 'TimedOut')

Everything else of the query language is refused with words that name it; nothing is ignored silently.
Real: common/persistence/visibility/store/query.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from temporalio.api.enums.v1 import WorkflowExecutionStatus

from mockcloud.core.errors import InvalidArgument, Unimplemented
from mockcloud.store.visibility import VisibilityFilter

_PREFIX: Final = "WORKFLOW_EXECUTION_STATUS_"

# `Running`, `ContinuedAsNew`, … and the enum's own names.
_STATUSES: Final[Mapping[str, WorkflowExecutionStatus.ValueType]] = {
    spelling: value
    for name, value in WorkflowExecutionStatus.items()
    if value
    for spelling in (name, "".join(word.capitalize() for word in name.removeprefix(_PREFIX).split("_")))
}

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<word>`[^`]*`|[A-Za-z_][A-Za-z0-9_.]*)
        |(?P<text>'(?:[^'\\]|''|\\.)*'|"(?:[^"\\]|""|\\.)*")
        |(?P<number>-?\d+(?:\.\d+)?)
        |(?P<sign><=|>=|!=|<>|[=<>(),]))""",
    re.VERBOSE,
)
_FIELDS: Final = ("ExecutionStatus", "WorkflowId", "WorkflowType", "RunId")


@dataclass(frozen=True, slots=True)
class VisibilityQuery:
    """Which runs, and whether their number is wanted by status (`GROUP BY ExecutionStatus`)."""

    filter: VisibilityFilter
    by_status: bool = False


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # word, text, number, sign; end
    text: str

    @property
    def keyword(self) -> str:
        return self.text.upper() if self.kind == "word" else self.text


def parse(query: str) -> VisibilityQuery:
    """The runs that `query` asks for; an empty one asks for all.

    Raises:
        InvalidArgument: it is not in the language.
        Unimplemented: it is, but that part of it is not built; the message names it.
    """
    return _Parser(query).parse()


class _Parser:
    def __init__(self, query: str) -> None:
        self._tokens = _split(query)
        self._position = 0
        self._result = VisibilityFilter()

    def parse(self) -> VisibilityQuery:
        if self._peek().kind == "end":
            return VisibilityQuery(self._result)
        if not self._at("GROUP"):
            self._comparison()
            while self._at("AND"):
                self._take()
                self._comparison()
        by_status = False
        if self._at("GROUP"):
            self._group_by()
            by_status = True
        token = self._peek()
        if token.kind != "end":
            if token.keyword in {"OR", "ORDER", "LIMIT", "BETWEEN", "NOT", "IS", "STARTS_WITH"}:
                raise Unimplemented(f"{token.keyword} in a visibility query is not built.")
            raise _malformed(token)
        return VisibilityQuery(self._result, by_status)

    def _comparison(self) -> None:
        name = self._take()
        if name.keyword in {"(", "NOT"}:
            raise Unimplemented(f"{name.keyword} in a visibility query is not built.")
        if name.kind != "word":
            raise _malformed(name)
        field = name.text.strip("`")
        if field not in _FIELDS:
            raise Unimplemented(f"Search attribute {field} in a visibility query is not built.")
        operator = self._take()
        if operator.keyword == "=":
            values = [self._value()]
        elif operator.keyword == "IN" and field == "ExecutionStatus":
            values = self._values()
        elif operator.kind == "sign" or operator.keyword in {"IN", "NOT", "IS", "BETWEEN", "STARTS_WITH"}:
            raise Unimplemented(f"Operator {operator.keyword} on {field} in a visibility query is not built.")
        else:
            raise _malformed(operator)
        self._restrict(field, values)

    def _restrict(self, field: str, values: list[_Token]) -> None:
        if field == "ExecutionStatus":
            wanted = {_status(value) for value in values}
            before = self._result.statuses
            self._result = replace(self._result, statuses=wanted if before is None else wanted & set(before))
            return
        value = _unquoted(values[0])
        if field == "WorkflowId":
            before_value = self._result.workflow_id
            self._result = replace(self._result, workflow_id=value)
        elif field == "WorkflowType":
            before_value = self._result.workflow_type
            self._result = replace(self._result, workflow_type=value)
        else:
            before_value = self._result.run_id
            self._result = replace(self._result, run_id=value)
        if before_value not in (None, value):
            self._result = replace(self._result, statuses=())  # nothing is equal to both

    def _values(self) -> list[_Token]:
        if self._take().text != "(":
            raise InvalidArgument("invalid query: malformed SQL query: IN needs a list in parentheses")
        values = [self._value()]
        while self._peek().text == ",":
            self._take()
            values.append(self._value())
        closing = self._take()
        if closing.text != ")":
            raise _malformed(closing)
        return values

    def _value(self) -> _Token:
        token = self._take()
        if token.kind not in {"text", "number"}:
            raise _malformed(token)
        return token

    def _group_by(self) -> None:
        self._take()
        by, field = self._take(), self._take()
        if by.keyword != "BY":
            raise _malformed(by)
        if field.text.strip("`") != "ExecutionStatus":
            raise InvalidArgument(
                "invalid query: operation is not supported: 'GROUP BY' clause is only supported for search "
                f"attributes: [ExecutionStatus], got {field.text}"
            )

    def _at(self, keyword: str) -> bool:
        token = self._peek()
        return token.kind == "word" and token.keyword == keyword

    def _peek(self) -> _Token:
        return self._tokens[self._position]

    def _take(self) -> _Token:
        token = self._tokens[self._position]
        self._position = min(self._position + 1, len(self._tokens) - 1)
        return token


def _split(query: str) -> list[_Token]:
    tokens = []
    position = 0
    end = len(query.rstrip())
    while position < end:
        match = _TOKEN.match(query, position)
        if match is None:
            raise InvalidArgument(
                f"invalid query: malformed SQL query: syntax error at position {position + 1} "
                f"near '{query[position:].strip()[:20]}'"
            )
        tokens.append(_Token(match.lastgroup or "", match.group(match.lastgroup or 0)))
        position = match.end()
    return [*tokens, _Token("end", "")]


def _unquoted(token: _Token) -> str:
    if token.kind == "number":
        return token.text
    quote, body = token.text[0], token.text[1:-1]
    return re.sub(r"\\(.)", r"\1", body.replace(quote * 2, quote), flags=re.DOTALL)


def _status(token: _Token) -> WorkflowExecutionStatus.ValueType:
    text = _unquoted(token)
    if token.kind == "number" and text.isdigit() and int(text) in _STATUSES.values():
        return WorkflowExecutionStatus.ValueType(int(text))
    if text not in _STATUSES:
        raise InvalidArgument(f"invalid query: invalid expression: invalid ExecutionStatus value '{text}'")
    return _STATUSES[text]


def _malformed(token: _Token) -> InvalidArgument:
    near = f"near '{token.text}'" if token.text else "at the end"
    return InvalidArgument(f"invalid query: malformed SQL query: syntax error {near}")
