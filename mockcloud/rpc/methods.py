"""Every method of a service by its full name, bytes in and bytes out, through one function.

There is no servicer per method: what a region serves is decided by whoever gets the `Call`, so that handover,
redirection and UNIMPLEMENTED act on all methods alike. This module only carries bytes: it must never parse a
request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn, TypeAlias, TypeVar

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message

from mockcloud.core.errors import Code, Internal, ServiceError, Unavailable, Unimplemented
from mockcloud.rpc.errors import revive, service_error, status_code, trailers

Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
MethodHandler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"

if TYPE_CHECKING:
    GenericHandler: TypeAlias = grpc.GenericRpcHandler[bytes, bytes]
else:  # the library's class takes no parameters
    GenericHandler = grpc.GenericRpcHandler

T = TypeVar("T")
M = TypeVar("M", bound=Message)


class Call(NamedTuple):
    """One unary call as it arrived."""

    service: str  # "temporal.api.workflowservice.v1.WorkflowService"
    method: str  # "StartWorkflowExecution"
    full_name: str  # "/temporal.api.workflowservice.v1.WorkflowService/StartWorkflowExecution"
    request: bytes
    metadata: Mapping[str, str]  # lower-case keys; binary (-bin) values are left out
    timeout: float | None = None  # seconds that the client still waits, at arrival; None: no deadline
    peer: str = ""  # "ipv4:127.0.0.1:51234", for logs


Dispatch: TypeAlias = Callable[[Call], Awaitable[bytes]]
"""Answers one call: the serialized response, or a ServiceError."""


class NamedMethods(GenericHandler):
    """The methods of some services. One that such a service does not have is answered as grpc-go does.

    A handler is made when its method is first called: a cloud has a thousand, and is often one test's.
    """

    def __init__(self, services: Iterable[str], find: Callable[[str], MethodHandler | None]) -> None:
        """`services`: their full names. `find`: makes the handler of a method by its full name; None: there is none."""
        self._services: Final = frozenset(services)
        self._find: Final = find
        self._made: Final[dict[str, MethodHandler]] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> MethodHandler | None:
        name = handler_call_details.method
        handler = self._made.get(name)
        if handler is None and split(name)[0] in self._services:
            handler = self._find(name)
            if handler is None:
                return _refusal(name, known_service=True)
            self._made[name] = handler
        return handler


class NothingElse(GenericHandler):
    """The last handler of a server: answers calls to services that it does not have, in grpc-go's words."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> MethodHandler:
        return _refusal(handler_call_details.method, known_service=False)


def serve_services(
    services: Iterable[ServiceDescriptor], dispatch: Dispatch, *, message_bytes: int | None = None
) -> NamedMethods:
    """Serves every method of `services` through `dispatch`.

    `message_bytes` is the real limit of a request (`Limits.message_bytes`), checked here because the
    transport's own limit is higher and its words differ: SDKs recognise grpc-go's. None: no limit, for peers.
    """
    described = {service.full_name: service for service in services}

    def find(name: str) -> MethodHandler | None:
        service, method = split(name)
        if method not in described[service].methods_by_name:
            return None
        return _dispatched(service, method, dispatch, message_bytes)

    return NamedMethods(described, find)


def full_name(method: MethodDescriptor) -> str:
    """The name of a method on the wire."""
    return f"/{method.containing_service.full_name}/{method.name}"


def split(name: str) -> tuple[str, str]:
    """Service and method of a full name."""
    service, _, method = name.removeprefix("/").rpartition("/")
    return service, method


def metadata_of(context: Context) -> dict[str, str]:
    """The text metadata of a call."""
    return {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}


def parse(kind: type[M], request: bytes) -> M:
    """The message that `request` holds; Internal in grpc-go's words when it holds none."""
    try:
        return kind.FromString(request)
    except DecodeError as error:
        bad_text = "UTF-8" in str(error)  # protobuf tells it in no other way
        problem = (
            "string field contains invalid UTF-8"
            if bad_text
            else "proto: cannot parse invalid wire-format data"
        )
        raise Internal(f"grpc: error unmarshalling request: {problem}") from None


async def abort(context: Context, error: ServiceError) -> NoReturn:
    """Ends the call with an error answer."""
    await context.abort(status_code(error.code), error.message, trailers(error))


async def guarded(name: str, context: Context, answer: Awaitable[T]) -> T:
    """Awaits `answer`; what it raises becomes the status of the call. A cancellation by the client passes."""
    error: ServiceError
    try:
        return await answer
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        # Something that the answer waited for was cancelled, as when a region closes: the client still waits.
        error = Unavailable("error reading from server: EOF")
    except Exception as unexpected:  # noqa: BLE001 - the border: whatever it is, it gets a status
        error = service_error(unexpected, name)
    return await abort(context, error)


def _dispatched(service: str, method: str, dispatch: Dispatch, message_bytes: int | None) -> MethodHandler:
    name = f"/{service}/{method}"
    limit = float("inf") if message_bytes is None else message_bytes

    async def serve(request: bytes, context: Context) -> bytes:
        if len(request) > limit:
            text = f"grpc: received message larger than max ({len(request)} vs. {limit})"
            await abort(context, revive(Code.RESOURCE_EXHAUSTED, text))
        call = Call(
            service, method, name, request, metadata_of(context), context.time_remaining(), context.peer()
        )
        return await guarded(name, context, dispatch(call))

    return grpc.unary_unary_rpc_method_handler(serve)


def _refusal(name: str, *, known_service: bool) -> MethodHandler:
    """Refuses without reading a message, so that it fits unary and streaming calls alike."""
    service, method = split(name)
    if not service:
        text = f'malformed method name: "{name}"'
    elif known_service:
        text = f"unknown method {method} for service {service}"
    else:
        text = f"unknown service {service}"

    async def refuse(_requests: object, context: Context) -> None:
        await abort(context, Unimplemented(text))

    return grpc.stream_stream_rpc_method_handler(refuse)
