"""The grammar of the list filter: what may follow `select * from table1` in the real server's SQL.

It covers more than a filter can use, so that what is wrong is told in the real server's words: an error of syntax
names the first word that nothing could follow from; what is good SQL, but no filter, is refused later, by its
kind. Left out is what only a sub-select could hold, such as joins.

Others read filters through `core.sql`, which loads this when it is needed.

Real: github.com/temporalio/sqlparser, sql.y.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from lark import Lark, Token
from lark.exceptions import UnexpectedInput, UnexpectedToken
from lark.lexer import Lexer, LexerState
from lark.visitors import Transformer_NonRecursive

from mockcloud.core.sql import SyntaxProblem
from mockcloud.core.sql_syntax import (
    And,
    Boolean,
    Column,
    Comparison,
    Is,
    Literal,
    Node,
    Not,
    Null,
    Or,
    Other,
    Paren,
    Query,
    Range,
    Tuple,
    text_of,
)
from mockcloud.core.sql_tokens import END, RESERVED, words

_PREFIX: Final = "select * from table1 "
_DEEPEST: Final = 200

# Reserved words that are none even behind a dot.
_NEVER_NAMES: Final = frozenset(
    "ALL ALTER ANALYZE BOOLEAN CAST COLUMN CONSTRAINT EXTENDED FULL GROUP_CONCAT PROCESSLIST SQL_CACHE"  # noqa: SIM905
    " SQL_NO_CACHE STREAM UNDERSCORE_BINARY".split()
)
_NAMES_BEHIND_DOT: Final = frozenset(word.upper() for word in RESERVED) - _NEVER_NAMES

_GRAMMAR: Final = r"""
start: tail unions semicolon
unions: | unions union
union: UNION union_kind select | UNION union_kind OPEN select CLOSE
union_kind: | ALL | DISTINCT
select: SELECT distinct selected from tail
semicolon: | SEMICOLON
tail: where group_by having order_by limit lock
where: | WHERE expression
group_by: | GROUP BY expressions
having: | HAVING expression
order_by: | ORDER BY orders
orders: order | orders COMMA order
order: expression direction
direction: | ASC | DESC
limit: | LIMIT expression | LIMIT expression (COMMA | OFFSET) expression
lock: | FOR UPDATE | LOCK IN SHARE MODE

expressions: expression | expressions COMMA expression

?expression: or_
?or_: and_ | or_ OR and_
?and_: not_ | and_ AND not_
?not_: is_ | NOT not_ -> negation
?is_: condition | is_ IS is_suffix
is_suffix: NULL | NOT NULL | TRUE | NOT TRUE | FALSE | NOT FALSE
?condition: value_
    | value_ compare value_ -> comparison
    | value_ NOT? IN col_tuple -> in_
    | value_ NOT? LIKE value_ -> like
    | value_ NOT? LIKE value_ escape -> like
    | value_ NOT? REGEXP value_ -> regexp
    | value_ NOT? STARTS_WITH value_ -> starts_with
    | value_ NOT? BETWEEN value_ AND value_ -> between
    | EXISTS subquery -> exists
    | DEFAULT (OPEN ID CLOSE)? -> default
compare: EQUAL | LESS | GREATER | LE | GE | NE | NULL_SAFE_EQUAL
escape: ESCAPE value_
?col_tuple: OPEN expressions CLOSE -> row
    | subquery
    | LIST_ARG -> list_arg
subquery: OPEN select CLOSE
distinct: | DISTINCT
from: | FROM column_path

?value_: bit_and | value_ BAR bit_and -> binary
?bit_and: shift | bit_and AMPERSAND shift -> binary
?shift: sum | shift (SHIFT_LEFT | SHIFT_RIGHT) sum -> binary
?sum: product | sum (PLUS | MINUS) product -> binary
?product: power | product (STAR | SLASH | DIV | PERCENT | MOD) power -> binary
?power: unary | power CARET unary -> binary
?unary: collated
    | (PLUS | MINUS | TILDE | BANG | BINARY | UNDERSCORE_BINARY) unary -> unary
?collated: primary | collated COLLATE (ID | STRING) -> collate
?primary: literal
    | NULL -> null
    | (TRUE | FALSE) -> boolean
    | column_path -> column
    | column_path (JSON_EXTRACT_OP | JSON_UNQUOTE_EXTRACT_OP) literal -> json
    | OPEN expressions CLOSE -> parenthesized
    | subquery
    | INTERVAL value_ name -> interval
    | column_path OPEN CLOSE -> function
    | column_path OPEN distinct selected CLOSE -> function
    | (LEFT | RIGHT | IF | MOD | REPLACE) OPEN selected CLOSE -> function
    | DATABASE OPEN CLOSE -> function
    | DATABASE OPEN selected CLOSE -> function
    | clock -> function
    | clock OPEN CLOSE -> function
    | CASE cased whens otherwise END_ -> case
    | CONVERT OPEN expression COMMA type CLOSE -> convert
    | CONVERT OPEN expression USING ID CLOSE -> convert_using
    | CONVERT OPEN expression USING STRING CLOSE -> convert_using
    | CAST OPEN expression AS type CLOSE -> convert
    | part OPEN column_path COMMA value_ CLOSE -> substr
    | part OPEN column_path COMMA value_ COMMA value_ CLOSE -> substr
    | part OPEN column_path FROM value_ FOR value_ CLOSE -> substr
    | GROUP_CONCAT OPEN distinct selected order_by separator CLOSE -> group_concat
    | VALUES OPEN column_path CLOSE -> values
literal: STRING | HEX | BIT_LITERAL | INTEGRAL | FLOAT | HEXNUM | VALUE_ARG
clock: CURRENT_TIMESTAMP | UTC_TIMESTAMP | UTC_TIME | UTC_DATE | LOCALTIME | LOCALTIMESTAMP | CURRENT_DATE
    | CURRENT_TIME
cased: | expression
whens: when | whens when
when: WHEN expression THEN expression
otherwise: | ELSE expression
part: SUBSTR | SUBSTRING
separator: | SEPARATOR STRING
selected: select_item | selected COMMA select_item
select_item: STAR | expression alias
alias: | new_name | AS new_name
new_name: name | STRING
type: type_name length charset
type_name: ID | BINARY
length: | OPEN INTEGRAL CLOSE | OPEN INTEGRAL COMMA INTEGRAL CLOSE
charset: | ID
name: ID | OFFSET | SHARE | MODE
column_path: name | name DOT name | name DOT name DOT name

%declare ID STRING HEX BIT_LITERAL INTEGRAL FLOAT HEXNUM VALUE_ARG LIST_ARG
%declare EQUAL LESS GREATER LE GE NE NULL_SAFE_EQUAL COMMA SEMICOLON OPEN CLOSE PLUS STAR PERCENT CARET TILDE
%declare AMPERSAND BAR DOT SLASH MINUS BANG SHIFT_LEFT SHIFT_RIGHT JSON_EXTRACT_OP JSON_UNQUOTE_EXTRACT_OP
%declare OFFSET SHARE MODE UNDERSCORE_BINARY CAST GROUP_CONCAT WHERE GROUP BY HAVING ORDER ASC DESC LIMIT FOR UPDATE
%declare LOCK IN OR AND NOT IS NULL TRUE FALSE LIKE REGEXP STARTS_WITH BETWEEN EXISTS DEFAULT ESCAPE SELECT DISTINCT
%declare FROM DIV MOD BINARY COLLATE INTERVAL LEFT RIGHT IF REPLACE DATABASE CURRENT_TIMESTAMP UTC_TIMESTAMP UTC_TIME
%declare UTC_DATE LOCALTIME LOCALTIMESTAMP CURRENT_DATE CURRENT_TIME CASE WHEN THEN ELSE END_ CONVERT USING AS SUBSTR
%declare SUBSTRING SEPARATOR VALUES UNION ALL
"""

# `END` is a word of CASE; the end of the text has a name of its own in the parser.
_TERMINALS: Final = {"END": "END_"}


class _Words(Lexer):
    """The tokenizer, as the parser wants it."""

    def __init__(self, lexer_conf: object) -> None:
        pass

    def lex(self, lexer_state: LexerState, parser_state: object) -> Iterator[Token]:
        raise AssertionError("words are fed one by one")


def parse(query: str) -> Query:
    """See `sql.parse`."""
    where = query.strip()
    if where and not where.lower().startswith(("order by", "group by")):
        where = "where " + where
    return parse_statement(_PREFIX + where)


def parse_statement(statement: str) -> Query:
    """See `sql.parse_statement`."""
    interactive = parser().parse_interactive("")
    depth = 0
    skipped = 4  # the words of the prefix
    behind_dot = False
    for word, text, position in words(statement):
        if skipped:
            skipped -= 1
            continue
        kind = "ID" if behind_dot and word in _NAMES_BEHIND_DOT else word
        behind_dot = word == "DOT"
        depth += {"OPEN": 1, "CLOSE": -1}.get(kind, 0)
        if depth == _DEEPEST:
            raise SyntaxProblem(f"max nesting level reached at position {position}")
        near = f" near '{text}'" if text else ""
        try:
            if kind == END:
                tree = interactive.feed_eof()  # type: ignore[no-untyped-call]
                found = _Tree().transform(tree)
                assert isinstance(found, Query), "the start of the grammar"
                return found
            interactive.feed_token(Token(_TERMINALS.get(kind, kind), text))
        except (UnexpectedToken, UnexpectedInput, KeyError):
            raise SyntaxProblem(f"syntax error at position {position}{near}") from None
    raise AssertionError("the last word is the end")


@cache
def parser() -> Lark:
    """The parser, which takes some tenths of a second to make."""
    return Lark(_GRAMMAR, parser="lalr", lexer=_Words, maybe_placeholders=False)


def _nodes(children: list[Any]) -> list[Any]:
    """What of a rule's parts is a node."""
    return [child for child in children if not isinstance(child, Token)]


def _has(children: list[Any], kind: str) -> bool:
    return any(isinstance(child, Token) and child.type == kind for child in children)


_OPERATORS: Final = {
    "EQUAL": "=",
    "LESS": "<",
    "GREATER": ">",
    "LE": "<=",
    "GE": ">=",
    "NE": "!=",
    "NULL_SAFE_EQUAL": "<=>",
    "PLUS": "+",
    "MINUS": "-",
    "STAR": "*",
    "SLASH": "/",
    "DIV": "div",
    "PERCENT": "%",
    "MOD": "%",
    "CARET": "^",
    "TILDE": "~",
    "BANG": "!",
    "BINARY": "binary ",
    "UNDERSCORE_BINARY": "_binary ",
    "BAR": "|",
    "AMPERSAND": "&",
    "SHIFT_LEFT": "<<",
    "SHIFT_RIGHT": ">>",
}


class _Tree(Transformer_NonRecursive[Token, Query]):
    """From the parser's tree to ours; a long chain of conditions makes a deep one."""

    def start(self, children: list[Any]) -> Query:
        parts = dict(part for part in children[0] if part is not None)
        return Query(
            where=parts.get("where"),
            group_by=tuple(parts.get("group_by", ())),
            ordered="order_by" in parts,
            limited="limit" in parts,
            united=bool(children[1]),
        )

    def unions(self, children: list[Any]) -> list[Any]:
        return children

    def tail(self, children: list[Any]) -> list[Any]:
        return children

    def where(self, children: list[Any]) -> tuple[str, Node] | None:
        return ("where", children[1]) if children else None

    def group_by(self, children: list[Any]) -> tuple[str, list[Node]] | None:
        return ("group_by", children[2]) if children else None

    def having(self, children: list[Any]) -> None:
        return None

    def order_by(self, children: list[Any]) -> tuple[str, bool] | None:
        return ("order_by", True) if children else None

    def limit(self, children: list[Any]) -> tuple[str, bool] | None:
        return ("limit", True) if children else None

    def lock(self, children: list[Any]) -> None:
        return None

    def expressions(self, children: list[Any]) -> list[Node]:
        return [children[0]] if len(children) == 1 else [*children[0], children[2]]

    def or_(self, children: list[Any]) -> Node:
        return Or(children[0], children[2])

    def and_(self, children: list[Any]) -> Node:
        return And(children[0], children[2])

    def negation(self, children: list[Any]) -> Node:
        return Not(children[1])

    def is_(self, children: list[Any]) -> Node:
        return Is(children[0], children[2])

    def is_suffix(self, children: list[Any]) -> str:
        return "is " + " ".join(str(child.type).lower() for child in children)

    def compare(self, children: list[Any]) -> str:
        return _OPERATORS[children[0].type]

    def comparison(self, children: list[Any]) -> Node:
        return Comparison(children[0], children[1], children[2])

    def _named(self, children: list[Any], name: str) -> Node:
        left, *rest = _nodes(children)
        operator = f"not {name}" if _has(children, "NOT") else name
        return Comparison(left, operator, *rest)

    def in_(self, children: list[Any]) -> Node:
        return self._named(children, "in")

    def like(self, children: list[Any]) -> Node:
        return self._named(children, "like")

    def regexp(self, children: list[Any]) -> Node:
        return self._named(children, "regexp")

    def starts_with(self, children: list[Any]) -> Node:
        return self._named(children, "starts_with")

    def escape(self, children: list[Any]) -> Node:
        node: Node = children[1]
        return node

    def between(self, children: list[Any]) -> Node:
        left, low, high = _nodes(children)
        return Range(left, "not between" if _has(children, "NOT") else "between", low, high)

    def row(self, children: list[Any]) -> Node:
        return Tuple(tuple(children[1]))

    def parenthesized(self, children: list[Any]) -> Node:
        items: list[Node] = children[1]
        return Paren(items[0]) if len(items) == 1 else Tuple(tuple(items))

    def literal(self, children: list[Any]) -> Node:
        return Literal(children[0].type, str(children[0]))

    def null(self, children: list[Any]) -> Node:
        return Null()

    def boolean(self, children: list[Any]) -> Node:
        return Boolean(children[0].type == "TRUE")

    def name(self, children: list[Any]) -> str:
        return str(children[0])

    def column_path(self, children: list[Any]) -> tuple[str, ...]:
        return tuple(str(child) for child in children if getattr(child, "type", "") != "DOT")

    def column(self, children: list[Any]) -> Node:
        return Column(children[0])

    def unary(self, children: list[Any]) -> Node:
        sign, inner = children
        if isinstance(inner, Literal) and inner.kind == "INTEGRAL":
            if sign.type == "PLUS":
                return inner
            if sign.type == "MINUS":
                return Literal("INTEGRAL", inner.text[1:] if inner.text[0] == "-" else f"-{inner.text}")
        return Other("*sqlparser.UnaryExpr", f"{_OPERATORS[sign.type]}{text_of(inner)}")

    def binary(self, children: list[Any]) -> Node:
        left, sign, right = children
        text = f"{text_of(left)} {_OPERATORS[sign.type]} {text_of(right)}"
        return Other("*sqlparser.BinaryExpr", text)

    def function(self, children: list[Any]) -> Node:
        return Other("*sqlparser.FuncExpr")


def _refused(kind: str) -> Any:
    return lambda _self, _children: Other(f"*sqlparser.{kind}")


for _rule, _kind in (
    ("exists", "ExistsExpr"),
    ("default", "Default"),
    ("subquery", "Subquery"),
    ("collate", "CollateExpr"),
    ("json", "BinaryExpr"),
    ("interval", "IntervalExpr"),
    ("case", "CaseExpr"),
    ("convert", "ConvertExpr"),
    ("convert_using", "ConvertUsingExpr"),
    ("substr", "SubstrExpr"),
    ("group_concat", "GroupConcatExpr"),
    ("values", "ValuesFuncExpr"),
):
    setattr(_Tree, _rule, _refused(_kind))
_Tree.list_arg = lambda _self, _children: Other("sqlparser.ListArg", str(_children[0]))  # type: ignore[attr-defined]
