"""Which HTTP request is which RPC: routes compiled from the `google.api.http` annotations of a service.

The rules are those of google/api/http.proto: a template such as `/v1/{name=shelves/*}/books/{book.id}:publish` binds
parts of the path to fields; a segment is decoded after it has been matched, so that an encoded slash stays in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

# A variable with its own template, or one of the wildcards; what is between them is literal.
_PART: Final = re.compile(r"\{(?P<field>[A-Za-z_][\w.]*)(?:=(?P<template>[^{}]+))?\}|(?P<wildcard>\*\*?)")
_WILDCARDS: Final[Mapping[str, str]] = {"*": "[^/]+", "**": ".*"}


@dataclass(frozen=True, slots=True)
class Route:
    """One binding of an RPC."""

    verb: str  # "GET"
    template: str
    rpc: MethodDescriptor
    body: str  # the field that the body is; "*": all that the path does not bind; empty: there is no body
    pattern: re.Pattern[str]
    fields: tuple[str, ...]  # that the path binds, in its order: "spec.name"

    def bindings(self, path: str) -> dict[str, str] | None:
        """The values of the path's fields, decoded; None: this is not the path. `path` is as it was sent."""
        match = self.pattern.fullmatch(path)
        if match is None:
            return None
        return dict(zip(self.fields, map(unquote, match.groups()), strict=True))


@dataclass(frozen=True, slots=True)
class Found:
    """The route of a request, and what its path binds."""

    route: Route
    bindings: Mapping[str, str]


class Routes:
    """All routes of a service."""

    def __init__(self, service: ServiceDescriptor) -> None:
        self._routes: Final = tuple(route for method in service.methods for route in _bindings_of(method))

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    def find(self, verb: str, path: str) -> Found | None:
        """The route of a request; None: there is none."""
        for route in self._routes:
            if route.verb == verb:
                bindings = route.bindings(path)
                if bindings is not None:
                    return Found(route, bindings)
        return None

    def verbs(self, path: str) -> list[str]:
        """The HTTP methods that a path answers to."""
        return sorted({route.verb for route in self._routes if route.bindings(path) is not None})


def _bindings_of(method: MethodDescriptor) -> Iterator[Route]:
    rule: http_pb2.HttpRule = method.GetOptions().Extensions[annotations_pb2.http]
    for each in (rule, *rule.additional_bindings):
        kind = each.WhichOneof("pattern")
        if kind is not None:
            verb, template = (
                (each.custom.kind, each.custom.path)
                if kind == "custom"
                else (kind.upper(), getattr(each, kind))
            )
            pattern, fields = _compiled(template)
            yield Route(verb, template, method, each.body, pattern, fields)


def _compiled(template: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    """The expression of a template, a group for each variable, and the fields of these."""
    expression, fields, at = "", [], 0
    for part in _PART.finditer(template):
        expression += re.escape(template[at : part.start()])
        if part["field"]:
            fields.append(part["field"])
            expression += f"({_without_variables(part['template'] or '*')})"
        else:
            expression += _WILDCARDS[part["wildcard"]]
        at = part.end()
    return re.compile(expression + re.escape(template[at:])), tuple(fields)


def _without_variables(template: str) -> str:
    """The expression of the template of a variable: literals and wildcards."""
    return "".join(_WILDCARDS.get(part, re.escape(part)) for part in re.split(r"(\*\*|\*)", template))
