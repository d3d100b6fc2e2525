"""List filters as SQL over `visibility` (one row per run, here `v`) and `search_attribute` (one per value).

A filter becomes two things. Its *condition* on a row says exactly what passes, with SQL's three-valued logic: a
value that is not there is unknown. Its *sources* are queries of run keys from an index, each of which finds
everything that can pass; where one of them finds little, the rows are looked up from there, and otherwise the list
is read in its order until a page is full. So a filter is served by an index whether it is rare or common.

Values are compared as SQLite compares them in the real server's columns. Real: store/sql/visibility_store.go,
schema/sqlite/v3/visibility/schema.sql.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from mockcloud.core import times
from mockcloud.core.search_attribute_values import DATETIME, KEYWORD, KEYWORD_LIST, TEXT, go_float
from mockcloud.core.search_attributes import PREDEFINED
from mockcloud.core.visibility_filter import AllOf, AnyOf, Field, FieldTest, Filter, Negated, Value
from mockcloud.store.visibility_terms import DIVISION, member, phrase, presence, words

_LARGEST: Final = (1 << 63) - 1
_NUMBER: Final = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?\s*", re.ASCII)


class Sql(NamedTuple):
    """A piece of SQL and the values of its question marks."""

    text: str
    values: tuple[object, ...] = ()


_COLUMNS: Final[Mapping[str, str]] = {
    "WorkflowId": "v.workflow_id",
    "RunId": "v.run_id",
    "WorkflowType": "v.workflow_type",
    "StartTime": "v.start_time",
    "ExecutionTime": "v.execution_time",
    "CloseTime": "NULLIF(v.close_time, 0)",
    "ExecutionStatus": "v.status",
    "TaskQueue": "v.task_queue",
    "HistoryLength": "CASE WHEN v.close_time THEN v.history_length END",
    "ExecutionDuration": "CASE WHEN v.close_time THEN v.close_time - v.execution_time END",
    "StateTransitionCount": "CASE WHEN v.close_time THEN v.state_transitions END",
    "HistorySizeBytes": "CASE WHEN v.close_time THEN v.history_size END",
    "ParentWorkflowId": "NULLIF(v.parent_workflow_id, '')",
    "ParentRunId": "NULLIF(v.parent_run_id, '')",
    "RootWorkflowId": "v.root_workflow_id",
    "RootRunId": "v.root_run_id",
    DIVISION: "v.division",
}
# Columns with an index from which rows can be looked up, by the field's name.
_INDEXED: Final[Mapping[str, str]] = {
    "WorkflowId": "workflow_id",
    "RunId": "run_id",
    "WorkflowType": "workflow_type",
    "ExecutionStatus": "status",
    "ParentWorkflowId": "parent_workflow_id",
    DIVISION: "division",
}
# Of these the indexes that have the rows with one value in a list's order.
_ORDERED: Final = frozenset({"WorkflowId", "WorkflowType", "ExecutionStatus"})
_TEXTUAL: Final = frozenset({KEYWORD, KEYWORD_LIST, TEXT})
_COMPARED: Final = frozenset({"=", "<", "<=", ">", ">="})


class Source(NamedTuple):
    """A query of run keys from an index.

    `test`: what every run that it finds passes for sure. `ordered`: the index also has them in a list's order.
    """

    sql: Sql
    test: FieldTest | None = None
    ordered: bool = False


def condition(wanted: Filter, given: Collection[FieldTest] = ()) -> Sql:
    """What a row of `v` must pass; `given`: tests of the whole that it passes for sure."""
    match wanted:
        case AllOf(parts):
            return _joined(" AND ", (condition(part, given) for part in parts))
        case AnyOf(parts):
            return _joined(" OR ", map(condition, parts))
        case Negated(part):
            inner = condition(part)
            return Sql(f"NOT {inner.text}", inner.values)
        case FieldTest():
            return Sql("1") if wanted in given else _test(wanted)


def sources(wanted: Filter, namespace_id: str) -> list[Source]:
    """Queries of run keys, each of which finds all that can pass; none: only a scan does."""
    match wanted:
        case AllOf(parts):
            return [source for part in parts for source in sources(part, namespace_id)]
        case AnyOf(parts):
            found = [sources(part, namespace_id) for part in parts]
            if not all(found):
                return []
            first = [each[0].sql for each in found]
            text = " UNION ".join(f"SELECT run_key FROM ({sql.text})" for sql in first)  # noqa: S608 constants
            return [Source(Sql(text, tuple(value for sql in first for value in sql.values)))]
        case Negated():
            return []
        case FieldTest():
            source = _source(wanted, namespace_id)
            if source is None:
                return []
            # Of a text only the first word of a phrase is looked up.
            sure = None if wanted.field.value_type == TEXT else wanted
            return [Source(source, sure, ordered=wanted.field.name in _ORDERED and wanted.operator == "=")]


def _joined(word: str, parts: Iterable[Sql]) -> Sql:
    pieces = list(parts)
    if not pieces:
        return Sql("1")
    return Sql(
        f"({word.join(each.text for each in pieces)})",
        tuple(value for each in pieces for value in each.values),
    )


def _test(test: FieldTest) -> Sql:
    field = test.field
    if field.value_type == KEYWORD_LIST and not test.operator.startswith("is"):
        return _among(field, [member(str(value)) for value in test.values], negated=_negated(test))
    if field.value_type == TEXT and not test.operator.startswith("is"):
        return _text(field, str(test.values[0]), negated=_negated(test))
    subject = _subject(field)
    if test.operator in ("is null", "is not null"):
        if field.open_is_last:  # the time itself, not the one it is compared as
            subject = Sql(_COLUMNS[field.name])
        elif not field.system and field.name not in PREDEFINED:
            part = presence(field.name, textual=field.value_type in _TEXTUAL)
            return Sql(f"(instr(v.custom, ?) {'=' if test.operator == 'is null' else '>'} 0)", (part,))
        return Sql(f"{subject.text} {test.operator.upper()}", subject.values)
    if test.operator.endswith("starts_with"):
        if field.value_type == DATETIME:
            return Sql(f"({subject.text} IS NULL AND NULL)", subject.values)  # no number starts with a text
        word = "LIKE" if test.operator == "starts_with" else "NOT LIKE"
        return Sql(f"({subject.text} {word} ? ESCAPE '!')", (*subject.values, _prefix(str(test.values[0]))))
    if field.system and field.value_type == DATETIME:
        return _moment(subject, test)
    return _compared(subject, test.operator, [_bound(field, value) for value in test.values])


def _negated(test: FieldTest) -> bool:
    return test.operator in ("!=", "not in")


def _subject(field: Field) -> Sql:
    """The value of a field of the row; NULL if it has none."""
    if field.open_is_last:
        return Sql("v.order_time")
    if field.system or field.name == DIVISION:
        return Sql(_COLUMNS[field.name])
    column = "text" if field.value_type in _TEXTUAL else "number"
    return Sql(
        f"(SELECT s.{column} FROM search_attribute s WHERE s.run_key = v.run_key AND s.name = ? AND s.ordinal = 0)",  # noqa: S608 constants
        (field.name,),
    )


def _compared(subject: Sql, operator: str, values: Sequence[object]) -> Sql:
    match operator:
        case "in" | "not in":
            marks = f"({', '.join('?' * len(values))})"
            return Sql(f"({subject.text} {operator.upper()} {marks})", (*subject.values, *values))
        case "between" | "not between":
            return Sql(f"({subject.text} {operator.upper()} ? AND ?)", (*subject.values, *values))
        case _:
            return Sql(f"({subject.text} {operator} ?)", (*subject.values, *values))


def _moment(subject: Sql, test: FieldTest) -> Sql:
    """A column of nanoseconds against microseconds: of each, only whole microseconds count."""
    firsts = [_clamped(int(value) * times.MICROSECOND) for value in test.values if not isinstance(value, str)]
    lasts = [_clamped(first + times.MICROSECOND - 1) for first in firsts]
    text, values = subject
    match test.operator:
        case "=" | "in":
            ranges = [
                Sql(f"({text} BETWEEN ? AND ?)", (*values, *each)) for each in zip(firsts, lasts, strict=True)
            ]
            return _joined(" OR ", ranges)
        case "!=" | "not in":
            ranges = [
                Sql(f"({text} NOT BETWEEN ? AND ?)", (*values, *each))
                for each in zip(firsts, lasts, strict=True)
            ]
            return _joined(" AND ", ranges)
        case "<" | ">=":
            return Sql(f"({text} {test.operator} ?)", (*values, firsts[0]))
        case "<=" | ">":
            return Sql(f"({text} {test.operator} ?)", (*values, lasts[0]))
        case _:
            return Sql(f"({text} {test.operator.upper()} ? AND ?)", (*values, firsts[0], lasts[1]))


def _clamped(nanoseconds: int) -> int:
    return max(-_LARGEST, min(nanoseconds, _LARGEST))


def _bound(field: Field, value: Value) -> object:
    """A value as it is compared with a column: text columns take numbers as their digits, others texts as numbers.

    Expressions have no type of their own in SQLite, so that it cannot do so itself.
    """
    if isinstance(value, str) and field.value_type not in (KEYWORD, DATETIME):
        if not _NUMBER.fullmatch(value):
            return value
        number = float(value)
        return int(number) if number.is_integer() and abs(number) < 1 << 53 else number
    if field.value_type != KEYWORD or field.name == "ExecutionStatus" or isinstance(value, str):
        return value
    return str(int(value)) if isinstance(value, int) else go_float(value)


def _prefix(text: str) -> str:
    for special in "!%_":
        text = text.replace(special, f"!{special}")
    return f"{text}%"


def _among(field: Field, members: list[str], *, negated: bool) -> Sql:
    """Whether a list has one of the members. An empty one is never found."""
    found = [each for each in members if each]
    marks = ", ".join("?" * len(found))
    word = "NOT EXISTS" if negated else "EXISTS"
    return Sql(
        f"({word} (SELECT 1 FROM search_attribute s WHERE s.run_key = v.run_key AND s.name = ?"  # noqa: S608 constants
        f" AND s.text IN ({marks})))",
        (field.name, *found),
    )


def _text(field: Field, text: str, *, negated: bool) -> Sql:
    """Whether a text has one of the words between the blanks; a word with other signs in it is a phrase."""
    phrases = [phrase(found) for each in text.split(" ") if (found := words(each))]
    if not phrases:
        return Sql("1" if negated else "0")
    has = " OR ".join(["instr(s.text, ?)"] * len(phrases))
    word = "NOT EXISTS" if negated else "EXISTS"
    return Sql(
        f"({word} (SELECT 1 FROM search_attribute s WHERE s.run_key = v.run_key AND s.name = ? AND s.ordinal = 0"  # noqa: S608 constants
        f" AND ({has})))",
        (field.name, *phrases),
    )


def _source(test: FieldTest, namespace_id: str) -> Sql | None:
    field, operator = test.field, test.operator
    if field.system or field.name == DIVISION:
        return _column_source(test, namespace_id)
    select = "SELECT run_key FROM search_attribute WHERE namespace_id = ? AND name = ?"
    named = (namespace_id, field.name)
    if operator == "is null" or _negated(test):
        return None
    if operator == "is not null":
        return Sql(f"{select} AND ordinal = 0", named)
    if field.value_type == KEYWORD_LIST:
        found = [each for value in test.values if (each := member(str(value)))]
        return _any_of(select, named, "text", found)
    if field.value_type == TEXT:
        firsts = [found[0] for each in str(test.values[0]).split(" ") if (found := words(each))]
        return _any_of(select, named, "text", firsts)
    column = "text" if field.value_type == KEYWORD else "number"
    values = [_bound(field, value) for value in test.values]
    if operator == "in":
        return _any_of(select, named, column, values)
    if operator == "starts_with" and column == "text":
        return Sql(f"{select} AND text LIKE ? ESCAPE '!'", (*named, _prefix(str(test.values[0]))))
    if operator in _COMPARED or operator == "between":
        # A bound on each side keeps other types of value out, and the index in.
        compared = _compared(Sql(column), operator, values)
        return Sql(f"{select} AND {column} IS NOT NULL AND {compared.text}", (*named, *compared.values))
    return None


def _column_source(test: FieldTest, namespace_id: str) -> Sql | None:
    column = _INDEXED.get(test.field.name)
    if column in ("workflow_id", "workflow_type") and test.operator == "starts_with":
        select = f"SELECT run_key FROM visibility WHERE namespace_id = ? AND {column} LIKE ? ESCAPE '!'"  # noqa: S608 constants
        return Sql(select, (namespace_id, _prefix(str(test.values[0]))))
    if column is None or test.operator not in ("=", "in"):
        return None
    values = [_bound(test.field, value) for value in test.values]
    if test.field.name == "ParentWorkflowId":
        values = [value for value in values if value != ""]
    select = "SELECT run_key FROM visibility WHERE namespace_id = ?"
    extra = " AND parent_workflow_id != ''" if column == "parent_workflow_id" else ""
    if column == "run_id":  # whose index has nothing else
        select = "SELECT run_key FROM visibility WHERE +namespace_id = ?"
    if not values:
        return Sql(f"{select} AND 0", (namespace_id,))
    return Sql(f"{select}{extra} AND {column} IN ({', '.join('?' * len(values))})", (namespace_id, *values))


def _any_of(select: str, named: tuple[str, str], column: str, values: Sequence[object]) -> Sql:
    if not values:
        return Sql(f"{select} AND 0", named)
    return Sql(f"{select} AND {column} IN ({', '.join('?' * len(values))})", (*named, *values))


__all__ = ["Source", "Sql", "condition", "sources"]
