"""Calls of the command line to a running cloud, by full method name, with errors as one line and exit code 1."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from mockcloud.cli.tls import ClientTls
from mockcloud.core import times

if TYPE_CHECKING:
    import grpc

M = TypeVar("M", bound=Message)

# A failover takes its graceful ten seconds at the most; killing and starting a region a moment.
TIMEOUT_SECONDS = 60.0
_LOOK_SECONDS = 2.0
_UNREACHED = (
    "failed to connect",
    "errors resolving",
)  # how the library begins what it says of a call that went nowhere


class NoCloud(click.ClickException):
    """Nothing answers at the address, or no longer."""


class Connection:
    """A running cloud by its Cloud Ops address, and how answers are printed."""

    def __init__(self, address: str, api_key: str, tls: ClientTls, *, json_output: bool) -> None:
        self._address = address
        self._tls = tls
        self._metadata = (("authorization", f"Bearer {api_key}"),) if api_key else ()
        self.json_output = json_output

    def call(self, method: str, request: Message, answer: type[M]) -> M:
        """Call a method of CloudAdmin.

        Raises:
            ClickException: the cloud cannot be reached or refused; the text says why.
        """
        import grpc

        # Histories and reports are as long as they are.
        unlimited = [("grpc.max_receive_message_length", -1)]
        with self._channel(unlimited) as channel:
            call = channel.unary_unary(f"/mockcloud.admin.v1.CloudAdmin/{method}", None, None)
            try:
                return answer.FromString(
                    call(request.SerializeToString(), timeout=TIMEOUT_SECONDS, metadata=self._metadata)
                )
            except grpc.RpcError as error:
                raise self._explained(channel, error.code(), error.details() or "") from None

    def _explained(self, channel: grpc.Channel, code: grpc.StatusCode, details: str) -> click.ClickException:
        """What a call failed with, as the user is told."""
        import grpc

        lost = code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
        if lost and details.startswith(_UNREACHED):
            nobody = (
                f"no cloud answers at {self._address}: start one with `mockcloud up`, or name it with --cloud"
            )
            return NoCloud(self._tls.why_unreached(self._address) or nobody)
        if lost and not _answers(channel):
            return NoCloud(f"the cloud at {self._address} has ended, before it answered")
        if code is grpc.StatusCode.UNAUTHENTICATED and not self._metadata:
            return click.ClickException(
                f"the cloud at {self._address} asks for an API key: --api-key, or MOCKCLOUD_API_KEY"
            )
        if code is grpc.StatusCode.DEADLINE_EXCEEDED and "Deadline Exceeded" in details:  # ours
            return click.ClickException(
                f"no answer within {TIMEOUT_SECONDS:g} s; what was asked for goes on: see `mockcloud operations`"
            )
        return click.ClickException(details)

    def _channel(self, options: list[tuple[str, int]]) -> grpc.Channel:
        import grpc

        credentials = self._tls.credentials()
        if credentials is None:
            return grpc.insecure_channel(self._address, options=options)
        return grpc.secure_channel(self._address, credentials, options=options)

    def print_json(self, value: object) -> None:
        """One line of JSON on standard output."""
        click.echo(json.dumps(value))


def _answers(channel: grpc.Channel) -> bool:
    """Whether anybody is there still, whatever it says."""
    import grpc

    try:
        channel.unary_unary("/grpc.health.v1.Health/Check", None, None)(b"", timeout=_LOOK_SECONDS)
    except grpc.RpcError as error:
        return error.code() not in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    return True


def plain(message: Message) -> dict[str, Any]:
    """A message as JSON has it, with all fields and snake-case names: numbers, and moments as RFC 3339 or null."""
    values = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    fields = cast("Descriptor", message.DESCRIPTOR).fields_by_name  # of either implementation
    return {name: _readable(value, fields[name]) for name, value in values.items()}


def _readable(value: Any, field: FieldDescriptor) -> Any:
    """What `MessageToDict` gives has 64-bit numbers as strings, and our messages have moments as such numbers."""
    if isinstance(value, list):
        return [_readable(each, field) for each in value]
    if isinstance(value, dict):
        kind = field.message_type
        assert kind is not None, "only messages and maps become objects"
        if kind.GetOptions().map_entry:
            return {key: _readable(each, kind.fields_by_name["value"]) for key, each in value.items()}
        return {name: _readable(each, kind.fields_by_name[name]) for name, each in value.items()}
    if field.cpp_type != FieldDescriptor.CPPTYPE_INT64:
        return value
    number = int(value)
    if field.name == "time" or field.name.endswith(("_time", "_at")):
        return times.timestamp(number).ToJsonString() if number else None
    return number
