# ruff: noqa: E501 the words of the real server stand as they are
"""Queries as the real server answered them: what it took, and the words in which it refused the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import times
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.search_attribute_values import (
    BOOL,
    DATETIME,
    DOUBLE,
    INT,
    KEYWORD,
    KEYWORD_LIST,
    TEXT,
)
from mockcloud.core.visibility_filter import AllOf, AnyOf, Field, FieldTest, Negated
from mockcloud.core.visibility_query import parse, status_named

NAMESPACE = NamespaceRecord(
    name="default",
    custom_search_attributes={
        "CK": KEYWORD,
        "CI": INT,
        "CD": DOUBLE,
        "CB": BOOL,
        "CT": TEXT,
        "CL": KEYWORD_LIST,
        "CDT": DATETIME,
    },
)
NO_DIVISION = FieldTest(Field("TemporalNamespaceDivision", KEYWORD, system=False), "is null")

GOOD = [
    "",
    "group by ExecutionStatus",
    "WorkflowId in ('a','b')",
    "WorkflowId STARTS_WITH 'x'",
    "WorkflowId is null",
    "CloseTime is null",
    "CloseTime > '2020-01-01T00:00:00Z'",
    "ExecutionStatus = 'Running'",
    "ExecutionStatus = 1",
    "ExecutionStatus = 77",
    "ExecutionStatus in ('Running', 'WORKFLOW_EXECUTION_STATUS_FAILED')",
    "ExecutionDuration > '5m'",
    "ExecutionDuration > '1d'",
    "ExecutionDuration > '01:02:03'",
    "ExecutionDuration > '1:2:3'",
    "ExecutionDuration > 1000",
    "BuildIds = 'x'",
    "WorkflowId = b'101'",
    "WorkflowId = 'a' || WorkflowId = 'b'",
    "WorkflowId = 'a' && WorkflowId = 'b'",
    "NOT WorkflowId = 'x'",
    "ScheduleId = 'x'",
    "ScheduledById = 'x'",
    "TemporalWorkflowId = 'x'",
    "TemporalCloseTime > 5",
    "WorkflowId = 'x' -- c",
    "WorkflowId = 'x' /* c */ and RunId = 'y'",
    "WorkflowId = 'x';",
    "((WorkflowId = 'x'))",
    "WorkflowId = 99999999999999999999",
    "HistoryLength = 99999999999999999999",
    'WorkflowType = "double"',
    "WorkflowId = 'x' having RunId = 'y'",
    "WorkflowId = 'x' for update",
    "TemporalNamespaceDivision = 'x'",
    "TemporalNamespaceDivision is null or TemporalNamespaceDivision is not null",
    "HistorySizeBytes > 5 and StateTransitionCount < 'x'",
    "TaskQueue != 'a' and ParentWorkflowId is null",
    "RootRunId != ''",
    "WorkflowId in ('a', 1, true, 1.5)",
    "StartTime in ('2020-01-01T00:00:00Z', 5)",
    "StartTime = true",
    "BuildIds in ('a', 'b')",
    "BuildIds not in ('a', 'b')",
    "BuildIds != 'x'",
    "WorkflowId = ''",
    "BuildIds = ''",
    "CK = 5",
    "CK > 5",
    "CI = 'abc'",
    "CI = 'x' or CB = true",
    "CB = 'true'",
    "CB > true",
    "CT = 'hello world'",
    'CT = "  \'  "',
    "CL = 'a'",
    "CDT = '2020-01-01T00:00:00,5Z'",
    "CDT = '2020-01-01T00:00:00.123456789+02:00'",
    "CDT starts_with '2020-01-01T00:00:00Z'",
    "CD = 1e3",
    "CD = .5",
    "CD = 5.",
    "CD > -5",
    "CD > - 5",
    "CD > +5",
    "CK = 'it''s'",
    "CK = 'it\\'s'",
    "CK = ''' a'",
    "CK is not null and not (CI > 5 or CD <= 3.5)",
    "CK not starts_with 'a'",
    "group by ExecutionStatus having CK = 1",
    "group by `ExecutionStatus`",
    "CK = 'a' lock in share mode",
    "CK = 1 # comment",
    "CK not between 1 and 2",
    "CI = 9223372036854775808",
    "CI = -9223372036854775808",
    "CI = -9223372036854775809",
    "ExecutionStatus != 'Completed' and StartTime < 1700000000000000000",
    "StartTime between 1 and '2030-01-01T00:00:00Z'",
    "ExecutionDuration between '1m' and '1h30m'",
    "ExecutionDuration = '1.5d'",
    "ExecutionDuration = '-5s'",
]

REFUSED = [
    ("a = 1", "invalid query: invalid expression: column name 'a' is not a valid search attribute"),
    ("WorkflowId = ", "invalid query: malformed SQL query: syntax error at position 40"),
    ("WorkflowId = 'x' b", "invalid query: malformed SQL query: syntax error at position 46 near 'b'"),
    ("WorkflowId = 5abc", "invalid query: malformed SQL query: syntax error at position 42 near '5'"),
    ("WorkflowId = 'x", "invalid query: malformed SQL query: syntax error at position 43 near 'x'"),
    ("select", "invalid query: malformed SQL query: syntax error at position 34 near 'select'"),
    ("WorkflowId = 'x' order by StartTime", "invalid query: operation is not supported: 'ORDER BY' clause"),
    ("order by StartTime desc", "invalid query: operation is not supported: 'ORDER BY' clause"),
    ("order by Nope", "invalid query: operation is not supported: 'ORDER BY' clause"),
    ("WorkflowId = 'x' limit 3", "invalid query: operation is not supported: 'LIMIT' clause"),
    (
        "group by WorkflowType",
        "invalid query: operation is not supported: 'GROUP BY' clause is only supported for ExecutionStatus",
    ),
    (
        "group by Nope",
        "invalid query: invalid expression: column name 'Nope' is not a valid search attribute",
    ),
    (
        "group by ExecutionStatus, WorkflowType",
        "invalid query: operation is not supported: 'GROUP BY' clause supports only a single field",
    ),
    (
        "group by count(*)",
        "invalid query: invalid expression: must be a column name but was *sqlparser.FuncExpr",
    ),
    ("count(*) = 1", "invalid query: invalid expression: must be a column name but was *sqlparser.FuncExpr"),
    ("WorkflowId", "invalid query: invalid expression: incomplete expression"),
    (
        "'x' = WorkflowId",
        "invalid query: invalid expression: must be a column name but was *sqlparser.SQLVal",
    ),
    (
        "WorkflowId = x",
        "invalid query: operation is not supported: column name on the right side of comparison expression (did you forget to quote 'x'?)",
    ),
    (
        "WorkflowId = status",
        "invalid query: operation is not supported: column name on the right side of comparison expression (did you forget to quote '`status`'?)",
    ),
    ("WorkflowId = null", "invalid query: invalid expression: unexpected value type *sqlparser.NullVal"),
    ("WorkflowId = -1.5", "invalid query: invalid expression: unexpected value type *sqlparser.UnaryExpr"),
    ("WorkflowId = ('a')", "invalid query: invalid expression: unexpected value type *sqlparser.ParenExpr"),
    (
        "WorkflowId in (a)",
        "invalid query: operation is not supported: column name on the right side of comparison expression (did you forget to quote 'a'?)",
    ),
    ("WorkflowId in ()", "invalid query: malformed SQL query: syntax error at position 44"),
    (
        "WorkflowId like 'x%'",
        "invalid query: invalid expression: invalid operator 'like' in `WorkflowId like 'x%'`",
    ),
    (
        "WorkflowId not like 'x%\"y'",
        "invalid query: invalid expression: invalid operator 'not like' in `WorkflowId not like 'x%\\\"y'`",
    ),
    (
        "WorkflowId regexp 'x'",
        "invalid query: invalid expression: invalid operator 'regexp' in `WorkflowId regexp 'x'`",
    ),
    (
        "WorkflowId <=> 'x'",
        "invalid query: invalid expression: invalid operator '<=>' in `WorkflowId <=> 'x'`",
    ),
    (
        "WorkflowId STARTS_WITH 5",
        "invalid query: invalid expression: right-hand side of 'starts_with' must be a literal string (got: 5)",
    ),
    (
        "WorkflowId is true",
        "invalid query: invalid expression: 'IS' operator can only be used with 'NULL' or 'NOT NULL'",
    ),
    (
        "WorkflowId = 'a' is null",
        "invalid query: invalid expression: must be a column name but was *sqlparser.ComparisonExpr",
    ),
    ("StartTime > 'yesterday'", "invalid query: invalid expression: unable to parse datetime 'yesterday'"),
    (
        "StartTime > 1.5",
        "invalid query: invalid expression: unexpected value type float64 for search attribute StartTime",
    ),
    ("StartTime > '2020-01-01'", "invalid query: invalid expression: unable to parse datetime '2020-01-01'"),
    (
        "StartTime between '2020-01-01T00:00:00Z' and 'x'",
        "invalid query: invalid expression: unable to parse datetime 'x'",
    ),
    (
        "ExecutionStatus = 'running'",
        "invalid query: invalid expression: invalid ExecutionStatus value 'running'",
    ),
    (
        "ExecutionStatus = 1.5",
        "invalid query: invalid expression: unexpected value type float64 for search attribute ExecutionStatus",
    ),
    (
        "ExecutionDuration > '01:62:03'",
        "invalid query: invalid value for search attribute ExecutionDuration: 01:62:03 (invalid duration: minutes must be from 0 to 59)",
    ),
    (
        "ExecutionDuration > 'bad'",
        "invalid query: invalid value for search attribute ExecutionDuration: bad (invalid duration)",
    ),
    (
        "ExecutionDuration > ''",
        "invalid query: invalid value for search attribute ExecutionDuration:  (invalid duration)",
    ),
    (
        "BuildIds > 'x'",
        "invalid query: invalid expression: operator '>' not supported for KeywordList type search attribute in `BuildIds > 'x'`",
    ),
    (
        "BuildIds between 'a' and 'b'",
        "invalid query: invalid expression: cannot do range condition on search attribute 'BuildIds' of type KeywordList",
    ),
    ("BuildIds = 5", "invalid query: invalid expression: unexpected value type (expected string, got 5)"),
    (
        "BuildIds in (1)",
        "invalid query: invalid expression: unexpected value type in tuple (expected string, got 1)",
    ),
    (
        "BuildIds starts_with 'x\"y''z'",
        "invalid query: invalid expression: operator 'starts_with' not supported for KeywordList type search attribute in `BuildIds starts_with 'x\\\"y''z'`",
    ),
    (
        "BuildIds = true",
        "invalid query: invalid expression: unexpected value type (expected string, got true)",
    ),
    ("WorkflowId = :v1", "invalid expression: unable to parse :v1"),
    ("WorkflowId = ?", "invalid expression: unable to parse :v1"),
    ("WorkflowId = 0x1F", "invalid expression: unable to parse 0x1F"),
    ("WorkflowId = x'ab'", "invalid expression: unable to parse ab"),
    ("WorkflowId in ::list", "invalid query: invalid expression: unexpected value type sqlparser.ListArg"),
    (
        "WorkflowId + 1 = 2",
        "invalid query: invalid expression: must be a column name but was *sqlparser.BinaryExpr",
    ),
    (
        "! WorkflowId = 'x'",
        "invalid query: invalid expression: must be a column name but was *sqlparser.UnaryExpr",
    ),
    (
        "exists (select 1)",
        "invalid query: operation is not supported: expression of type *sqlparser.ExistsExpr",
    ),
    (
        "case when WorkflowId then 1 end",
        "invalid query: operation is not supported: expression of type *sqlparser.CaseExpr",
    ),
    (
        "WorkflowId = interval 1 day",
        "invalid query: invalid expression: unexpected value type *sqlparser.IntervalExpr",
    ),
    (
        "WorkflowId = (select 1)",
        "invalid query: invalid expression: unexpected value type *sqlparser.Subquery",
    ),
    ("WorkflowId = group_concat(x)", "invalid query: operation is not supported: 'group_concat'"),
    ("WorkflowId = foo(x)", "invalid query: operation is not supported: nested func"),
    ("default", "invalid query: operation is not supported: expression of type *sqlparser.Default"),
    ("1", "invalid query: operation is not supported: expression of type *sqlparser.SQLVal"),
    ("true", "invalid query: operation is not supported: expression of type sqlparser.BoolVal"),
    ("x.y = 1", "invalid query: invalid expression: column name 'x.y' is not a valid search attribute"),
    ("`a b` = 1", "invalid query: invalid expression: column name 'a b' is not a valid search attribute"),
    ("status = 1", "invalid query: invalid expression: column name 'status' is not a valid search attribute"),
    (
        "WorkflowId = 'x'; RunId = 'y'",
        "invalid query: malformed SQL query: syntax error at position 51 near 'RunId'",
    ),
    ("WorkflowId == 'x'", "invalid query: malformed SQL query: syntax error at position 41"),
    ("WorkflowId = é", "invalid query: malformed SQL query: syntax error at position 42 near '�'"),
    ("WorkflowId AND", "invalid query: malformed SQL query: syntax error at position 42"),
    ("and", "invalid query: malformed SQL query: syntax error at position 31 near 'and'"),
    ("WorkflowId NOT 5", "invalid query: malformed SQL query: syntax error at position 44 near '5'"),
    ("WorkflowId = 'x' and", "invalid query: malformed SQL query: syntax error at position 48"),
    ("(WorkflowId = 'x'", "invalid query: malformed SQL query: syntax error at position 45"),
    ("WorkflowId = 'x')", "invalid query: malformed SQL query: syntax error at position 45"),
    (
        "WorkflowId = 'x' group by ExecutionStatus order by RunId",
        "invalid query: operation is not supported: 'ORDER BY' clause",
    ),
    ("Order = 'x'", "invalid query: malformed SQL query: syntax error at position 33 near 'order'"),
    (
        "where WorkflowId = 'x'",
        "invalid query: malformed SQL query: syntax error at position 33 near 'where'",
    ),
    (
        "CB between 1 and 2",
        "invalid query: invalid expression: cannot do range condition on search attribute 'CB' of type Bool",
    ),
    (
        "CT = ''",
        "invalid query: invalid expression: unexpected value for Text type search attribute (no tokens found in '')",
    ),
    (
        "CT = '   '",
        "invalid query: invalid expression: unexpected value for Text type search attribute (no tokens found in '   ')",
    ),
    (
        "CT > 'a'",
        "invalid query: invalid expression: operator '>' not supported for Text type search attribute in `CT > 'a'`",
    ),
    (
        "CT starts_with 'a'",
        "invalid query: invalid expression: operator 'starts_with' not supported for Text type search attribute in `CT starts_with 'a'`",
    ),
    (
        "CT in ('a')",
        "invalid query: invalid expression: operator 'in' not supported for Text type search attribute in `CT in ('a')`",
    ),
    ("CT = 5", "invalid query: invalid expression: unexpected value type (expected string, got 5)"),
    (
        "CT between 'a' and 'b'",
        "invalid query: invalid expression: cannot do range condition on search attribute 'CT' of type Text",
    ),
    ("CL = ('a')", "invalid query: invalid expression: unexpected value type *sqlparser.ParenExpr"),
    (
        "CL = ('a','b')",
        "invalid query: invalid expression: unexpected value type (expected string, got ('a', 'b'))",
    ),
    ("CK in (('a'))", "invalid query: invalid expression: unexpected value type *sqlparser.ParenExpr"),
    ("CK in ('a', ('b'))", "invalid query: invalid expression: unexpected value type *sqlparser.ParenExpr"),
    (
        "CK between ('a') and 'b'",
        "invalid query: invalid expression: unexpected value type *sqlparser.ParenExpr",
    ),
    (
        "CDT = '2020-01-01t00:00:00z'",
        "invalid query: invalid expression: unable to parse datetime '2020-01-01t00:00:00z'",
    ),
    ("CD = 1e", "invalid expression: unable to parse 1e"),
    ("CD = 1e400", "invalid expression: unable to parse 1e400"),
    ("CD > +5.5", "invalid query: invalid expression: unexpected value type *sqlparser.UnaryExpr"),
    (
        "CK is not false",
        "invalid query: invalid expression: 'IS' operator can only be used with 'NULL' or 'NOT NULL'",
    ),
    ("NOT CK", "invalid query: invalid expression: incomplete expression"),
    ("NOT (CK)", "invalid query: invalid expression: incomplete expression"),
    (
        "CK collate utf8 = 'x'",
        "invalid query: invalid expression: must be a column name but was *sqlparser.CollateExpr",
    ),
    (
        "CK = 'x' collate utf8",
        "invalid query: invalid expression: unexpected value type *sqlparser.CollateExpr",
    ),
    (
        "CK -> 'a' = 1",
        "invalid query: invalid expression: must be a column name but was *sqlparser.BinaryExpr",
    ),
    (
        "CK like 'a' escape '!'",
        "invalid query: invalid expression: invalid operator 'like' in `CK like 'a' escape '!'`",
    ),
    (
        "CK not regexp 'a'",
        "invalid query: invalid expression: invalid operator 'not regexp' in `CK not regexp 'a'`",
    ),
    (
        "CK not starts_with true",
        "invalid query: invalid expression: right-hand side of 'not starts_with' must be a literal string (got: true)",
    ),
    (
        "substr(CK, 1) = 'x'",
        "invalid query: invalid expression: must be a column name but was *sqlparser.SubstrExpr",
    ),
    (
        "convert(CK, char) = 'x'",
        "invalid query: invalid expression: must be a column name but was *sqlparser.ConvertExpr",
    ),
    (
        "left(CK, 1) = 'x'",
        "invalid query: invalid expression: must be a column name but was *sqlparser.FuncExpr",
    ),
    (
        "if(CK, 1, 2) = 1",
        "invalid query: invalid expression: must be a column name but was *sqlparser.FuncExpr",
    ),
    ("CK = current_timestamp", "invalid query: operation is not supported: nested func"),
    ("CK = values(x)", "invalid query: invalid expression: unexpected value type *sqlparser.ValuesFuncExpr"),
    ("WorkflowId = 'x' order", "invalid query: malformed SQL query: syntax error at position 50"),
    ("group", "invalid query: malformed SQL query: syntax error at position 33 near 'group'"),
    ("group by", "invalid query: malformed SQL query: syntax error at position 30"),
    ("order by", "invalid query: malformed SQL query: syntax error at position 30"),
    ("GROUP BY ExecutionStatus ORDER BY CK", "invalid query: operation is not supported: 'ORDER BY' clause"),
    (
        "group by 'ExecutionStatus'",
        "invalid query: invalid expression: must be a column name but was *sqlparser.SQLVal",
    ),
    ("group by 1", "invalid query: invalid expression: must be a column name but was *sqlparser.SQLVal"),
    ("ORDER   BY CK", "invalid query: malformed SQL query: syntax error at position 33 near 'order'"),
    ("orderby CK", "invalid query: malformed SQL query: syntax error at position 38 near 'CK'"),
    (
        "order by CK asc, CI desc limit 5 offset 3",
        "invalid query: operation is not supported: 'ORDER BY' clause",
    ),
    ("CK = 'a' limit 5, 6", "invalid query: operation is not supported: 'LIMIT' clause"),
    ("a.b.c = 1", "invalid query: invalid expression: column name 'a.b.c' is not a valid search attribute"),
    ("a.b.c.d = 1", "invalid query: malformed SQL query: syntax error at position 34"),
    (
        "a.select = 1",
        "invalid query: invalid expression: column name 'a.select' is not a valid search attribute",
    ),
    ("select.a = 1", "invalid query: malformed SQL query: syntax error at position 34 near 'select'"),
    (
        "CK = @@x",
        "invalid query: operation is not supported: column name on the right side of comparison expression (did you forget to quote '@@x'?)",
    ),
    (
        "CK = @x",
        "invalid query: operation is not supported: column name on the right side of comparison expression (did you forget to quote '@x'?)",
    ),
    ("CK = $x", "invalid query: malformed SQL query: syntax error at position 34 near '$'"),
    ("CK = \\", "invalid query: malformed SQL query: syntax error at position 34 near '\\'"),
    ("{CK = 1}", "invalid query: malformed SQL query: syntax error at position 29 near '{'"),
    ("CK // c", "invalid query: invalid expression: incomplete expression"),
    ("CK /* c", "invalid query: malformed SQL query: syntax error at position 35 near '/* c'"),
    ("CK = 1 AND (CI = 2", "invalid query: malformed SQL query: syntax error at position 46"),
    ("CK = 'a' AND AND CI = 2", "invalid query: malformed SQL query: syntax error at position 44 near 'and'"),
    ("CK CI", "invalid query: malformed SQL query: syntax error at position 33 near 'CI'"),
    ("CK = = 1", "invalid query: malformed SQL query: syntax error at position 34"),
    ("CK in 'a'", "invalid query: malformed SQL query: syntax error at position 37 near 'a'"),
    ("CK in (select 1)", "invalid query: invalid expression: unexpected value type *sqlparser.Subquery"),
    ("CK not in ('a', null)", "invalid query: invalid expression: unexpected value type *sqlparser.NullVal"),
    ("CK between 1", "invalid query: malformed SQL query: syntax error at position 40"),
    ("CK between 1 and", "invalid query: malformed SQL query: syntax error at position 44"),
    ("CK is", "invalid query: malformed SQL query: syntax error at position 33"),
    ("CK is not", "invalid query: malformed SQL query: syntax error at position 37"),
    ("CK is 5", "invalid query: malformed SQL query: syntax error at position 35 near '5'"),
    (
        "ExecutionDuration > '1:2'",
        "invalid query: invalid value for search attribute ExecutionDuration: 1:2 (invalid duration)",
    ),
    (
        "ExecutionDuration > '-1:02:03'",
        "invalid query: invalid value for search attribute ExecutionDuration: -1:02:03 (invalid duration: hours must be a positive number)",
    ),
    (
        "ExecutionDuration > '01:02:99'",
        "invalid query: invalid value for search attribute ExecutionDuration: 01:02:99 (invalid duration: seconds must be from 0 to 59)",
    ),
    (
        "ExecutionDuration in ('1m', 'x')",
        "invalid query: invalid value for search attribute ExecutionDuration: x (invalid duration)",
    ),
]


@pytest.mark.parametrize("query", GOOD)
def test_what_the_real_server_takes_is_taken(query: str) -> None:
    parse(query, NAMESPACE)


@pytest.mark.parametrize(("query", "message"), REFUSED)
def test_what_it_refuses_is_refused_in_its_words(query: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse(query, NAMESPACE)
    assert caught.value.message == message


def system(name: str, operator: str, *values: str | int) -> FieldTest:
    return FieldTest(Field(name, KEYWORD, system=True), operator, values)


def test_words_bind_as_in_sql() -> None:
    a, b, c = (system("WorkflowId", "=", each) for each in "abc")
    found = parse("WorkflowId = 'a' OR NOT WorkflowId = 'b' AND WorkflowId = 'c'", NAMESPACE).filter
    assert found == AllOf((AnyOf((a, AllOf((Negated(b), c)))), NO_DIVISION))


def test_a_query_that_names_the_division_is_left_alone() -> None:
    assert parse("", NAMESPACE).filter == NO_DIVISION
    found = parse("TemporalNamespaceDivision = 'd'", NAMESPACE).filter
    assert found == FieldTest(Field("TemporalNamespaceDivision", KEYWORD, system=False), "=", ("d",))


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("ExecutionStatus IN ('Running', 'WORKFLOW_EXECUTION_STATUS_TIMED_OUT', 2)", (1, 7, 2)),
        ("StartTime > '1970-01-01T00:00:01.0000019Z'", (1_000_001,)),
        ("StartTime > '1970-01-01T01:00:00+01:00'", (0,)),
        ("StartTime > 1999", (1,)),
        ("ExecutionDuration > '1m'", (times.MINUTE,)),
        ("ExecutionDuration > '1.5d'", (36 * times.HOUR,)),
        ("ExecutionDuration > '01:02:03'", (3_723 * times.SECOND,)),
        ("ExecutionDuration > 5", (5,)),
        ("ScheduleId = 's'", ("temporal-sys-scheduler:s",)),
        ("WorkflowId = 'it''s'", ("it's",)),
        ('WorkflowId = "a\\tb"', ("a\tb",)),
        ("CD > -5", (-5,)),
        ("CB = true", (True,)),
    ],
)
def test_values(query: str, values: tuple[object, ...]) -> None:
    found = parse(query, NAMESPACE).filter
    assert isinstance(found, AllOf)
    (test, _) = found.parts
    assert isinstance(test, FieldTest)
    assert test.values == values


def test_only_the_field_named_close_time_counts_open_runs_as_last() -> None:
    for query, last in (("CloseTime > 5", True), ("TemporalCloseTime > 5", False)):
        found = parse(query, NAMESPACE).filter
        assert isinstance(found, AllOf)
        assert found.parts[0] == FieldTest(
            Field("CloseTime", DATETIME, system=True, open_is_last=last), ">", (0,)
        )


def test_counts_are_grouped_by_status() -> None:
    grouped = parse("GROUP BY ExecutionStatus", NAMESPACE)
    assert grouped.group_by is not None
    assert grouped.group_by.name == "ExecutionStatus"
    assert grouped.filter == NO_DIVISION
    assert [status_named(number) for number in (1, 6, 7)] == ["Running", "ContinuedAsNew", "TimedOut"]


def test_no_union() -> None:
    """The real server fails with an internal error here."""
    with pytest.raises(InvalidArgument, match="'UNION' clause"):
        parse("CI = 1 UNION SELECT 1", NAMESPACE)


def test_brackets_are_limited() -> None:
    parse("(" * 150 + "CI = 1" + ")" * 150, NAMESPACE)
    with pytest.raises(InvalidArgument, match="max nesting level reached"):
        parse("(" * 300 + "CI = 1" + ")" * 300, NAMESPACE)


WORDS = st.sampled_from(
    [
        "CK",
        "CI",
        "CL",
        "CT",
        "CDT",
        "ExecutionStatus",
        "Nope",
        "=",
        "!=",
        "<",
        ">=",
        "in",
        "not",
        "and",
        "or",
        "(",
        ")",
        ",",
        "'a'",
        "5",
        "-3",
        "1.5",
        "true",
        "null",
        "is",
        "between",
        "starts_with",
        "group",
        "by",
        "order",
        "limit",
        "case",
        "when",
        "then",
        "end",
        "+",
        "*",
        "||",
        "&&",
        "!",
        "`CK`",
        ".",
        "select",
        "from",
        "exists",
        "count",
        "union",
        "?",
        "'x",
        "--c",
        "/*",
        "\\",
        "$",
        ";",
    ]
)


@given(st.lists(WORDS, max_size=12).map(" ".join) | st.text(max_size=40))
def test_whatever_is_said_is_taken_or_refused(query: str) -> None:
    message = ""
    try:
        parse(query, NAMESPACE)
    except InvalidArgument as refused:
        message = refused.message
    assert not message or message.startswith(("invalid query: ", "invalid expression: unable to parse "))
