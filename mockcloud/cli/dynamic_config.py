"""`--dynamic-config-value KEY=VALUE`, as the Temporal CLI takes it: the value is JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def dynamic_config_option(function: F) -> F:
    """Give a command the option; it gets the tuple `dynamic_config_values`."""
    return click.option(
        "--dynamic-config-value",
        "dynamic_config_values",
        multiple=True,
        metavar="KEY=VALUE",
        help="A key of the server's dynamic configuration and its value in JSON. Repeatable.",
    )(function)


def parsed(values: Iterable[str]) -> dict[str, object]:
    """Values by key. Raises StartupError in the Temporal CLI's words."""
    from mockcloud.core.errors import StartupError

    found: dict[str, object] = {}
    for item in values:
        key, equals, text = item.partition("=")
        if not equals:
            raise StartupError(f"invalid dynamic config values: missing expected '=' in {_quoted(item)}")
        try:
            found[key] = json.loads(text, parse_constant=_no_json)
        except ValueError as error:
            raise StartupError(
                f"invalid dynamic config values: invalid JSON value for key {_quoted(key)}: {error}"
            ) from None
    return found


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _no_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON value")
