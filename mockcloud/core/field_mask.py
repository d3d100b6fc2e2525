"""Field masks of update requests: which fields of a message are to change.

Real: common/util/proto.go, fieldmaskpb.
"""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.descriptor import Descriptor


def paths(mask: Iterable[str]) -> frozenset[str]:
    """The paths of a mask as the server compares them: each part in lower camel case.

    Clients may write `task_queue.name` or `taskQueue.name`. Real: util.ParseFieldMask.
    """
    return frozenset(".".join(map(_camel, path.split("."))) for path in mask)


def invalid_path(mask: Iterable[str], message: Descriptor) -> str | None:
    """What is wrong with the first path that names no field of `message`, or None. Real: fieldmaskpb.New."""
    for path in mask:
        if not _names_a_field(path, message):
            return f'proto: invalid path "{path}" for message "{message.full_name}"'
    return None


def _camel(part: str) -> str:
    first, *others = part.split("_")
    return first[:1].lower() + first[1:] + "".join(word.capitalize() for word in others)


def _names_a_field(path: str, message: Descriptor) -> bool:
    within: Descriptor | None = message
    for part in path.split("."):
        field = None if within is None else within.fields_by_name.get(part)
        if field is None:
            return False
        within = None if field.is_repeated else field.message_type
    return True
