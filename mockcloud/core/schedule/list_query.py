"""The filter of a list of schedules: what a client may ask, and the query of runs that it becomes.

In the real server schedules are workflows of a namespace division of their own, and a list of them is one of runs,
with the client's filter in brackets. Before that the filter is read by itself, to see which fields it names: no
reserved ones but TemporalSchedulePaused. That reading is Elasticsearch's, with errors of its own.

Real: service/frontend/workflow_handler.go (prepareSchedulerQuery), service/worker/scheduler/query.go,
common/persistence/visibility/store/query/converter_legacy.go.
"""

from __future__ import annotations

from typing import Final

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import search_attributes, sql, visibility_query
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.schedule.views import DIVISION
from mockcloud.core.sql_syntax import (
    OPERATORS,
    And,
    Boolean,
    Column,
    Comparison,
    Is,
    Literal,
    Node,
    Not,
    Or,
    Other,
    Paren,
    Query,
    Range,
    Tuple,
    kind_of,
    text_of,
)

_ALL: Final = f"TemporalNamespaceDivision = '{DIVISION}' AND ExecutionStatus = 'Running'"


class _Refused(Exception):
    """The filter cannot be one; the message says why."""


def runs_of(query: str, namespace: NamespaceRecord) -> str:
    """The query of runs that `query` means, for `visibility_query.parse`.

    Raises:
        InvalidArgument: in the words of the real server.
    """
    if not query.strip():
        return _ALL
    try:
        tree = sql.parse(query)
    except sql.SyntaxProblem as problem:
        raise InvalidArgument(f"invalid query: malformed SQL query: {problem}") from None
    names = _Names(namespace)
    try:
        names.query(tree)
    except _Refused as problem:
        raise InvalidArgument(f"invalid query: {problem}") from None
    for name in names.found:
        if search_attributes.is_reserved(name) and name != "TemporalSchedulePaused":
            raise InvalidArgument(f'invalid query filter for schedules: cannot filter on "{name}"')
    return f"{_ALL} AND ({query})"


class _Names:
    """The fields that a filter names. Raises _Refused."""

    def __init__(self, namespace: NamespaceRecord) -> None:
        self._namespace = namespace
        self.found: list[str] = []

    def query(self, tree: Query) -> None:
        """Those of the whole filter."""
        if tree.limited:
            raise _Refused("operation is not supported: 'limit' clause")
        if tree.where is not None:
            try:
                self._where(tree.where)
            except _Refused as problem:
                raise _Refused(f"unable to convert filter expression: {problem}") from None
        if len(tree.group_by) > 1:
            raise _Refused("operation is not supported: 'group by' clause supports only a single field")
        for node in tree.group_by:
            self._named("unable to convert 'group by' column name", node)
            if self.found[-1] != "ExecutionStatus":
                raise _Refused(
                    "unable to convert 'group by' column name: "
                    "operation is not supported: 'GROUP BY' clause is only supported for ExecutionStatus"
                )

    def _where(self, node: Node) -> None:
        match node:
            case Paren(inner):
                self._where(inner)
            case And(left, right) | Or(left, right):
                self._where(left)
                self._where(right)
            case Comparison():
                self._comparison(node)
            case Range(left):
                self._named("unable to convert left part of 'between' expression", left)
            case Is(inner, operator):
                self._named("unable to convert left part of 'is' expression", inner)
                if operator not in ("is null", "is not null"):
                    raise _Refused(
                        "invalid expression: 'is' operator can be used with 'null' and 'not null' only"
                    )
            case Not():
                raise _Refused("operation is not supported: 'not' expression")
            case Other("*sqlparser.FuncExpr"):
                raise _Refused("operation is not supported: function expression")
            case Column():
                raise _Refused("incomplete expression")
            case _:
                raise _Refused(f"operation is not supported: expression of type {kind_of(node)}")

    def _comparison(self, node: Comparison) -> None:
        text = text_of(node).replace("\\", "\\\\").replace('"', '\\"')
        self._named(f'unable to convert left side of "{text}"', node.left)
        problem = _value_problem(node.right)
        if problem:
            raise _Refused(f'unable to convert right side of "{text}": {problem}')
        if node.operator not in OPERATORS:
            raise _Refused(f"operator '{node.operator}' not allowed in comparison expression")

    def _named(self, place: str, node: Node) -> None:
        if not isinstance(node, Column):
            raise _Refused(f"{place}: invalid expression: must be a column name but was {kind_of(node)}")
        if visibility_query.field_named(node.name, self._namespace) is None:
            raise _Refused(f"{place}: invalid search attribute: {node.name}")
        self.found.append(node.name)


def _value_problem(node: Node) -> str:
    """What is wrong with the right side of a comparison; empty: nothing."""
    match node:
        case Literal() | Boolean():
            return ""
        case Tuple(items):
            return next((problem for item in items if (problem := _value_problem(item))), "")
        case Other("*sqlparser.GroupConcatExpr"):
            return "operation is not supported: 'group_concat'"
        case Other("*sqlparser.FuncExpr"):
            return "operation is not supported: nested func"
        case Column():
            return (
                "operation is not supported: column name on the right side of comparison expression "
                f'(did you forget to quote "{text_of(node)}"?)'
            )
        case _:
            return f"invalid expression: unexpected value type {kind_of(node)}"
