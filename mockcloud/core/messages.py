"""Small helpers for protobuf messages: fields that are named at run time, and messages in error texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message


def copy_set(source: Message, target: Message, *names: str) -> None:
    """Copy the message fields `names` that are set in `source`; an unset one stays unset in `target`."""
    for name in names:
        if source.HasField(name):
            getattr(target, name).CopyFrom(getattr(source, name))


def replace(source: Message, target: Message, *names: str) -> None:
    """Make the message fields `names` of `target` those of `source`: set where they are set there, else unset."""
    for name in names:
        target.ClearField(name)
    copy_set(source, target, *names)


class EnumType(Protocol):
    """An enum of a protocol; to the type checker it is a class, at run time a wrapper."""

    def Name(self, number: Any) -> str: ...  # noqa: N802 - protobuf's name


def enum_name(kind: EnumType, value: int) -> str:
    """The name of an enum's value; for one that the protocol does not know its number, as Go prints it."""
    try:
        return kind.Name(value)
    except ValueError:
        return str(value)


def is_set(message: Message, name: str) -> bool:
    """Whether a message field is set."""
    return message.HasField(name)


def shown(message: Message) -> str:
    """A message in one line as Go prints it in error texts: `name:"q" kind:TASK_QUEUE_KIND_NORMAL`.

    Go puts one blank or two between fields, as the build of the program has it; here it is one.
    """
    parts: list[str] = []
    for field, value in message.ListFields():
        if isinstance(value, Mapping):
            entry = field.message_type
            assert entry is not None, "a map has entries"
            key, item = entry.fields
            parts += [
                f"{field.name}:{{key:{_shown(key, name)} value:{_shown(item, value[name])}}}"
                for name in sorted(value)
            ]
        elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
            parts += [f"{field.name}:{_shown(field, item)}" for item in value]
        else:
            parts.append(f"{field.name}:{_shown(field, value)}")
    return " ".join(parts)


def _shown(field: FieldDescriptor, value: object) -> str:
    if isinstance(value, Message):
        return f"{{{shown(value)}}}"
    if isinstance(value, str):
        return '"' + "".join(_ESCAPES.get(character, character) for character in value) + '"'
    if isinstance(value, bytes):
        return '"' + "".join(_ESCAPES.get(chr(byte)) or _byte(byte) for byte in value) + '"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if field.enum_type is not None and isinstance(value, int):
        named = field.enum_type.values_by_number.get(value)
        return str(value) if named is None else named.name
    return str(value)


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _byte(byte: int) -> str:
    return chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}"
