"""From HTTP to messages and back: path, query and body as google/api/http.proto binds them, JSON as proto3 has it.

Stricter than grpc-gateway on purpose: whatever names no field is refused, so that a misspelt `asyncOperationId` does
not become another request than was meant. Must never let more than one line of the library's text reach a client.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Iterable
from typing import Any, Final, NoReturn

from google.protobuf import json_format
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.common.v1 import GrpcStatus

from mockcloud.core.errors import InvalidArgument, ServiceError
from mockcloud.rpc.errors import status_details
from mockcloud.rpc.http_routes import Found

# Messages that proto3 JSON writes as one string, and so can be a parameter.
_AS_STRING: Final = frozenset(
    f"google.protobuf.{name}"
    for name in (
        "Timestamp",
        "Duration",
        "FieldMask",
        "StringValue",
        "BytesValue",
        "Int64Value",
        "UInt64Value",
    )
)
_BOOLS: Final = {"true": True, "false": False}
_UNKNOWN: Final = re.compile(r'has no field named "([^"]*)"')
# Converting longer lists at once would keep everything else in the process waiting.
_SLICE: Final = 20


def request_message(found: Found, query: Iterable[tuple[str, str]], body: bytes) -> Message:
    """The request of an RPC. InvalidArgument: something of it is no request of that kind."""
    route = found.route
    kind = route.rpc.input_type
    parameters = list(query)
    if route.body == "*":
        if parameters:
            _unknown(parameters[0][0])
        value = _json(body) if body else {}
    elif route.body:
        value = {route.body: _json(body)} if body else {}
    elif body.strip():
        raise InvalidArgument(f"{route.verb} {route.template} takes no body")
    else:
        value = {}
    if not isinstance(value, dict):
        raise InvalidArgument("the body is not a JSON object")
    _check_names(value, kind)
    message = GetMessageClass(kind)()
    _merge(value, message)
    _merge(_nested(kind, parameters), message)
    # Last, so that the path says what the request is about whatever else says.
    _merge(_nested(kind, found.bindings.items()), message)
    return message


async def response_json(message: Message) -> bytes:
    """A message as JSON, fields without a value included, as grpc-gateway has it."""
    lists = {
        field: list(items)
        for field, items in message.ListFields()
        if field.is_repeated and field.message_type is not None and not _is_map(field)
    }
    rest = type(message)()
    rest.CopyFrom(message)
    for field in lists:
        rest.ClearField(field.name)
    value = _plain(rest)
    for field, items in lists.items():
        written: list[dict[str, Any]] = []
        for start in range(0, len(items), _SLICE):
            written += map(_plain, items[start : start + _SLICE])
            await asyncio.sleep(0)
        value[field.json_name] = written
    return _encoded(value)


def error_json(error: ServiceError) -> bytes:
    """The body of an error answer: google.rpc.Status as proto3 JSON writes it."""
    status = status_details(error)
    details = [] if status is None else GrpcStatus.FromString(status).details
    return _encoded(
        {"code": int(error.code), "message": error.message, "details": [_detail(each) for each in details]}
    )


def _detail(packed: AnyMessage) -> dict[str, Any]:
    try:
        return _plain(packed)
    except TypeError:  # of a kind that is not known here
        return {"@type": packed.type_url, "value": base64.b64encode(packed.value).decode()}


def _plain(message: Message) -> dict[str, Any]:
    return json_format.MessageToDict(message, always_print_fields_with_no_presence=True)


def _encoded(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _json(text: bytes) -> Any:
    try:
        value = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode()  # an unpaired surrogate is no text
    except RecursionError:
        raise InvalidArgument("the body is nested too deeply") from None
    except ValueError as error:
        raise InvalidArgument(f"the body is not JSON: {error}") from None
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        raise InvalidArgument(f"duplicate field {next(n for n in names if names.count(n) > 1)!r}")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _merge(value: dict[str, Any], message: Message) -> None:
    """Set the fields of `message` that `value` has."""
    try:
        json_format.ParseDict(value, message)
    except json_format.ParseError as error:
        text = str(error).partition("\n")[0].rstrip(".")
        unknown = _UNKNOWN.search(text)
        if unknown:
            _unknown(unknown[1])
        raise InvalidArgument(text) from None


def _check_names(value: dict[str, Any], kind: Descriptor) -> None:
    """Raises InvalidArgument for what the library lets pass: a field by both its names, a message that is a list."""
    seen: set[str] = set()
    for name, item in value.items():
        field = kind.fields_by_name.get(name) or kind.fields_by_camelcase_name.get(name)
        if field is None:
            continue  # the library tells of it
        if field.name in seen:
            raise InvalidArgument(f"duplicate field {name!r}")
        seen.add(field.name)
        part = _value_type(field)
        if part is None:
            continue
        for each in _parts(field, item):
            if not isinstance(each, dict):
                raise InvalidArgument(f"field {name!r} is not a JSON object")
            _check_names(each, part)


def _value_type(field: FieldDescriptor) -> Descriptor | None:
    """The type of the messages in a field, if these are JSON objects."""
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        kind = kind.fields_by_name["value"].message_type
    return None if kind is None or kind.full_name.startswith("google.protobuf.") else kind


def _parts(field: FieldDescriptor, value: Any) -> list[Any]:
    """What the JSON of a field has of messages; null is none. What has another form the library tells of."""
    if not field.is_repeated:
        return [] if value is None else [value]
    if _is_map(field):
        return list(value.values()) if isinstance(value, dict) else []
    return value if isinstance(value, list) else []


def _unknown(name: str) -> NoReturn:
    raise InvalidArgument(f"unknown field {name!r}")


def _nested(kind: Descriptor, parameters: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Parameters such as `spec.name=x` as the JSON that says the same."""
    value: dict[str, Any] = {}
    for name, text in parameters:
        *parents, leaf = _fields(kind, name)
        at = value
        for parent in parents:
            at = at.setdefault(parent.name, {})
        item = _parameter(name, leaf, text)
        if leaf.is_repeated:
            at.setdefault(leaf.name, []).append(item)
        elif leaf.name in at:
            raise InvalidArgument(f"parameter {name!r} is given twice")
        else:
            at[leaf.name] = item
    return value


def _fields(kind: Descriptor, name: str) -> list[FieldDescriptor]:
    """The fields of a path such as `spec.name`, by their own or their JSON names; the last one can be a parameter."""
    path: list[FieldDescriptor] = []
    at: Descriptor | None = kind
    for part in name.split("."):
        if at is None or at.full_name in _AS_STRING or (path and path[-1].is_repeated):
            _unknown(name)
        field = at.fields_by_name.get(part) or at.fields_by_camelcase_name.get(part)
        if field is None:
            _unknown(name)
        path.append(field)
        at = field.message_type
    if at is not None and at.full_name not in _AS_STRING:
        raise InvalidArgument(f"{name!r} cannot be a parameter")
    return path


def _parameter(name: str, field: FieldDescriptor, text: str) -> Any:
    """The value of one parameter as JSON has it; what it cannot be is left to the parser of messages."""
    if field.type == FieldDescriptor.TYPE_BOOL:
        if text not in _BOOLS:
            raise InvalidArgument(f"parameter {name!r} is true or false, not {text!r}")
        return _BOOLS[text]
    if field.type == FieldDescriptor.TYPE_ENUM and text.removeprefix("-").isdecimal():
        return int(text)
    return text
