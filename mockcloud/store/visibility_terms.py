"""Search attributes as rows of the index that list filters use: what is compared of each value.

    Keyword                  the text
    Int, Double, Bool        the number
    Datetime                 microseconds since the epoch
    KeywordList              each member, in lower case
    Text                     each word, in lower case and without marks; and all of them, for phrases

Lists and texts know no difference of case, as in the real server's SQLite store, whose full-text index they stand
for (its tokenizers are `unicode61`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from temporalio.api.common.v1 import Payload, SearchAttributes

from mockcloud.core import times
from mockcloud.core.search_attribute_values import (
    DATETIME,
    KEYWORD,
    KEYWORD_LIST,
    TEXT,
    TYPES_BY_NAME,
    decode,
)
from mockcloud.core.search_attributes import PREDEFINED

DIVISION = "TemporalNamespaceDivision"


class Term(NamedTuple):
    """One row: a text or a number. `ordinal` tells those of one attribute apart."""

    name: str
    ordinal: int
    text: str | None
    number: float | int | None


@lru_cache(maxsize=256)
def terms_of(search_attributes: bytes) -> tuple[Term, ...]:
    """The rows of a run's search attributes. Those of many runs are the same, such as what the server notes."""
    if not search_attributes:
        return ()
    fields = SearchAttributes.FromString(search_attributes).indexed_fields
    return tuple(
        term for name, payload in fields.items() if name != DIVISION for term in _terms(name, payload)
    )


@lru_cache(maxsize=256)
def custom_of(search_attributes: bytes) -> str:
    """Which custom search attributes a run has, as one text in which the `presence` of each is a part.

    It is in the index that lists are read by: to look up in each run whether there is a value takes longest of all.
    """
    return "".join(
        presence(term.name, textual=term.text is not None)
        for term in terms_of(search_attributes)
        if term.ordinal == 0 and term.name not in PREDEFINED
    )


def presence(name: str, *, textual: bool) -> str:
    """The part for one attribute. `textual`: its values are texts; those of another type are not its values."""
    return f"\n{name} {'text' if textual else 'number'}\n"


def division_of(search_attributes: bytes) -> str | None:
    """The namespace division, which nearly every list asks for."""
    if DIVISION.encode() not in search_attributes:
        return None
    payload = SearchAttributes.FromString(search_attributes).indexed_fields.get(DIVISION)
    try:
        value = None if payload is None else decode(payload, KEYWORD)
    except ValueError:
        return None
    return value if isinstance(value, str) else None


def member(text: str) -> str:
    """A member of a KeywordList, as it is compared."""
    return text.lower()


def words(text: str) -> list[str]:
    """The words of a Text, as they are compared: letters and digits, without marks."""
    found: list[str] = []
    word: list[str] = []
    for character in unicodedata.normalize("NFKD", text):
        category = unicodedata.category(character)
        if category[0] in "LN" or category == "Co":
            word.append(character)
        elif category[0] != "M" and word:
            found.append("".join(word).lower())
            word = []
    if word:
        found.append("".join(word).lower())
    return found


def phrase(found: list[str]) -> str:
    """Words as one text, in which a phrase is a part: no word holds a blank."""
    return f" {' '.join(found)} "


def _terms(name: str, payload: Payload) -> Iterator[Term]:
    value_type = TYPES_BY_NAME.get(payload.metadata.get("type", b"").decode(errors="replace"))
    if value_type is None:
        return
    try:
        value = decode(payload, value_type)
    except ValueError:
        return
    if value is None:
        return
    if value_type == KEYWORD_LIST:
        members = value if isinstance(value, list) else [value]
        for ordinal, each in enumerate(dict.fromkeys(member(str(each)) for each in members)):
            yield Term(name, ordinal, each, None)
        return
    single = value[0] if isinstance(value, list) else value
    if value_type == TEXT:
        found = words(str(single))
        yield Term(name, 0, phrase(found), None)
        for ordinal, word in enumerate(dict.fromkeys(found), 1):
            yield Term(name, ordinal, word, None)
    elif value_type == KEYWORD:
        yield Term(name, 0, str(single), None)
    else:
        number = single if isinstance(single, (int, float)) else 0
        yield Term(name, 0, None, int(number) // times.MICROSECOND if value_type == DATETIME else number)
