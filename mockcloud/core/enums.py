"""The API's enums with their values as plain attributes.

protobuf's Python code looks a value up by its name, through two descriptors, each time one is used (1 µs; some 50
uses for a workflow with one activity). An attribute of the same name on the enum itself is found before that.
"""

from __future__ import annotations

from functools import cache

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from temporalio.api.enums import v1


@cache
def settle_values() -> None:
    """Give every enum of `temporalio.api.enums.v1` its values as attributes. Once, for the whole process."""
    for enum in vars(v1).values():
        if isinstance(enum, EnumTypeWrapper):
            for name, value in enum.items():
                setattr(enum, name, value)
