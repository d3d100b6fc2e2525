"""What a list filter means, apart from how it was written: the tests that a run must pass.

Made by `core.visibility_query`, turned into SQL by `store.visibility_filter`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from temporalio.api.enums.v1 import IndexedValueType

Value: TypeAlias = str | int | float | bool
"""A moment is in microseconds, a duration in nanoseconds, a status its number."""


class Field(NamedTuple):
    """A search attribute. `system`: it is a column of the list, not a value beside it."""

    name: str
    value_type: IndexedValueType.ValueType
    system: bool
    # CloseTime as it is compared: an open run closes at the end of all time.
    open_is_last: bool = False


class FieldTest(NamedTuple):
    """One field against values: `=`, `!=`, `<`, `<=`, `>`, `>=`, `in`, `not in`, `between`, `not between`,
    `starts_with`, `not starts_with`, `is null`, `is not null`.
    """  # noqa: D205 a list that does not fit one line

    field: Field
    operator: str
    values: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part; without parts everything passes."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One part at least."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Negated:
    """What does not pass. Unknown stays unknown."""

    part: Filter


Filter: TypeAlias = FieldTest | AllOf | AnyOf | Negated


class VisibilityQuery(NamedTuple):
    """Which runs, and by which field their number is wanted."""

    filter: Filter
    group_by: Field | None = None
