"""The registry of what is served: rows derived from the tables that do the serving, so that it cannot be wrong.

Only the notes on what is missing in a thing are written by hand (`partly`).
"""

from __future__ import annotations

import typing
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Final

from google.protobuf.descriptor import EnumDescriptor, ServiceDescriptor
from temporalio.api.enums.v1 import CommandType, EventType

from mockcloud.control import cloud_ops
from mockcloud.core import commands, fold
from mockcloud.core.limits import Key, Limits, Unit
from mockcloud.coverage import partly
from mockcloud.frontend import service
from mockcloud.frontend.methods import OPERATOR_SERVICE, WORKFLOW_SERVICE


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing of the real service."""

    name: str
    served: bool
    missing: str = ""  # what is not served of it; empty: all is

    @property
    def state(self) -> str:
        """What the page says of it."""
        if not self.served:
            return "not served"
        return f"partly: {self.missing}" if self.missing else "served"


@dataclass(frozen=True, slots=True)
class LimitEntry:
    """One limit."""

    name: str
    default: object
    unit: Unit | None
    key: str  # dynamic-config key; empty: the real server has none
    missing: str = ""


def rpcs() -> Mapping[str, list[Entry]]:
    """The methods of the public services, by service name, in the order of their protos."""
    cloud = {f"/{cloud_ops.CLOUD_SERVICE.full_name}/{name}" for name in cloud_ops.SERVED}
    return {
        descriptor.name: _methods(descriptor, served, notes)
        for descriptor, served, notes in (
            (WORKFLOW_SERVICE, service.SERVED, partly.RPCS),
            (OPERATOR_SERVICE, service.SERVED, partly.RPCS),
            (cloud_ops.CLOUD_SERVICE, cloud, partly.CLOUD_RPCS),
        )
    }


def command_types() -> list[Entry]:
    """The commands of a workflow task."""
    return _values(CommandType.DESCRIPTOR, "COMMAND_TYPE_", commands.HANDLERS, partly.COMMANDS)


def event_types() -> list[Entry]:
    """The events of a history: those that are written and folded."""
    return _values(EventType.DESCRIPTOR, "EVENT_TYPE_", fold.EFFECTS, partly.EVENTS)


def limits() -> list[LimitEntry]:
    """The limits and default time-outs, in the order of `Limits`."""
    return [_limit(name, default) for name, default in LIMIT_DEFAULTS.items()]


LIMIT_DEFAULTS: Final[Mapping[str, object]] = {each.name: each.default for each in fields(Limits)}
_LIMIT_TYPES: Final[Mapping[str, object]] = typing.get_type_hints(Limits, include_extras=True)


def _limit(name: str, default: object) -> LimitEntry:
    marks = getattr(_LIMIT_TYPES[name], "__metadata__", ())
    key = next((mark.name for mark in marks if isinstance(mark, Key)), "")
    unit = next((mark for mark in marks if isinstance(mark, Unit)), None)
    return LimitEntry(name, default, unit, key, partly.LIMITS.get(name, ""))


def _methods(descriptor: ServiceDescriptor, served: Collection[str], notes: Mapping[str, str]) -> list[Entry]:
    return [
        _entry(method.name, f"/{descriptor.full_name}/{method.name}" in served, notes)
        for method in descriptor.methods
    ]


def _values(
    descriptor: EnumDescriptor, prefix: str, served: Collection[int], notes: Mapping[str, str]
) -> list[Entry]:
    values: Iterable[tuple[str, int]] = ((value.name, value.number) for value in descriptor.values)
    return [
        _entry(name.removeprefix(prefix), number in served, notes) for name, number in values if number != 0
    ]


def _entry(name: str, served: bool, notes: Mapping[str, str]) -> Entry:
    return Entry(name, served, notes.get(name, "") if served else "")


def stale_notes() -> list[str]:
    """Notes on things that do not exist or are not served: to be removed."""
    served_by = {name: [entry for entry in entries if entry.served] for name, entries in rpcs().items()}
    served = {
        "RPCS": {
            entry.name for name in (WORKFLOW_SERVICE.name, OPERATOR_SERVICE.name) for entry in served_by[name]
        },
        "CLOUD_RPCS": {entry.name for entry in served_by[cloud_ops.CLOUD_SERVICE.name]},
        "COMMANDS": {entry.name for entry in command_types() if entry.served},
        "EVENTS": {entry.name for entry in event_types() if entry.served},
        "LIMITS": set(LIMIT_DEFAULTS),
    }
    return [
        f"{table}[{name!r}]"
        for table, names in served.items()
        for name in getattr(partly, table)
        if name not in names
    ]
