"""A gRPC service as HTTP JSON: each request becomes the `Call` that a gRPC client would have made.

So what a service allows, answers and refuses is decided once, for both transports. Imports starlette: only what is
loaded when the first request comes may import this.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, NoReturn, TypeAlias

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mockcloud.core.errors import Code, NotFound, ResourceExhausted, ServiceError, Unimplemented
from mockcloud.rpc import http_json
from mockcloud.rpc.errors import service_error
from mockcloud.rpc.http_routes import Found, Routes
from mockcloud.rpc.methods import Call, Dispatch, full_name

# As google/rpc/code.proto maps them.
_STATUS: Final[Mapping[Code, int]] = {
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.UNAUTHENTICATED: 401,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
}


# How much of a body over the limit is read, in limits: many clients see no answer before all is sent.
_PATIENCE: Final = 16

Refuse: TypeAlias = Callable[[Call, ServiceError], Awaitable[NoReturn]]
"""Answers a call whose request cannot be read because of this error: raises that, or another one that comes first."""


class TooLarge(ResourceExhausted):
    """A body over the limit, in grpc-go's words; HTTP has a status of its own for it, which nobody retries."""


class Gateway:
    """An ASGI application over one service.

    Args:
        service: whose annotations are the routes.
        dispatch: answers its calls.
        refuse: answers those that cannot be read; their request is empty.
        message_bytes: the limit of a body.
    """

    def __init__(
        self, service: ServiceDescriptor, dispatch: Dispatch, refuse: Refuse, *, message_bytes: int
    ) -> None:
        self._routes: Final = Routes(service)
        self._dispatch: Final = dispatch
        self._refuse: Final = refuse
        self._message_bytes: Final = message_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        with contextlib.suppress(ClientDisconnect):
            response = await self._answer(Request(scope, receive))
            await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path = _path(request)
        found = self._routes.find(request.method, path)
        if found is None:
            return no_route(self._routes.verbs(path))
        name = full_name(found.route.rpc)
        try:
            message = await self._message(found, name, request)
            raw = await self._dispatch(_call(found, name, message.SerializeToString(), request))
            answer = GetMessageClass(found.route.rpc.output_type).FromString(raw)
            return _json(200, await http_json.response_json(answer))
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001 - the border: whatever it is, it gets a status
            return error_response(service_error(error, name))

    async def _message(self, found: Found, name: str, request: Request) -> Message:
        try:
            body = await self._body(request)
            return http_json.request_message(found, request.query_params.multi_items(), body)
        except ServiceError as error:
            return await self._refuse(_call(found, name, b"", request), error)

    async def _body(self, request: Request) -> bytes:
        told = request.headers.get("content-length", "")
        size = int(told) if told.isdecimal() else 0
        if size > self._message_bytes and "expect" in request.headers:
            raise self._too_large(size)  # who asks first has not sent it yet
        body, read = bytearray(), 0
        async for chunk in request.stream():
            read += len(chunk)
            if read <= self._message_bytes:
                body += chunk
            elif read > _PATIENCE * self._message_bytes:
                break
        if read > self._message_bytes:
            raise self._too_large(size or read)
        return bytes(body)

    def _too_large(self, size: int) -> TooLarge:
        error = TooLarge(f"grpc: received message larger than max ({size} vs. {self._message_bytes})")
        error.detail = None
        return error


def no_route(verbs: Iterable[str] = ()) -> Response:
    """The words of grpc-gateway where nothing is served, or something by other `verbs`."""
    allowed = ", ".join(verbs)
    if allowed:
        response = error_response(Unimplemented("Method Not Allowed"), status=405)
        response.headers["allow"] = allowed
        return response
    error = NotFound("Not Found")
    error.detail = None  # it is not the service that answers
    return error_response(error)


def error_response(error: ServiceError, *, status: int | None = None) -> Response:
    """An error as HTTP has it."""
    if status is None:
        status = 413 if isinstance(error, TooLarge) else _STATUS[error.code]
    return _json(status, http_json.error_json(error))


def _json(status: int, body: bytes) -> Response:
    return Response(body, status, media_type="application/json")


def _path(request: Request) -> str:
    """The path as it was sent: what is encoded in it is no part of its structure."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    return raw.partition(b"?")[0].decode("latin-1")


def _call(found: Found, name: str, message: bytes, request: Request) -> Call:
    rpc = found.route.rpc
    client = request.client
    peer = f"ipv4:{client.host}:{client.port}" if client else ""
    return Call(rpc.containing_service.full_name, rpc.name, name, message, dict(request.headers), None, peer)
