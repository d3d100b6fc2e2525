"""The tree of a list filter, and how the real server's errors write its parts.

Only the parts that can be part of a good filter have a class; whatever else SQL knows is an `Other`, of which
nothing matters but its name in errors.

Real: github.com/temporalio/sqlparser, ast.go.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from mockcloud.core.sql_tokens import RESERVED, UNRESERVED

# Of the comparisons that a filter may make.
OPERATORS: Final = frozenset(
    {"=", "!=", "<", ">", "<=", ">=", "in", "not in", "starts_with", "not starts_with"}
)

_PLAIN_NAME: Final = re.compile(r"[A-Za-z_@][A-Za-z0-9_@]*", re.ASCII)
_ESCAPED: Final = str.maketrans(
    {
        "\0": "\\0",
        "'": "\\'",
        '"': '\\"',
        "\b": "\\b",
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\x1a": "\\Z",
        "\\": "\\\\",
    }
)


@dataclass(frozen=True, slots=True)
class Column:
    """A name, with what it is qualified by."""

    path: tuple[str, ...]

    @property
    def name(self) -> str:
        """As search attributes are named; backticks count for nothing."""
        return ".".join(self.path).replace("`", "")


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as it was written: `kind` is that of the word."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Boolean:
    """`true` or `false`."""

    value: bool


@dataclass(frozen=True, slots=True)
class Null:
    """`null`."""


@dataclass(frozen=True, slots=True)
class Tuple:
    """Values in brackets: of IN, or more than one."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Paren:
    """One thing in brackets."""

    inner: Node


@dataclass(frozen=True, slots=True)
class And:
    """`left and right`."""

    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Or:
    """`left or right`."""

    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Not:
    """`not inner`."""

    inner: Node


@dataclass(frozen=True, slots=True)
class Comparison:
    """`left operator right`, by the real server's names: `=`, `not in`, `starts_with`."""

    left: Node
    operator: str
    right: Node
    escape: Node | None = None


@dataclass(frozen=True, slots=True)
class Range:
    """`left between low and high`."""

    left: Node
    operator: str  # between, not between
    low: Node
    high: Node


@dataclass(frozen=True, slots=True)
class Is:
    """`inner is null` and its like."""

    inner: Node
    operator: str  # is null, is not null, is true, …


@dataclass(frozen=True, slots=True)
class Other:
    """Something of SQL that no filter may have; `text` is how it is written, where that can be shown."""

    kind: str  # as the real server names it: *sqlparser.FuncExpr
    text: str = ""


Node: TypeAlias = (
    Column | Literal | Boolean | Null | Tuple | Paren | And | Or | Not | Comparison | Range | Is | Other
)

_KINDS: Final[dict[type, str]] = {
    Column: "*sqlparser.ColName",
    Literal: "*sqlparser.SQLVal",
    Boolean: "sqlparser.BoolVal",
    Null: "*sqlparser.NullVal",
    Tuple: "sqlparser.ValTuple",
    Paren: "*sqlparser.ParenExpr",
    And: "*sqlparser.AndExpr",
    Or: "*sqlparser.OrExpr",
    Not: "*sqlparser.NotExpr",
    Comparison: "*sqlparser.ComparisonExpr",
    Range: "*sqlparser.RangeCond",
    Is: "*sqlparser.IsExpr",
}


def kind_of(node: Node) -> str:
    """The type's name in the real server, which its errors print."""
    return node.kind if isinstance(node, Other) else _KINDS[type(node)]


def text_of(node: Node) -> str:  # noqa: C901 one line per kind of node
    """The node as the real server writes it."""
    match node:
        case Column(path):
            return ".".join(map(_quoted, path))
        case Literal("STRING", text):
            return f"'{text.translate(_ESCAPED)}'"
        case Literal("HEX", text):
            return f"X'{text}'"
        case Literal("BIT_LITERAL", text):
            return f"B'{text}'"
        case Literal(_, text):
            return text
        case Boolean(value):
            return "true" if value else "false"
        case Null():
            return "null"
        case Tuple(items):
            return f"({', '.join(map(text_of, items))})"
        case Paren(inner):
            return f"({text_of(inner)})"
        case And(left, right):
            return f"{text_of(left)} and {text_of(right)}"
        case Or(left, right):
            return f"{text_of(left)} or {text_of(right)}"
        case Not(inner):
            return f"not {text_of(inner)}"
        case Comparison(left, operator, right, escape):
            suffix = "" if escape is None else f" escape {text_of(escape)}"
            return f"{text_of(left)} {operator} {text_of(right)}{suffix}"
        case Range(left, operator, low, high):
            return f"{text_of(left)} {operator} {text_of(low)} and {text_of(high)}"
        case Is(inner, operator):
            return f"{text_of(inner)} {operator}"
        case Other(_, text):
            return text


def _quoted(name: str) -> str:
    lowered = name.lower()
    if _PLAIN_NAME.fullmatch(name) and lowered not in RESERVED and lowered not in UNRESERVED:
        return name
    return f"`{name.replace('`', '``')}`"


@dataclass(frozen=True, slots=True)
class Query:
    """A whole query. What is not kept (HAVING, a lock) means nothing in a filter."""

    where: Node | None = None
    group_by: tuple[Node, ...] = ()
    ordered: bool = False
    limited: bool = False
    united: bool = False
