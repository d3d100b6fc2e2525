"""Small helpers for protobuf messages whose fields are named at run time."""

from __future__ import annotations

from typing import Any, Protocol

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
