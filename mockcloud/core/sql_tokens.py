"""The words of the list filter language, as the real server's SQL tokenizer splits them.

A query is looked at byte by byte: the positions that errors name count bytes, from 1, and stand behind the word
that was read, one look-ahead byte included.

Real: github.com/temporalio/sqlparser, token.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

END: Final = "$END"
ERROR: Final = "LEX_ERROR"


class Word(NamedTuple):
    """One word. `text` is what an error shows of it; empty: nothing."""

    kind: str  # a terminal of the grammar
    text: str
    position: int


# Words of the grammar that may not be names.
RESERVED: Final = frozenset(
    """
    _binary add all alter analyze and as asc auto_increment between binary boolean by case cast collate
    column constraint convert create cross current_date current_time current_timestamp database
    databases default delete desc describe distinct div drop else end escape exists explain extended
    false for force from full group group_concat having if ignore in index inner insert interval into is
    join key left like limit localtime localtimestamp lock match maxvalue mod natural next not null on
    or order outer processlist regexp rename replace right schema select separator set show sql_cache
    sql_no_cache starts_with straight_join stream substr substring table tables then to true union
    unique update use using utc_date utc_time utc_timestamp values when where
    """.split()  # noqa: SIM905 so many words are read better this way
)
# Words of the language that may be names as well, but are shown in lower case, and in backticks, like the others.
UNRESERVED: Final = frozenset(
    """
    accessible against asensitive before begin bigint bit blob bool both call cascade change char
    character charset check comment commit committed condition continue current_user cursor date
    datetime day_hour day_microsecond day_minute day_second dec decimal declare delayed deterministic
    distinctrow double duplicate each elseif enclosed enum escaped exit expansion fetch float float4
    float8 foreign fulltext generated geometry geometrycollection get global grant high_priority
    hour_microsecond hour_minute hour_second infile inout insensitive int int1 int2 int3 int4 int8
    integer io_after_gtids isolation iterate json key_block_size keys kill language last_insert_id
    leading leave less level linear lines linestring load long longblob longtext loop low_priority
    master_bind mediumblob mediumint mediumtext middleint minute_microsecond minute_second mode modifies
    multilinestring multipoint multipolygon names nchar no_write_to_binlog numeric offset only optimize
    optimizer_costs option optionally out outfile partition point polygon precision primary procedure
    query range read read_write reads real references release reorganize repair repeat repeatable
    require resignal restrict return revoke rollback schemas second_microsecond sensitive serializable
    session share signal signed smallint spatial specific sql sql_big_result sql_calc_found_rows
    sql_small_result sqlexception sqlstate sqlwarning ssl start starting status stored terminated text
    than time timestamp tinyblob tinyint tinytext trailing transaction trigger truncate uncommitted undo
    unlock unsigned usage varbinary varchar varcharacter variables varying view vindex vindexes virtual
    vitess_keyspaces vitess_shards vitess_tablets vschema_tables while with write xor year year_month
    zerofill
    """.split()  # noqa: SIM905 so many words are read better this way
)
# Names that the grammar asks for in some place, though they may be names elsewhere.
_SPECIAL: Final = frozenset({"offset", "share", "mode"})

_BLANK: Final = re.compile(r"[ \n\r\t]*")
_NAME: Final = re.compile(r"@@[\w@.'\"`]*|[A-Za-z_@][A-Za-z0-9_@]*", re.ASCII)
_NUMBER: Final = re.compile(
    r"(?P<hex>0[xX][0-9a-fA-F]*)|(?P<float>\.\d+(?:[eE][+-]?\d*)?|\d+(?:\.\d*)?[eE][+-]?\d*|\d+\.\d*)|\d+"
)
_SIGNS: Final = (
    ("<=>", "NULL_SAFE_EQUAL"),
    ("->>", "JSON_UNQUOTE_EXTRACT_OP"),
    ("&&", "AND"),
    ("||", "OR"),
    ("->", "JSON_EXTRACT_OP"),
    ("<>", "NE"),
    ("<<", "SHIFT_LEFT"),
    ("<=", "LE"),
    (">=", "GE"),
    (">>", "SHIFT_RIGHT"),
    ("!=", "NE"),
    ("=", "EQUAL"),
    (",", "COMMA"),
    (";", "SEMICOLON"),
    ("(", "OPEN"),
    (")", "CLOSE"),
    ("+", "PLUS"),
    ("*", "STAR"),
    ("%", "PERCENT"),
    ("^", "CARET"),
    ("~", "TILDE"),
    ("&", "AMPERSAND"),
    ("|", "BAR"),
    (".", "DOT"),
    ("/", "SLASH"),
    ("-", "MINUS"),
    ("<", "LESS"),
    (">", "GREATER"),
    ("!", "BANG"),
)
_COMMENT: Final = re.compile(r"(?://|--|#)[^\n]*\n?")
_ESCAPES: Final = {"0": "\0", "'": "'", '"': '"', "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}


def words(statement: str) -> Iterator[Word]:
    """The words of a statement, the last one of kind END. An unreadable one has kind ERROR."""
    yield from _Scanner(statement.encode(errors="surrogateescape").decode("latin-1")).words()


class _Scanner:
    """Over text in which each character is a byte."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._arguments = 0

    def words(self) -> Iterator[Word]:
        while True:
            self._at = _end(_BLANK, self._text, self._at)
            if self._at >= len(self._text):
                yield Word(END, "", len(self._text) + 1)
                return
            found = self._word()
            if found is not None:
                kind, text = found
                shown = text.encode("latin-1").decode(errors="replace")
                yield Word(kind, shown, min(self._at, len(self._text)) + 1)

    def _word(self) -> tuple[str, str] | None:
        """Kind and text of the next word, which is stepped over; None: a comment."""
        text, start = self._text, self._at
        first = text[start]
        if first in "xXbB" and text.startswith("'", start + 1):
            return self._literal("0123456789abcdefABCDEF" if first in "xX" else "01", first)
        if match := _NAME.match(text, start):
            self._at = match.end()
            return _name(match.group())
        if first.isdecimal() or (first == "." and text[start + 1 : start + 2].isdecimal()):
            return self._number()
        if first in "'\"":
            return self._string(first)
        if first == "`":
            return self._quoted_name()
        if first in ":?":
            return self._argument(first)
        if match := _COMMENT.match(text, start):
            self._at = match.end()
            return None
        if text.startswith("/*", start):
            end = text.find("*/", start + 2)
            self._at = len(text) if end < 0 else end + 2
            return (ERROR, text[start:]) if end < 0 else None
        for sign, kind in _SIGNS:
            if text.startswith(sign, start):
                self._at += len(sign)
                return kind, ""
        self._at += 1
        return ERROR, first

    def _literal(self, digits: str, prefix: str) -> tuple[str, str]:
        start = self._at + 2
        end = start
        while end < len(self._text) and self._text[end] in digits:
            end += 1
        value = self._text[start:end]
        self._at = end
        if not self._text.startswith("'", end):
            return ERROR, value
        self._at = end + 1
        if prefix in "xX":
            return (ERROR if len(value) % 2 else "HEX"), value
        return "BIT_LITERAL", value

    def _number(self) -> tuple[str, str]:
        match = _NUMBER.match(self._text, self._at)
        assert match is not None, "a digit begins a number"
        self._at = match.end()
        kind = {"hex": "HEXNUM", "float": "FLOAT"}.get(match.lastgroup or "", "INTEGRAL")
        # A letter cannot follow a number.
        return (ERROR if _NAME.match(self._text, self._at) else kind), match.group()

    def _string(self, quote: str) -> tuple[str, str]:
        """A string: its quote is written twice in it, or behind a backslash, as other special characters are."""
        text, at = self._text, self._at + 1
        value: list[str] = []
        while at < len(text):
            character = text[at]
            if character == "\\":
                at += 1
                if at >= len(text):
                    break
                value.append(_ESCAPES.get(text[at], text[at]))
            elif character == quote:
                if not text.startswith(quote, at + 1):
                    self._at = at + 1
                    return "STRING", "".join(value)
                at += 1
                value.append(quote)
            else:
                value.append(character)
            at += 1
        self._at = len(text)
        return ERROR, "".join(value)

    def _quoted_name(self) -> tuple[str, str]:
        text, at = self._text, self._at + 1
        value: list[str] = []
        while at < len(text):
            if text[at] != "`":
                value.append(text[at])
            elif text.startswith("`", at + 1):
                at += 1
                value.append("`")
            else:
                self._at = at + 1
                return ("ID" if value else ERROR), "".join(value)
            at += 1
        self._at = len(text)
        return ERROR, "".join(value)

    def _argument(self, first: str) -> tuple[str, str]:
        start = self._at
        if first == "?":
            self._at += 1
            self._arguments += 1
            return "VALUE_ARG", f":v{self._arguments}"
        colons = "::" if self._text.startswith("::", start) else ":"
        name = re.compile(r"[A-Za-z_@][A-Za-z0-9_@.]*", re.ASCII).match(self._text, start + len(colons))
        if name is None:
            self._at = start + len(colons)
            return ERROR, colons
        self._at = name.end()
        return ("LIST_ARG" if colons == "::" else "VALUE_ARG"), colons + name.group()


def _name(text: str) -> tuple[str, str]:
    lowered = text.lower()
    if lowered == "rlike":
        return "REGEXP", lowered
    if lowered in RESERVED:
        return lowered.lstrip("_").upper() if lowered != "_binary" else "UNDERSCORE_BINARY", lowered
    if lowered in _SPECIAL:
        return lowered.upper(), lowered
    return "ID", lowered if lowered in UNRESERVED or lowered == "dual" else text


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return at if match is None else match.end()
