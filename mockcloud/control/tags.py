"""Tags of namespaces: what they may be. Limits: the Cloud's documentation of namespace tags."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from mockcloud.core.errors import InvalidArgument

MOST: Final = 10  # of a namespace
_LONGEST: Final = 63  # characters of a key, and of a value
_TEXT: Final = re.compile(r"[a-z0-9._@-]+\Z")


def check(tags: Mapping[str, str]) -> None:
    """Raises InvalidArgument for tags that no namespace can have."""
    if len(tags) > MOST:
        raise InvalidArgument(f"a namespace has at most {MOST} tags, not {len(tags)}")
    for key, value in tags.items():
        for what, text in (("key", key), ("value", value)):
            if len(text) > _LONGEST or not _TEXT.match(text):
                raise InvalidArgument(
                    f"invalid tag {what} {text!r}: "
                    f"it has 1 to {_LONGEST} lower-case letters, digits, '.', '_', '-' or '@'"
                )


def updated(before: Mapping[str, str], upsert: Mapping[str, str], remove: Iterable[str]) -> dict[str, str]:
    """The tags afterwards; keys to remove that are not there count for nothing. Raises InvalidArgument."""
    gone = set(remove)
    both = gone & set(upsert)
    if both:
        raise InvalidArgument(f"a tag cannot be set and removed at once: {', '.join(sorted(both))}")
    if not upsert and not gone:
        raise InvalidArgument("at least one of tags_to_upsert or tags_to_remove must be specified")
    after = {key: value for key, value in before.items() if key not in gone} | dict(upsert)
    check(after)
    if after == dict(before):
        raise InvalidArgument("nothing to change")
    return after
