"""The list filter: from a client's query to the tests that a run must pass, with the real server's errors.

    WorkflowType = 'Order' AND (Customer IN ('a', 'b') OR NOT Amount BETWEEN 1 AND 5) AND CloseTime IS NULL

The grammar is that of SQL (`core.sql_grammar`); here its tree is checked against the namespace's search
attributes, and values become what is compared. Where a query does not speak of TemporalNamespaceDivision, only runs
without one are meant: the server's own workflows have one.

Real: common/persistence/visibility/store/sql/query_converter_legacy.go, query/resolve.go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from temporalio.api.enums.v1 import WorkflowExecutionStatus

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import go_duration, search_attributes, sql, times
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.failures import camel_case
from mockcloud.core.search_attribute_values import (
    DATETIME,
    DOUBLE,
    INT,
    KEYWORD,
    KEYWORD_LIST,
    TEXT,
    go_float,
    parse_time,
    type_name,
)
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
from mockcloud.core.visibility_filter import (
    AllOf,
    AnyOf,
    Field,
    FieldTest,
    Filter,
    Negated,
    Value,
    VisibilityQuery,
)

__all__ = ["VisibilityQuery", "field_named", "parse", "status_named"]

_STATUS_PREFIX: Final = "WORKFLOW_EXECUTION_STATUS_"
_STATUSES: Final[Mapping[str, int]] = {
    spelling: value
    for name, value in WorkflowExecutionStatus.items()
    for spelling in (name, camel_case(name, _STATUS_PREFIX))
}

_DIVISION: Final = "TemporalNamespaceDivision"
_SCHEDULE_PREFIX: Final = "temporal-sys-scheduler:"

_LIST_OPERATORS: Final = frozenset({"=", "!=", "in", "not in"})
_TEXT_OPERATORS: Final = frozenset({"=", "!="})
_RANGE_TYPES: Final = frozenset({DATETIME, DOUBLE, INT, KEYWORD})

_INTEGER: Final = re.compile(r"[+-]?\d+", re.ASCII)
_CLOCK: Final = re.compile(r"\s*([+-]?\d+):\s*([+-]?\d+):\s*([+-]?\d+)", re.ASCII)
_FLOAT: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class _Refused(Exception):
    """The query cannot be a filter; the message says why."""


def parse(query: str, namespace: NamespaceRecord) -> VisibilityQuery:
    """The runs that `query` asks for; an empty one asks for all of no division.

    Raises:
        InvalidArgument: in the words of the real server.
    """
    try:
        tree = sql.parse(query) if query.strip() else Query()
        return _Converter(namespace).query(tree)
    except sql.SyntaxProblem as problem:
        raise InvalidArgument(f"invalid query: malformed SQL query: {problem}") from None
    except _Refused as problem:
        raise InvalidArgument(f"invalid query: {problem}") from None


def field_named(name: str, namespace: NamespaceRecord) -> Field | None:
    """The search attribute that a filter means by `name`; None: there is none."""
    return _Converter(namespace).known(name)


def status_named(status: int) -> str:
    """`Running` and so on."""
    return camel_case(WorkflowExecutionStatus.Name(WorkflowExecutionStatus.ValueType(status)), _STATUS_PREFIX)


class _Converter:
    """One conversion. Raises _Refused."""

    def __init__(self, namespace: NamespaceRecord) -> None:
        self._namespace = namespace
        self._names_division = False

    def query(self, tree: Query) -> VisibilityQuery:
        if tree.united:
            raise _unsupported("'UNION' clause")  # the real server fails to
        if tree.ordered:
            raise _unsupported("'ORDER BY' clause")
        if tree.limited:
            raise _unsupported("'LIMIT' clause")
        parts: list[Filter] = [] if tree.where is None else [self._where(tree.where)]
        if not self._names_division:
            parts.append(FieldTest(Field(_DIVISION, KEYWORD, system=False), "is null"))
        group_by = None
        if len(tree.group_by) > 1:
            raise _unsupported("'GROUP BY' clause supports only a single field")
        for node in tree.group_by:
            group_by = self._field(node)
            if group_by.name != "ExecutionStatus":
                raise _unsupported("'GROUP BY' clause is only supported for ExecutionStatus")
        return VisibilityQuery(parts[0] if len(parts) == 1 else AllOf(tuple(parts)), group_by)

    def _where(self, node: Node) -> Filter:
        match node:
            case Paren(inner):
                return self._where(inner)
            case Not(inner):
                return Negated(self._where(inner))
            case And(left, right):
                return AllOf((self._where(left), self._where(right)))
            case Or(left, right):
                return AnyOf((self._where(left), self._where(right)))
            case Comparison():
                return self._comparison(node)
            case Range():
                return self._range(node)
            case Is(inner, operator):
                field = self._field(inner)
                if operator not in ("is null", "is not null"):
                    raise _invalid("'IS' operator can only be used with 'NULL' or 'NOT NULL'")
                return FieldTest(field, operator)
            case Other("*sqlparser.FuncExpr"):
                raise _unsupported("function expression")
            case Column():
                raise _invalid("incomplete expression")
            case _:
                raise _unsupported(f"expression of type {kind_of(node)}")

    def _comparison(self, node: Comparison) -> Filter:
        if node.operator not in OPERATORS:
            raise _invalid(f"invalid operator '{node.operator}' in `{text_of(node)}`")
        field, alias = self._resolved(node.left)
        right = self._values(node.right, alias, field)
        values = tuple(right) if isinstance(right, list) else (right,)
        if field.value_type == KEYWORD_LIST:
            _check_list_operand(node, right, alias, field)
        elif field.value_type == TEXT:
            _check_text_operand(node, right, alias)
        if node.operator.endswith("starts_with") and not isinstance(right, str) and not _is_moment(field):
            raise _invalid(
                f"right-hand side of '{node.operator}' must be a literal string (got: {_written(right)})"
            )
        if node.operator not in ("in", "not in") and len(values) != 1:
            raise _invalid(f"row value misused in `{text_of(node)}`")
        return FieldTest(field, node.operator, values)

    def _range(self, node: Range) -> Filter:
        field, alias = self._resolved(node.left)
        if field.value_type not in _RANGE_TYPES:
            raise _invalid(
                f"cannot do range condition on search attribute '{alias}' of type {type_name(field.value_type)}"
            )
        bounds = [self._values(bound, alias, field) for bound in (node.low, node.high)]
        return FieldTest(field, node.operator, tuple(_single(bound) for bound in bounds))

    def _field(self, node: Node) -> Field:
        return self._resolved(node)[0]

    def _resolved(self, node: Node) -> tuple[Field, str]:
        """The search attribute that a name means, and the name. Real: ResolveSearchAttributeAlias."""
        if not isinstance(node, Column):
            raise _invalid(f"must be a column name but was {kind_of(node)}")
        alias = node.name
        field = self.known(alias)
        if field is None:
            raise _invalid(f"column name '{alias}' is not a valid search attribute")
        if field.name == _DIVISION:
            self._names_division = True
        return field, alias

    def known(self, alias: str) -> Field | None:
        system, predefined = search_attributes.SYSTEM, search_attributes.PREDEFINED
        if alias not in system and alias not in predefined:
            custom = search_attributes.custom(self._namespace).get(alias)
            if custom is not None:
                return Field(search_attributes.stored_name(self._namespace, alias), custom, system=False)
            if alias == "ScheduleId":
                return Field("WorkflowId", KEYWORD, system=True)
        for name in (alias, f"Temporal{alias}", alias.removeprefix("Temporal")):
            if name in predefined:
                return Field(name, predefined[name], system=False)
            if name in system:
                return Field(name, system[name], system=True, open_is_last=alias == "CloseTime")
        return None

    def _values(self, node: Node, alias: str, field: Field) -> Value | list[Value]:
        match node:
            case Literal():
                return _literal(node, alias, field)
            case Boolean(value):
                return value
            case Tuple(items):
                return [_single(self._values(item, alias, field)) for item in items]
            case Other("*sqlparser.GroupConcatExpr"):
                raise _unsupported("'group_concat'")
            case Other("*sqlparser.FuncExpr"):
                raise _unsupported("nested func")
            case Column():
                raise _unsupported(
                    "column name on the right side of comparison expression "
                    f"(did you forget to quote '{text_of(node)}'?)"
                )
            case _:
                raise _invalid(f"unexpected value type {kind_of(node)}")


def _literal(node: Literal, alias: str, field: Field) -> Value:
    value = _scalar(node)
    if field.value_type == DATETIME:
        return _moment(value, alias)
    if field.system and field.name == "ExecutionStatus":
        return _status(value, alias)
    if field.system and field.name == "ExecutionDuration" and isinstance(value, str):
        return _duration(value, alias)
    if alias == "ScheduleId" and field.name == "WorkflowId":
        return f"{_SCHEDULE_PREFIX}{value if isinstance(value, str) else _written(value)}"
    return value


def _scalar(node: Literal) -> str | int | float:
    """Real: sqlquery.ParseValue, which also takes all quotes from a string's ends."""
    if node.kind == "STRING":
        return node.text.strip("'")
    if _INTEGER.fullmatch(node.text) and -(1 << 63) <= int(node.text) < 1 << 63:
        return int(node.text)
    if _FLOAT.fullmatch(node.text):
        number = float(node.text)
        if abs(number) != float("inf"):
            return number
    raise InvalidArgument(f"invalid expression: unable to parse {node.text}")


def _moment(value: Value, alias: str) -> int:
    if isinstance(value, str):
        try:
            return parse_time(value.replace(",", ".")) // times.MICROSECOND
        except ValueError:
            raise _invalid(f"unable to parse datetime '{value}'") from None
    if isinstance(value, float):
        raise _invalid(f"unexpected value type float64 for search attribute {alias}")
    return value // times.MICROSECOND


def _status(value: Value, alias: str) -> int:
    if isinstance(value, str):
        if value not in _STATUSES:
            raise _invalid(f"invalid ExecutionStatus value '{value}'")
        return _STATUSES[value]
    if isinstance(value, float):
        raise _invalid(f"unexpected value type float64 for search attribute {alias}")
    return value


def _duration(value: str, alias: str) -> int:
    """Nanoseconds: a number of them, Go's notation with days, or hh:mm:ss. Real: ParseExecutionDurationStr."""
    if _INTEGER.fullmatch(value) and -(1 << 63) <= int(value) < 1 << 63:
        return int(value)
    try:
        return go_duration.parse_with_days(value)
    except ValueError:
        pass
    problem = "invalid duration"
    match = _CLOCK.match(value)
    if match is not None:
        hours, minutes, seconds = map(int, match.groups())
        if hours < 0:
            problem = "invalid duration: hours must be a positive number"
        elif not 0 <= minutes <= 59:
            problem = "invalid duration: minutes must be from 0 to 59"
        elif not 0 <= seconds <= 59:
            problem = "invalid duration: seconds must be from 0 to 59"
        else:
            return hours * times.HOUR + minutes * times.MINUTE + seconds * times.SECOND
    raise _Refused(f"invalid value for search attribute {alias}: {value} ({problem})")


def _check_list_operand(node: Comparison, right: Value | list[Value], alias: str, field: Field) -> None:
    if node.operator not in _LIST_OPERATORS:
        raise _invalid(
            f"operator '{node.operator}' not supported for KeywordList type search attribute in "
            f"`{alias} {node.operator} {_written(right)}`"
        )
    if node.operator in ("=", "!="):
        if not isinstance(right, str):
            raise _invalid(f"unexpected value type (expected string, got {_written(right)})")
        return
    if not isinstance(right, list):
        raise _invalid(f"unexpected value type (expected tuple of strings, got {_written(right)})")
    for value in right:
        if not isinstance(value, str):
            raise _invalid(f"unexpected value type in tuple (expected string, got {_written(value)})")


def _check_text_operand(node: Comparison, right: Value | list[Value], alias: str) -> None:
    if node.operator not in _TEXT_OPERATORS:
        raise _invalid(
            f"operator '{node.operator}' not supported for Text type search attribute in "
            f"`{alias} {node.operator} {_written(right)}`"
        )
    if not isinstance(right, str):
        raise _invalid(f"unexpected value type (expected string, got {_written(right)})")
    if not right.strip(" "):
        raise _invalid(
            f"unexpected value for Text type search attribute (no tokens found in {_written(right)})"
        )


def _single(value: Value | list[Value]) -> Value:
    """The value, or that of a row of one."""
    while isinstance(value, list):
        if len(value) != 1:
            raise _invalid("row value misused")
        value = value[0]
    return value


def _is_moment(field: Field) -> bool:
    return field.value_type == DATETIME


_ESCAPED: Final = str.maketrans(
    {"'": "''", '"': '\\"', "\b": "\\b", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}
)


def _written(value: Value | list[Value]) -> str:
    """A converted value as the real server writes it into SQL."""
    match value:
        case list():
            return f"({', '.join(map(_written, value))})"
        case bool():
            return "true" if value else "false"
        case str():
            return f"'{value.translate(_ESCAPED)}'"
        case float():
            return go_float(value)
        case _:
            return str(value)


def _invalid(problem: str) -> _Refused:
    return _Refused(f"invalid expression: {problem}")


def _unsupported(what: str) -> _Refused:
    return _Refused(f"operation is not supported: {what}")
