"""Pages of a list that is in memory, by the key that it is sorted by.

A token says after which key the next page begins, so that it stays good when what had that key is gone by then.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from mockcloud.core.errors import InvalidArgument

T = TypeVar("T")

_DEFAULT: Final = 100
_LARGEST: Final = 1000
_AFTER: Final = "after "


def page_size(asked: int) -> int:
    """How many a page has; 0 asks for the default. InvalidArgument."""
    size = asked or _DEFAULT
    if not 0 < size <= _LARGEST:
        raise InvalidArgument(f"page size must be between 1 and {_LARGEST}")
    return size


def page_of(items: Iterable[T], key: Callable[[T], str], asked: int, token: str) -> tuple[list[T], str]:
    """A page of `items` and the token of the next one, or empty. InvalidArgument: size or token."""
    size, after = page_size(asked), _key_of(token)
    rest = sorted((item for item in items if key(item) > after), key=key)
    return rest[:size], _token_after(key(rest[size - 1])) if len(rest) > size else ""


def _token_after(key: str) -> str:
    return base64.urlsafe_b64encode(f"{_AFTER}{key}".encode()).decode()


def _key_of(token: str) -> str:
    if not token:
        return ""
    try:
        text = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    if not text.startswith(_AFTER):
        raise InvalidArgument("invalid page token")
    return text.removeprefix(_AFTER)
