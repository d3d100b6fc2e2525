"""The door to the parser of list filters: lark, the grammar and its words are loaded by the first filter.

They take 30 ms to import, and the parser some tenths of a second to make: a cloud that is not asked for a filter
starts without them.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mockcloud.core.sql_syntax import Query


class SyntaxProblem(Exception):
    """The query is no SQL; the message is the real parser's."""


def parse(query: str) -> Query:
    """The tree of a query.

    Raises:
        SyntaxProblem: it is no SQL.
    """
    from mockcloud.core import sql_grammar

    return sql_grammar.parse(query)


def parse_statement(statement: str) -> Query:
    """The tree of a whole statement, `select * from a_table …`. Raises as `parse`."""
    from mockcloud.core import sql_grammar

    return sql_grammar.parse_statement(statement)


def prepared() -> bool:
    """Whether the parser has been prepared; the first query prepares it otherwise."""
    return prepare.cache_info().currsize > 0


@cache
def prepare() -> None:
    """Load and make the parser."""
    from mockcloud.core import sql_grammar

    sql_grammar.parser()
