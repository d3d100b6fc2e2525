"""The coverage page: the registry as Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from mockcloud.core import times
from mockcloud.core.capabilities import SERVER_VERSION
from mockcloud.core.limits import Unit
from mockcloud.coverage import registry
from mockcloud.coverage.registry import Entry, LimitEntry

_HEAD = f"""\
# Coverage

What is served of the real service (server {SERVER_VERSION}). `make coverage` writes this page from the tables in the
code that do the serving; only what is missing in a thing that is partly served is written by hand
(`mockcloud/coverage/partly.py`). What is not served answers UNIMPLEMENTED, or fails the workflow task, and says its
name.
"""


def page() -> str:
    """The whole page, with a newline at its end."""
    sections = [_HEAD]
    sections += [_section(name, "RPC", entries) for name, entries in registry.rpcs().items()]
    sections.append(_section("Workflow commands", "command", registry.command_types()))
    sections.append(_section("Event types", "event", registry.event_types()))
    sections.append(_limits(registry.limits()))
    return "\n".join(sections)


def _section(title: str, column: str, entries: list[Entry]) -> str:
    table = _table((column, "state"), [(f"`{entry.name}`", entry.state) for entry in entries])
    return f"## {title}\n\n{table}"


def _limits(entries: list[LimitEntry]) -> str:
    rows = [
        (
            f"`{entry.name}`",
            shown(entry.default, entry.unit),
            f"`{entry.key}`" if entry.key else "–",
            f"partly: {entry.missing}" if entry.missing else "served",
        )
        for entry in entries
    ]
    table = _table(("limit", "default", "dynamic-config key", "state"), rows)
    return f"## Limits and default time-outs\n\n{table}"


def shown(value: object, unit: Unit | None) -> str:
    """A limit's value for readers: `2 MiB`, `10 s`, `51,200`."""
    if not isinstance(value, int) or isinstance(value, bool):
        return str(value)
    if unit is Unit.NANOSECONDS:
        for size, name in ((times.DAY, "d"), (times.HOUR, "h"), (times.MINUTE, "min"), (times.SECOND, "s")):
            if value and value % size == 0:
                return f"{value // size} {name}"
        return f"{value / times.SECOND:g} s"
    if unit is Unit.BYTES:
        for bytes_, name in ((1024 * 1024, "MiB"), (1024, "KiB")):
            if value and value % bytes_ == 0:
                return f"{value // bytes_} {name}"
        return f"{value:,} bytes"
    return f"{value:,}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
